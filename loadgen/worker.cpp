#include "loadgen/worker.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <span>

#include "base/assert.hpp"
#include "loadgen/http_connection.hpp"
#include "loadgen/ndjson_connection.hpp"
#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::size_t receive_buffer_bytes = 64 << 10;
constexpr std::size_t events_per_turn_max = 256;
// The longest sleep: an interrupt, a timeout or another worker's stop is noticed within it.
constexpr std::int64_t sleep_ns_max = 50'000'000;

}  // namespace

Worker::Worker(const Parts& parts, std::uint32_t connections)
    : schedule_(parts.schedule),
      timeout_ns_(seconds_to_ns(parts.options.timeout_s)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      ledger_(parts.outcomes, !parts.workload.knows_bad_records()),
      writer_(parts.options, parts.target, parts.workload),
      receive_buffer_(receive_buffer_bytes),
      in_roomy_(connections),
      in_sleeping_(connections) {
  WELLHEAD_ASSERT(epoll_);
  const ConnectionContext context{.target = parts.target,
                                  .ledger = ledger_,
                                  .pool = pool_,
                                  .replies = replies_,
                                  .receive_buffer = receive_buffer_,
                                  .epoll_fd = epoll_.get(),
                                  .retry = parts.options.retry};
  for (std::uint32_t index = 0; index < connections; ++index) {
    if (parts.target.transport == Transport::http) {
      connections_.push_back(std::make_unique<HttpConnection>(context, index));
    } else {
      connections_.push_back(std::make_unique<NdjsonConnection>(context, parts.options.window, index));
    }
  }
}

std::expected<void, std::string> Worker::connect(std::int64_t deadline_ns) {
  for (std::uint32_t index = 0; index < connections_.size(); ++index) {
    if (auto connected = connections_[index]->connect_blocking(deadline_ns); !connected) return connected;
    refresh(index);
  }
  return {};
}

void Worker::run() {
  std::int64_t now_ns = monotonic_now_ns();
  progress_ns_ = now_ns;
  while (!finished(now_ns)) {
    wake_sleepers(now_ns);
    const bool more_to_fill = fill(now_ns);
    wait(more_to_fill, now_ns);
    now_ns = monotonic_now_ns();
  }
}

bool Worker::fill(std::int64_t now_ns) {
  for (std::uint32_t filled = 0; filled < fills_per_turn_max; ++filled) {
    while (!roomy_.empty() && !connections_[roomy_.front()]->has_room()) {
      in_roomy_[roomy_.front()] = false;
      roomy_.pop_front();
    }
    if (roomy_.empty()) return false;
    const std::optional<Claim> claim = schedule_.claim(now_ns);
    if (!claim) return false;
    const std::uint32_t index = roomy_.front();
    roomy_.pop_front();
    in_roomy_[index] = false;
    std::unique_ptr<Batch> batch = pool_.take();
    writer_.fill(*batch, *claim);
    connections_[index]->submit(std::move(batch), monotonic_now_ns());
    refresh(index);
  }
  return true;
}

void Worker::refresh(std::uint32_t index) {
  const Connection& connection = *connections_[index];
  if (connection.has_room() && !in_roomy_[index]) {
    in_roomy_[index] = true;
    roomy_.push_back(index);
  }
  if (connection.wake_ns() != Schedule::never_ns && !in_sleeping_[index]) {
    in_sleeping_[index] = true;
    sleeping_.push_back(index);
  }
}

void Worker::wake_sleepers(std::int64_t now_ns) {
  for (std::size_t position = 0; position < sleeping_.size();) {
    const std::uint32_t index = sleeping_[position];
    if (connections_[index]->wake_ns() > now_ns && connections_[index]->wake_ns() != Schedule::never_ns) {
      ++position;
      continue;
    }
    sleeping_[position] = sleeping_.back();
    sleeping_.pop_back();
    in_sleeping_[index] = false;
    connections_[index]->on_wake(now_ns);
    refresh(index);
  }
}

void Worker::wait(bool more_to_fill, std::int64_t now_ns) {
  std::int64_t until_ns = now_ns + sleep_ns_max;
  if (!roomy_.empty()) until_ns = std::min(until_ns, schedule_.next_due_ns());
  for (const std::uint32_t index : sleeping_) until_ns = std::min(until_ns, connections_[index]->wake_ns());
  const std::int64_t left_ns = more_to_fill ? 0 : std::max<std::int64_t>(0, until_ns - monotonic_now_ns());
  const timespec timeout{.tv_sec = left_ns / 1'000'000'000, .tv_nsec = left_ns % 1'000'000'000};
  std::array<epoll_event, events_per_turn_max> events;
  const int count = epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
  if (count <= 0) return;
  const std::int64_t woken_ns = monotonic_now_ns();
  for (const epoll_event& event : std::span(events.data(), static_cast<std::size_t>(count))) {
    connections_[event.data.u32]->on_events(event.events, woken_ns);
    refresh(event.data.u32);
  }
}

std::size_t Worker::outstanding() const {
  std::size_t count = 0;
  for (const auto& connection : connections_) count += connection->outstanding();
  return count;
}

void Worker::note_progress(std::int64_t now_ns) {
  const bool nothing_due = schedule_.next_due_ns() > now_ns && outstanding() == 0;
  progress_ns_ = nothing_due ? now_ns : std::max(progress_ns_, ledger_.last_answer_ns());
}

std::int64_t Worker::open_loop_end_ns() const {
  if (schedule_.planned_s() <= 0) return Schedule::never_ns;
  return schedule_.start_ns() + seconds_to_ns(schedule_.planned_s()) + timeout_ns_;
}

// Every way to wait has an end: for the schedule (its planned end and the timeout), for an answer while there
// is something to be answered (the timeout since the last one), and for the stragglers behind the last batch
// (the timeout again).
bool Worker::finished(std::int64_t now_ns) {
  if (now_ns > open_loop_end_ns()) schedule_.stop();
  const bool exhausted = schedule_.exhausted(now_ns);
  if (exhausted && exhausted_ns_ == 0) exhausted_ns_ = now_ns;
  if (exhausted && outstanding() == 0) return true;
  note_progress(now_ns);
  const bool silent = now_ns - progress_ns_ > timeout_ns_;
  const bool stragglers_late = exhausted && now_ns - exhausted_ns_ > timeout_ns_;
  if (!silent && !stragglers_late) return false;
  give_up(now_ns);
  return true;
}

void Worker::give_up(std::int64_t now_ns) {
  gave_up_ = true;
  schedule_.stop();
  for (auto& connection : connections_) connection->abandon(now_ns);
}

}  // namespace wellhead::loadgen
