#include "engine/config_stream_keys.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <limits>

#include "engine/config_keys.hpp"
#include "engine/config_values.hpp"

namespace wellhead {
namespace {

using Outcome = KeyOutcome;

constexpr std::chrono::seconds window_max{window_s_max};

// --- values of one node ---

Outcome read_text(const toml::node& node, std::string& value) {
  const auto text = node.value_exact<std::string>();
  if (!text) return std::unexpected("must be a text in quotes");
  value = *text;
  return {};
}

Outcome read_boolean(const toml::node& node, bool& value) {
  const auto flag = node.value_exact<bool>();
  if (!flag) return std::unexpected("must be true or false, without quotes");
  value = *flag;
  return {};
}

Outcome read_number(const toml::node& node, double& value) {
  if (!node.is_number()) return std::unexpected("must be a number, without quotes");
  value = *node.value<double>();
  return {};
}

Outcome read_number(const toml::node& node, std::optional<double>& value) {
  return read_number(node, value.emplace());
}

// `none`: the infinity that takes away a bound which the stream has so far.
Outcome read_bound(const toml::node& node, double none, std::optional<double>& value) {
  const Outcome outcome = read_number(node, value);
  if (outcome && value == none) value.reset();
  return outcome;
}

Outcome read_count(const toml::node& node, std::uint32_t& value) {
  const auto number = node.value_exact<std::int64_t>();
  if (!number || *number < 0 || *number > std::numeric_limits<std::uint32_t>::max())
    return std::unexpected("must be a whole number, without quotes");
  value = static_cast<std::uint32_t>(*number);
  return {};
}

Outcome read_window(const toml::node& node, std::int64_t& seconds) {
  std::string text;
  if (!read_text(node, text)) return std::unexpected("must be a duration in quotes, e.g. \"30d\"");
  const auto duration = parse_duration(text);
  if (!duration) return std::unexpected(duration.error());
  if (*duration > window_max)
    return std::unexpected(
        fmt::format("{} is above the most allowed, {}", text, format_duration(window_max)));
  seconds = std::chrono::duration_cast<std::chrono::seconds>(*duration).count();
  return {};
}

// How often something is asked of the database again.
Outcome read_refresh(const toml::node& node, std::int64_t& seconds) {
  if (const Outcome read = read_window(node, seconds); !read) return read;
  if (seconds < 1) return std::unexpected("is below the least allowed, 1s");
  return {};
}

Outcome read_text_bytes(const toml::node& node, std::uint32_t& bytes) {
  std::string text;
  if (const auto number = node.value_exact<std::int64_t>())
    text = std::to_string(*number);
  else if (!read_text(node, text))
    return std::unexpected("must be a size, e.g. 64 or \"4KiB\"");
  const auto size = parse_size(text);
  if (!size) return std::unexpected(size.error());
  if (*size > text_bytes_limit)
    return std::unexpected(
        fmt::format("{} is above the most allowed, {}", text, format_size(text_bytes_limit)));
  bytes = static_cast<std::uint32_t>(*size);
  return {};
}

Outcome read_list(const toml::node& node, std::vector<std::string>& texts) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return std::unexpected("must be a list of texts, e.g. [\"temp\", \"temperature\"]");
  texts.clear();
  for (const toml::node& element : *list) {
    std::string text;
    if (!read_text(element, text))
      return std::unexpected("must be a list of texts, e.g. [\"temp\", \"temperature\"]");
    texts.push_back(std::move(text));
  }
  return {};
}

// --- words of enumerations ---

template <typename Value>
struct Word {
  std::string_view name;
  Value value;
};

constexpr std::array<Word<bool>, 2> unknown_fields_words{{{"ignore", false}, {"reject", true}}};
constexpr std::array<Word<ColumnSource>, 8> source_words{{{"field", ColumnSource::field},
                                                          {"receive_time", ColumnSource::receive_time},
                                                          {"constant", ColumnSource::constant},
                                                          {"sender", ColumnSource::sender},
                                                          {"attribute", ColumnSource::attribute},
                                                          {"quality_score", ColumnSource::quality_score},
                                                          {"anomaly", ColumnSource::anomaly},
                                                          {"quality_flags", ColumnSource::quality_flags}}};
constexpr std::array<Word<OutOfRange>, 3> out_of_range_words{
    {{"null", OutOfRange::null}, {"reject", OutOfRange::reject}, {"keep", OutOfRange::keep}}};
constexpr std::array<Word<EpochUnit>, 5> epoch_words{{{"by_magnitude", EpochUnit::by_magnitude},
                                                      {"s", EpochUnit::seconds},
                                                      {"ms", EpochUnit::milliseconds},
                                                      {"us", EpochUnit::microseconds},
                                                      {"ns", EpochUnit::nanoseconds}}};

template <typename Value, std::size_t count>
Outcome read_word(const toml::node& node, const std::array<Word<Value>, count>& words, Value& value) {
  std::string known;
  const auto text = node.value_exact<std::string>();
  for (const Word<Value>& word : words) {
    if (text == word.name) {
      value = word.value;
      return {};
    }
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", word.name);
  }
  return std::unexpected("must be one of " + known);
}

template <typename Value, std::size_t count>
std::string_view word_of(const std::array<Word<Value>, count>& words, Value value) {
  for (const Word<Value>& word : words) {
    if (word.value == value) return word.name;
  }
  return words.front().name;
}

Outcome read_type(const toml::node& node, ColumnType& type) {
  const auto text = node.value_exact<std::string>();
  const auto known = text ? column_type_from(*text) : std::nullopt;
  if (!known)
    return std::unexpected(
        R"(must be one of "timestamptz", "text", "real", "double", "int", "bigint", "bool", "jsonb")");
  type = *known;
  return {};
}

// --- the tables of keys ---

std::string print_text(const std::string& text) {
  return text.empty() ? "" : quote_toml(text);
}
std::string print_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + quote_toml(text);
  return list.empty() ? list : "[" + list + "]";
}
std::string print_number(const std::optional<double>& number) {
  return number ? fmt::format("{}", *number) : "";
}
std::string print_flag(bool flag) {
  return flag ? "true" : "";
}
std::string print_window(std::int64_t seconds) {
  return quote_toml(format_duration(std::chrono::seconds(seconds)));
}

