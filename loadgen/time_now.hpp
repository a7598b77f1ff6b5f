#pragma once

#include <cstdint>

#include "base/clock.hpp"

namespace wellhead::loadgen {

// Monotonic nanoseconds. The load generator always runs in real time: it has no use for a simulated clock.
[[nodiscard]] inline std::int64_t monotonic_now_ns() noexcept {
  return SystemClock().monotonic_ns();
}

// Microseconds since 1970.
[[nodiscard]] inline std::int64_t unix_now_us() noexcept {
  return SystemClock().wall_us() + postgres_epoch_unix_us;
}

[[nodiscard]] constexpr std::int64_t seconds_to_ns(double seconds) noexcept {
  return static_cast<std::int64_t>(seconds * 1e9);
}
[[nodiscard]] constexpr double ns_to_seconds(std::int64_t ns) noexcept {
  return static_cast<double>(ns) / 1e9;
}

}  // namespace wellhead::loadgen
