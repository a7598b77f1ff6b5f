#include "codec/rejection.hpp"

#include <charconv>

namespace wellhead {
namespace {

constexpr bool is_utf8_continuation(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

}  // namespace

std::string shown(std::string_view text) {
  if (text.size() <= shown_bytes_max) return std::string(text);
  std::size_t bytes = shown_bytes_max;
  while (bytes > 0 && is_utf8_continuation(text[bytes])) --bytes;
  return std::string(text.substr(0, bytes)) + "…";
}

std::string in_quotes(std::string_view text) {
  return '"' + shown(text) + '"';
}

std::string shown(double number) {
  char digits[32];
  const auto [end, fault] = std::to_chars(digits, digits + sizeof(digits), number);
  return fault == std::errc{} ? std::string(digits, end) : std::to_string(number);
}

std::string shown(std::int64_t number) {
  return std::to_string(number);
}

std::string describe_json(std::string_view text) {
  if (text.empty()) return "nothing";
  switch (text.front()) {
    case '{':
      return "an object";
    case '[':
      return "an array";
    case '"':
      return "the string " + in_quotes(text.substr(1, text.size() < 2 ? 0 : text.size() - 2));
    case 't':
    case 'f':
    case 'n':
      return shown(text);
    default:
      return "the number " + shown(text);
  }
}

std::string record_too_large_sentence(std::size_t limit) {
  return "The record is longer than the limit of " + std::to_string(limit) + " bytes.";
}

}  // namespace wellhead
