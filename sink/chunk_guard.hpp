// Knows which stretches of time this connection has written, so that only a flush that may create a chunk
// waits for others that may too. A new chunk takes locks on its hypertable and on every table its foreign
// keys refer to; two flushes into different sets of hypertables take them in opposite orders and deadlock.
// (Four shards, two hypertables with a foreign key to one table, 25 new days: 40 deadlocks without the guard,
// none with it.)
//
// Chunks are longer than a stretch or the worst is an unneeded lock once per stretch; where they are shorter,
// or were dropped meanwhile, the deadlock is found by the server and the flush is tried again.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "sink/flush.hpp"

namespace wellhead {

class ChunkGuard {
 public:
  // Whether every row lies in a stretch known from an earlier flush.
  [[nodiscard]] bool knows(const Flush& flush);
  // The flush last asked about has committed.
  void remember();
  void forget() noexcept { known_.clear(); }

 private:
  std::unordered_set<std::uint64_t> known_;
  std::vector<std::uint64_t> fresh_;
};

}  // namespace wellhead
