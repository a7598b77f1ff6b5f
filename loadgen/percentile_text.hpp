// HdrHistogram's percentile distribution text (.hgrm), as its plotter reads it.
#pragma once

#include <string>

#include "base/histogram.hpp"

namespace wellhead::loadgen {

// Values are divided by `unit` (1000: microseconds recorded, milliseconds written).
[[nodiscard]] std::string percentile_distribution(const Histogram& histogram, double unit);

}  // namespace wellhead::loadgen
