// Where records begin and end in a body.
#pragma once

#include <cstdint>
#include <string_view>

namespace wellhead {

// Without a UTF-8 byte order mark at its start.
[[nodiscard]] std::string_view without_byte_order_mark(std::string_view body) noexcept;

[[nodiscard]] constexpr bool is_json_space(char byte) noexcept {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

// Without JSON's whitespace at both ends.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_json_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_json_space(text.back())) text.remove_suffix(1);
  return text;
}

enum class BodyShape : std::uint8_t {
  empty,   // nothing but whitespace
  array,   // starts with [
  object,  // one object, on one line or spread over many
  lines,   // newline-delimited records
  other,   // something else, and no line in it looks like a record
};

// Looks at the first line, and at the others only where the first leaves a doubt:
//   - [ begins an array.
//   - A first line that ends inside an object is either the start of one object over many lines or a record
//   cut short.
//     It is the former when the body as a whole is one balanced object, or when no later line looks like a
//     record (starts with { and ends with }).
//   - A single line that starts with { is an object; several are records, one a line.
[[nodiscard]] BodyShape detect_shape(std::string_view body) noexcept;

// Takes the lines of a body one after the other, passing over blank ones.
class LineReader {
 public:
  explicit LineReader(std::string_view body) noexcept : rest_(body) {}

  // False at the end. `line` is without its newline; a carriage return before it stays, as JSON's whitespace.
  [[nodiscard]] bool next(std::string_view& line) noexcept;

 private:
  std::string_view rest_;
};

}  // namespace wellhead
