#include "journal/trim.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace wellhead {
namespace {

using Flushed = std::map<LaneId, std::uint64_t>;

bool same_chain(const SegmentId& one, const SegmentId& other) {
  return one.epoch == other.epoch && one.reactor == other.reactor;
}

bool has_flushed(const SegmentEntry& segment, const Flushed& flushed) {
  return !segment.active && std::ranges::all_of(segment.lanes, [&](const LaneRange& range) {
    const auto lane = flushed.find({segment.id.epoch, segment.id.reactor, range.shard});
    return lane != flushed.end() && lane->second >= range.last;
  });
}

// The prefixes of all chains in which everything is flushed.
std::vector<const SegmentEntry*> flushed_prefixes(std::span<const SegmentEntry> segments,
                                                  const Flushed& flushed) {
  std::vector<const SegmentEntry*> prefixes;
  const SegmentEntry* stop = nullptr;
  for (const SegmentEntry& segment : segments) {
    if (stop != nullptr && same_chain(stop->id, segment.id)) continue;
    if (has_flushed(segment, flushed))
      prefixes.push_back(&segment);
    else
      stop = &segment;
  }
  return prefixes;
}

// By chain, the last segment that is beyond the bounds; all before it in the chain go with it, even if a
// clock that was set back makes them look newer.
std::vector<SegmentId> beyond_bounds(std::vector<const SegmentEntry*> segments, const KeepBounds& keep,
                                     std::int64_t now_us) {
  std::ranges::sort(segments, [](const SegmentEntry* one, const SegmentEntry* other) {
    return std::pair(one->last_written_us, one->id) > std::pair(other->last_written_us, other->id);
  });
  std::vector<SegmentId> beyond;
  std::uint64_t kept_bytes = 0;
  for (const SegmentEntry* segment : segments) {
    if (now_us - segment->last_written_us > keep.time_us || kept_bytes + segment->bytes > keep.bytes)
      beyond.push_back(segment->id);
    else
      kept_bytes += segment->bytes;
  }
  return beyond;
}

}  // namespace

std::vector<SegmentEntry> plan_trim(std::span<const SegmentEntry> segments,
                                    std::span<const std::pair<LaneId, std::uint64_t>> flushed,
                                    const KeepBounds& keep, std::int64_t now_us) {
  const std::vector<const SegmentEntry*> prefixes =
      flushed_prefixes(segments, Flushed(flushed.begin(), flushed.end()));
  const std::vector<SegmentId> beyond = beyond_bounds(prefixes, keep, now_us);
  std::vector<SegmentEntry> going;
  for (const SegmentEntry* segment : prefixes) {
    const bool goes = std::ranges::any_of(
        beyond, [&](const SegmentId& id) { return same_chain(id, segment->id) && segment->id <= id; });
    if (goes) going.push_back(*segment);
  }
  return going;
}

void hold_ledger(std::vector<SegmentEntry>& going) {
  std::optional<SegmentId> held;
  std::erase_if(going, [&held](const SegmentEntry& segment) {
    if (held && same_chain(*held, segment.id)) return true;
    if (segment.ledger_sections > 0) held = segment.id;
    return segment.ledger_sections > 0;
  });
}

}  // namespace wellhead
