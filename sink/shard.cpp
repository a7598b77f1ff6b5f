#include "sink/shard.hpp"

#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>

#include "base/assert.hpp"
#include "base/log.hpp"

namespace wellhead {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr nanoseconds never = nanoseconds::max();
// A deadline may be any time, one that a clock cannot add up to as well.
constexpr nanoseconds join_slice = std::chrono::minutes{1};

std::uint64_t backoff_seed(std::uint32_t index, const Clock& clock) {
  return static_cast<std::uint64_t>(clock.wall_us()) * 31 + index;
}

void poll_for(int fd, nanoseconds longest) {
  constexpr std::int64_t nanoseconds_per_second = 1'000'000'000;
  const std::int64_t wait = std::max<std::int64_t>(0, longest.count());
  const timespec timeout{wait / nanoseconds_per_second, wait % nanoseconds_per_second};
  pollfd watched{fd, POLLIN, 0};
  // EINTR and a wake-up are the same to the caller: it looks at everything again.
  const int ready = ppoll(&watched, 1, &timeout, nullptr);
  WELLHEAD_ASSERT(ready >= 0 || errno == EINTR);
}

}  // namespace

const char* to_string(ShardState state) noexcept {
  switch (state) {
    case ShardState::starting:
      return "starting";
    case ShardState::ready:
      return "ready";
    case ShardState::disconnected:
      return "disconnected";
    case ShardState::blocked:
      return "blocked";
    case ShardState::stopped:
      return "stopped";
  }
  return "unknown";
}

Shard::Shard(std::uint32_t index, FlushOptions options, std::unique_ptr<Committer> committer,
             std::span<Mailbox* const> returns, const Clock& clock, int cpu)
    : index_(index),
      options_(options),
      committer_(std::move(committer)),
      returns_(returns.begin(), returns.end()),
      clock_(clock),
      cpu_(cpu),
      deadline_ns_(std::numeric_limits<std::int64_t>::max()),
      backoff_(backoff_seed(index, clock)) {
  senders_.reserve(returns_.size());
  for (Mailbox* mailbox : returns_) senders_.emplace_back(*mailbox);
  committer_->attach(stats_);
}

Shard::~Shard() {
  if (!thread_.joinable()) return;
  request_stop(steady_clock::now());
  join();
}

void Shard::start() {
  WELLHEAD_ASSERT(!thread_.joinable());
  thread_ = std::thread([this] { run(); });
}

void Shard::request_stop(steady_clock::time_point deadline) {
  const std::int64_t wanted = nanoseconds(deadline.time_since_epoch()).count();
  std::int64_t current = deadline_ns_.load();
  while (wanted < current && !deadline_ns_.compare_exchange_weak(current, wanted)) {
  }
  stop_requested_.store(true, std::memory_order_release);
  {
    // Under the lock, or a join() between its look at the deadline and its wait would miss this.
    const std::lock_guard lock(finished_mutex_);
    finished_changed_.notify_all();
  }
  mailbox_.wake();
}

void Shard::join() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(finished_mutex_);
    while (!finished_) {
      if (!stop_requested()) {
        finished_changed_.wait(lock);
        continue;
      }
      const nanoseconds left = until_deadline();
      if (left <= nanoseconds::zero()) break;
      finished_changed_.wait_for(lock, std::min(left, join_slice));
    }
  }
  give_up_.store(true, std::memory_order_release);
  mailbox_.wake();
  thread_.join();
}

std::string Shard::problem() const {
  const std::lock_guard lock(problem_mutex_);
  return problem_;
}

nanoseconds Shard::until_deadline() const noexcept {
  const std::int64_t deadline = deadline_ns_.load();
  return nanoseconds(deadline - nanoseconds(steady_clock::now().time_since_epoch()).count());
}

void Shard::set_up_thread() const {
  const std::string name = "shard-" + std::to_string(index_);
  pthread_setname_np(pthread_self(), name.c_str());
  if (cpu_ < 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(cpu_), &cpus);
  if (const int error = pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus); error != 0)
    log::warning(
        "a shard's thread cannot be pinned to its processor and runs unpinned: choose a processor this "
        "process may use",
        {{"shard", index_}, {"cpu", cpu_}, {"errno", error}});
}

void Shard::run() {
  set_up_thread();
  mailbox_empty_ = now();
  for (;;) {
    gather();
    if (stop_requested()) {
      if (flush_.empty()) break;
      if (until_deadline() <= nanoseconds::zero() || give_up_.load(std::memory_order_acquire)) break;
    }
    if (!prepared_ && now() >= retry_at_) try_prepare();
    if (prepared_ && flush_due()) {
      try_commit();
      continue;
    }
    if (prepared_ && flush_.empty() && now() >= idle_check_at_) check_idle();
    sleep();
  }
  abandon_rest();
  change_state(ShardState::stopped, "");
  const std::lock_guard lock(finished_mutex_);
  finished_ = true;
  finished_changed_.notify_all();
}

bool Shard::flush_full() const noexcept {
  return tried_ || flush_rows_ >= options_.rows_max || flush_bytes_ >= options_.bytes_max;
}

