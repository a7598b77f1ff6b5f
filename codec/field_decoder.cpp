#include "codec/field_decoder.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/assert.hpp"
#include "codec/body_framing.hpp"
#include "codec/copy_binary.hpp"
#include "codec/timestamp.hpp"

namespace wellhead {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr double exact_integer_max =
    9'007'199'254'740'992.0;  // 2^53: every whole number up to it is a double

// The value's text up to the next structural character, without whitespace behind it. For an object or array
// this is its opening bracket only.
std::string_view token_of(ondemand::value& value) noexcept {
  return trimmed(value.raw_json_token());
}

// The whole text of an object or array, passed over by its brackets alone; false when they do not close.
bool container_text(ondemand::value& value, char opening, std::string_view& text) noexcept {
  if (opening == '{') {
    ondemand::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return false;
    if (object.raw_json().get(text) != simdjson::SUCCESS) return false;
  } else {
    ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) return false;
    if (array.raw_json().get(text) != simdjson::SUCCESS) return false;
  }
  text = trimmed(text);
  return true;
}

// The value's whole text; false when it is not closed. A string is consumed too, since On-Demand's own
// skipping takes a string before a colon for a key.
bool whole_text(ondemand::value& value, std::string_view token, std::string_view& text) noexcept {
  if (token.empty()) return false;
  if (token.front() == '{' || token.front() == '[') return container_text(value, token.front(), text);
  text = token;
  return token.front() != '"' || value.get_raw_json_string().error() == simdjson::SUCCESS;
}

constexpr bool starts_number(char byte) noexcept {
  return byte == '-' || static_cast<unsigned char>(byte - '0') < 10;
}

std::string_view wanted_by(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::timestamptz:
      return "a timestamp";
    case ColumnType::text:
      return "a string";
    case ColumnType::real:
    case ColumnType::double_precision:
      return "a number";
    case ColumnType::integer:
    case ColumnType::bigint:
      return "a whole number";
    case ColumnType::boolean:
      return "true or false";
    case ColumnType::jsonb:
      return "any JSON";
    case ColumnType::bytea:
    case ColumnType::uuid:
      break;
  }
  return "a value";
}

std::string range_text(const ColumnPlan& plan) {
  const std::string unit = plan.config->unit.empty() ? "" : " " + plan.config->unit;
  if (std::isinf(plan.maximum)) return "at least " + shown(plan.minimum) + unit;
  if (std::isinf(plan.minimum)) return "at most " + shown(plan.maximum) + unit;
  return "from " + shown(plan.minimum) + " to " + shown(plan.maximum) + unit;
}

std::string timestamp_problem(TimestampFault fault) {
  switch (fault) {
    case TimestampFault::malformed:
      return "is not an RFC 3339 timestamp such as 2024-05-01T12:30:45.123Z";
    case TimestampFault::missing_offset:
      return "lacks its offset from UTC: add Z, or one such as +02:00";
    case TimestampFault::impossible:
      return "is no moment of any calendar day";
    case TimestampFault::out_of_range:
      return "is outside what a timestamp can hold";
  }
  return "is not a timestamp";
}

std::string list_of(const std::vector<std::string>& values) {
  std::string list;
  for (const std::string& value : values) list += (list.empty() ? "" : ", ") + in_quotes(value);
  return list;
}

}  // namespace

FieldDecoder::FieldDecoder(DecoderLimits limits)
    : depth_max_(limits.depth_max),
      scratch_bytes_(limits.record_bytes_max),
      scratch_(std::make_unique_for_overwrite<char[]>(scratch_bytes_)) {}

void FieldDecoder::start_request(std::int64_t window_begin_us, std::int64_t window_end_us,
                                 std::uint16_t time_column) noexcept {
  window_begin_us_ = window_begin_us;
  window_end_us_ = window_end_us;
  time_column_ = time_column;
}

