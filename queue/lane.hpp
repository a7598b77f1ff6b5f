// A lane: the way of the rows of one reactor to one shard during one run of the node (an epoch). Its batches
// are numbered from 1 without gaps, and that number is what everything else refers to: the journal stores it,
// the database's progress row moves along it, a receipt names it.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <span>
#include <vector>

namespace wellhead {

struct LaneId {
  std::uint32_t epoch = 0;    // counts the starts of a node on one journal, from 1
  std::uint32_t reactor = 0;  // within that epoch
  std::uint32_t shard = 0;    // within that epoch; in another epoch there may be more or fewer
  auto operator<=>(const LaneId&) const = default;
};

// How far a lane has come. Each is the sequence of the last batch for which it is true, 0 for none. `durable`
// never goes back. `committed` does when a database forgets commits, but not below `flushed`, unless a
// replica that lagged took over: then both go back to what it has, so that nothing is trimmed that must be
// stored again. Invariant: flushed <= committed <= durable, the last but for the moment in which a reactor
// has sent and not yet moved the mark.
struct alignas(64) LaneState {
  // In the journal; written by the reactor, after it has sent those batches it sends: a shard that sees
  // `durable` and then finds no batch in its mailbox reads it from the journal.
  std::atomic<std::uint64_t> durable{0};
  std::atomic<std::uint64_t> committed{0};  // in the database; written by the shard
  std::atomic<std::uint64_t> flushed{0};  // in the database, and not lost if it crashes; written by the shard
};

// A lane of an earlier epoch that may hold rows the database does not have yet.
struct OldLane {
  LaneId lane;
  std::uint64_t first;  // sequence of the first batch the journal holds
  std::uint64_t last;   // and of the last
};

// All lanes of a node. Made before the threads start; then any thread reads.
class LaneBoard {
 public:
  LaneBoard(std::uint32_t epoch, std::uint32_t reactors, std::uint32_t shards, std::span<const OldLane> old);

  [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] std::uint32_t reactors() const noexcept { return reactors_; }
  [[nodiscard]] std::uint32_t shards() const noexcept { return shards_; }
  // Of the current epoch.
  [[nodiscard]] LaneState& at(std::uint32_t reactor, std::uint32_t shard) noexcept;
  // Of any epoch; null for a lane that is not known.
  [[nodiscard]] LaneState* find(LaneId lane) noexcept;
  // Lanes of earlier epochs, sorted.
  [[nodiscard]] std::span<const OldLane> old() const noexcept { return old_; }
  // Which of today's shards replays a lane of an earlier epoch.
  [[nodiscard]] std::uint32_t shard_of(LaneId lane) const noexcept { return lane.shard % shards_; }

 private:
  std::uint32_t epoch_;
  std::uint32_t reactors_;
  std::uint32_t shards_;
  std::vector<OldLane> old_;
  std::vector<LaneState> states_;  // of the current epoch by reactor and shard, then of old_
};

}  // namespace wellhead
