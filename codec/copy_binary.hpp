// PostgreSQL's COPY BINARY format (documentation, "COPY", "Binary Format") and the stores it is written with.
//
//   stream = header, tuples, trailer
//   header = signature (11 bytes), int32 flags = 0, int32 length of the header's extension = 0
//   tuple  = int16 field count, then per field int32 length (-1: null) and that many bytes
//   trailer = int16 -1
// All numbers are big-endian.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace wellhead::copy_binary {

namespace detail {
inline constexpr char header_bytes[] =
    "PGCOPY\n\377\r\n\0"
    "\0\0\0\0"
    "\0\0\0\0";
inline constexpr char trailer_bytes[] = "\377\377";
}  // namespace detail

inline constexpr std::size_t signature_bytes = 11;
// What goes before the first tuple and after the last one.
inline constexpr std::string_view header{detail::header_bytes, sizeof(detail::header_bytes) - 1};
inline constexpr std::string_view trailer{detail::trailer_bytes, sizeof(detail::trailer_bytes) - 1};
static_assert(header.size() == signature_bytes + 2 * sizeof(std::int32_t));
static_assert(trailer.size() == sizeof(std::int16_t));

inline constexpr std::size_t tuple_header_bytes = sizeof(std::int16_t);
inline constexpr std::size_t field_header_bytes = sizeof(std::int32_t);
inline constexpr std::int32_t null_length = -1;
// jsonb on the wire is its text behind this byte (src/backend/utils/adt/jsonb.c, jsonb_recv).
inline constexpr std::byte jsonb_version{1};

[[nodiscard]] constexpr std::uint16_t big_endian(std::uint16_t value) noexcept {
  return std::endian::native == std::endian::big ? value : __builtin_bswap16(value);
}
[[nodiscard]] constexpr std::uint32_t big_endian(std::uint32_t value) noexcept {
  return std::endian::native == std::endian::big ? value : __builtin_bswap32(value);
}
[[nodiscard]] constexpr std::uint64_t big_endian(std::uint64_t value) noexcept {
  return std::endian::native == std::endian::big ? value : __builtin_bswap64(value);
}

// Writers return the place behind what they wrote.
template <typename Unsigned>
[[nodiscard]] inline std::byte* put(std::byte* at, Unsigned value) noexcept {
  const Unsigned stored = big_endian(value);
  std::memcpy(at, &stored, sizeof(stored));
  return at + sizeof(stored);
}

[[nodiscard]] inline std::byte* put_bytes(std::byte* at, const char* bytes, std::size_t count) noexcept {
  std::memcpy(at, bytes, count);
  return at + count;
}

// The mirror of put().
template <typename Unsigned>
[[nodiscard]] inline Unsigned get(const std::byte* at) noexcept {
  Unsigned stored;
  std::memcpy(&stored, at, sizeof(stored));
  return big_endian(stored);
}

}  // namespace wellhead::copy_binary
