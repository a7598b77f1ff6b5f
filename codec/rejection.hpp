// Why the record at hand is refused, with its sentence made only if somebody will read it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "codec/record_error.hpp"

namespace wellhead {

// A piece of a client's text for a message: at most shown_bytes_max of it, never half a character.
inline constexpr std::size_t shown_bytes_max = 64;
[[nodiscard]] std::string shown(std::string_view text);

// `"temperature"`: a name or a value in quotes, shortened likewise.
[[nodiscard]] std::string in_quotes(std::string_view text);

// A number as a person would write it.
[[nodiscard]] std::string shown(double number);
[[nodiscard]] std::string shown(std::int64_t number);

// What a JSON value is, by its text: `the string "abc"`, `the number 12`, `true`, `an object`.
[[nodiscard]] std::string describe_json(std::string_view text);

[[nodiscard]] std::string record_too_large_sentence(std::size_t limit);

class Rejection {
 public:
  void start_record(bool wants_message) noexcept {
    active_ = false;
    wants_message_ = wants_message;
    message_.clear();
  }

  // The first reason stays. `sentence()` returns a std::string.
  template <typename Sentence>
  void set(RecordErrorCode code, std::string_view field, Sentence&& sentence) {
    if (active_) return;
    active_ = true;
    code_ = code;
    field_ = field;
    if (wants_message_) message_ = std::forward<Sentence>(sentence)();
  }

  [[nodiscard]] bool active() const noexcept { return active_; }
  // REQUIRES active().
  [[nodiscard]] RecordErrorCode code() const noexcept { return code_; }
  [[nodiscard]] std::string_view field() const noexcept { return field_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  // The same field by a name that lives longer.
  void rename_field(std::string_view field) noexcept { field_ = field; }
  void add_to(RecordErrors& errors, std::uint32_t index) {
    errors.add(index, code_, field_, std::move(message_));
  }

 private:
  bool active_ = false;
  bool wants_message_ = false;
  RecordErrorCode code_ = RecordErrorCode::malformed_json;
  std::string_view field_;
  std::string message_;
};

}  // namespace wellhead
