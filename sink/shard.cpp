#include "sink/shard.hpp"

#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
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
constexpr std::size_t receive_burst = 64;
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

Shard::Shard(std::uint32_t index, FlushOptions options, std::unique_ptr<Committer> committer,
             std::span<Mailbox* const> returns, const Clock& clock, int cpu, LaneBoard& board,
             Journal* journal, StreamMaps maps, RefusedRows* refused)
    : index_(index),
      options_(options),
      committer_(std::move(committer)),
      returns_(returns.begin(), returns.end()),
      clock_(clock),
      cpu_(cpu),
      journaled_(journal != nullptr),
      deadline_ns_(std::numeric_limits<std::int64_t>::max()),
      lanes_(index, options, board, journal, std::move(maps), stats_, refused),
      mailbox_empty_(now()),
      backoff_(backoff_seed(index, clock)) {
  WELLHEAD_ASSERT(journal == nullptr || journal->epoch() == board.epoch());
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

steady_clock::time_point Shard::deadline() const noexcept {
  return steady_clock::time_point(nanoseconds(deadline_ns_.load()));
}

nanoseconds Shard::until_deadline() const noexcept {
  return deadline() - steady_clock::now();
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
    const ShardStep done = step();
    if (done.work == ShardWork::stopped) break;
    if (done.wait > nanoseconds::zero()) sleep(done.wait);
  }
  const std::lock_guard lock(finished_mutex_);
  finished_ = true;
  finished_changed_.notify_all();
}

ShardStep Shard::step() {
  receive();
  if (stop_requested() && stop_now()) {
    if (prepared_) committer_->finish(deadline(), give_up_);
    abandon_rest();
    change_state(ShardState::stopped, "");
    return {ShardWork::stopped, never};
  }
  const ShardWork done = work();
  stats_.lag.set(static_cast<std::int64_t>(lanes_.lag()));
  const bool again = done != ShardWork::nothing && done != ShardWork::failed;
  return {done, again ? nanoseconds::zero() : std::max(nanoseconds::zero(), time_to_next_event())};
}

// A batch that is durable by observe() and is not in the mailbox behind it was left out by its reactor.
void Shard::receive() {
  lanes_.observe();
  std::array<Batch*, receive_burst> batches;
  while (const std::size_t count = mailbox_.take(batches))
    for (Batch* batch : std::span(batches).first(count)) lanes_.arrive(batch, mailbox_empty_);
  lanes_.release_late(done_);
  give_back_done();
  // What is found after a commit has waited since some moment of it; the linger counts from its beginning.
  mailbox_empty_ = now();
}

ShardWork Shard::work() {
  if (!prepared_) return now() >= retry_at_ ? try_prepare() : ShardWork::nothing;
  // When stopping, what is not in memory stays in the journal.
  if (auto gathered = lanes_.gather(!stop_requested(), now()); !gathered) {
    failing_ = true;
    return fail(ShardState::blocked, std::move(gathered.error()));
  }
  if (flush_due()) return try_commit();
  if (!lanes_.draft().empty()) return ShardWork::nothing;
  if (synchronization_due()) return try_synchronize();
  if (now() >= idle_check_at_) check_idle();
  return ShardWork::nothing;
}

bool Shard::stop_now() const noexcept {
  if (until_deadline() <= nanoseconds::zero() || give_up_.load(std::memory_order_acquire)) return true;
  return !lanes_.memory_waits() && !(prepared_ && lanes_.unflushed());
}

bool Shard::synchronization_due() const noexcept {
  return lanes_.unflushed() && (stop_requested() || now() >= unflushed_since_ + options_.flush_interval);
}

bool Shard::flush_due() const noexcept {
  const FlushDraft& draft = lanes_.draft();
  if (draft.empty()) return false;
  return failing_ || draft.replayed || lanes_.draft_full() || stop_requested() ||
         now() >= draft.since + options_.linger;
}

ShardWork Shard::try_prepare() {
  ShardState state = ShardState::disconnected;
  std::string problem;
  if (!committer_->prepare(lanes_.progress(), give_up_, state, problem))
    return fail(state, std::move(problem));
  std::optional<FlushSize> resolved;
  if (auto adopted = lanes_.adopt(done_, resolved); !adopted)
    return fail(ShardState::blocked, std::move(adopted.error()));
  if (resolved) {
    stats_.bytes_committed.add(doubtful_bytes_);
    count_flush(*resolved);
    failing_ = false;
  }
  give_back_done();
  prepared_ = true;
  idle_check_at_ = now() + idle_interval;
  // A flush that failed says more than a connection that could be made: not ready before one is through.
  if (failing_) return ShardWork::connected;
  backoff_.reset();
  change_state(ShardState::ready, "");
  return ShardWork::connected;
}

