#include "queue/lane.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead {

LaneBoard::LaneBoard(std::uint32_t epoch, std::uint32_t reactors, std::uint32_t shards,
                     std::span<const OldLane> old)
    : epoch_(epoch),
      reactors_(reactors),
      shards_(shards),
      old_(old.begin(), old.end()),
      states_(std::size_t{reactors} * shards + old.size()) {
  WELLHEAD_ASSERT(reactors > 0 && shards > 0);
  std::ranges::sort(old_, {}, &OldLane::lane);
  for (std::size_t index = 0; index < old_.size(); ++index) {
    WELLHEAD_ASSERT(old_[index].lane.epoch < epoch);
    states_[std::size_t{reactors_} * shards_ + index].durable.store(old_[index].last);
  }
}

LaneState& LaneBoard::at(std::uint32_t reactor, std::uint32_t shard) noexcept {
  WELLHEAD_ASSERT(reactor < reactors_ && shard < shards_);
  return states_[std::size_t{reactor} * shards_ + shard];
}

LaneState* LaneBoard::find(LaneId lane) noexcept {
  if (lane.epoch == epoch_)
    return lane.reactor < reactors_ && lane.shard < shards_ ? &at(lane.reactor, lane.shard) : nullptr;
  const auto found = std::ranges::lower_bound(old_, lane, {}, &OldLane::lane);
  if (found == old_.end() || found->lane != lane) return nullptr;
  return &states_[std::size_t{reactors_} * shards_ + static_cast<std::size_t>(found - old_.begin())];
}

}  // namespace wellhead
