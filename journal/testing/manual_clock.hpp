// A clock that stands until a test moves it.
#pragma once

#include <cstdint>

#include "base/clock.hpp"

namespace wellhead {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override { return 800'000'000'000'000 + now_ns / 1000; }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return now_ns; }

  std::int64_t now_ns = 1'000'000'000;
};

}  // namespace wellhead