void Shard::gather() {
  while (!flush_full()) {
    Batch* batch = nullptr;
    if (mailbox_.take(std::span(&batch, 1)) == 0) {
      mailbox_empty_ = now();
      return;
    }
    // What is found after a commit has waited since some moment of it; the linger counts from its beginning.
    if (flush_.empty()) flush_since_ = mailbox_empty_;
    flush_.push_back(batch);
    flush_rows_ += batch->row_count();
    flush_bytes_ += batch->bytes();
  }
}

bool Shard::flush_due() const noexcept {
  if (flush_.empty()) return false;
  if (tried_) return now() >= retry_at_;
  return flush_full() || stop_requested() || now() >= flush_since_ + options_.linger;
}

void Shard::try_prepare() {
  ShardState state = ShardState::disconnected;
  std::string problem;
  if (!committer_->prepare(give_up_, state, problem)) {
    fail(state, std::move(problem));
    return;
  }
  prepared_ = true;
  idle_check_at_ = now() + idle_interval;
  // A flush that failed says more than a connection that could be made: not ready before it is through.
  if (tried_) return;
  backoff_.reset();
  change_state(ShardState::ready, "");
}

void Shard::try_commit() {
  tried_ = true;
  std::string problem;
  const FlushOutcome outcome = committer_->commit(flush_, give_up_, problem);
  if (outcome != FlushOutcome::committed) {
    stats_.flushes_retried.add();
    fail(outcome == FlushOutcome::blocked ? ShardState::blocked : ShardState::disconnected,
         std::move(problem));
    return;
  }
  count_flush(now());
  finish_flush(BatchOutcome::committed);
  backoff_.reset();
  retry_at_ = TimePoint{0};
  idle_check_at_ = now() + idle_interval;
  if (state() != ShardState::ready) change_state(ShardState::ready, "");
}

void Shard::check_idle() {
  idle_check_at_ = now() + idle_interval;
  if (committer_->idle_check()) return;
  prepared_ = false;
  retry_at_ = now();  // at once: the connection may have been the only thing that went
}

void Shard::count_flush(TimePoint done) {
  std::uint64_t refused = 0;
  for (Batch* batch : flush_) refused += batch->refused().size();
  stats_.rows_committed.add(flush_rows_ - refused);
  stats_.rows_refused.add(refused);
  stats_.flushes.add();
  stats_.flush_rows.record(flush_rows_);
  stats_.flush_us.record(
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, (done - flush_since_).count() / 1'000)));
}

void Shard::finish_flush(BatchOutcome outcome) {
  for (Batch* batch : flush_) {
    WELLHEAD_ASSERT(batch->reactor() < senders_.size());
    batch->set_outcome(outcome);
    senders_[batch->reactor()].send(batch);
  }
  flush_.clear();
  flush_rows_ = 0;
  flush_bytes_ = 0;
  tried_ = false;
}

void Shard::abandon_rest() {
  std::uint64_t rows = 0;
  for (;;) {
    tried_ = false;
    gather();
    if (flush_.empty()) break;
    rows += flush_rows_;
    finish_flush(BatchOutcome::abandoned);
  }
  if (rows == 0) return;
  stats_.rows_abandoned.add(rows);
  log::warning(
      "stopped before all rows were committed; they were not acknowledged, and their senders must send them "
      "again",
      {{"shard", index_}, {"rows", rows}});
}

void Shard::fail(ShardState state, std::string problem) {
  prepared_ = false;
  retry_at_ = now() + backoff_.next(state == ShardState::blocked ? blocked_backoff : disconnected_backoff);
  change_state(state, std::move(problem));
}

void Shard::change_state(ShardState state, std::string problem) {
  {
    const std::lock_guard lock(problem_mutex_);
    if (state_.load(std::memory_order_relaxed) == state && problem_ == problem) return;
    problem_ = problem;
  }
  state_.store(state, std::memory_order_release);
  if (state == ShardState::blocked)
    log::error(
        "the database refuses this shard's rows; nothing is lost, nothing is stored until this is put right",
        {{"shard", index_}, {"problem", problem}});
  else if (state == ShardState::disconnected)
    log::warning("this shard cannot commit now; nothing is lost, it tries again by itself",
                 {{"shard", index_}, {"problem", problem}});
  else
    log::info("a shard changed its state", {{"shard", index_}, {"state", to_string(state)}});
  for (Mailbox* mailbox : returns_) mailbox->wake();
}

nanoseconds Shard::time_to_next_event() const noexcept {
  const TimePoint at = now();
  nanoseconds next = never;
  if (!prepared_ || tried_) next = std::min(next, retry_at_ - at);
  if (prepared_ && flush_.empty()) next = std::min(next, idle_check_at_ - at);
  if (prepared_ && !flush_.empty() && !tried_) next = std::min(next, flush_since_ + options_.linger - at);
  if (stop_requested()) next = std::min(next, until_deadline());
  return next;
}

void Shard::sleep() {
  const nanoseconds longest = time_to_next_event();
  // With a full flush more batches change nothing: only request_stop() shall wake, and it always writes.
  if (!flush_full() && !mailbox_.prepare_sleep()) return;
  poll_for(mailbox_.wake_fd(), longest);
  // What woke the thread arrived just now.
  mailbox_empty_ = now();
  mailbox_.finish_sleep();
}

}  // namespace wellhead
