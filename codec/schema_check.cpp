#include "codec/schema_check.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/assert.hpp"
#include "codec/quality.hpp"
#include "codec/rejection.hpp"
#include "codec/units.hpp"

namespace wellhead {
namespace {

using Check = std::expected<void, std::string>;

bool is_identifier(std::string_view name) {
  return !name.empty() && name.size() <= identifier_bytes_max && name.find('\0') == std::string_view::npos;
}

bool is_stream_name(std::string_view name) {
  const auto allowed = [](char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-';
  };
  return !name.empty() && name.size() <= identifier_bytes_max && std::ranges::all_of(name, allowed);
}

// Written as it stands in JSON, without escapes: keys are compared in place.
bool is_key(std::string_view key) {
  const auto plain = [](char byte) {
    return static_cast<unsigned char>(byte) >= 0x20 && byte != '"' && byte != '\\';
  };
  return !key.empty() && key.size() <= key_bytes_max && std::ranges::all_of(key, plain);
}

bool is_number(ColumnType type) {
  return type == ColumnType::real || type == ColumnType::double_precision || type == ColumnType::integer ||
         type == ColumnType::bigint;
}

bool is_floating(ColumnType type) {
  return type == ColumnType::real || type == ColumnType::double_precision;
}

// What a column holds that no record brings, and the only type that holds it; none: any.
struct SourceRule {
  ColumnSource source;
  std::string_view what;
  std::optional<ColumnType> type;
};
constexpr auto source_rules = std::to_array<SourceRule>({
    {ColumnSource::receive_time, "the receive time", ColumnType::timestamptz},
    {ColumnSource::constant, "a constant", std::nullopt},
    {ColumnSource::sender, "the sender", ColumnType::text},
    {ColumnSource::attribute, "an attribute of the device", std::nullopt},
    {ColumnSource::quality_score, "the quality score", ColumnType::real},
    {ColumnSource::anomaly, "the anomaly flag", ColumnType::boolean},
    {ColumnSource::quality_flags, "the quality flags", ColumnType::bigint},
});

// REQUIRES a source other than field.
const SourceRule& rule_of(ColumnSource source) {
  const auto* const rule = std::ranges::find(source_rules, source, &SourceRule::source);
  WELLHEAD_ASSERT(rule != source_rules.end());
  return *rule;
}

// The least value of the type that is not below `minimum`; infinite where there is none.
double least_value(ColumnType type, double minimum) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (type == ColumnType::integer || type == ColumnType::bigint) {
    const bool narrow = type == ColumnType::integer;
    const double least = narrow ? std::numeric_limits<std::int32_t>::min() : -0x1p63;
    const double most = narrow ? std::numeric_limits<std::int32_t>::max() : 0x1p63;
    const double whole = std::max(std::ceil(minimum), least);
    return whole <= most ? whole : infinity;
  }
  if (type == ColumnType::double_precision) return std::max(minimum, std::numeric_limits<double>::lowest());
  constexpr double real_max = std::numeric_limits<float>::max();
  if (minimum > real_max) return infinity;
  const auto nearest = static_cast<float>(std::max(minimum, -real_max));
  return nearest < minimum ? std::nextafter(nearest, std::numeric_limits<float>::infinity()) : nearest;
}

class StreamCheck {
 public:
  explicit StreamCheck(const StreamConfig& stream) : stream_(stream) {}

  Check run() {
    if (Check check = names(); !check) return check;
    if (Check check = window(); !check) return check;
    for (const ColumnConfig& column : stream_.columns) {
      if (Check check = this->column(column); !check) return check;
    }
    if (Check check = special_columns(); !check) return check;
    if (Check check = scoring_numbers(); !check) return check;
    if (Check check = attributes(); !check) return check;
    if (Check check = scored_columns(); !check) return check;
    return keys();
  }

 private:
  [[nodiscard]] std::unexpected<std::string> fail(const std::string& sentence) const {
    return std::unexpected("Stream \"" + stream_.name + "\": " + sentence);
  }
  [[nodiscard]] std::unexpected<std::string> fail(const ColumnConfig& column,
                                                  const std::string& sentence) const {
    return std::unexpected(column_subject(stream_, column) + sentence);
  }

