// Which segments may go. Pure; the Journal does it.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "journal/segment_catalog.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// Segments within both bounds stay although the database has everything in them: the newest ones, for a
// failover to a replica that has less.
struct KeepBounds {
  std::uint64_t bytes;
  std::int64_t time_us;  // since the last block was written
};

// A prefix of each epoch and reactor's segments, in order. `segments` as SegmentCatalog::segments() gives
// them; `flushed` holds the last sequence of each lane that the database will not forget, and a lane that is
// not in it has none. A segment that is written, or holds anything behind `flushed`, never goes, nor does any
// behind it.
[[nodiscard]] std::vector<SegmentEntry> plan_trim(std::span<const SegmentEntry> segments,
                                                  std::span<const std::pair<LaneId, std::uint64_t>> flushed,
                                                  const KeepBounds& keep, std::int64_t now_us);

// Takes the segments with ledger sections out of a plan, and those behind them.
void hold_ledger(std::vector<SegmentEntry>& going);

}  // namespace wellhead
