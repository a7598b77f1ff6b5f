// Slots in, a row out: the only place that writes COPY BINARY tuples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/copy_binary.hpp"
#include "codec/schema_index.hpp"

namespace wellhead {

// Length of the tuple these slots make.
[[nodiscard]] inline std::uint32_t tuple_bytes(std::span<const Slot> slots) noexcept {
  std::size_t bytes = copy_binary::tuple_header_bytes + slots.size() * copy_binary::field_header_bytes;
  for (const Slot& slot : slots) bytes += slot.length > 0 ? static_cast<std::size_t>(slot.length) : 0;
  return static_cast<std::uint32_t>(bytes);
}

namespace detail {

[[nodiscard]] inline std::byte* put_value(std::byte* at, FieldEncoding encoding, const Slot& slot) noexcept {
  switch (encoding) {
    case FieldEncoding::bits8:
      *at = static_cast<std::byte>(slot.bits);
      return at + 1;
    case FieldEncoding::bits32:
      return copy_binary::put(at, static_cast<std::uint32_t>(slot.bits));
    case FieldEncoding::bits64:
      return copy_binary::put(at, slot.bits);
    case FieldEncoding::text:
      return copy_binary::put_bytes(at, slot.text, static_cast<std::size_t>(slot.length));
    case FieldEncoding::jsonb:
      *at = copy_binary::jsonb_version;
      return copy_binary::put_bytes(at + 1, slot.text, static_cast<std::size_t>(slot.length) - 1);
  }
  return at;
}

}  // namespace detail

// Writes the tuple and returns the place behind it. REQUIRES room for tuple_bytes(slots), a slot per plan.
[[nodiscard]] inline std::byte* encode_tuple(std::byte* at, const std::vector<ColumnPlan>& plans,
                                             std::span<const Slot> slots) noexcept {
  at = copy_binary::put(at, static_cast<std::uint16_t>(plans.size()));
  for (std::size_t column = 0; column < plans.size(); ++column) {
    const Slot& slot = slots[column];
    at = copy_binary::put(at, static_cast<std::uint32_t>(slot.length));
    if (slot.length >= 0) at = detail::put_value(at, plans[column].encoding, slot);
  }
  return at;
}

}  // namespace wellhead
