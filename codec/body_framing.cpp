#include "codec/body_framing.hpp"

#include <cstddef>
#include <cstring>

namespace wellhead {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool is_blank(std::string_view text) noexcept {
  return trimmed(text).empty();
}

bool looks_like_record(std::string_view line) noexcept {
  const std::string_view text = trimmed(line);
  return text.size() >= 2 && text.front() == '{' && text.back() == '}';
}

// Bytes up to and including the bracket that closes the first one opened, or 0 when it stays open. Brackets
// inside strings do not count.
std::size_t balanced_bytes(std::string_view text) noexcept {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t offset = 0; offset < text.size(); ++offset) {
    const char byte = text[offset];
    if (in_string) {
      if (byte == '\\') {
        ++offset;
      } else if (byte == '"') {
        in_string = false;
      }
    } else if (byte == '"') {
      in_string = true;
    } else if (byte == '{' || byte == '[') {
      ++depth;
    } else if (byte == '}' || byte == ']') {
      if (depth <= 1) return offset + 1;
      --depth;
    }
  }
  return 0;
}

bool any_line_looks_like_record(std::string_view body) noexcept {
  LineReader lines(body);
  std::string_view line;
  while (lines.next(line)) {
    if (looks_like_record(line)) return true;
  }
  return false;
}

}  // namespace

std::string_view without_byte_order_mark(std::string_view body) noexcept {
  if (body.starts_with(byte_order_mark)) body.remove_prefix(byte_order_mark.size());
  return body;
}

BodyShape detect_shape(std::string_view body) noexcept {
  const std::string_view text = trimmed(body);
  if (text.empty()) return BodyShape::empty;
  if (text.front() == '[') return BodyShape::array;
  const std::size_t line_end = text.find('\n');
  const bool one_line = line_end == std::string_view::npos;
  const std::string_view later_lines = one_line ? std::string_view() : text.substr(line_end + 1);
  if (text.front() != '{')
    return any_line_looks_like_record(later_lines) ? BodyShape::lines : BodyShape::other;
  if (one_line) return BodyShape::object;
  if (balanced_bytes(text.substr(0, line_end)) != 0) return BodyShape::lines;
  if (balanced_bytes(text) == text.size()) return BodyShape::object;
  return any_line_looks_like_record(later_lines) ? BodyShape::lines : BodyShape::object;
}

bool LineReader::next(std::string_view& line) noexcept {
  while (!rest_.empty()) {
    const void* const newline = std::memchr(rest_.data(), '\n', rest_.size());
    const std::size_t bytes =
        newline == nullptr ? rest_.size()
                           : static_cast<std::size_t>(static_cast<const char*>(newline) - rest_.data());
    line = rest_.substr(0, bytes);
    rest_.remove_prefix(newline == nullptr ? bytes : bytes + 1);
    if (!is_blank(line)) return true;
  }
  return false;
}

}  // namespace wellhead