ValueOutcome FieldDecoder::decode_any(ondemand::value& value, const ColumnPlan& plan, Slot& slot) {
  const char first = *value.raw_json_token().data();
  switch (plan.type) {
    case ColumnType::real:
    case ColumnType::double_precision:
      if (starts_number(first)) return decode_floating(value, plan, slot);
      break;
    case ColumnType::integer:
    case ColumnType::bigint:
      if (starts_number(first)) return decode_integer(token_of(value), plan, slot);
      break;
    case ColumnType::text:
      if (first == '"') return decode_text(value, plan, slot);
      break;
    case ColumnType::timestamptz:
      if (first == '"') return decode_time_text(value, plan, slot);
      if (starts_number(first)) return decode_time_number(token_of(value), plan, slot);
      break;
    case ColumnType::boolean:
      if (first == 't' || first == 'f') return decode_boolean(token_of(value), slot);
      break;
    case ColumnType::jsonb:
      if (first != 'n') return decode_jsonb(value, plan, slot);
      break;
    case ColumnType::bytea:
    case ColumnType::uuid:
      WELLHEAD_ASSERT(false && "records are not decoded into the node's own streams");
  }
  if (first == 'n') return token_of(value) == "null" ? ValueOutcome::absent : ValueOutcome::broken;
  return mismatch(value, plan, wanted_by(plan.type));
}

ValueOutcome FieldDecoder::decode_unit(ondemand::value& value, const ColumnPlan& plan,
                                       std::string_view& unit) {
  const std::string_view token = token_of(value);
  if (token == "null") return ValueOutcome::absent;
  if (!token.starts_with('"')) return mismatch(value, plan, "a unit's name");
  return string_content(value, plan, unit);
}

ValueOutcome FieldDecoder::skip(ondemand::value& value) {
  std::string_view text;
  if (!whole_text(value, token_of(value), text)) return ValueOutcome::broken;
  return skip(text);
}

ValueOutcome FieldDecoder::skip(std::string_view text) {
  const bool plain_string = text.front() == '"' && std::memchr(text.data(), '\\', text.size()) == nullptr;
  if (plain_string) return text.size() > 1 && text.back() == '"' ? ValueOutcome::taken : ValueOutcome::broken;
  return fault(check_json(text, depth_max_ - 1, JsonPurpose::discard), {});
}

// simdjson checks the grammar of the numbers it reads.
ValueOutcome FieldDecoder::decode_floating(ondemand::value& value, const ColumnPlan& plan, Slot& slot) {
  double number = 0;
  const bool is_short = value.raw_json_token().size() <= exact_token_bytes_max;
  if (!is_short || value.get_double().get(number) != simdjson::SUCCESS) [[unlikely]] {
    const std::string_view token = token_of(value);
    if (!is_json_number(token)) return ValueOutcome::broken;
    const std::optional<double> parsed = parse_json_number(token);
    if (!parsed) return out_of_type(plan, slot, token);
    number = *parsed;
  }
  if (!plan.converts) return store_floating(number, plan, slot);
  slot.bits = std::bit_cast<std::uint64_t>(number);
  return ValueOutcome::taken;
}

// The range is that of the stored value, as a CHECK constraint of the table sees it: 200.000001 is 200 in a
// real.
ValueOutcome FieldDecoder::store_floating(double number, const ColumnPlan& plan, Slot& slot) {
  double stored = number;
  if (plan.type == ColumnType::real) {
    // Beyond a float's range the cast is undefined, so it is looked at first; what rounds to infinity is
    // caught below.
    constexpr double float_limit = 3.5e38;
    if (!(std::abs(number) < float_limit)) return out_of_type(plan, slot, shown(number));
    const auto narrow = static_cast<float>(number);
    stored = narrow;
    slot.bits = std::bit_cast<std::uint32_t>(narrow);
    slot.length = sizeof(float);
  } else {
    slot.bits = std::bit_cast<std::uint64_t>(number);
    slot.length = sizeof(double);
  }
  if (!std::isfinite(stored)) [[unlikely]]
    return out_of_type(plan, slot, shown(number));
  if (stored < plan.minimum || stored > plan.maximum) [[unlikely]]
    return out_of_range(plan, slot, number);
  return ValueOutcome::taken;
}

