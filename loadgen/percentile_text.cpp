#include "loadgen/percentile_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace wellhead::loadgen {
namespace {

// Lines until half of what is left to 100 % is covered, as HdrHistogram's own tools print by default.
constexpr int ticks_per_half_distance = 5;

// The next percentile to print: the steps halve each time the distance to 100 % halves.
double next_percentile(double percentile) {
  const double half_distances = std::floor(std::log2(100.0 / (100.0 - percentile))) + 1;
  return percentile + 100.0 / (ticks_per_half_distance * std::exp2(half_distances));
}

double standard_deviation(const Histogram& histogram) {
  if (histogram.count() == 0) return 0;
  double squares = 0;
  for (std::size_t bucket = 0; bucket < Histogram::bucket_count; ++bucket) {
    const auto count = static_cast<double>(histogram.count_in(bucket));
    if (count == 0) continue;
    const double distance = static_cast<double>(Histogram::bucket_highest(bucket)) - histogram.mean();
    squares += distance * distance * count;
  }
  return std::sqrt(squares / static_cast<double>(histogram.count()));
}

}  // namespace

std::string percentile_distribution(const Histogram& histogram, double unit) {
  std::string text =
      fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
  const auto out = std::back_inserter(text);
  const std::uint64_t total = histogram.count();
  for (double percentile = 0; total > 0;) {
    const std::uint64_t value = histogram.value_at_percentile(percentile);
    const std::uint64_t covered = histogram.count_at_or_below(value);
    if (covered >= total) break;
    fmt::format_to(out, "{:12.3f} {:2.12f} {:10} {:14.2f}\n", static_cast<double>(value) / unit,
                   percentile / 100.0, covered, 1.0 / (1.0 - percentile / 100.0));
    percentile = next_percentile(percentile);
  }
  const double maximum = static_cast<double>(histogram.max()) / unit;
  fmt::format_to(out, "{:12.3f} {:2.12f} {:10}\n", maximum, 1.0, total);
  fmt::format_to(out, "#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", histogram.mean() / unit,
                 standard_deviation(histogram) / unit);
  fmt::format_to(out, "#[Max     = {:12.3f}, Total count    = {:12}]\n", maximum, total);
  fmt::format_to(out, "#[Buckets = {:12}, SubBuckets     = {:12}]\n",
                 Histogram::value_bits - Histogram::sub_bucket_bits + 1,
                 std::size_t{1} << Histogram::sub_bucket_bits);
  return text;
}

}  // namespace wellhead::loadgen
