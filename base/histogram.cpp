#include "base/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace wellhead {

void Histogram::record(std::uint64_t value, std::uint64_t count) noexcept {
  if (value > value_max) {
    value = value_max;
    clamped_.add(count);
  }
  buckets_[bucket_of(value)].add(count);
  count_.add(count);
  sum_.add(value * count);
  if (value > max()) max_.store(value, std::memory_order_relaxed);
}

void Histogram::merge(const Histogram& other) noexcept {
  for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
    const std::uint64_t count = other.count_in(bucket);
    if (count != 0) buckets_[bucket].add(count);
  }
  count_.add(other.count());
  sum_.add(other.sum());
  clamped_.add(other.clamped());
  if (other.max() > max()) max_.store(other.max(), std::memory_order_relaxed);
}

double Histogram::mean() const noexcept {
  const std::uint64_t total = count();
  return total == 0 ? 0.0 : static_cast<double>(sum()) / static_cast<double>(total);
}

std::uint64_t Histogram::value_at_percentile(double percentile) const noexcept {
  const std::uint64_t total = count();
  if (total == 0) return 0;
  const double share = std::clamp(percentile, 0.0, 100.0) / 100.0;
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total))));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
    seen += count_in(bucket);
    if (seen >= wanted) return std::min(bucket_highest(bucket), max());
  }
  return max();
}

std::uint64_t Histogram::count_at_or_below(std::uint64_t value) const noexcept {
  const std::size_t last = bucket_of(std::min(value, value_max));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket <= last; ++bucket) seen += count_in(bucket);
  return seen;
}

std::uint64_t Histogram::bucket_highest(std::size_t bucket) noexcept {
  if (bucket < 2 * half_count) return bucket;
  const std::size_t shift = bucket / half_count - 1;
  const std::uint64_t sub_bucket = bucket - shift * half_count;
  return ((sub_bucket + 1) << shift) - 1;
}

}  // namespace wellhead