// 5, but also 5.0 and 5e0: JSON has one kind of number, and many encoders write whole ones with a fraction.
ValueOutcome FieldDecoder::decode_integer(std::string_view token, const ColumnPlan& plan, Slot& slot) {
  if (!is_json_number(token)) return ValueOutcome::broken;
  const char* const end = token.data() + token.size();
  std::int64_t whole = 0;
  const auto [whole_end, whole_fault] = std::from_chars(token.data(), end, whole);
  if (whole_end == end) {
    return whole_fault == std::errc{} ? store_integer(whole, plan, slot) : out_of_type(plan, slot, token);
  }
  const std::optional<double> parsed = parse_json_number(token);
  if (!parsed) return out_of_type(plan, slot, token);
  const double number = *parsed;
  if (std::trunc(number) != number) {
    rejection_.set(RecordErrorCode::wrong_type, plan.config->name, [&] {
      return in_quotes(plan.config->name) + " takes a whole number; the record has " + shown(token) + ".";
    });
    return ValueOutcome::rejected;
  }
  if (std::abs(number) > exact_integer_max) return out_of_type(plan, slot, token);
  return store_integer(static_cast<std::int64_t>(number), plan, slot);
}

ValueOutcome FieldDecoder::store_integer(std::int64_t number, const ColumnPlan& plan, Slot& slot) {
  const bool narrow = plan.type == ColumnType::integer;
  const bool fits = !narrow || (number >= std::numeric_limits<std::int32_t>::min() &&
                                number <= std::numeric_limits<std::int32_t>::max());
  if (!fits) return out_of_type(plan, slot, std::to_string(number));
  const auto approximate = static_cast<double>(number);
  slot.bits = static_cast<std::uint64_t>(number);
  slot.length = narrow ? sizeof(std::int32_t) : sizeof(std::int64_t);
  const bool in_range = approximate >= plan.minimum && approximate <= plan.maximum;
  return in_range ? ValueOutcome::taken : out_of_range(plan, slot, number);
}

ValueOutcome FieldDecoder::decode_text(ondemand::value& value, const ColumnPlan& plan, Slot& slot) {
  std::string_view content;
  const ValueOutcome outcome = string_content(value, plan, content);
  if (outcome != ValueOutcome::taken) return outcome;
  const ColumnConfig& config = *plan.config;
  if (content.size() < config.text_bytes_min || content.size() > config.text_bytes_max) {
    rejection_.set(RecordErrorCode::text_too_long, config.name, [&] {
      return in_quotes(config.name) + " takes " + std::to_string(config.text_bytes_min) + " to " +
             std::to_string(config.text_bytes_max) + " bytes of text; the record has " +
             std::to_string(content.size()) + ".";
    });
    return ValueOutcome::rejected;
  }
  if (!config.one_of.empty() && std::ranges::find(config.one_of, content) == config.one_of.end()) {
    rejection_.set(RecordErrorCode::value_not_allowed, config.name, [&] {
      return in_quotes(config.name) + " must be one of " + list_of(config.one_of) + "; the record has " +
             in_quotes(content) + ".";
    });
    return ValueOutcome::rejected;
  }
  slot.text = content.data();
  slot.length = static_cast<std::int32_t>(content.size());
  return ValueOutcome::taken;
}

ValueOutcome FieldDecoder::decode_time_text(ondemand::value& value, const ColumnPlan& plan, Slot& slot) {
  std::string_view content;
  const ValueOutcome outcome = string_content(value, plan, content);
  if (outcome != ValueOutcome::taken) return outcome;
  const auto time_us = parse_rfc3339(content);
  if (time_us) return store_time(*time_us, plan, slot);
  rejection_.set(RecordErrorCode::invalid_timestamp, plan.config->name, [&] {
    return in_quotes(plan.config->name) + ": " + in_quotes(content) + " " +
           timestamp_problem(time_us.error()) + ".";
  });
  return ValueOutcome::rejected;
}

