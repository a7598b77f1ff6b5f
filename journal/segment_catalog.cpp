#include "journal/segment_catalog.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead {

const LaneRange* SegmentEntry::range(std::uint32_t shard) const noexcept {
  const auto found = std::ranges::find(lanes, shard, &LaneRange::shard);
  return found == lanes.end() ? nullptr : &*found;
}

void SegmentCatalog::add(SegmentEntry entry) {
  const std::lock_guard lock(mutex_);
  auto& segments = chains_[{entry.id.epoch, entry.id.reactor}].segments;
  WELLHEAD_ASSERT(segments.empty() || segments.back().id < entry.id);
  segments.push_back(std::move(entry));
}

void SegmentCatalog::close(SegmentEntry& entry, const SegmentBegin& next) {
  entry.active = false;
  entry.end_block = next.first_block;
  entry.ledger_sections = next.ledger_sections_before;
  entry.last_written_us = next.now_us;
  for (LaneRange& range : entry.lanes) range.last = next.next_sequences[range.shard] - 1;
  std::erase_if(entry.lanes, [](const LaneRange& range) { return range.last < range.first; });
}

void SegmentCatalog::begin(const SegmentBegin& begin) {
  SegmentEntry entry;
  entry.id = begin.id;
  entry.bytes = begin.bytes;
  entry.end_offset = begin.bytes;
  entry.last_written_us = begin.now_us;
  entry.active = true;
  for (std::uint32_t shard = 0; shard < begin.next_sequences.size(); ++shard)
    entry.lanes.push_back({shard, begin.next_sequences[shard], LaneRange::open_end});
  const std::lock_guard lock(mutex_);
  auto& segments = chains_[{begin.id.epoch, begin.id.reactor}].segments;
  WELLHEAD_ASSERT(segments.empty() || segments.back().id < begin.id);
  if (!segments.empty() && segments.back().active) close(segments.back(), begin);
  segments.push_back(std::move(entry));
}

std::uint64_t SegmentCatalog::first_of(const Chain& chain, std::uint32_t shard) {
  for (const SegmentEntry& entry : chain.segments)
    if (const LaneRange* range = entry.range(shard)) return range->first;
  const auto behind = chain.behind.find(shard);
  return behind == chain.behind.end() ? 1 : behind->second;
}

std::pair<SegmentCatalog::Answer, SegmentEntry> SegmentCatalog::find(LaneId lane, std::uint64_t sequence,
                                                                     std::uint64_t from_segment) const {
  const std::lock_guard lock(mutex_);
  const auto chain = chains_.find({lane.epoch, lane.reactor});
  if (chain == chains_.end()) return {Answer::missing, {}};
  if (sequence < first_of(chain->second, lane.shard)) return {Answer::missing, {}};
  for (const SegmentEntry& entry : chain->second.segments) {
    const LaneRange* range = entry.range(lane.shard);
    if (range != nullptr && range->last >= sequence && entry.id.segment >= from_segment)
      return {Answer::found, entry};
  }
  return {Answer::end, {}};
}

const SegmentEntry* SegmentCatalog::entry(const SegmentId& id) const {
  const auto chain = chains_.find({id.epoch, id.reactor});
  if (chain == chains_.end()) return nullptr;
  const auto& segments = chain->second.segments;
  const auto found = std::ranges::lower_bound(segments, id, {}, &SegmentEntry::id);
  return found == segments.end() || found->id != id ? nullptr : &*found;
}

SegmentEntry* SegmentCatalog::entry(const SegmentId& id) {
  return const_cast<SegmentEntry*>(std::as_const(*this).entry(id));
}

bool SegmentCatalog::holds(const SegmentId& id) const {
  const std::lock_guard lock(mutex_);
  return entry(id) != nullptr;
}

std::uint64_t SegmentCatalog::end_block(const SegmentId& id) const {
  const std::lock_guard lock(mutex_);
  const SegmentEntry* known = entry(id);
  return known == nullptr ? 0 : known->end_block;
}

std::uint64_t SegmentCatalog::first_sequence(LaneId lane) const {
  const std::lock_guard lock(mutex_);
  const auto chain = chains_.find({lane.epoch, lane.reactor});
  return chain == chains_.end() ? 1 : first_of(chain->second, lane.shard);
}

bool SegmentCatalog::mark_unusable(const SegmentId& id, const Extent& extent) {
  const std::lock_guard lock(mutex_);
  SegmentEntry* known = entry(id);
  if (known == nullptr || std::ranges::find(known->unusable, extent) != known->unusable.end()) return false;
  known->unusable.push_back(extent);
  std::ranges::sort(known->unusable);
  return true;
}

std::size_t SegmentCatalog::segment_count() const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const auto& [id, chain] : chains_) count += chain.segments.size();
  return count;
}

std::vector<SegmentEntry> SegmentCatalog::segments() const {
  const std::lock_guard lock(mutex_);
  std::vector<SegmentEntry> all;
  for (const auto& [id, chain] : chains_) all.insert(all.end(), chain.segments.begin(), chain.segments.end());
  return all;
}

void SegmentCatalog::remove(const SegmentId& id) {
  const std::lock_guard lock(mutex_);
  const auto found = chains_.find({id.epoch, id.reactor});
  WELLHEAD_ASSERT(found != chains_.end());
  Chain& chain = found->second;
  WELLHEAD_ASSERT(!chain.segments.empty() && chain.segments.front().id == id &&
                  !chain.segments.front().active);
  for (const LaneRange& range : chain.segments.front().lanes) chain.behind[range.shard] = range.last + 1;
  chain.segments.pop_front();
}

bool SegmentCatalog::holds_epoch(std::uint32_t epoch) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(chains_, [&](const auto& chain) {
    return chain.first.first == epoch && !chain.second.segments.empty();
  });
}

}  // namespace wellhead
