// All lanes of a shard: those of the current run from every reactor to it, and those of earlier runs that it
// replays. Puts flushes together from them and moves them when a flush is committed, forgotten or in doubt.
//
// A flush takes one stretch of each lane in turn, so that a long backlog in one does not hold up the others.
//
// Owner: the shard's thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sink/committer.hpp"
#include "sink/lane_queue.hpp"

namespace wellhead {

struct FlushOptions {
  std::uint32_t rows_max = 50'000;       // a flush goes when it holds this many rows,
  std::size_t bytes_max = 16U << 20;     // or this many bytes,
  std::chrono::milliseconds linger{20};  // or its first row has waited this long
  // Where commits are asynchronous, one is made durable at least this often, and all before it with it.
  std::chrono::milliseconds flush_interval{1'000};
  std::size_t batch_bytes = 256U << 10;  // of the reactors' batches, which the journal gives back
  bool accept_loss = false;  // go on over batches that neither the journal nor the database has any more
};

// What a flush was made of, for counting it when its fate is known.
struct FlushSize {
  std::uint64_t rows;
  ShardTime since;
};

class ShardLanes {
 public:
  // `board`, `journal` and `refused` (null: none) outlive it, so does `stats`.
  ShardLanes(std::uint32_t shard, const FlushOptions& options, LaneBoard& board, Journal* journal,
             StreamMaps maps, ShardStats& stats, RefusedRows* refused);

  // As LaneQueue's.
  void observe() noexcept;
  void arrive(Batch* batch, ShardTime at);
  void release_late(std::vector<Batch*>& done);

  // Adds to the draft until it is full or there is no more. `read_back`: whether the journal may be read.
  [[nodiscard]] std::expected<void, std::string> gather(bool read_back, ShardTime now);
  [[nodiscard]] const FlushDraft& draft() const noexcept { return draft_; }
  [[nodiscard]] bool draft_full() const noexcept;
  // The draft as the committer wants it; valid until the next call of another member. REQUIRES a draft that
  // is not empty.
  [[nodiscard]] FlushOrder order(bool durable);
  // A commit that stores nothing but makes all before it durable.
  [[nodiscard]] FlushOrder synchronization();

  // The draft is committed.
  [[nodiscard]] FlushSize settle(std::vector<Batch*>& done);
  // It is not; its batches wait again.
  void put_back();
  // It may be: adopt() will tell.
  void doubt();
  // Everything committed is safe from a crash of the database.
  void mark_flushed() noexcept;
  [[nodiscard]] bool unflushed() const noexcept;

  // Every lane with the progress that is believed.
  [[nodiscard]] std::span<LaneProgress> progress();
  // Goes on from what the database has, given in progress(): everything in it is flushed. Settles a flush in
  // doubt, which `resolved` then tells the size of. The error is a sentence: they do not fit together, and
  // nothing was changed.
  [[nodiscard]] std::expected<void, std::string> adopt(std::vector<Batch*>& done,
                                                       std::optional<FlushSize>& resolved);

  // Whether something waits in memory that can be committed without the journal.
  [[nodiscard]] bool memory_waits() const noexcept;
  [[nodiscard]] std::uint64_t lag() const noexcept;
  // Adds all batches of the reactors to `rest`; nothing waits any more.
  void surrender(std::vector<Batch*>& rest);

 private:
  [[nodiscard]] bool enough() const noexcept;
  enum class Verdict : std::uint8_t { committed, not_committed, torn };

  void add_lane(LaneId lane, LaneState& state, std::uint64_t committed);
  [[nodiscard]] Verdict judge_doubt() const;
  [[nodiscard]] std::uint64_t expected(std::size_t lane, Verdict verdict) const;
  void settle_lanes(std::span<const LaneMove> moves, std::vector<Batch*>& done);

  const FlushOptions options_;
  const StreamMaps maps_;
  BatchPool pool_;
  LaneContext context_;
  std::vector<LaneQueue> lanes_;  // the current run's by reactor, then those of earlier ones
  std::size_t first_turn_ = 0;    // the lane that the next flush asks first
  FlushDraft draft_;
  std::vector<LaneMove> moves_;  // of the draft, once it was ordered
  std::vector<LaneProgress> progress_;
  // A flush of which only the database knows whether it is committed.
  std::vector<LaneMove> doubtful_;
  FlushSize doubtful_size_{};
};

}  // namespace wellhead
