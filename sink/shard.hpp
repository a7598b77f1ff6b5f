// A shard: the thread that takes the batches of its lanes, out of its mailbox or out of the journal, gathers
// them into flushes, has each flush committed and hands every batch back to the reactor it came from.
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
#include "queue/mailbox.hpp"
#include "sink/backoff.hpp"
#include "sink/committer.hpp"
#include "sink/shard_lanes.hpp"

namespace wellhead {

// What one round of a shard did, and when it wants the next.
enum class ShardWork : std::uint8_t {
  nothing,
  connected,     // asked the database where its lanes stand
  committed,     // a flush
  synchronized,  // made earlier commits durable
  failed,        // tried one of these; problem() says why it failed
  stopped,       // all batches are handed back: no more rounds
};
struct ShardStep {
  ShardWork work;
  // The next round is due after this time, or when something arrives; zero: at once.
  std::chrono::nanoseconds wait;
};

class Shard {
 public:
  // `returns[r]` is reactor r's mailbox. `cpu` < 0: not pinned. The thread starts with start(). `board` and
  // `journal` (null: batches live in memory only) outlive the shard, and the journal has the board's epoch.
  // `refused`, where given, is told of every row the database refuses, and outlives it too.
  Shard(std::uint32_t index, FlushOptions options, std::unique_ptr<Committer> committer,
        std::span<Mailbox* const> returns, const Clock& clock, int cpu, LaneBoard& board,
        Journal* journal = nullptr, StreamMaps maps = {}, RefusedRows* refused = nullptr);
  ~Shard();

  void start();
  // One round of the thread's loop without its sleep, for a simulation that runs everything in one thread.
  // REQUIRES start() was not called.
  ShardStep step();
  // Any thread. Commits what is in memory, then stops. Rows that cannot be committed by `deadline` come back
  // as abandoned; with a journal they stay there, and so does what is not in memory. Producers must have
  // stopped sending before.
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
  void run();
  void set_up_thread() const;
  [[nodiscard]] ShardTime now() const noexcept { return ShardTime{clock_.monotonic_ns()}; }
  [[nodiscard]] bool stop_requested() const noexcept {
    return stop_requested_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::chrono::steady_clock::time_point deadline() const noexcept;
  [[nodiscard]] std::chrono::nanoseconds until_deadline() const noexcept;
  [[nodiscard]] bool stop_now() const noexcept;

  void receive();
  [[nodiscard]] ShardWork work();
  [[nodiscard]] bool flush_due() const noexcept;
  [[nodiscard]] bool synchronization_due() const noexcept;
  [[nodiscard]] ShardWork try_prepare();
  [[nodiscard]] ShardWork try_commit();
  [[nodiscard]] ShardWork try_synchronize();
  void check_idle();
  void count_flush(const FlushSize& size);
  void note_commit(bool durable);
  void give_back_done();
  void abandon_rest();
  ShardWork fail(ShardState state, std::string problem);
  void change_state(ShardState state, std::string problem);
  [[nodiscard]] std::chrono::nanoseconds time_to_next_event() const noexcept;
  void sleep(std::chrono::nanoseconds longest);

  Mailbox mailbox_;  // first, for it fills cache lines of its own
  const std::uint32_t index_;
  const FlushOptions options_;
  const std::unique_ptr<Committer> committer_;
  const std::vector<Mailbox*> returns_;
  std::vector<Mailbox::Sender> senders_;
  const Clock& clock_;
  const int cpu_;
  const bool journaled_;
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
  ShardLanes lanes_;
  std::vector<Batch*> done_;    // handed back at the end of what is being done
  ShardTime mailbox_empty_{0};  // the mailbox was last seen empty: what is in it later arrived later
  bool failing_ = false;        // the last flush that was tried failed
  bool prepared_ = false;
  std::uint64_t doubtful_bytes_ = 0;
  ShardTime unflushed_since_{0};  // the first commit that a crash may undo; where there is one
  ShardTime retry_at_{0};
  ShardTime idle_check_at_{0};
  Backoff backoff_;
};

}  // namespace wellhead
