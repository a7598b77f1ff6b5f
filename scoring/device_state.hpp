// A device's baseline as bytes, for the database.
//
//   state  = header, fields, checksum
//   header = uint8 version (1), uint8 count of the fields, uint16 fields the latest reading had, uint32
//            fingerprint of the stream's scored columns (their names and order), int64 time of the latest
//            reading (microseconds since 2000-01-01 UTC; the smallest int64: none), uint8 1 where its
//            clock was ahead, and then in 7 bytes how many microseconds earlier the latest reading with a
//            right clock was (0: there was none, or it is not known, as in states of earlier versions)
//   field  = 4 doubles and 8 floats, the members of FieldGroup in their order for one lane
//   checksum = uint32, the lower half of the XXH3-64 of all before it
//
// Numbers are little-endian. 28 bytes and 64 a field. A state that is not exactly that, or that holds a
// number no baseline has, is refused: a device that starts anew is judged again after its warm-up, while one
// with a broken baseline would be judged wrongly for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "codec/schema.hpp"
#include "scoring/device_table.hpp"

namespace wellhead {

inline constexpr std::uint8_t device_state_version = 1;
inline constexpr std::size_t device_state_header_bytes = 24;
inline constexpr std::size_t device_state_field_bytes = 64;
inline constexpr std::size_t device_state_checksum_bytes = 4;

[[nodiscard]] constexpr std::size_t device_state_bytes(std::uint32_t fields) noexcept {
  return device_state_header_bytes + fields * device_state_field_bytes + device_state_checksum_bytes;
}

// Which fields the states of a stream are about.
struct StateFields {
  explicit StateFields(const Schema& schema);

  std::uint32_t count;
  std::uint32_t fingerprint;
};

// REQUIRES `state` has device_state_bytes(fields.count).
void encode_state(const Device& device, const StateFields& fields, std::span<std::byte> state) noexcept;
// Writes the checksum of what is before it. REQUIRES more bytes than that takes.
void seal_state(std::span<std::byte> state) noexcept;
// Whether the bytes are a state of these fields.
[[nodiscard]] bool valid_state(std::span<const std::byte> state, const StateFields& fields) noexcept;
// REQUIRES valid_state().
void decode_state(std::span<const std::byte> state, const StateFields& fields, Device& device) noexcept;

}  // namespace wellhead