  Check names() const {
    if (!is_stream_name(stream_.name)) {
      return fail("a stream's name stands in a URL and takes 1 to 63 letters, digits, _ and -.");
    }
    const std::size_t dot = stream_.table.find('.');
    const bool plain = dot == std::string::npos;
    const std::string_view table = plain ? stream_.table : std::string_view(stream_.table).substr(dot + 1);
    const bool schema_ok = plain || is_identifier(std::string_view(stream_.table).substr(0, dot));
    if (!schema_ok || !is_identifier(table) || table.find('.') != std::string_view::npos) {
      return fail("table \"" + stream_.table +
                  "\" is neither \"table\" nor \"schema.table\" with names of 1 to 63 bytes.");
    }
    if (stream_.columns.empty() || stream_.columns.size() > stream_columns_max) {
      return fail("a stream has 1 to " + std::to_string(stream_columns_max) + " columns, this one has " +
                  std::to_string(stream_.columns.size()) + ".");
    }
    return {};
  }

  Check window() const {
    const auto in_bounds = [](std::int64_t seconds) { return seconds >= 0 && seconds <= window_s_max; };
    if (in_bounds(stream_.past_max_s) && in_bounds(stream_.future_max_s)) return {};
    return fail("the window for timestamps is given in seconds from 0 to " + std::to_string(window_s_max) +
                ".");
  }

  Check column(const ColumnConfig& column) {
    if (!is_identifier(column.name)) return fail("a column's name has 1 to 63 bytes and no NUL.");
    if (!column_names_.insert(column.name).second) return fail(column, "is there twice.");
    if (node_only(column.type) && !stream_.internal)
      return fail(column, "no JSON value becomes " + std::string(to_string(column.type)) + ".");
    if (Check check = source(column); !check) return check;
    if (Check check = range(column); !check) return check;
    if (Check check = text(column); !check) return check;
    if (Check check = scoring(column); !check) return check;
    return units(column);
  }

  Check source(const ColumnConfig& column) {
    if (column.source == ColumnSource::field) return {};
    const SourceRule& rule = rule_of(column.source);
    if (rule.type && column.type != *rule.type) {
      return fail(column, "only a " + std::string(to_string(*rule.type)) + " column can hold " +
                              std::string(rule.what) + ".");
    }
    if (!column.keys.empty())
      return fail(column, "holds " + std::string(rule.what) + " and so reads no JSON keys.");
    if (column.required) {
      return fail(column, "holds " + std::string(rule.what) + " and so cannot be required of the record.");
    }
    if (!column.input_unit.empty() || !column.unit_key.empty()) {
      return fail(column, "holds " + std::string(rule.what) + ", which is in the column's own unit.");
    }
    if (computed(column.source) && !computed_.insert(column.source).second)
      return fail(column, "is the second column for " + std::string(rule.what) + "; a stream has one.");
    return {};
  }

  Check range(const ColumnConfig& column) const {
    if (!column.minimum && !column.maximum) {
      if (column.out_of_range == OutOfRange::null) return {};
      return fail(column, "has a rule for values out of range, and no range: give min, max or both.");
    }
    if (!is_number(column.type)) return fail(column, "minimum and maximum are for numbers only.");
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const double minimum = column.minimum.value_or(-infinity);
    const double maximum = column.maximum.value_or(infinity);
    if ((column.minimum && !std::isfinite(minimum)) || (column.maximum && !std::isfinite(maximum)))
      return fail(column, "minimum and maximum must be finite.");
    const double least = least_value(column.type, minimum);
    if (std::isinf(least) || least > maximum)
      return fail(column, "has a range that no value meets: " + std::string(to_string(column.type)) +
                              " has none from " + shown(minimum) + " to " + shown(maximum) + ".");
    return {};
  }

  Check scoring(const ColumnConfig& column) const {
    if (column.primary && !column.scored) return fail(column, "is primary and so must be scored.");
    if (column.rate_max && !column.scored)
      return fail(column, "has a rate_max, which only a scored column is watched for.");
    if (!column.scored) return {};
    if (!is_number(column.type)) return fail(column, "only numbers are scored.");
    if (column.source != ColumnSource::field) return fail(column, "only what records bring is scored.");
    if (column.rate_max && !(*column.rate_max > 0 && std::isfinite(*column.rate_max)))
      return fail(column, "rate_max must be above 0, and finite.");
    return {};
  }

