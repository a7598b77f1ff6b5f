#include "base/clock.hpp"

#include <ctime>

namespace wellhead {
namespace {

std::int64_t read_ns(clockid_t id) noexcept {
  timespec now{};
  clock_gettime(id, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::int64_t SystemClock::wall_us() const noexcept {
  return read_ns(CLOCK_REALTIME) / 1'000 - postgres_epoch_unix_us;
}

std::int64_t SystemClock::monotonic_ns() const noexcept {
  return read_ns(CLOCK_MONOTONIC);
}

}  // namespace wellhead