constexpr std::array stream_key_table{
    StreamKey<StreamConfig>{
        "table", "text", "The table, as `table` or `schema.table`. Default: the stream's name.",
        [](const toml::node& node, StreamConfig& stream) { return read_text(node, stream.table); },
        [](const StreamConfig& stream) { return print_text(stream.table); }},
    StreamKey<StreamConfig>{
        "device", "text",
        "The required text column that names the device. Rows of one device are written in order.",
        [](const toml::node& node, StreamConfig& stream) { return read_text(node, stream.device_column); },
        [](const StreamConfig& stream) { return print_text(stream.device_column); }},
    StreamKey<StreamConfig>{
        "time", "text", "The required timestamptz column: the hypertable's partition key.",
        [](const toml::node& node, StreamConfig& stream) { return read_text(node, stream.time_column); },
        [](const StreamConfig& stream) { return print_text(stream.time_column); }},
    StreamKey<StreamConfig>{"unknown_fields", "word",
                            "`ignore` or `reject`: what a JSON key means that no column reads.",
                            [](const toml::node& node, StreamConfig& stream) {
                              return read_word(node, unknown_fields_words, stream.reject_unknown_fields);
                            },
                            [](const StreamConfig& stream) {
                              return quote_toml(word_of(unknown_fields_words, stream.reject_unknown_fields));
                            }},
    StreamKey<StreamConfig>{
        "past_max", "duration",
        "Records older than this on arrival are rejected: a stray year makes a junk chunk.",
        [](const toml::node& node, StreamConfig& stream) { return read_window(node, stream.past_max_s); },
        [](const StreamConfig& stream) { return print_window(stream.past_max_s); }},
    StreamKey<StreamConfig>{
        "future_max", "duration", "Records further in the future than this are rejected.",
        [](const toml::node& node, StreamConfig& stream) { return read_window(node, stream.future_max_s); },
        [](const StreamConfig& stream) { return print_window(stream.future_max_s); }},
};

