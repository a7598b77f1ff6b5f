#include "net/timer_wheel.hpp"

#include <algorithm>

namespace wellhead {

TimerWheel::TimerWheel(std::int64_t now_ns) : current_tick_(now_ns / tick_ns) {
  heads_.fill(none);
}

void TimerWheel::set(std::uint32_t slot, std::int64_t deadline_ns) {
  if (slot >= entries_.size()) entries_.resize(slot + 1);
  clear(slot);
  // Rounded up, and never into a bucket that was passed.
  entries_[slot].tick = std::max(deadline_ns / tick_ns + 1, current_tick_);
  link(slot);
  ++set_count_;
}

void TimerWheel::clear(std::uint32_t slot) {
  if (slot >= entries_.size() || entries_[slot].bucket == none) return;
  Entry& entry = entries_[slot];
  if (entry.previous == none)
    heads_[entry.bucket] = entry.next;
  else
    entries_[entry.previous].next = entry.next;
  if (entry.next != none) entries_[entry.next].previous = entry.previous;
  entry.bucket = none;
  --set_count_;
}

void TimerWheel::link(std::uint32_t slot) {
  Entry& entry = entries_[slot];
  const std::int64_t tick = std::min(entry.tick, current_tick_ + horizon_ticks);
  entry.bucket = static_cast<std::uint32_t>(tick % bucket_count);
  entry.previous = none;
  entry.next = heads_[entry.bucket];
  if (entry.next != none) entries_[entry.next].previous = slot;
  heads_[entry.bucket] = slot;
}

std::uint32_t TimerWheel::next_due(std::int64_t now_tick) {
  while (current_tick_ <= now_tick) {
    const auto bucket = static_cast<std::uint32_t>(current_tick_ % bucket_count);
    const std::uint32_t slot = heads_[bucket];
    if (slot == none) {
      current_tick_ = set_count_ == 0 ? now_tick + 1 : current_tick_ + 1;
      continue;
    }
    const std::int64_t tick = entries_[slot].tick;
    clear(slot);
    if (tick <= now_tick) return slot;
    // Not due: the horizon parked it here. Linked as of the next tick it lands in another bucket
    // (horizon_ticks).
    ++current_tick_;
    link(slot);
    --current_tick_;
    ++set_count_;
  }
  return none;
}

std::int64_t TimerWheel::sleep_ns(std::int64_t now_ns) const {
  constexpr std::int64_t idle_ns = 1'000'000'000;
  if (set_count_ == 0) return idle_ns;
  for (std::int64_t ahead = 0; ahead < bucket_count; ++ahead) {
    const std::int64_t tick = current_tick_ + ahead;
    if (heads_[static_cast<std::size_t>(tick % bucket_count)] != none)
      return std::clamp(tick * tick_ns - now_ns, std::int64_t{0}, idle_ns);
  }
  return idle_ns;
}

}  // namespace wellhead