ValueOutcome FieldDecoder::decode_time_number(std::string_view token, const ColumnPlan& plan, Slot& slot) {
  if (!is_json_number(token)) return ValueOutcome::broken;
  const auto time_us = parse_epoch(token, plan.config->epoch);
  if (time_us) return store_time(*time_us, plan, slot);
  rejection_.set(RecordErrorCode::invalid_timestamp, plan.config->name, [&] {
    return in_quotes(plan.config->name) + ": " + shown(token) + " " + timestamp_problem(time_us.error()) +
           ".";
  });
  return ValueOutcome::rejected;
}

ValueOutcome FieldDecoder::store_time(std::int64_t time_us, const ColumnPlan& plan, Slot& slot) {
  if (plan.column == time_column_ && (time_us < window_begin_us_ || time_us > window_end_us_)) {
    rejection_.set(RecordErrorCode::timestamp_out_of_window, plan.config->name, [&] {
      return in_quotes(plan.config->name) + " is too far in the " +
             (time_us < window_begin_us_ ? "past" : "future") +
             " for this stream; check the sender's clock and the unit of the number.";
    });
    return ValueOutcome::rejected;
  }
  slot.bits = static_cast<std::uint64_t>(time_us);
  slot.length = sizeof(std::int64_t);
  return ValueOutcome::taken;
}

ValueOutcome FieldDecoder::decode_boolean(std::string_view token, Slot& slot) {
  if (token != "true" && token != "false") return ValueOutcome::broken;
  slot.bits = token == "true" ? 1 : 0;
  slot.length = 1;
  return ValueOutcome::taken;
}

ValueOutcome FieldDecoder::decode_jsonb(ondemand::value& value, const ColumnPlan& plan, Slot& slot) {
  std::string_view text;
  if (!whole_text(value, token_of(value), text)) return ValueOutcome::broken;
  const ColumnConfig& config = *plan.config;
  if (const ValueOutcome outcome = fault(check_json(text, depth_max_ - 1, JsonPurpose::jsonb), config.name);
      outcome != ValueOutcome::taken) {
    return outcome;
  }
  if (text.size() > config.text_bytes_max) {
    rejection_.set(RecordErrorCode::text_too_long, config.name, [&] {
      return in_quotes(config.name) + " takes up to " + std::to_string(config.text_bytes_max) +
             " bytes of JSON; the record has " + std::to_string(text.size()) + ".";
    });
    return ValueOutcome::rejected;
  }
  slot.text = text.data();
  slot.length = static_cast<std::int32_t>(text.size() + sizeof(copy_binary::jsonb_version));
  return ValueOutcome::taken;
}

ValueOutcome FieldDecoder::convert(const ColumnPlan& plan, Slot& slot, const Unit& from) {
  const double number = std::bit_cast<double>(slot.bits);
  return store_floating(from.same_scale(*plan.unit) ? number : wellhead::convert(number, from, *plan.unit),
                        plan, slot);
}

JsonFault FieldDecoder::unescape(std::string_view content, std::string_view& unescaped) {
  unescaped = {};
  if (content.size() > scratch_bytes_ - scratch_used_) {
    rejection_.set(RecordErrorCode::record_too_large, {},
                   [&] { return record_too_large_sentence(scratch_bytes_); });
    return JsonFault::none;
  }
  char* const out = scratch_.get() + scratch_used_;
  const UnescapeResult result = unescape_json(content, out);
  scratch_used_ += result.bytes;
  unescaped = {out, result.bytes};
  return result.fault;
}

// What stands between the quotes, escapes removed. REQUIRES a value that starts with a quote.
ValueOutcome FieldDecoder::string_content(ondemand::value& value, const ColumnPlan& plan,
                                          std::string_view& content) {
  std::string_view text;
  if (!whole_text(value, token_of(value), text)) return ValueOutcome::broken;
  // simdjson's first stage closes every string, but something may stand between it and the next bracket or
  // comma.
  if (text.size() < 2 || text.back() != '"') return ValueOutcome::broken;
  content = text.substr(1, text.size() - 2);
  if (std::memchr(content.data(), '\\', content.size()) == nullptr) [[likely]]
    return ValueOutcome::taken;
  std::string_view unescaped;
  const ValueOutcome outcome = fault(unescape(content, unescaped), plan.config->name);
  content = unescaped;
  return outcome;
}