  // Bounds that keep the arithmetic of the statistics, and a typing error, within reason.
  Check scoring_numbers() const {
    const ScoringConfig& scoring = stream_.scoring;
    const auto seconds = [](std::int64_t value) { return value >= 0 && value <= window_s_max; };
    const auto readings = [](std::uint32_t value) { return value >= 2 && value <= readings_max; };
    const auto above_zero = [](double value, double most) { return value > 0 && value <= most; };
    const std::string counts = " must be from 2 to " + std::to_string(readings_max) + " readings.";
    if (!seconds(scoring.late_after_s) || !seconds(scoring.ahead_after_s))
      return fail("scoring.late_after and scoring.ahead_after are from 0 to " + std::to_string(window_s_max) +
                  " seconds.");
    if (!above_zero(scoring.consistency_ratio, ratio_max))
      return fail("scoring.consistency_ratio must be above 0 and at most " + shown(ratio_max) + ".");
    if (!above_zero(scoring.z_min, ratio_max))
      return fail("scoring.z_min must be above 0 and at most " + shown(ratio_max) + ".");
    if (!above_zero(scoring.false_positives_max, false_positives_most))
      return fail("scoring.false_positives_max must be above 0 and at most " + shown(false_positives_most) +
                  ", a share of all readings.");
    if (!readings(scoring.warm_up)) return fail("scoring.warm_up" + counts);
    if (!readings(scoring.memory)) return fail("scoring.memory" + counts);
    if (!readings(scoring.stuck_after)) return fail("scoring.stuck_after" + counts);
    return {};
  }

  Check attributes() const {
    const AttributesConfig& attributes = stream_.attributes;
    const bool has_table = !attributes.file.empty() || !attributes.query.empty();
    if (!attributes.file.empty() && !attributes.query.empty())
      return fail("its attributes come from a file or from a query, not from both.");
    if (!has_table && !attributes.device_column.empty())
      return fail("attributes.device names a column of no file and no query.");
    for (const ColumnConfig& column : stream_.columns) {
      if (column.source != ColumnSource::attribute) continue;
      if (column.type == ColumnType::jsonb)
        return fail(column, "an attribute of the device cannot be jsonb.");
      if (!has_table)
        return fail(column,
                    "holds an attribute of the device, and the stream has none: give it "
                    "attributes.file or attributes.query.");
    }
    return {};
  }

  Check scored_columns() const {
    const auto scored = std::ranges::count(stream_.columns, true, &ColumnConfig::scored);
    if (scored <= static_cast<std::ptrdiff_t>(scored_fields_max)) return {};
    return fail(std::to_string(scored) + " of its columns are scored; quality_flags has bits for " +
                std::to_string(scored_fields_max) + ".");
  }

  Check text(const ColumnConfig& column) const {
    if (column.text_bytes_max < 1 || column.text_bytes_max > text_bytes_limit) {
      return fail(column, "text_bytes_max must be from 1 to " + std::to_string(text_bytes_limit) + ".");
    }
    if (column.text_bytes_min > column.text_bytes_max)
      return fail(column, "text_bytes_min is above text_bytes_max.");
    if (column.type != ColumnType::text) {
      if (column.default_value) return fail(column, "only text columns take a default value.");
      if (!column.one_of.empty()) return fail(column, "only text columns take a list of allowed values.");
      return {};
    }
    for (const std::string& value : column.one_of) {
      if (Check check = text_value(column, value); !check) return check;
    }
    if (!column.default_value) return {};
    if (column.required) return fail(column, "is required and so never takes its default value.");
    if (!column.one_of.empty() &&
        std::ranges::find(column.one_of, *column.default_value) == column.one_of.end()) {
      return fail(column,
                  "the default value \"" + *column.default_value + "\" is not among the allowed values.");
    }
    return text_value(column, *column.default_value);
  }

