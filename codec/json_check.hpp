// The grammar of JSON (RFC 8259), checked in full over a piece of text.
//
// simdjson On-Demand looks only at what is read. Values nobody reads (of unknown keys) and values handed to
// PostgreSQL as text (jsonb) come through here, so that a record is either JSON from end to end or refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace wellhead {

enum class JsonFault : std::uint8_t {
  none,
  malformed,         // not JSON
  too_deep,          // nested deeper than allowed
  nul_character,     // \u0000; looked for in jsonb only
  lone_surrogate,    // half of a \u pair; looked for in jsonb only
  number_too_large,  // more digits than PostgreSQL's numeric holds; looked for in jsonb only
};

enum class JsonPurpose : std::uint8_t {
  discard,  // need only be JSON
  jsonb,    // PostgreSQL must take it too
};

// Whether `text` is one JSON value with whitespace around it. `depth_max`: nesting of arrays and objects, 0
// for none. Does not look at UTF-8.
[[nodiscard]] JsonFault check_json(std::string_view text, std::uint32_t depth_max,
                                   JsonPurpose purpose) noexcept;

// Whether `text` is exactly one JSON number.
[[nodiscard]] bool is_json_number(std::string_view text) noexcept;

// The double nearest to a JSON number of any length; nothing when it is too large for one. REQUIRES
// is_json_number().
[[nodiscard]] std::optional<double> parse_json_number(std::string_view number) noexcept;

// Removes the escapes of a JSON string. `content` is what stands between the quotes; `out` has room for as
// many bytes.
struct UnescapeResult {
  JsonFault fault;    // none, malformed, nul_character or lone_surrogate
  std::size_t bytes;  // written to out
};
[[nodiscard]] UnescapeResult unescape_json(std::string_view content, char* out) noexcept;

}  // namespace wellhead
