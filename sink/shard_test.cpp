// The shard's thread with a committer that does what a test tells it.
#include "sink/shard.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <condition_variable>
#include <mutex>

#include "sink/null_committer.hpp"
#include "sink/test_rows.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// What the committer was asked, and what it answers next. Shared between the test's and the shard's thread.
struct Script {
  std::mutex mutex;
  std::condition_variable changed;
  bool database_up = true;
  ShardState down_state = ShardState::disconnected;
  std::vector<FlushOutcome> outcomes;  // of the next commits; committed when there are none left
  bool hold = false;                   // a commit waits while this is set
  bool hold_after_failure = false;     // each failed commit sets `hold`
  bool stall = false;                  // a commit lasts until the shard is told to give up
  int commits_begun = 0;
  int prepares = 0;
  int idle_checks = 0;
  std::vector<std::vector<Batch*>> flushes;

  template <typename Condition>
  [[nodiscard]] bool wait_until(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, condition);
  }
};

class ScriptedCommitter final : public Committer {
 public:
  explicit ScriptedCommitter(Script& script) : script_(script) {}

  bool always_durable() const noexcept override { return true; }

  bool prepare(std::span<LaneProgress>, const std::atomic<bool>&, ShardState& state,
               std::string& problem) override {
    const std::lock_guard lock(script_.mutex);
    ++script_.prepares;
    script_.changed.notify_all();
    state = script_.down_state;
    problem = "down";
    return script_.database_up;
  }

  FlushReport commit(const FlushOrder& order, const std::atomic<bool>& stopping) override {
    std::unique_lock lock(script_.mutex);
    ++script_.commits_begun;
    script_.changed.notify_all();
    while ((script_.hold || script_.stall) && !stopping.load()) script_.changed.wait_for(lock, 1ms);
    script_.flushes.emplace_back(order.batches.begin(), order.batches.end());
    script_.changed.notify_all();
    FlushReport report{FlushOutcome::committed, 0, "failed"};
    if (script_.stall) report.outcome = FlushOutcome::retry;
    if (script_.outcomes.empty()) return report;
    report.outcome = script_.outcomes.front();
    script_.outcomes.erase(script_.outcomes.begin());
    script_.hold = script_.hold_after_failure && report.outcome != FlushOutcome::committed;
    return report;
  }

  bool idle_check() override {
    const std::lock_guard lock(script_.mutex);
    ++script_.idle_checks;
    script_.changed.notify_all();
    return script_.database_up;
  }

 private:
  Script& script_;
};

class ShardTest : public testing::Test {
 protected:
  static constexpr std::uint32_t shard_index = 3;

  void start(FlushOptions options) { start(options, std::make_unique<ScriptedCommitter>(script_), -1); }

  void start(FlushOptions options, std::unique_ptr<Committer> committer, int cpu) {
    const std::vector<Mailbox*> returns{&returned_};
    board_ = std::make_unique<LaneBoard>(1, 1, shard_index + 1, std::span<const OldLane>());
    sent_ = 0;
    shard_ =
        std::make_unique<Shard>(shard_index, options, std::move(committer), returns, clock_, cpu, *board_);
    sender_ = std::make_unique<Mailbox::Sender>(shard_->mailbox());
    shard_->start();
  }

  void TearDown() override {
    if (shard_) {
      shard_->request_stop(steady_clock::now());
      shard_->join();
    }
    sender_.reset();
    shard_.reset();
  }

  Batch* send(int rows) {
    auto& batch = batches_.emplace_back(test::make_batch());
    for (int row = 0; row < rows; ++row) test::add_telemetry(*batch, "well-1", test::base_time_us + row, 1);
    batch->set_lane({1, 0, shard_index}, ++sent_);
    sender_->send(batch.get());
    return batch.get();
  }

  // Takes batches that came back until there are `count`.
  std::vector<Batch*> take_returned(std::size_t count) {
    std::vector<Batch*> taken;
    const auto give_up = steady_clock::now() + 10s;
    while (taken.size() < count && steady_clock::now() < give_up) {
      Batch* batch = nullptr;
      if (returned_.take(std::span(&batch, 1)) == 1)
        taken.push_back(batch);
      else
        std::this_thread::sleep_for(1ms);
    }
    return taken;
  }

