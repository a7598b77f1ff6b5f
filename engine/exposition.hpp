// Prometheus' text format, family by family.
#pragma once

#include <prometheus/metric_family.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/counter.hpp"
#include "base/histogram.hpp"

namespace wellhead {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// Upper bounds of the histograms' buckets, in the unit they are recorded in.
inline constexpr std::array<std::uint64_t, 18> latency_bounds_us{
    100,     250,     500,     1'000,     2'500,     5'000,     10'000,     25'000,     50'000,
    100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};
inline constexpr std::array<std::uint64_t, 12> rows_bounds{1,     10,     50,     100,    500,     1'000,
                                                           5'000, 10'000, 25'000, 50'000, 100'000, 200'000};

// One plain counter of a structure: its member, its name, its meaning.
template <typename Stats>
struct CounterRow {
  Counter Stats::* member;
  std::string_view name;
  std::string_view help;
};

// Gathers families in the order they are first named; the first naming of a family gives its help.
class Exposition {
 public:
  void counter(std::string_view name, std::string_view help, MetricLabels labels, std::uint64_t value);
  // For counters of what is not whole: seconds, scores.
  void counter_of_fractions(std::string_view name, std::string_view help, MetricLabels labels, double value);
  void gauge(std::string_view name, std::string_view help, MetricLabels labels, double value);
  // `per_unit` recorded units make an exported one: dividing by it gives bounds that print as they are meant.
  void histogram(std::string_view name, std::string_view help, const Histogram& values,
                 std::span<const std::uint64_t> bounds, double per_unit);

  template <typename Stats>
  void counters(std::span<const CounterRow<Stats>> rows, const MetricLabels& labels, const Stats& stats) {
    for (const CounterRow<Stats>& row : rows)
      counter(row.name, row.help, labels, (stats.*row.member).value());
  }

  [[nodiscard]] std::string text() const;

 private:
  prometheus::MetricFamily& family(std::string_view name, std::string_view help, prometheus::MetricType type);

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, std::size_t> positions_;
};

}  // namespace wellhead
