#include "scoring/readings.hpp"

#include <bit>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"

namespace wellhead {
namespace {

double number_at(const std::byte* at, ColumnType type) noexcept {
  switch (type) {
    case ColumnType::real:
      return static_cast<double>(std::bit_cast<float>(copy_binary::get<std::uint32_t>(at)));
    case ColumnType::double_precision:
      return std::bit_cast<double>(copy_binary::get<std::uint64_t>(at));
    case ColumnType::integer:
      return static_cast<double>(static_cast<std::int32_t>(copy_binary::get<std::uint32_t>(at)));
    default:
      return static_cast<double>(static_cast<std::int64_t>(copy_binary::get<std::uint64_t>(at)));
  }
}

}  // namespace

ReadingPlan::ReadingPlan(const Schema& schema)
    : column_count_(static_cast<std::uint16_t>(schema.columns().size())), fields_(0) {
  for (const ScoredColumn& scored : scored_columns(schema)) {
    WELLHEAD_ASSERT(scored.bit == fields_ && scored.column >= steps_.size());
    steps_.resize(scored.column, {ColumnType::text, false});
    steps_.push_back({scored.type, true});
    ++fields_;
  }
}

std::uint32_t ReadingPlan::read(const RowHeader& header,
                                GroupReading (&readings)[groups_max]) const noexcept {
  const auto* at = reinterpret_cast<const std::byte*>(&header + 1);
  WELLHEAD_ASSERT(copy_binary::get<std::uint16_t>(at) == column_count_);
  at += copy_binary::tuple_header_bytes;
  std::uint32_t present = 0;
  std::uint32_t field = 0;
  for (const Step& step : steps_) {
    const auto length = static_cast<std::int32_t>(copy_binary::get<std::uint32_t>(at));
    at += copy_binary::field_header_bytes;
    const bool filled = length != copy_binary::null_length;
    if (step.scored) {
      const bool judged = filled && (header.quality_out_of_range >> field & 1U) == 0;
      readings[field / group_fields].value[field % group_fields] =
          judged ? number_at(at, step.type) : missing_reading;
      present |= static_cast<std::uint32_t>(judged) << field;
      ++field;
    }
    if (filled) at += length;
  }
  for (; field % group_fields != 0; ++field)
    readings[field / group_fields].value[field % group_fields] = missing_reading;
  return present;
}

}  // namespace wellhead
