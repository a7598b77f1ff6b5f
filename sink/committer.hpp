// The seam between a shard and the place its rows go to: one transaction a flush, which also moves the
// progress of the flush's lanes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "queue/batch.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// Whether a shard can commit, as the front-end and /health/ready see it.
enum class ShardState : std::uint8_t {
  starting,      // not tried yet
  ready,         // committing
  disconnected,  // no database; retried with backoff
  blocked,  // the database is there and refuses (rights, missing table, wrong type), or it and the journal
            // do not fit together: an operator must act
  stopped,
};
[[nodiscard]] const char* to_string(ShardState state) noexcept;

// Written by the shard's thread, read by any.
struct ShardStats {
  // Rows of records; dead letters are in dead_letters only.
  Counter rows_committed;   // each row once, also when the database forgot it and it was committed again
  Counter rows_refused;     // by the database, for their data
  Counter rows_abandoned;   // stopped before they were committed, and no journal holds them
  Counter rows_recovered;   // of rows_committed and rows_refused, those of earlier runs of the node
  Counter dead_letters;     // committed, of records that were rejected before they had a row
  Counter rows_replayed;    // read back from the journal
  Counter rows_rewound;     // of those, the ones committed before, which the database forgot
  Counter bytes_committed;  // COPY bytes
  Counter flushes;
  Counter flushes_retried;
  Counter synchronous_flushes;  // commits that the database cannot forget, and all before them
  Counter connects;
  Counter disconnects;
  Counter server_warnings;          // NOTICE and WARNING from the server
  Counter rows_compressed;          // of rows_committed, those that COPY compressed at once
  Counter direct_compress_skipped;  // COPYs that the server was asked to compress and did not
  // Of devices, by scoring.
  Counter baselines_restored;    // read from the database
  Counter baselines_unreadable;  // those found there in another format, or of other fields: learned anew
  Counter baselines_evicted;     // from memory, to make room
  Gauge baselines;               // in memory
  Gauge baseline_bytes;
  Gauge lag;           // batches that are durable and not committed
  Histogram flush_us;  // from gather to commit
  Histogram flush_rows;
};

// Where a lane stands in the database.
struct LaneProgress {
  LaneId lane;
  std::uint64_t sequence;  // of its last committed batch, 0 for none
};

// A flush's step along one lane.
struct LaneMove {
  LaneId lane;
  std::uint64_t from;  // the progress before; the transaction fails if it is another
  std::uint64_t to;
};

// What one transaction is to do.
struct FlushOrder {
  std::span<Batch* const> batches;  // may be empty, or hold no rows: then only the progress moves
  std::span<const LaneMove> moves;  // not empty; all of different lanes
  bool durable;                     // the commit shall not be lost if the database crashes
};

enum class FlushOutcome : std::uint8_t {
  committed,  // all rows are committed except those added to their batches' refused()
  retry,      // nothing of it is committed; try again after backoff
  blocked,    // as retry, but the database refuses until an operator acts
  unknown,    // the next prepare() tells: all moves are there, or none
};

struct FlushReport {
  FlushOutcome outcome;
  std::uint64_t copied_bytes = 0;  // of a flush that is, or may be, committed
  std::string problem = {};        // a sentence, where it is not committed
};

// Puts flushes into their place. One per shard, used by its thread only.
class Committer {
 public:
  virtual ~Committer() = default;
  // Before anything else: where to count what only the committer sees (connections, warnings).
  virtual void attach(ShardStats& /*stats*/) {}
  // Whether every commit is durable, asked for or not.
  [[nodiscard]] virtual bool always_durable() const noexcept = 0;
  // Makes ready to commit: connects, checks, reads where each lane stands. Takes what the shard believes of
  // each lane and replaces it by what is so; no earlier transaction can change that any more, and a crash of
  // the database cannot lose it. True when ready. When false, `problem` holds a sentence and `state` tells
  // disconnected from blocked. Returns within the connection timeout; early when `stopping` turns true.
  [[nodiscard]] virtual bool prepare(std::span<LaneProgress> lanes, const std::atomic<bool>& stopping,
                                     ShardState& state, std::string& problem) = 0;
  // REQUIRES prepare() returned true and no failure since. Adds to the refused() of the batches, also where
  // the outcome is unknown: what it says is true if the flush turns out to be committed. Returns early when
  // `stopping` turns true.
  [[nodiscard]] virtual FlushReport commit(const FlushOrder& order, const std::atomic<bool>& stopping) = 0;
  // Called while the shard has nothing to do, at least every idle_interval; false when the connection is
  // gone.
  [[nodiscard]] virtual bool idle_check() = 0;
  // The last call of a shard that stops. Saves what the next start would miss and no flush has saved, as far
  // as that is done by `deadline`. REQUIRES as commit(). Returns early when `stopping` turns true.
  virtual void finish(std::chrono::steady_clock::time_point /*deadline*/,
                      const std::atomic<bool>& /*stopping*/) {}
};
inline constexpr std::chrono::milliseconds idle_interval{1'000};

}  // namespace wellhead
