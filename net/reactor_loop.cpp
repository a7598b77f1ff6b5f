#include "net/reactor_loop.hpp"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "net/feature_probe.hpp"

namespace wellhead {
namespace {

constexpr unsigned submission_entries = 4'096;
// A connection has a receive, a send and two cancellations in flight at most; receives take a buffer for each
// completion but the last.
constexpr unsigned completions_per_connection = 4;
// What the kernel allows (IORING_MAX_CQ_ENTRIES is twice this); beyond it the kernel keeps completions aside.
constexpr unsigned completion_entries_max = 65'536;
// While the intake owes outcomes to a stop, and while accepting failed, the loop looks this often.
constexpr std::int64_t short_sleep_ns = 20'000'000;
// After the deadline the kernel gets this long to give back what is in flight.
constexpr std::chrono::milliseconds abort_timeout{1'000};

std::int64_t steady_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void clear_event(int fd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(fd, &count, sizeof count);
}

std::uint64_t whole_pages(std::uint64_t bytes) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

RingEntries ring_entries(const NetLimits& limits) noexcept {
  const std::uint64_t wanted =
      std::uint64_t{completions_per_connection} * limits.connections_max + limits.receive_buffers;
  // The kernel refuses a ring with fewer completions than submissions.
  const auto completions = static_cast<unsigned>(
      std::clamp<std::uint64_t>(std::bit_ceil(wanted), submission_entries, completion_entries_max));
  return {submission_entries, completions};
}

std::uint64_t ring_locked_bytes(const NetLimits& limits) noexcept {
  const auto [submissions, completions] = ring_entries(limits);
  // The heads, tails and flags before the completions, and behind them an index for each submission.
  constexpr std::uint64_t header_bytes = 512;
  return whole_pages(header_bytes + completions * sizeof(io_uring_cqe) +
                     submissions * sizeof(std::uint32_t)) +
         whole_pages(submissions * sizeof(io_uring_sqe)) +
         whole_pages(std::uint64_t{limits.receive_buffers} * sizeof(io_uring_buf));
}

const std::array<ReactorLoop::Poller, 8> ReactorLoop::pollers{{
    {.name = "completions", .run = &ReactorLoop::poll_completions},
    {.name = "commands", .run = &ReactorLoop::poll_commands},
    {.name = "journal result", .run = &ReactorLoop::poll_journal_result},
    {.name = "intake", .run = &ReactorLoop::poll_intake},
    {.name = "journal", .run = &ReactorLoop::poll_journal},
    {.name = "deadlines", .run = &ReactorLoop::poll_deadlines},
    {.name = "accepts", .run = &ReactorLoop::poll_accepts},
    {.name = "connections", .run = &ReactorLoop::poll_connections},
}};

std::expected<std::unique_ptr<ReactorLoop>, std::string> ReactorLoop::create(const ReactorLoopParts& parts) {
  const NetLimits& limits = parts.options.limits;
  const RingEntries entries = ring_entries(limits);
  auto ring = Ring::create(entries.submissions, entries.completions);
  if (!ring) return std::unexpected(ring.error());
  auto buffers = BufferRing::create(**ring, limits.receive_buffers, limits.receive_buffer_bytes);
  if (!buffers) return std::unexpected(buffers.error());
  const auto features = probe_features(**ring, BufferRing::group);
  if (!features) return std::unexpected(features.error());
  if (!features->multishot_accept)
    log::info("This kernel's multishot accept does not work; connections are accepted one at a time.");
  return std::unique_ptr<ReactorLoop>(
      new ReactorLoop(parts, std::move(*ring), std::move(*buffers), features->multishot_accept));
}

ReactorLoop::ReactorLoop(const ReactorLoopParts& parts, std::unique_ptr<Ring> ring,
                         std::unique_ptr<BufferRing> buffers, bool multishot_accept)
    : parts_(parts),
      ring_(std::move(ring)),
      buffers_(std::move(buffers)),
      context_(parts.options, parts.intake, parts.clock, parts.stats),
      connections_(*ring_, *buffers_, context_, parts.options.listeners),
      acceptor_(*ring_, connections_, context_, parts.listeners, multishot_accept) {
  if (parts_.intake != nullptr)
    parts_.intake->describe_sources([this](ConnectionId id) { return connections_.describe(id); });
}

ReactorLoop::~ReactorLoop() = default;

void ReactorLoop::run() {
  ring_->watch(parts_.command_fd, {.operation = Operation::command});
  if (parts_.intake != nullptr) ring_->watch(parts_.intake->wake_fd(), {.operation = Operation::wake});
  acceptor_.start();
  while (!stopped()) turn();
  abort_rest();
}

void ReactorLoop::turn() {
  parts_.stats.loop_turns.add();
  context_.now_ns = parts_.clock.monotonic_ns();
  std::size_t work = 0;
  for (const Poller& poller : pollers) {
    // Completions are what the ring was waited for; only what else was done is a reason to look again at
    // once.
    const std::size_t done = (this->*poller.run)();
    if (poller.run != &ReactorLoop::poll_completions) work += done;
  }
  sleep(work > 0);
}

void ReactorLoop::sleep(bool worked) {
  if (worked || stopped()) {
    ring_->poll();
    return;
  }
  if (parts_.intake == nullptr) {
    ring_->wait(std::chrono::nanoseconds(sleep_ns()));
  } else if (parts_.intake->prepare_sleep()) {
    ring_->wait(std::chrono::nanoseconds(sleep_ns()));
    parts_.intake->finish_sleep();
  } else {
    ring_->poll();
  }
}

std::int64_t ReactorLoop::sleep_ns() const {
  std::int64_t until = connections_.sleep_ns();
  if (parts_.intake != nullptr) until = std::min(until, std::int64_t{parts_.intake->sleep_max().count()});
  return context_.stopping || acceptor_.retrying() ? std::min(until, short_sleep_ns) : until;
}

// --- pollers ---

std::size_t ReactorLoop::poll_completions() {
  return ring_->drain([this](const Completion& completion) { on_completion(completion); });
}

void ReactorLoop::on_completion(const Completion& completion) {
  switch (completion.tag.operation) {
    case Operation::accept:
    case Operation::cancel_accept:
      acceptor_.on_completion(completion);
      break;
    case Operation::receive:
    case Operation::send:
    case Operation::cancel:
    case Operation::cancel_receive:
      connections_.on_completion(completion);
      break;
    case Operation::wake:
    case Operation::command:
    case Operation::journal:
      keep_watch(completion);
      break;
    case Operation::probe:
    case Operation::probe_end:
      break;
  }
}

// The turn itself looks at what the descriptor tells of. (The intake and the journal's thread clear their
// own.)
void ReactorLoop::keep_watch(const Completion& completion) {
  const Operation operation = completion.tag.operation;
  if (operation == Operation::command) clear_event(parts_.command_fd);
  if (completion.more()) return;
  const int fd = operation == Operation::command ? parts_.command_fd
                 : operation == Operation::wake  ? parts_.intake->wake_fd()
                                                 : journal_thread_->done_fd();
  ring_->watch(fd, completion.tag);
}

std::size_t ReactorLoop::poll_commands() {
  std::size_t work = 0;
  if (parts_.commands.journal_reopen.load() && parts_.commands.journal_reopen.exchange(false) &&
      parts_.intake != nullptr) {
    parts_.intake->reopen_journal();
    ++work;
  }
  if (!context_.stopping && parts_.commands.stop.load()) {
    begin_stop();
    ++work;
  }
  return work;
}

// Before the intake's turn, which answers whoever the block was waited for by.
std::size_t ReactorLoop::poll_journal_result() {
  if (!journal_operation_) return 0;
  const std::optional<std::int64_t> result = journal_thread_->take_result();
  if (!result) return 0;
  // Neither says anything about the disk: nothing was done, and the same is to be asked again.
  if (*result == -EINTR || *result == -EAGAIN) {
    journal_thread_->begin(*journal_operation_);
    return 1;
  }
  journal_operation_.reset();
  parts_.intake->on_journal_completion(*result);
  return 1;
}

std::size_t ReactorLoop::poll_intake() {
  return parts_.intake == nullptr ? 0 : parts_.intake->turn(*this);
}

// After the intake's turn, so that what it began is on its way while the loop goes on.
std::size_t ReactorLoop::poll_journal() {
  if (parts_.intake == nullptr || journal_operation_) return 0;
  journal_operation_ = parts_.intake->journal_operation();
  if (journal_operation_) begin_journal_operation();
  return 0;  // its end wakes the loop
}

void ReactorLoop::begin_journal_operation() {
  if (!journal_thread_) {
    journal_thread_.emplace("journal-" + std::to_string(parts_.options.index));
    ring_->watch(journal_thread_->done_fd(), {.operation = Operation::journal});
  }
  journal_thread_->begin(*journal_operation_);
}

std::size_t ReactorLoop::poll_deadlines() {
  return connections_.expire_deadlines();
}

std::size_t ReactorLoop::poll_accepts() {
  return acceptor_.retry();
}

std::size_t ReactorLoop::poll_connections() {
  return connections_.tidy();
}

void ReactorLoop::on_request_done(ConnectionId connection, const RequestOutcome& outcome) {
  connections_.on_outcome(connection, outcome);
}

void ReactorLoop::on_capacity() {
  connections_.on_capacity();
}

// --- the end ---

void ReactorLoop::begin_stop() {
  context_.stopping = true;
  if (parts_.intake != nullptr) parts_.intake->begin_stop();
  acceptor_.stop();
  connections_.stop();
}

// Outcomes are waited for even when nobody is left to be told: they are counted, and batches come home. A
// block on its way belongs to a request whose outcome is waited for.
bool ReactorLoop::stopped() const {
  if (!context_.stopping) return false;
  const bool drained = connections_.open_count() == 0 && acceptor_.idle() &&
                       (parts_.intake == nullptr || parts_.intake->pending() == 0);
  return drained || steady_ns() >= parts_.commands.stop_deadline_ns.load();
}

// What is left at the deadline is dropped; the memory the kernel may still write to is kept until it says it
// is done.
void ReactorLoop::abort_rest() {
  connections_.drop_all();
  const std::int64_t give_up_ns = steady_ns() + std::chrono::nanoseconds(abort_timeout).count();
  const auto in_flight = [this] {
    return connections_.open_count() > 0 || !acceptor_.idle() || journal_operation_;
  };
  while (in_flight() && steady_ns() < give_up_ns) {
    (void)connections_.tidy();
    ring_->wait(std::chrono::nanoseconds(short_sleep_ns));
    (void)poll_completions();
    (void)poll_journal_result();
  }
}

}  // namespace wellhead
