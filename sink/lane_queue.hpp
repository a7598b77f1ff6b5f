// One lane as its shard consumes it: batches in the order of their sequences, from memory where the reactor
// sent them and from the journal where it did not.
//
// Stretches behind the cursor wait in a queue until they are committed: the reactor's batches, one sequence
// each, and what was read back, many small sections together. Where the queue has a gap up to what is
// durable, the journal is read; a queue that is empty is one gap. Without a journal there is none.
//
// Owner: the shard's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "journal/journal.hpp"
#include "queue/batch.hpp"
#include "queue/batch_pool.hpp"
#include "queue/lane.hpp"
#include "queue/refused_rows.hpp"
#include "sink/committer.hpp"

namespace wellhead {

using ShardTime = std::chrono::nanoseconds;  // of Clock::monotonic_ns()

// Per epoch: RowHeader::stream as that epoch wrote it → its index among the streams of this run. An epoch
// that is missing numbered its streams as this run does.
using StreamMaps = std::map<std::uint32_t, std::vector<std::uint16_t>>;

// What all lanes of a shard share; outlives them.
struct LaneContext {
  std::uint32_t shard;
  Journal* journal;  // null: there is none
  const StreamMaps& maps;
  bool accept_loss;  // go on over batches that neither the journal nor the database has
  BatchPool& pool;
  ShardStats& stats;
  RefusedRows* refused;  // null: nobody asks
};

// A flush being put together.
struct FlushDraft {
  std::vector<Batch*> batches;
  std::uint64_t rows = 0;
  std::size_t bytes = 0;
  ShardTime since{0};      // the oldest of its batches arrived; where there is one
  bool replayed = false;   // some of it was read back: there is a backlog, so lingering gains nothing
  bool pool_used = false;  // more could be read back, if there were memory for it

  [[nodiscard]] bool empty() const noexcept { return batches.empty(); }
};

class LaneQueue {
 public:
  // `committed`: the last batch that can be in the database for all the node knows.
  LaneQueue(LaneId lane, LaneState& state, const LaneContext& context, std::uint64_t committed);

  [[nodiscard]] LaneId lane() const noexcept { return lane_; }
  // The progress as the database was last seen to have it; before that, what was assumed.
  [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }
  [[nodiscard]] std::uint64_t lag() const noexcept;
  // Whether commits of this lane are known that a crash of the database may undo.
  [[nodiscard]] bool unflushed() const noexcept;
  // Whether the next stretch is in memory.
  [[nodiscard]] bool next_in_memory() const noexcept;

  // Looks how far the lane is durable. To be called before the mailbox is emptied: a batch that is durable by
  // then and not in the mailbox was left out by the reactor, and is read back.
  void observe() noexcept;
  // Takes a batch of the mailbox.
  void arrive(Batch* batch, ShardTime at);

  // Adds to `done` the batches that came after they had been read back and committed.
  void release_late(std::vector<Batch*>& done);

  // Adds the lane's next stretch to the draft; false when there is none now. The error is a sentence: the
  // journal does not give what it must hold.
  [[nodiscard]] std::expected<bool, std::string> take(FlushDraft& draft, bool read_back, ShardTime now);
  // The lane's part of the draft; none where it has none.
  [[nodiscard]] std::optional<LaneMove> move() const;
  // The draft is no more: what was taken waits again.
  void put_back() noexcept { taken_ = 0; }

  // Everything up to `sequence` is committed. Counts it, and adds to `done` the reactor's batches, whose
  // outcome is then set.
  void settle(std::uint64_t sequence, std::vector<Batch*>& done);
  // Everything committed is safe from a crash of the database.
  void mark_flushed() noexcept;

  // Why the database's progress cannot be true: a sentence for the operator. `expected`: what this node wrote
  // last; less is for adopt() to put right.
  [[nodiscard]] std::optional<std::string> objection(std::uint64_t found, std::uint64_t expected) const;
  // Goes on behind the database's progress, forward on the first call, later backward where the database
  // forgot commits. REQUIRES no objection, and that nothing is taken.
  void adopt(std::uint64_t found);

  // Adds the reactor's batches that are not committed to `rest`; nothing waits any more.
  void surrender(std::vector<Batch*>& rest);

 private:
  struct Section {
    std::uint64_t sequence;
    std::uint32_t first_row;
  };
  struct Stretch {
    Batch* batch;
    std::uint64_t first;
    std::uint64_t last;
    ShardTime since;
    bool again;  // was committed before, and counted
    // Where the batches of a stretch that was read back begin in it; empty: it is one batch.
    std::vector<Section> sections = {};

    [[nodiscard]] bool replayed() const noexcept { return batch->reactor() == Batch::no_reactor; }
  };
  using Outcome = std::expected<void, std::string>;

  [[nodiscard]] std::uint64_t wanted() const noexcept;
  // Takes the first stretch that is not taken. REQUIRES there is one.
  void take_front(FlushDraft& draft);
  [[nodiscard]] Outcome read_section(Batch& batch, std::uint64_t until, std::uint64_t& last);
  [[nodiscard]] Outcome pass_over(Batch& batch, std::uint64_t last) const;
  void add_replayed(FlushDraft& draft, Stretch stretch);
  [[nodiscard]] bool merge(FlushDraft& draft, const Stretch& stretch);
  void translate_streams(Batch& batch) const;
  void count(const Stretch& stretch) const;
  void remember_refused(const Stretch& stretch) const;
  void rewind(std::uint64_t found);

  [[nodiscard]] bool current_epoch() const noexcept;
  [[nodiscard]] bool loss_accepted(std::uint64_t from, std::uint64_t to) const;
  [[nodiscard]] std::string missing(std::uint64_t from, std::uint64_t to) const;
  [[nodiscard]] std::optional<std::string> objection_to_progress(std::uint64_t found,
                                                                 std::uint64_t expected) const;

  const LaneId lane_;
  LaneState& state_;
  const LaneContext& context_;
  std::unique_ptr<JournalReader> reader_;  // made when first needed
  std::deque<Stretch> queue_;
  std::vector<Batch*> late_;    // sent although they were read back already
  std::size_t taken_ = 0;       // stretches at the queue's front that are in the draft
  std::uint64_t cursor_;        // the next batch to commit
  std::uint64_t stored_;        // the database's progress
  std::uint64_t counted_;       // batches up to here were counted as committed
  std::uint64_t readable_ = 0;  // durable when observed
  bool known_ = false;          // the database was asked
};

}  // namespace wellhead
