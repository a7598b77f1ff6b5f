// A shard: the thread that takes batches out of its mailbox, gathers them into flushes, has each flush
// committed and hands every batch back to the reactor it came from.
//
// Under load it gathers more by itself: while one flush is on its way to the database, the mailbox fills.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "queue/batch.hpp"
#include "queue/mailbox.hpp"
#include "sink/backoff.hpp"

namespace wellhead {

struct FlushOptions {
  std::uint32_t rows_max = 50'000;       // a flush goes when it holds this many rows,
  std::size_t bytes_max = 16U << 20;     // or this many bytes,
  std::chrono::milliseconds linger{20};  // or its first row has waited this long
};

// Whether a shard can commit, as the front-end and /health/ready see it.
enum class ShardState : std::uint8_t {
  starting,      // not tried yet
  ready,         // committing
  disconnected,  // no database; retried with backoff
  blocked,  // the database is there and refuses (rights, missing table, wrong type): an operator must act
  stopped,
};
[[nodiscard]] const char* to_string(ShardState state) noexcept;

// Written by the shard's thread, read by any.
struct ShardStats {
  Counter rows_committed;
  Counter rows_refused;     // by the database, for their data
  Counter rows_abandoned;   // stopped before they were committed; never acknowledged
  Counter bytes_committed;  // COPY bytes
  Counter flushes;
  Counter flushes_retried;
  Counter connects;
  Counter disconnects;
  Counter server_warnings;  // NOTICE and WARNING from the server
  Histogram flush_us;       // from gather to commit
  Histogram flush_rows;
};

// What a committer made of a flush.
enum class FlushOutcome : std::uint8_t {
  committed,  // all rows are committed except those added to their batches' refused()
  retry,      // nothing of it is known to be committed; try again after backoff, with the same batches
  blocked,    // as retry, but the database refuses until an operator acts
};

// Puts a flush into its place. One per shard, used by its thread only.
class Committer {
 public:
  virtual ~Committer() = default;
  // Before anything else: where to count what only the committer sees (bytes, connections, warnings).
  virtual void attach(ShardStats& /*stats*/) {}
  // Makes ready to commit: connects, checks. True when ready. When false, `problem` holds a sentence and
  // `state` tells disconnected from blocked. Returns within the connection timeout; early when `stopping`
  // turns true.
  [[nodiscard]] virtual bool prepare(const std::atomic<bool>& stopping, ShardState& state,
                                     std::string& problem) = 0;
  // Commits all rows of all batches in one transaction. REQUIRES prepare() returned true and no failure
  // since, and after a failure the same batches again: whether they were committed may be known only to the
  // next prepare(). Returns early when `stopping` turns true.
  [[nodiscard]] virtual FlushOutcome commit(std::span<Batch* const> batches,
                                            const std::atomic<bool>& stopping, std::string& problem) = 0;
  // Called while the shard has nothing to do, at least every idle_interval; false when the connection is
  // gone.
  [[nodiscard]] virtual bool idle_check() = 0;
};
inline constexpr std::chrono::milliseconds idle_interval{1'000};

class Shard {
 public:
  // `returns[r]` is reactor r's mailbox. `cpu` < 0: not pinned. The thread starts with start().
  Shard(std::uint32_t index, FlushOptions options, std::unique_ptr<Committer> committer,
        std::span<Mailbox* const> returns, const Clock& clock, int cpu);
  ~Shard();

  void start();
  // Any thread. Commits what is in the mailbox, then stops. Rows that cannot be committed by `deadline` come
  // back as abandoned. Producers must have stopped sending before.
  void request_stop(std::chrono::steady_clock::time_point deadline);
  void join();

  [[nodiscard]] Mailbox& mailbox() noexcept { return mailbox_; }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] ShardState state() const noexcept { return state_.load(std::memory_order_acquire); }
  // The sentence behind disconnected or blocked, empty otherwise. Any thread.
  [[nodiscard]] std::string problem() const;
  [[nodiscard]] const ShardStats& stats() const noexcept { return stats_; }
  [[nodiscard]] ShardStats& stats() noexcept { return stats_; }

 private:
  using TimePoint = std::chrono::nanoseconds;  // of clock_.monotonic_ns()

  void run();
  void set_up_thread() const;
  [[nodiscard]] TimePoint now() const noexcept { return TimePoint{clock_.monotonic_ns()}; }
  [[nodiscard]] bool stop_requested() const noexcept {
    return stop_requested_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::chrono::nanoseconds until_deadline() const noexcept;

  void gather();
  [[nodiscard]] bool flush_full() const noexcept;
  [[nodiscard]] bool flush_due() const noexcept;
  void try_prepare();
  void try_commit();
  void check_idle();
  void finish_flush(BatchOutcome outcome);
  void count_flush(TimePoint done);
  void abandon_rest();
  void fail(ShardState state, std::string problem);
  void change_state(ShardState state, std::string problem);
  [[nodiscard]] std::chrono::nanoseconds time_to_next_event() const noexcept;
  void sleep();

  Mailbox mailbox_;  // first, for it fills cache lines of its own
  const std::uint32_t index_;
  const FlushOptions options_;
  const std::unique_ptr<Committer> committer_;
  const std::vector<Mailbox*> returns_;
  std::vector<Mailbox::Sender> senders_;
  const Clock& clock_;
  const int cpu_;
  std::atomic<ShardState> state_{ShardState::starting};
  ShardStats stats_;
  mutable std::mutex problem_mutex_;
  std::string problem_;
  std::thread thread_;

  std::atomic<bool> stop_requested_{false};
  std::atomic<std::int64_t> deadline_ns_;  // of steady_clock
  std::atomic<bool> give_up_{false};       // the deadline has passed: whatever runs returns now
  std::mutex finished_mutex_;
  std::condition_variable finished_changed_;
  bool finished_ = false;

  // The thread's own.
  std::vector<Batch*> flush_;
  std::uint64_t flush_rows_ = 0;
  std::size_t flush_bytes_ = 0;
  TimePoint flush_since_{0};    // its first batch arrived
  TimePoint mailbox_empty_{0};  // the mailbox was last seen empty: what is in it later arrived later
  bool tried_ = false;          // the flush went to the committer, and must go there again as it is
  bool prepared_ = false;
  TimePoint retry_at_{0};
  TimePoint idle_check_at_{0};
  Backoff backoff_;
};

}  // namespace wellhead
