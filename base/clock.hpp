// The seam to time: a real clock and, in tests, one that a seed drives.
#pragma once

#include <cstdint>

namespace wellhead {

// Microseconds between 1970-01-01 and 2000-01-01 UTC: PostgreSQL's timestamptz counts from the latter
// (src/include/datatype/timestamp.h, POSTGRES_EPOCH_JDATE).
inline constexpr std::int64_t postgres_epoch_unix_us = 946'684'800'000'000;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall time, microseconds since 2000-01-01 UTC (PostgreSQL's epoch).
  [[nodiscard]] virtual std::int64_t wall_us() const noexcept = 0;
  // Monotonic time in nanoseconds from an arbitrary origin.
  [[nodiscard]] virtual std::int64_t monotonic_ns() const noexcept = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override;
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override;
};

}  // namespace wellhead
