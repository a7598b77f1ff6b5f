#include "codec/scored_columns.hpp"

#include <ranges>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"
#include "codec/quality.hpp"

namespace wellhead {
namespace {

std::uint32_t value_bytes(ColumnSource source) noexcept {
  switch (source) {
    case ColumnSource::quality_score:
      return sizeof(float);
    case ColumnSource::anomaly:
      return 1;
    default:
      return sizeof(std::int64_t);
  }
}

}  // namespace

ComputedPlaces computed_places(const Schema& schema) {
  ComputedPlaces places;
  std::uint32_t from_end = 0;
  for (const ColumnConfig& column : std::views::reverse(schema.columns())) {
    if (!computed(column.source)) break;
    from_end += value_bytes(column.source);
    if (column.source == ColumnSource::quality_score) places.quality_score = from_end;
    if (column.source == ColumnSource::anomaly) places.anomaly = from_end;
    if (column.source == ColumnSource::quality_flags) places.quality_flags = from_end;
    from_end += static_cast<std::uint32_t>(copy_binary::field_header_bytes);
  }
  return places;
}

std::vector<ScoredColumn> scored_columns(const Schema& schema) {
  std::vector<ScoredColumn> scored;
  for (std::size_t column = 0; column < schema.columns().size(); ++column) {
    const ColumnConfig& config = schema.columns()[column];
    if (!config.scored) continue;
    WELLHEAD_ASSERT(scored.size() < scored_fields_max);
    scored.push_back({.column = static_cast<std::uint16_t>(column),
                      .type = config.type,
                      .bit = static_cast<std::uint8_t>(scored.size())});
  }
  return scored;
}

std::uint16_t primary_mask(const Schema& schema) {
  unsigned mask = 0;
  for (const ScoredColumn& scored : scored_columns(schema))
    if (schema.columns()[scored.column].primary) mask |= 1U << scored.bit;
  return static_cast<std::uint16_t>(mask);
}

}  // namespace wellhead
