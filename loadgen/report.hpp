// The result for people and for programs.
#pragma once

#include <string>

#include "base/histogram.hpp"
#include "loadgen/options.hpp"
#include "loadgen/summary.hpp"

namespace wellhead::loadgen {

// A table, the latency as a text histogram, and the verdict.
[[nodiscard]] std::string text_report(const Summary& summary, const Options& options);
// One JSON object. Numbers that were not measured are null: `committed`, `lost` and so on without --verify.
[[nodiscard]] std::string json_report(const Summary& summary, const Options& options);
// Bars over buckets that widen with the value (1, 2, 5, 10 …), and the percentiles.
[[nodiscard]] std::string latency_chart(const Histogram& latency_us);

}  // namespace wellhead::loadgen
