// A log-linear histogram of whole numbers: HdrHistogram's idea with a fixed shape.
//
// Values below 2^sub_bucket_bits have a bucket each; above, every power of two is split into
// 2^(sub_bucket_bits-1) equal buckets, so a value is known to better than 1 part in 2^(sub_bucket_bits-1)
// (0.8 %).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/counter.hpp"

namespace wellhead {

// One writer; any thread may read, and then sees a moment that may be between two record() calls.
class Histogram {
 public:
  static constexpr unsigned sub_bucket_bits = 8;
  static constexpr unsigned value_bits =
      44;  // values past 2^44-1 (2^44 µs is 203 days) are clamped and counted
  static constexpr std::uint64_t value_max = (std::uint64_t{1} << value_bits) - 1;
  static constexpr std::size_t half_count = std::size_t{1} << (sub_bucket_bits - 1);
  static constexpr std::size_t bucket_count = (value_bits - sub_bucket_bits + 2) * half_count;

  void record(std::uint64_t value) noexcept { record(value, 1); }
  void record(std::uint64_t value, std::uint64_t count) noexcept;
  void merge(const Histogram& other) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_.value(); }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_.value(); }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t clamped() const noexcept { return clamped_.value(); }
  [[nodiscard]] double mean() const noexcept;
  // The highest value equivalent to the one at `percentile` (0 … 100); never above max(). 0 when empty.
  [[nodiscard]] std::uint64_t value_at_percentile(double percentile) const noexcept;
  // How many recorded values are equivalent to one at or below `value`.
  [[nodiscard]] std::uint64_t count_at_or_below(std::uint64_t value) const noexcept;

  [[nodiscard]] static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < 2 * half_count) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - sub_bucket_bits;
    return shift * half_count + static_cast<std::size_t>(value >> shift);
  }
  [[nodiscard]] static std::uint64_t bucket_highest(std::size_t bucket) noexcept;
  [[nodiscard]] std::uint64_t count_in(std::size_t bucket) const noexcept { return buckets_[bucket].value(); }

 private:
  std::array<Counter, bucket_count> buckets_;
  Counter count_;
  Counter sum_;
  Counter clamped_;
  std::atomic<std::uint64_t> max_{0};
};

}  // namespace wellhead