constexpr std::array column_key_table{
    StreamKey<ColumnConfig>{
        "name", "text", "The column of the table.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.name); },
        [](const ColumnConfig& column) { return print_text(column.name); }},
    StreamKey<ColumnConfig>{
        "type", "word", "`timestamptz`, `text`, `real`, `double`, `int`, `bigint`, `bool` or `jsonb`.",
        [](const toml::node& node, ColumnConfig& column) { return read_type(node, column.type); },
        [](const ColumnConfig& column) { return quote_toml(to_string(column.type)); }},
    StreamKey<ColumnConfig>{
        "keys", "list of texts", "The JSON keys read into it. Default: the column's name.",
        [](const toml::node& node, ColumnConfig& column) { return read_list(node, column.keys); },
        [](const ColumnConfig& column) { return print_list(column.keys); }},
    StreamKey<ColumnConfig>{
        "source", "word",
        "`field`: from the record. `receive_time`: when the node received it (timestamptz). `constant`: "
        "`value`. `sender`: listener and peer (text). `attribute`: of the device, from the stream's "
        "attributes. `quality_score` (real), `anomaly` (bool), `quality_flags` (bigint): computed.",
        [](const toml::node& node, ColumnConfig& column) {
          return read_word(node, source_words, column.source);
        },
        [](const ColumnConfig& column) {
          return column.source == ColumnSource::field ? "" : quote_toml(word_of(source_words, column.source));
        }},
    StreamKey<ColumnConfig>{
        "value", "text", "`source = \"constant\"`: the value, as a text or as in JSON.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.value); },
        [](const ColumnConfig& column) { return print_text(column.value); }},
    StreamKey<ColumnConfig>{
        "attribute", "text", "`source = \"attribute\"`: which one. Default: the column's name.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.attribute); },
        [](const ColumnConfig& column) { return print_text(column.attribute); }},
    StreamKey<ColumnConfig>{
        "required", "true or false", "A record without it is rejected.",
        [](const toml::node& node, ColumnConfig& column) { return read_boolean(node, column.required); },
        [](const ColumnConfig& column) { return print_flag(column.required); }},
    StreamKey<ColumnConfig>{"default", "text", "Text columns: the value where a record has none.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_text(node, column.default_value.emplace());
                            },
                            [](const ColumnConfig& column) {
                              return column.default_value ? quote_toml(*column.default_value) : "";
                            }},
    StreamKey<ColumnConfig>{"min", "number", "The least valid value, in the column's unit; -inf: none.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_bound(node, -std::numeric_limits<double>::infinity(),
                                                column.minimum);
                            },
                            [](const ColumnConfig& column) { return print_number(column.minimum); }},
    StreamKey<ColumnConfig>{"max", "number", "The largest valid value, in the column's unit; inf: none.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_bound(node, std::numeric_limits<double>::infinity(),
                                                column.maximum);
                            },
                            [](const ColumnConfig& column) { return print_number(column.maximum); }},
    StreamKey<ColumnConfig>{
        "out_of_range", "word",
        "`null`: the row is stored with NULL there and the record kept as a dead letter; a required column "
        "rejects the record instead. `reject`: the record is rejected. `keep`: stored as it is, for tables "
        "without a CHECK.",
        [](const toml::node& node, ColumnConfig& column) {
          return read_word(node, out_of_range_words, column.out_of_range);
        },
        [](const ColumnConfig& column) {
          return column.out_of_range == OutOfRange::null
                     ? ""
                     : quote_toml(word_of(out_of_range_words, column.out_of_range));
        }},
    StreamKey<ColumnConfig>{
        "scored", "true or false", "Numbers: watched by range and by the device's statistics.",
        [](const toml::node& node, ColumnConfig& column) { return read_boolean(node, column.scored); },
        [](const ColumnConfig& column) { return print_flag(column.scored); }},
    StreamKey<ColumnConfig>{
        "primary", "true or false", "Scored columns: a record without it is incomplete.",
        [](const toml::node& node, ColumnConfig& column) { return read_boolean(node, column.primary); },
        [](const ColumnConfig& column) { return print_flag(column.primary); }},
    StreamKey<ColumnConfig>{
        "rate_max", "number",
        "Scored columns: the most it may change in a second, in the column's unit. Default: any.",
        [](const toml::node& node, ColumnConfig& column) { return read_number(node, column.rate_max); },
        [](const ColumnConfig& column) { return print_number(column.rate_max); }},
    StreamKey<ColumnConfig>{
        "one_of", "list of texts", "Text columns: the only values taken.",
        [](const toml::node& node, ColumnConfig& column) { return read_list(node, column.one_of); },
        [](const ColumnConfig& column) { return print_list(column.one_of); }},
    StreamKey<ColumnConfig>{
        "unit", "text", "The unit the column is stored in, e.g. `degC`.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.unit); },
        [](const ColumnConfig& column) { return print_text(column.unit); }},
    StreamKey<ColumnConfig>{
        "input_unit", "text", "The unit records come in. Default: the column's.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.input_unit); },
        [](const ColumnConfig& column) { return print_text(column.input_unit); }},
    StreamKey<ColumnConfig>{
        "unit_key", "text", "The JSON key by which a record names its unit itself.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.unit_key); },
        [](const ColumnConfig& column) { return print_text(column.unit_key); }},
    StreamKey<ColumnConfig>{"max_bytes", "size", "text and jsonb: the longest value taken.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_text_bytes(node, column.text_bytes_max);
                            },
                            [](const ColumnConfig& column) {
                              const bool has_length =
                                  column.type == ColumnType::text || column.type == ColumnType::jsonb;
                              return has_length ? std::to_string(column.text_bytes_max) : std::string();
                            }},
    StreamKey<ColumnConfig>{"min_bytes", "size", "text: the shortest value taken.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_text_bytes(node, column.text_bytes_min);
                            },
                            [](const ColumnConfig& column) {
                              return column.text_bytes_min == 0 ? std::string()
                                                                : std::to_string(column.text_bytes_min);
                            }},
    StreamKey<ColumnConfig>{"epoch", "word",
                            "How a number is read as a time: `s`, `ms`, `us`, `ns` since 1970, or "
                            "`by_magnitude` to tell them apart.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_word(node, epoch_words, column.epoch);
                            },
                            [](const ColumnConfig& column) {
                              return column.type == ColumnType::timestamptz
                                         ? quote_toml(word_of(epoch_words, column.epoch))
                                         : "";
                            }},
};

