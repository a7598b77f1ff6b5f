// How long to wait before the next try: doubling, with jitter so that shards do not come back all at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace wellhead {

struct BackoffBounds {
  std::chrono::milliseconds first;
  std::chrono::milliseconds last;
};

// No database: it may be back in a moment, and every shard waits for it.
inline constexpr BackoffBounds disconnected_backoff{std::chrono::milliseconds{100},
                                                    std::chrono::milliseconds{10'000}};
// The database refuses: an operator has to act first, so looking more often helps nobody.
inline constexpr BackoffBounds blocked_backoff{std::chrono::milliseconds{1'000},
                                               std::chrono::milliseconds{10'000}};

class Backoff {
 public:
  explicit Backoff(std::uint64_t seed) : random_(seed) {}

  // Between half and all of first * 2^n, where n counts the calls since reset(); never above bounds.last.
  [[nodiscard]] std::chrono::nanoseconds next(const BackoffBounds& bounds);
  void reset() noexcept { tries_ = 0; }

 private:
  std::mt19937_64 random_;
  unsigned tries_ = 0;
};

}  // namespace wellhead
