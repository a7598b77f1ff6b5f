#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace wellhead {

// Length of the valid UTF-8 sequence at the start of `text` (RFC 3629 §4), 0 when there is none. REQUIRES a
// text that is not empty.
[[nodiscard]] std::size_t utf8_sequence_length(std::string_view text);

// Appends `text` to `out` as a quoted JSON string (RFC 8259 §7). Bytes that are not valid UTF-8 become
// U+FFFD, so the result is always valid JSON whatever a client sent.
void append_json_string(std::string& out, std::string_view text);
[[nodiscard]] std::string json_string(std::string_view text);

// A JSON array of what `one` makes of each value.
template <typename Values, typename One>
[[nodiscard]] std::string json_array(const Values& values, One&& one) {
  std::string out = "[";
  for (const auto& value : values) {
    if (out.size() > 1) out += ',';
    out += one(value);
  }
  return out + "]";
}

// `text` as PostgreSQL's text takes it: valid UTF-8 without NUL. Other bytes become U+FFFD; what goes beyond
// `bytes_max` bytes is cut off between two characters.
[[nodiscard]] std::string storable_text(std::string_view text, std::size_t bytes_max);

}  // namespace wellhead