ShardWork Shard::try_commit() {
  const bool durable = synchronization_due();
  FlushReport report = committer_->commit(lanes_.order(durable), give_up_);
  if (report.outcome == FlushOutcome::committed) {
    stats_.bytes_committed.add(report.copied_bytes);
    if (!lanes_.unflushed()) unflushed_since_ = now();
    count_flush(lanes_.settle(done_));
    note_commit(durable);
    give_back_done();
    return ShardWork::committed;
  }
  failing_ = true;
  stats_.flushes_retried.add();
  doubtful_bytes_ = report.copied_bytes;
  if (report.outcome == FlushOutcome::unknown)
    lanes_.doubt();
  else
    lanes_.put_back();
  return fail(report.outcome == FlushOutcome::blocked ? ShardState::blocked : ShardState::disconnected,
              std::move(report.problem));
}

// With nothing to flush, the commits of the last moments would stay in danger for as long as it is quiet.
ShardWork Shard::try_synchronize() {
  FlushReport report = committer_->commit(lanes_.synchronization(), give_up_);
  if (report.outcome != FlushOutcome::committed)
    return fail(report.outcome == FlushOutcome::blocked ? ShardState::blocked : ShardState::disconnected,
                std::move(report.problem));
  note_commit(true);
  return ShardWork::synchronized;
}

void Shard::note_commit(bool durable) {
  if (durable || committer_->always_durable()) {
    lanes_.mark_flushed();
    stats_.synchronous_flushes.add();
  }
  failing_ = false;
  backoff_.reset();
  retry_at_ = ShardTime{0};
  idle_check_at_ = now() + idle_interval;
  if (state() != ShardState::ready) change_state(ShardState::ready, "");
}

void Shard::check_idle() {
  idle_check_at_ = now() + idle_interval;
  if (committer_->idle_check()) return;
  prepared_ = false;
  retry_at_ = now();  // at once: the connection may have been the only thing that went
}

void Shard::count_flush(const FlushSize& size) {
  stats_.flushes.add();
  stats_.flush_rows.record(size.rows);
  stats_.flush_us.record(
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, (now() - size.since).count() / 1'000)));
}

void Shard::give_back_done() {
  for (Batch* batch : done_) {
    WELLHEAD_ASSERT(batch->reactor() < senders_.size() && batch->outcome() != BatchOutcome::none);
    senders_[batch->reactor()].send(batch);
  }
  done_.clear();
}

void Shard::abandon_rest() {
  receive();
  lanes_.surrender(done_);
  std::uint64_t rows = 0;
  for (Batch* batch : done_) {
    rows += batch->row_count();
    batch->set_outcome(BatchOutcome::abandoned);
  }
  give_back_done();
  if (journaled_ && lanes_.lag() > 0)
    log::info("stopped before everything in the journal was committed; it stays there for the next start",
              {{"shard", index_}, {"batches", lanes_.lag()}});
  if (rows == 0 || journaled_) return;
  stats_.rows_abandoned.add(rows);
  log::warning(
      "stopped before all rows were committed; they were not acknowledged, and their senders must send them "
      "again",
      {{"shard", index_}, {"rows", rows}});
}

ShardWork Shard::fail(ShardState state, std::string problem) {
  lanes_.put_back();
  prepared_ = false;
  retry_at_ = now() + backoff_.next(state == ShardState::blocked ? blocked_backoff : disconnected_backoff);
  change_state(state, std::move(problem));
  return ShardWork::failed;
}

void Shard::change_state(ShardState state, std::string problem) {
  {
    const std::lock_guard lock(problem_mutex_);
    if (state_.load(std::memory_order_relaxed) == state && problem_ == problem) return;
    problem_ = problem;
  }
  state_.store(state, std::memory_order_release);
  if (state == ShardState::blocked)
    log::error("this shard stores nothing until this is put right; the rows it was given are kept meanwhile",
               {{"shard", index_}, {"problem", problem}});
  else if (state == ShardState::disconnected)
    log::warning("this shard cannot commit now; nothing is lost, it tries again by itself",
                 {{"shard", index_}, {"problem", problem}});
  else
    log::info("a shard changed its state", {{"shard", index_}, {"state", to_string(state)}});
  for (Mailbox* mailbox : returns_) mailbox->wake();
}

nanoseconds Shard::time_to_next_event() const noexcept {
  const ShardTime at = now();
  nanoseconds next = never;
  if (stop_requested()) next = until_deadline();
  if (!prepared_) return std::min(next, retry_at_ - at);
  const FlushDraft& draft = lanes_.draft();
  if (!draft.empty()) return std::min(next, draft.since + options_.linger - at);
  next = std::min(next, idle_check_at_ - at);
  if (lanes_.unflushed()) next = std::min(next, unflushed_since_ + options_.flush_interval - at);
  return next;
}

void Shard::sleep(nanoseconds longest) {
  if (!mailbox_.prepare_sleep()) return;
  poll_for(mailbox_.wake_fd(), longest);
  // What woke the thread arrived just now.
  mailbox_empty_ = now();
  mailbox_.finish_sleep();
}

}  // namespace wellhead
