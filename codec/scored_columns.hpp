// Where a schema's scored columns are, and where in its tuples the computed ones: what whoever scores rows
// needs to know.
//
// Schema::compile() puts the computed columns last, in the order of ColumnSource, and the decoder writes a
// value for each of them into every row. None has a variable length, so each lies at a fixed distance from
// the tuple's end, and can be written over in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "codec/schema.hpp"

namespace wellhead {

// Distances from a tuple's end back to the first byte of each value (not of its length); none where the
// stream has no such column. The value of a tuple `[begin, end)` is at `end - *place`, big-endian as COPY
// BINARY has it: a float, one byte that is 0 or 1, an int64.
struct ComputedPlaces {
  std::optional<std::uint32_t> quality_score;
  std::optional<std::uint32_t> anomaly;
  std::optional<std::uint32_t> quality_flags;

  [[nodiscard]] bool any() const noexcept { return quality_score || anomaly || quality_flags; }
};
[[nodiscard]] ComputedPlaces computed_places(const Schema& schema);

// One of a stream's scored columns; they have bits 0, 1, 2 … in the order of the columns.
struct ScoredColumn {
  std::uint16_t column;  // index in Schema::columns(), and of the field in the tuple
  ColumnType type;       // real, double_precision, integer or bigint
  std::uint8_t bit;      // within each of the masks of codec/quality.hpp, 0 … scored_fields_max - 1
};
[[nodiscard]] std::vector<ScoredColumn> scored_columns(const Schema& schema);

// The bits of the columns without which a record is incomplete.
[[nodiscard]] std::uint16_t primary_mask(const Schema& schema);

}  // namespace wellhead