  Check text_value(const ColumnConfig& column, const std::string& value) const {
    if (value.size() < column.text_bytes_min || value.size() > column.text_bytes_max) {
      return fail(column, "\"" + value + "\" has " + std::to_string(value.size()) + " bytes, allowed are " +
                              std::to_string(column.text_bytes_min) + " to " +
                              std::to_string(column.text_bytes_max) + ".");
    }
    if (value.find('\0') != std::string::npos) return fail(column, "a text cannot hold a NUL character.");
    return {};
  }

  Check units(const ColumnConfig& column) const {
    if (column.unit.empty()) {
      if (column.input_unit.empty() && column.unit_key.empty()) return {};
      return fail(column, "has an input unit or a unit key but no unit to convert to.");
    }
    if (!is_floating(column.type)) return fail(column, "only real and double columns have a unit.");
    const Unit* const unit = find_unit(column.unit);
    if (unit == nullptr) return fail(column, "there is no unit \"" + column.unit + "\".");
    if (column.input_unit.empty()) return {};
    const Unit* const input = find_unit(column.input_unit);
    if (input == nullptr) return fail(column, "there is no unit \"" + column.input_unit + "\".");
    if (input->dimension != unit->dimension) {
      return fail(column, "\"" + column.input_unit + "\" cannot be converted to \"" + column.unit + "\".");
    }
    return {};
  }

  Check special_columns() const {
    const auto find = [&](const std::string& name) {
      return std::ranges::find(stream_.columns, name, &ColumnConfig::name);
    };
    const auto device = find(stream_.device_column);
    if (device == stream_.columns.end() || device->type != ColumnType::text) {
      return fail("device_column \"" + stream_.device_column + "\" must be one of its text columns.");
    }
    if (device->source != ColumnSource::field)
      return fail(*device, "names the device and so must come from the record.");
    const auto time = find(stream_.time_column);
    if (time == stream_.columns.end() || time->type != ColumnType::timestamptz) {
      return fail("time_column \"" + stream_.time_column + "\" must be one of its timestamptz columns.");
    }
    if (time->source != ColumnSource::field && time->source != ColumnSource::receive_time)
      return fail(*time, "is the row's time: it must come from the record or be the receive time.");
    return {};
  }

  Check keys() const {
    std::map<std::string_view, std::string_view> owners;
    for (const ColumnConfig& column : stream_.columns) {
      if (column.source != ColumnSource::field) continue;
      const std::vector<std::string> own_name{column.name};
      for (const std::string& key : column.keys.empty() ? own_name : column.keys) {
        if (!is_key(key)) return fail(column, "\"" + key + "\" cannot be a JSON key here: " + key_rule);
        const auto [owner, is_new] =
            owners.emplace(column.keys.empty() ? std::string_view(column.name) : key, column.name);
        if (!is_new)
          return fail(column, "reads the JSON key \"" + key + "\", which column \"" +
                                  std::string(owner->second) + "\" reads.");
      }
    }
    for (const ColumnConfig& column : stream_.columns) {
      if (column.unit_key.empty()) continue;
      if (!is_key(column.unit_key)) {
        return fail(column, "\"" + column.unit_key + "\" cannot be a unit key: " + key_rule);
      }
      if (owners.contains(column.unit_key)) {
        return fail(column, "the unit key \"" + column.unit_key + "\" is read by a column already.");
      }
    }
    return {};
  }

  static constexpr std::uint32_t readings_max = 10'000'000;
  static constexpr double ratio_max = 1e6;
  static constexpr double false_positives_most = 0.5;
  static inline const std::string key_rule =
      "1 to " + std::to_string(key_bytes_max) + " bytes, no quote, backslash or control character.";

  const StreamConfig& stream_;
  std::set<std::string_view> column_names_;
  std::set<ColumnSource> computed_;
};

}  // namespace

std::string column_subject(const StreamConfig& stream, const ColumnConfig& column) {
  return "Stream \"" + stream.name + "\", column \"" + column.name + "\": ";
}

std::expected<void, std::string> check_stream(const StreamConfig& stream) {
  return StreamCheck(stream).run();
}

}  // namespace wellhead
