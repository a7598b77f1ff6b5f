#pragma once

#include <string>
#include <string_view>

namespace wellhead {

// Appends `text` to `out` as a quoted JSON string (RFC 8259 §7). Bytes that are not valid UTF-8 become
// U+FFFD, so the result is always valid JSON whatever a client sent.
void append_json_string(std::string& out, std::string_view text);

}  // namespace wellhead
