// Knows which stretches of time this connection has written, so that only a flush that may create a chunk
// waits for others that may too. A new chunk takes locks on its hypertable and on every table its foreign
// keys refer to; two flushes into different sets of hypertables take them in opposite orders and deadlock.
// (Four shards, two hypertables with a foreign key to one table, 25 new days: 40 deadlocks without the guard,
// none with it.)
//
// Chunks are made ahead of time by the care of the database, so a stretch that is new to the connection
// mostly has its chunk: the statement looks, and waits for nobody then.
//
// Chunks are longer than a stretch or the worst is an unneeded lock once per stretch; where they are shorter,
// or were dropped meanwhile, the deadlock is found by the server and the flush is tried again.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "codec/schema.hpp"
#include "sink/flush.hpp"

namespace wellhead {

class ChunkGuard {
 public:
  // Whether every row lies in a stretch known from an earlier flush.
  [[nodiscard]] bool knows(const Flush& flush);
  // Likewise, of the rows of these streams only.
  [[nodiscard]] bool knows(const Flush& flush, std::span<const std::size_t> streams);
  // A statement that takes the lock, to the end of the transaction, where a row of the flush last asked about
  // may create a chunk; with a semicolon, and empty where every row's stretch is known. REQUIRES a server
  // with TimescaleDB; without it no writer creates anything.
  [[nodiscard]] std::string lock_statement(std::span<const SchemaPointer> streams) const;
  // The flush last asked about has committed.
  void remember();
  void forget() noexcept { known_.clear(); }
  // Takes the lock without looking: where a chunk's being there does not make the flush harmless.
  [[nodiscard]] static std::string unconditional_lock_statement();

 private:
  void look_at(const Flush& flush, std::size_t stream);

  std::unordered_set<std::uint64_t> known_;
  std::vector<std::uint64_t> fresh_;
};

}  // namespace wellhead
