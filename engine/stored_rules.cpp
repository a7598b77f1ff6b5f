#include "engine/stored_rules.hpp"

#include <algorithm>
#include <limits>

#include "codec/copy_binary.hpp"
#include "codec/quality.hpp"
#include "codec/scored_columns.hpp"
#include "codec/sorted_row.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t us_per_second = 1'000'000;

}  // namespace

StoredRules::StoredRules(const Schema& schema)
    : plan_(schema),
      primary_(primary_mask(schema)),
      late_after_us_(schema.config().scoring.late_after_s * us_per_second),
      ahead_after_us_(schema.config().scoring.ahead_after_s * us_per_second) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (const ScoredColumn& scored : scored_columns(schema)) {
    const ColumnConfig& column = schema.columns()[scored.column];
    ranges_.push_back({column.minimum.value_or(-infinity), column.maximum.value_or(infinity)});
  }
  const auto found = std::ranges::find(schema.columns(), ColumnSource::receive_time, &ColumnConfig::source);
  if (found != schema.columns().end())
    receive_time_ = static_cast<std::uint32_t>(found - schema.columns().begin());
}

void StoredRules::apply(RowHeader& header) const {
  const std::uint32_t out_before = header.quality_out_of_range;
  header.quality_out_of_range = 0;  // else the plan would pass over values that were kept
  GroupReading readings[groups_max];
  const std::uint32_t present = plan_.read(header, readings);
  std::uint32_t out = out_before & ~present;
  for (std::uint32_t field = 0; field < ranges_.size(); ++field) {
    const double value = readings[field / group_fields].value[field % group_fields];
    const bool outside = value < ranges_[field].minimum || value > ranges_[field].maximum;
    if ((present >> field & 1U) != 0 && outside) out |= 1U << field;
  }
  header.quality_out_of_range = static_cast<std::uint16_t>(out);
  header.quality_missing = static_cast<std::uint16_t>(primary_ & ~present & ~out);
  if (!receive_time_) return;
  const std::string_view received = field_of(header, *receive_time_);
  if (received.empty()) return;
  const auto received_us = static_cast<std::int64_t>(
      copy_binary::get<std::uint64_t>(reinterpret_cast<const std::byte*>(received.data())));
  std::uint64_t reasons =
      header.quality_reasons & ~(quality_bit(QualityReason::late) | quality_bit(QualityReason::clock_ahead));
  if (header.time_us < received_us - late_after_us_) reasons |= quality_bit(QualityReason::late);
  if (header.time_us > received_us + ahead_after_us_) reasons |= quality_bit(QualityReason::clock_ahead);
  header.quality_reasons = static_cast<std::uint8_t>(reasons);
}

}  // namespace wellhead