ValueOutcome FieldDecoder::mismatch(ondemand::value& value, const ColumnPlan& plan, std::string_view wanted) {
  std::string_view text;
  if (!whole_text(value, token_of(value), text)) return ValueOutcome::broken;
  if (const ValueOutcome outcome =
          fault(check_json(text, depth_max_ - 1, JsonPurpose::discard), plan.config->name);
      outcome != ValueOutcome::taken) {
    return outcome;
  }
  const bool nested = text.front() == '{' || text.front() == '[';
  rejection_.set(nested ? RecordErrorCode::nested_value : RecordErrorCode::wrong_type, plan.config->name,
                 [&] {
                   return in_quotes(plan.config->name) + " takes " + std::string(wanted) +
                          "; the record has " + describe_json(text) + ".";
                 });
  return ValueOutcome::rejected;
}

ValueOutcome FieldDecoder::fault(JsonFault fault, std::string_view field) {
  const auto subject = [&] { return field.empty() ? std::string("A value") : in_quotes(field); };
  switch (fault) {
    case JsonFault::none:
      return rejection_.active() ? ValueOutcome::rejected : ValueOutcome::taken;
    case JsonFault::malformed:
      return ValueOutcome::broken;
    case JsonFault::too_deep:
      rejection_.set(RecordErrorCode::too_deep, field, [&] {
        return subject() + " is nested deeper than the limit of " + std::to_string(depth_max_) + " levels.";
      });
      return ValueOutcome::rejected;
    case JsonFault::nul_character:
      rejection_.set(RecordErrorCode::nul_character, field,
                     [&] { return subject() + " contains \\u0000, which the database cannot store."; });
      return ValueOutcome::rejected;
    case JsonFault::lone_surrogate:
      rejection_.set(RecordErrorCode::invalid_utf8, field, [&] {
        return subject() + " contains half of a \\u surrogate pair, which is no character.";
      });
      return ValueOutcome::rejected;
    case JsonFault::number_too_large:
      rejection_.set(RecordErrorCode::number_out_of_range, field, [&] {
        return subject() + " contains a number with more digits than the database can store.";
      });
      return ValueOutcome::rejected;
  }
  return ValueOutcome::broken;
}

template <typename Sentence>
ValueOutcome FieldDecoder::refuse_number(const ColumnPlan& plan, Slot& slot, Sentence&& sentence) {
  constexpr auto code = RecordErrorCode::number_out_of_range;
  if (plan.out_of_range != OutOfRange::null) {
    rejection_.set(code, plan.config->name, std::forward<Sentence>(sentence));
    return ValueOutcome::rejected;
  }
  repair_.set(code, plan.config->name, std::forward<Sentence>(sentence));
  out_of_range_ |= plan.scored;
  slot.length = copy_binary::null_length;
  return ValueOutcome::absent;
}

ValueOutcome FieldDecoder::out_of_type(const ColumnPlan& plan, Slot& slot, std::string_view number) {
  return refuse_number(plan, slot, [&] {
    return in_quotes(plan.config->name) + " must fit the type " + std::string(sql_type_name(plan.type)) +
           "; the record has " + shown(number) + ".";
  });
}

template <typename Number>
ValueOutcome FieldDecoder::out_of_range(const ColumnPlan& plan, Slot& slot, Number number) {
  if (plan.out_of_range == OutOfRange::keep) {
    out_of_range_ |= plan.scored;
    return ValueOutcome::taken;
  }
  return refuse_number(plan, slot, [&] {
    return in_quotes(plan.config->name) + " must be " + range_text(plan) + "; the record has " +
           shown(number) + ".";
  });
}

}  // namespace wellhead