  bool wait_for_state(ShardState state) {
    const auto give_up = steady_clock::now() + 10s;
    while (shard_->state() != state && steady_clock::now() < give_up) std::this_thread::sleep_for(1ms);
    return shard_->state() == state;
  }

  // Lets the commit go on that waits.
  void release() {
    const std::lock_guard lock(script_.mutex);
    script_.hold = false;
  }

  SystemClock clock_;
  Script script_;
  Mailbox returned_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::unique_ptr<LaneBoard> board_;
  std::uint64_t sent_ = 0;
  std::unique_ptr<Shard> shard_;
  std::unique_ptr<Mailbox::Sender> sender_;
};

TEST_F(ShardTest, is_ready_without_any_batch_and_wakes_the_reactors_when_it_is) {
  start({});
  pollfd watched{returned_.wake_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&watched, 1, 5'000), 1);
  EXPECT_TRUE(wait_for_state(ShardState::ready));
  EXPECT_EQ(shard_->problem(), "");
}

TEST_F(ShardTest, waits_the_linger_for_more_and_then_commits_what_there_is) {
  start({.linger = 200ms});
  ASSERT_TRUE(wait_for_state(ShardState::ready));
  std::this_thread::sleep_for(300ms);  // idle for longer than the linger: it counts from the first batch
  const auto sent = steady_clock::now();
  send(1);
  send(2);
  ASSERT_EQ(take_returned(2).size(), 2U);
  EXPECT_GE(steady_clock::now() - sent, 190ms);
  ASSERT_EQ(script_.flushes.size(), 1U);
  EXPECT_EQ(script_.flushes[0].size(), 2U);
  EXPECT_EQ(shard_->stats().rows_committed.value(), 3U);
  EXPECT_EQ(shard_->stats().flushes.value(), 1U);
  EXPECT_EQ(shard_->stats().flush_rows.max(), 3U);
  EXPECT_GE(shard_->stats().flush_us.max(), 190'000U);
}

TEST_F(ShardTest, commits_at_once_when_a_flush_has_enough_rows_or_bytes) {
  start({.rows_max = 10, .linger = 1h});
  send(4);
  send(4);
  send(4);
  EXPECT_EQ(take_returned(3).size(), 3U);
  EXPECT_EQ(script_.flushes.size(), 1U);
  TearDown();
  script_.flushes.clear();
  start({.bytes_max = 1, .linger = 1h});
  send(1);
  send(1);
  EXPECT_EQ(take_returned(2).size(), 2U);
  EXPECT_EQ(script_.flushes.size(), 2U);
}

TEST_F(ShardTest, takes_all_that_came_during_a_commit_into_the_next_flush) {
  script_.hold = true;
  start({.linger = 1ms});
  const Batch* first = send(1);
  ASSERT_TRUE(script_.wait_until([this] { return script_.commits_begun == 1; }));
  std::vector<Batch*> order;
  for (int batch = 0; batch < 20; ++batch) order.push_back(send(1));
  release();
  ASSERT_EQ(take_returned(21).size(), 21U);
  ASSERT_EQ(script_.flushes.size(), 2U);
  EXPECT_EQ(script_.flushes[0].front(), first);
  EXPECT_EQ(script_.flushes[1], order);  // of one producer: in the order they were sent
}

TEST_F(ShardTest, tries_failed_batches_again_with_what_came_since_and_is_ready_only_when_they_are_through) {
  script_.outcomes = {FlushOutcome::retry, FlushOutcome::blocked};
  script_.hold_after_failure = true;  // a state lasts until it has been looked at
  start({.linger = 1ms});
  Batch* const first = send(1);
  ASSERT_TRUE(script_.wait_until([this] { return script_.flushes.size() == 1; }));
  EXPECT_TRUE(wait_for_state(ShardState::disconnected));
  EXPECT_EQ(shard_->problem(), "failed");
  Batch* const second = send(1);
  release();
  EXPECT_TRUE(wait_for_state(ShardState::blocked));
  release();
  ASSERT_EQ(take_returned(2).size(), 2U);
  EXPECT_TRUE(wait_for_state(ShardState::ready));
  ASSERT_EQ(script_.flushes.size(), 3U);
  EXPECT_EQ(script_.flushes[0], std::vector{first});
  EXPECT_EQ(script_.flushes[2], (std::vector{first, second}));
  EXPECT_EQ(shard_->stats().flushes_retried.value(), 2U);
  EXPECT_EQ(shard_->stats().rows_committed.value(), 2U);
}

TEST_F(ShardTest, keeps_batches_until_the_database_comes) {
  script_.database_up = false;
  script_.down_state = ShardState::blocked;
  start({.rows_max = 2, .linger = 1ms});
  for (int batch = 0; batch < 5; ++batch) send(1);
  EXPECT_TRUE(wait_for_state(ShardState::blocked));
  EXPECT_EQ(shard_->problem(), "down");
  {
    const std::lock_guard lock(script_.mutex);
    EXPECT_TRUE(script_.flushes.empty());
    script_.database_up = true;
  }
  EXPECT_EQ(take_returned(5).size(), 5U);
}

TEST_F(ShardTest, notices_in_idle_moments_that_the_database_is_gone) {
  start({});
  ASSERT_TRUE(wait_for_state(ShardState::ready));
  {
    const std::lock_guard lock(script_.mutex);
    script_.database_up = false;
  }
  EXPECT_TRUE(wait_for_state(ShardState::disconnected));
  EXPECT_GT(script_.idle_checks, 0);
}

TEST_F(ShardTest, commits_what_it_has_without_lingering_when_it_stops) {
  start({.linger = 1h});
  send(1);
  send(1);
  ASSERT_TRUE(wait_for_state(ShardState::ready));
  shard_->request_stop(steady_clock::now() + 10s);
  shard_->join();
  EXPECT_EQ(shard_->state(), ShardState::stopped);
  for (const Batch* batch : take_returned(2)) EXPECT_EQ(batch->outcome(), BatchOutcome::committed);
}

TEST_F(ShardTest, abandons_at_the_deadline_what_no_database_took) {
  script_.database_up = false;
  start({.rows_max = 2, .linger = 1ms});
  for (int batch = 0; batch < 5; ++batch) send(1);
  ASSERT_TRUE(wait_for_state(ShardState::disconnected));
  const auto start = steady_clock::now();
  shard_->request_stop(start + 200ms);
  shard_->join();
  EXPECT_GE(steady_clock::now() - start, 190ms);
  EXPECT_LT(steady_clock::now() - start, 2s);
  const auto returned = take_returned(5);
  ASSERT_EQ(returned.size(), 5U);
  for (const Batch* batch : returned) EXPECT_EQ(batch->outcome(), BatchOutcome::abandoned);
  EXPECT_EQ(shard_->stats().rows_abandoned.value(), 5U);
}

TEST_F(ShardTest, interrupts_a_commit_that_hangs_past_the_deadline) {
  script_.stall = true;
  start({.linger = 1ms});
  send(1);
  ASSERT_TRUE(script_.wait_until([this] { return script_.commits_begun == 1; }));
  const auto start = steady_clock::now();
  shard_->request_stop(start + 1h);
  shard_->request_stop(start + 100ms);  // a second TERM
  shard_->join();
  EXPECT_LT(steady_clock::now() - start, 2s);
  const auto returned = take_returned(1);
  ASSERT_EQ(returned.size(), 1U);
  EXPECT_EQ(returned[0]->outcome(), BatchOutcome::abandoned);
}

TEST_F(ShardTest, counts_with_the_null_committer) {
  start({}, std::make_unique<NullCommitter>(), 0);
  const Batch* batch = send(100);
  ASSERT_EQ(take_returned(1).size(), 1U);
  EXPECT_EQ(batch->outcome(), BatchOutcome::committed);
  EXPECT_EQ(shard_->stats().rows_committed.value(), 100U);
  EXPECT_EQ(board_->at(0, shard_index).committed.load(), 1U);
  EXPECT_EQ(board_->at(0, shard_index).flushed.load(), 1U);
  EXPECT_GT(shard_->stats().bytes_committed.value(), 100U * 50U);
}

}  // namespace
}  // namespace wellhead
