// Mean and variance that forget, updated one reading at a time.
//
// Each reading has the weight max(1 / n, 1 / memory): the first `memory` of them count alike, which is
// Welford's method, and from then on the past fades by 1/e in so many readings. Means are kept relative to an
// anchor, the first reading: a sensor that varies by 0.01 around a million loses no digits to the million.
//
// Sources: B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
// Technometrics 4 (1962); T. Finch, "Incremental calculation of weighted mean and variance" (2009), part 9.
#pragma once

#include <algorithm>

namespace wellhead {

// The weight of reading number `count`, counted from 1.
[[nodiscard]] inline double reading_weight(double count, double weight_min) noexcept {
  return std::max(1.0 / count, weight_min);
}

// Takes a reading that lies `deviation` from the mean. `variance` is that of a population. Number: double, or
// a vector of them; `one` is 1 in it.
template <typename Number>
[[gnu::always_inline]] inline void learn_deviation(Number& mean, Number& variance, const Number& deviation,
                                                   const Number& weight, const Number& one) noexcept {
  const Number left = one - weight;
  mean = mean + weight * deviation;
  variance = variance + weight * (left * deviation * deviation - variance);
}

}  // namespace wellhead
