// RFC 3339 timestamps with microseconds, to text and back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace wellhead::loadgen {

inline constexpr std::size_t timestamp_text_bytes = 27;  // 2026-03-01T12:00:00.000000Z

// Prints timestamps; neighbours mostly share their second, so the text up to it is kept.
class TimestampWriter {
 public:
  // Writes timestamp_text_bytes to `out` and returns the end. REQUIRES a year from 1970 to 9999.
  char* write(std::int64_t unix_us, char* out) noexcept;

 private:
  std::int64_t second_ = -1;
  std::array<char, 19> prefix_{};
};

// Microseconds since 1970 of an RFC 3339 timestamp with offset; digits past the microsecond are cut off.
// Empty when it is not one.
[[nodiscard]] std::optional<std::int64_t> parse_timestamp(std::string_view text) noexcept;

}  // namespace wellhead::loadgen
