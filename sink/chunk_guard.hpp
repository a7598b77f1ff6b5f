// Knows which stretches of time this connection has written, so that only a flush that may create a chunk
// waits for others that may too: TimescaleDB's parallel writers can deadlock when they create the same new
// chunk.
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
