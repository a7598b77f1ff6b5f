// Why one record was not taken. The codes are part of the protocol (docs/protocol.md) and never change
// meaning.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wellhead {

enum class RecordErrorCode : std::uint8_t {
  malformed_json,           // not JSON, or cut short
  invalid_utf8,             // bytes that are not UTF-8
  not_an_object,            // JSON, but not an object
  too_deep,                 // nested deeper than the limit
  record_too_large,         // longer than the record limit
  duplicate_key,            // one column given twice in one record
  unknown_field,            // a key no column has, in a stream that refuses them
  missing_field,            // a required column is absent or null
  wrong_type,               // a string where a number belongs, and the like
  nested_value,             // an object or array where a flat value belongs
  number_out_of_range,      // does not fit the column's type or configured range
  unknown_unit,             // the unit key names no unit this column can be converted from
  invalid_timestamp,        // not a timestamp in the configured form
  timestamp_out_of_window,  // too far in the past or the future
  text_too_long,            // longer than the column's limit, or empty where it may not be
  nul_character,            // U+0000, which PostgreSQL's text cannot hold
  database_refused,         // the database refused the row; SQLSTATE in the message
  value_not_allowed,        // a text that is none of the column's allowed values
};
inline constexpr std::size_t record_error_code_count = 18;

// The code's name in replies and metrics, e.g. "missing_field".
[[nodiscard]] std::string_view to_string(RecordErrorCode code) noexcept;

struct RecordError {
  std::uint32_t index;  // of the record within its request, from 0
  RecordErrorCode code;
  std::string_view field;  // column name, owned by the schema; empty where no single field is at fault
  std::string message;     // a sentence for whoever sends the records; empty past described_max
};

// The errors of one request: all are counted, the first kept_max are kept, the first described_max of them
// with a message. kept_max is more than the lines a receive buffer can hold, so that an NDJSON client learns
// of every one.
class RecordErrors {
 public:
  static constexpr std::size_t kept_max = 65'536;
  static constexpr std::size_t described_max = 100;

  // `message` is only looked at while wants_message(): do not build it otherwise. `field` must outlive this
  // object.
  void add(std::uint32_t index, RecordErrorCode code, std::string_view field, std::string message);
  [[nodiscard]] bool wants_message() const noexcept { return kept_.size() < described_max; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint32_t count(RecordErrorCode code) const noexcept {
    return by_code_[static_cast<std::size_t>(code)];
  }
  [[nodiscard]] const std::vector<RecordError>& kept() const noexcept { return kept_; }
  // Keeps the capacity.
  void clear() noexcept;

 private:
  std::uint32_t count_ = 0;
  std::array<std::uint32_t, record_error_code_count> by_code_{};
  std::vector<RecordError> kept_;
};

}  // namespace wellhead
