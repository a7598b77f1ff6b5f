#include "engine/exposition.hpp"

#include <prometheus/text_serializer.h>

#include <utility>

namespace wellhead {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void Exposition::counter(std::string_view name, std::string_view help, MetricLabels labels,
                         std::uint64_t value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = static_cast<double>(value);
  family(name, help, MetricType::Counter).metric.push_back(std::move(metric));
}

void Exposition::counter_of_fractions(std::string_view name, std::string_view help, MetricLabels labels,
                                      double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  family(name, help, MetricType::Counter).metric.push_back(std::move(metric));
}

void Exposition::gauge(std::string_view name, std::string_view help, MetricLabels labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family(name, help, MetricType::Gauge).metric.push_back(std::move(metric));
}

void Exposition::histogram(std::string_view name, std::string_view help, const Histogram& values,
                           std::span<const std::uint64_t> bounds, double per_unit) {
  ClientMetric metric;
  // The total is counted from the same buckets, in the same pass: a record() in between must not show as a
  // bucket above the total.
  std::uint64_t cumulative = 0;
  std::size_t bucket = 0;
  for (const std::uint64_t bound : bounds) {
    for (const std::size_t last = Histogram::bucket_of(bound); bucket <= last; ++bucket)
      cumulative += values.count_in(bucket);
    metric.histogram.bucket.push_back({cumulative, static_cast<double>(bound) / per_unit});
  }
  for (; bucket < Histogram::bucket_count; ++bucket) cumulative += values.count_in(bucket);
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = static_cast<double>(values.sum()) / per_unit;
  family(name, help, MetricType::Histogram).metric.push_back(std::move(metric));
}

std::string Exposition::text() const {
  return prometheus::TextSerializer().Serialize(families_);
}

MetricFamily& Exposition::family(std::string_view name, std::string_view help, MetricType type) {
  const auto [position, added] = positions_.try_emplace(std::string(name), families_.size());
  if (added) families_.push_back({std::string(name), std::string(help), type, {}});
  return families_[position->second];
}

}  // namespace wellhead
