#include "loadgen/schedule.hpp"

#include <algorithm>
#include <cmath>

namespace wellhead::loadgen {
namespace {

constexpr double ns_per_s = 1e9;

}  // namespace

bool Schedule::past_end(std::int64_t now_ns) const noexcept {
  if (stopped_.load(std::memory_order_relaxed)) return true;
  return !open_loop_ && duration_ns_ != never_ns && now_ns - start_ns_ >= duration_ns_;
}

std::optional<Claim> Schedule::claim(std::int64_t now_ns) noexcept {
  if (past_end(now_ns)) return std::nullopt;
  std::uint64_t batch = next_batch_.load(std::memory_order_relaxed);
  while (batch < batches()) {
    const std::int64_t due_ns = open_loop_ ? start_ns_ + due_offset_ns(batch) : now_ns;
    if (due_ns > now_ns) return std::nullopt;
    if (next_batch_.compare_exchange_weak(batch, batch + 1, std::memory_order_relaxed)) {
      return Claim{.range = range(batch), .due_ns = due_ns};
    }
  }
  return std::nullopt;
}

std::int64_t Schedule::next_due_ns() const noexcept {
  const std::uint64_t batch = next_batch_.load(std::memory_order_relaxed);
  if (batch >= batches()) return never_ns;
  return open_loop_ ? start_ns_ + due_offset_ns(batch) : start_ns_;
}

bool Schedule::exhausted(std::int64_t now_ns) const noexcept {
  return past_end(now_ns) || next_batch_.load(std::memory_order_relaxed) >= batches();
}

std::uint64_t SteadySchedule::batches() const noexcept {
  if (plan_.records == unlimited) return unlimited;
  return (plan_.records + plan_.batch - 1) / plan_.batch;
}

RecordRange SteadySchedule::range(std::uint64_t batch) const noexcept {
  const std::uint64_t first = batch * plan_.batch;
  const std::uint64_t left = plan_.records - first;
  return {.first = first, .count = static_cast<std::uint32_t>(std::min<std::uint64_t>(plan_.batch, left))};
}

std::int64_t SteadySchedule::due_offset_ns(std::uint64_t batch) const noexcept {
  const double seconds = static_cast<double>(batch) * static_cast<double>(plan_.batch) / plan_.rate;
  return static_cast<std::int64_t>(seconds * ns_per_s);
}

double SteadySchedule::planned_s() const noexcept {
  if (!plan_.open_loop || plan_.records == unlimited) return 0;
  return static_cast<double>(plan_.records) / plan_.rate;
}

RecordedSchedule::RecordedSchedule(std::vector<Entry> entries, bool open_loop)
    : Schedule(open_loop, never_ns), entries_(std::move(entries)), paced_(open_loop) {
  for (const Entry& entry : entries_) records_ += entry.range.count;
}

double RecordedSchedule::planned_s() const noexcept {
  if (!paced_ || entries_.empty()) return 0;
  return static_cast<double>(entries_.back().due_offset_ns) / ns_per_s;
}

double RecordedSchedule::target_rate() const noexcept {
  const double seconds = planned_s();
  return seconds > 0 ? static_cast<double>(records_) / seconds : 0;
}

}  // namespace wellhead::loadgen
