#include "codec/sorted_row.hpp"

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"

namespace wellhead {

std::string_view field_of(const RowHeader& header, std::uint32_t field) noexcept {
  const auto* at = reinterpret_cast<const std::byte*>(&header + 1);
  const std::byte* const end = at + header.tuple_bytes;
  WELLHEAD_ASSERT(copy_binary::get<std::uint16_t>(at) > field);
  at += copy_binary::tuple_header_bytes;
  for (;; --field) {
    const auto length = static_cast<std::int32_t>(copy_binary::get<std::uint32_t>(at));
    at += copy_binary::field_header_bytes;
    const std::size_t bytes = length == copy_binary::null_length ? 0 : static_cast<std::size_t>(length);
    WELLHEAD_ASSERT(bytes <= static_cast<std::size_t>(end - at));
    if (field == 0) return {reinterpret_cast<const char*>(at), bytes};
    at += bytes;
  }
}

}  // namespace wellhead
