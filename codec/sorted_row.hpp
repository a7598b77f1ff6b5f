// A row where a flush has put it, and what can be read of its tuple without a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "codec/row.hpp"

namespace wellhead {

struct SortedRow {
  std::int64_t time_us;
  const RowHeader* header;  // the tuple lies behind it
  std::uint32_t arrival;    // number of the row within the flush, in the order of the batches
};

[[nodiscard]] inline std::span<const std::byte> tuple_of(const SortedRow& row) noexcept {
  return {reinterpret_cast<const std::byte*>(row.header + 1), row.header->tuple_bytes};
}

// The value of a tuple's field `field`, counted from 0; empty for null. REQUIRES the tuple has it.
[[nodiscard]] std::string_view field_of(const RowHeader& header, std::uint32_t field) noexcept;

}  // namespace wellhead