constexpr std::array scoring_key_table{
    StreamKey<ScoringConfig>{"late_after", "duration", "A reading older than this on arrival is late.",
                             [](const toml::node& node, ScoringConfig& scoring) {
                               return read_window(node, scoring.late_after_s);
                             },
                             [](const ScoringConfig& scoring) { return print_window(scoring.late_after_s); }},
    StreamKey<ScoringConfig>{
        "ahead_after", "duration", "The clock of a reading further in the future than this is ahead.",
        [](const toml::node& node, ScoringConfig& scoring) {
          return read_window(node, scoring.ahead_after_s);
        },
        [](const ScoringConfig& scoring) { return print_window(scoring.ahead_after_s); }},
    StreamKey<ScoringConfig>{
        "consistency_ratio", "number",
        "A value further from the device's recent average than this share of it is inconsistent.",
        [](const toml::node& node, ScoringConfig& scoring) {
          return read_number(node, scoring.consistency_ratio);
        },
        [](const ScoringConfig& scoring) { return print_number(scoring.consistency_ratio); }},
    StreamKey<ScoringConfig>{
        "z_min", "number", "No value closer to the mean than so many standard deviations is anomalous.",
        [](const toml::node& node, ScoringConfig& scoring) { return read_number(node, scoring.z_min); },
        [](const ScoringConfig& scoring) { return print_number(scoring.z_min); }},
    StreamKey<ScoringConfig>{
        "false_positives_max", "number",
        "The share of ordinary readings that may be flagged; thresholds are calibrated to it.",
        [](const toml::node& node, ScoringConfig& scoring) {
          return read_number(node, scoring.false_positives_max);
        },
        [](const ScoringConfig& scoring) { return print_number(scoring.false_positives_max); }},
    StreamKey<ScoringConfig>{
        "warm_up", "integer", "Readings of a device before it is judged by its past.",
        [](const toml::node& node, ScoringConfig& scoring) { return read_count(node, scoring.warm_up); },
        [](const ScoringConfig& scoring) { return std::to_string(scoring.warm_up); }},
    StreamKey<ScoringConfig>{
        "memory", "integer", "Readings after which one counts for 1/e of a new one.",
        [](const toml::node& node, ScoringConfig& scoring) { return read_count(node, scoring.memory); },
        [](const ScoringConfig& scoring) { return std::to_string(scoring.memory); }},
    StreamKey<ScoringConfig>{
        "stuck_after", "integer", "Equal readings in a row, at least, before a sensor may be stuck.",
        [](const toml::node& node, ScoringConfig& scoring) { return read_count(node, scoring.stuck_after); },
        [](const ScoringConfig& scoring) { return std::to_string(scoring.stuck_after); }},
};

constexpr std::array attributes_key_table{
    StreamKey<AttributesConfig>{
        "file", "text", "A CSV file with a header line, one line a device.",
        [](const toml::node& node, AttributesConfig& attributes) { return read_text(node, attributes.file); },
        [](const AttributesConfig& attributes) { return print_text(attributes.file); }},
    StreamKey<AttributesConfig>{
        "query", "text", "Or an SQL query against the node's database, one row a device.",
        [](const toml::node& node, AttributesConfig& attributes) {
          return read_text(node, attributes.query);
        },
        [](const AttributesConfig& attributes) { return print_text(attributes.query); }},
    StreamKey<AttributesConfig>{
        "device", "text", "The file's or query's column that names the device. Default: the stream's.",
        [](const toml::node& node, AttributesConfig& attributes) {
          return read_text(node, attributes.device_column);
        },
        [](const AttributesConfig& attributes) { return print_text(attributes.device_column); }},
    StreamKey<AttributesConfig>{
        "refresh", "duration", "How often the query is run again, beside at each HUP. Default: `\"5m\"`.",
        [](const toml::node& node, AttributesConfig& attributes) {
          return read_refresh(node, attributes.refresh_s);
        },
        [](const AttributesConfig& attributes) {
          return attributes.query.empty() ? std::string() : print_window(attributes.refresh_s);
        }},
};

}  // namespace

std::span<const StreamKey<StreamConfig>> stream_keys() noexcept {
  return stream_key_table;
}

std::span<const StreamKey<ColumnConfig>> column_keys() noexcept {
  return column_key_table;
}

std::span<const StreamKey<ScoringConfig>> scoring_keys() noexcept {
  return scoring_key_table;
}

std::span<const StreamKey<AttributesConfig>> attributes_keys() noexcept {
  return attributes_key_table;
}

}  // namespace wellhead
