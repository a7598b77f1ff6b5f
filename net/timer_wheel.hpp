// One deadline per connection, coarse and cheap: setting, moving and clearing one is O(1) and allocates
// nothing.
//
// A wheel of buckets of `tick` each. A deadline past the wheel's horizon waits in the furthest bucket and is
// put further when that bucket comes round.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace wellhead {

class TimerWheel {
 public:
  static constexpr std::int64_t tick_ns = 10'000'000;
  static constexpr std::uint32_t bucket_count = 1024;  // horizon: 10 s

  explicit TimerWheel(std::int64_t now_ns);

  // Deadlines are in the clock's monotonic nanoseconds; they fire up to one tick late, never early.
  void set(std::uint32_t slot, std::int64_t deadline_ns);
  void clear(std::uint32_t slot);

  // Calls expire(slot) for slots whose deadline has passed, at most `count_max` per call so that a thousand
  // timeouts at once do not hold up a turn; the rest come with the next call. Returns how many. `expire` may
  // call set() and clear().
  template <typename Expire>
  std::size_t advance(std::int64_t now_ns, std::size_t count_max, Expire&& expire) {
    std::size_t count = 0;
    const std::int64_t now_tick = now_ns / tick_ns;
    while (count < count_max) {
      const std::uint32_t slot = next_due(now_tick);
      if (slot == none) break;
      expire(slot);
      ++count;
    }
    return count;
  }

  // How long until a deadline may be due; the caller sleeps no longer.
  [[nodiscard]] std::int64_t sleep_ns(std::int64_t now_ns) const;

 private:
  static constexpr std::uint32_t none = UINT32_MAX;
  // Two less than a round: a deadline that is put further while its bucket is looked at counts from the next
  // tick, and must not come back into the same bucket, or looking would never end.
  static constexpr std::int64_t horizon_ticks = bucket_count - 2;
  struct Entry {
    std::int64_t tick = 0;
    std::uint32_t next = none;
    std::uint32_t previous = none;
    std::uint32_t bucket = none;  // none: not set
  };

  void link(std::uint32_t slot);
  // Unlinks and returns a slot that is due at `now_tick`, or none after the wheel has turned to it.
  [[nodiscard]] std::uint32_t next_due(std::int64_t now_tick);

  std::int64_t current_tick_;  // every bucket before it is empty
  std::uint32_t set_count_ = 0;
  std::array<std::uint32_t, bucket_count> heads_;
  std::vector<Entry> entries_;
};

}  // namespace wellhead
