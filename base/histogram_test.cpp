#include "base/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

namespace wellhead {
namespace {

// What the header promises: a value is known to better than this part of itself.
constexpr double error_max = 1.0 / Histogram::half_count;

TEST(Histogram, an_empty_one_answers_zero) {
  const auto histogram = std::make_unique<Histogram>();
  EXPECT_EQ(histogram->count(), 0U);
  EXPECT_EQ(histogram->value_at_percentile(99), 0U);
  EXPECT_EQ(histogram->max(), 0U);
  EXPECT_EQ(histogram->mean(), 0.0);
}

TEST(Histogram, every_value_lies_in_the_bucket_that_claims_it) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 100'000; ++round) {
    const std::uint64_t value = random() >> (20 + random() % 44);
    const std::size_t bucket = Histogram::bucket_of(value);
    ASSERT_LT(bucket, Histogram::bucket_count) << value;
    ASSERT_LE(value, Histogram::bucket_highest(bucket)) << value;
    if (bucket > 0) {
      ASSERT_GT(value, Histogram::bucket_highest(bucket - 1)) << value;
    }
  }
  EXPECT_EQ(Histogram::bucket_of(Histogram::value_max), Histogram::bucket_count - 1);
  EXPECT_EQ(Histogram::bucket_highest(Histogram::bucket_count - 1), Histogram::value_max);
}

TEST(Histogram, percentiles_are_within_the_promised_error_of_the_sorted_values) {
  constexpr std::uint64_t seed = 20'261'121;
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latency(7.0, 2.0);
  const auto histogram = std::make_unique<Histogram>();
  std::vector<std::uint64_t> values;
  for (int index = 0; index < 200'000; ++index) {
    values.push_back(static_cast<std::uint64_t>(latency(random)));
    histogram->record(values.back());
  }
  std::ranges::sort(values);
  for (const double percentile : {0.0, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(percentile / 100.0 * static_cast<double>(values.size())));
    const std::uint64_t exact = values[std::max<std::size_t>(rank, 1) - 1];
    const std::uint64_t answered = histogram->value_at_percentile(percentile);
    EXPECT_GE(answered, exact) << percentile << " seed " << seed;
    EXPECT_LE(static_cast<double>(answered - exact), error_max * static_cast<double>(exact)) << percentile;
  }
  EXPECT_EQ(histogram->max(), values.back());
}

TEST(Histogram, count_at_or_below_counts_small_values_exactly) {
  const auto histogram = std::make_unique<Histogram>();
  for (std::uint64_t value = 0; value < 100; ++value) histogram->record(value, value + 1);
  EXPECT_EQ(histogram->count_at_or_below(0), 1U);
  EXPECT_EQ(histogram->count_at_or_below(9), 55U);
  EXPECT_EQ(histogram->count_at_or_below(99), histogram->count());
  EXPECT_EQ(histogram->count_at_or_below(Histogram::value_max), 5'050U);
}

TEST(Histogram, a_value_past_the_end_is_clamped_and_counted) {
  const auto histogram = std::make_unique<Histogram>();
  histogram->record(Histogram::value_max + 1, 3);
  histogram->record(7);
  EXPECT_EQ(histogram->clamped(), 3U);
  EXPECT_EQ(histogram->count(), 4U);
  EXPECT_EQ(histogram->max(), Histogram::value_max);
  EXPECT_EQ(histogram->value_at_percentile(1), 7U);
}

TEST(Histogram, merging_two_is_the_same_as_recording_into_one) {
  const auto left = std::make_unique<Histogram>();
  const auto right = std::make_unique<Histogram>();
  const auto both = std::make_unique<Histogram>();
  std::mt19937_64 random(3);
  for (int index = 0; index < 10'000; ++index) {
    const std::uint64_t value = random() % 10'000'000;
    (index % 3 == 0 ? *left : *right).record(value);
    both->record(value);
  }
  left->merge(*right);
  EXPECT_EQ(left->count(), both->count());
  EXPECT_EQ(left->sum(), both->sum());
  EXPECT_EQ(left->max(), both->max());
  for (std::size_t bucket = 0; bucket < Histogram::bucket_count; ++bucket) {
    ASSERT_EQ(left->count_in(bucket), both->count_in(bucket)) << bucket;
  }
}

}  // namespace
}  // namespace wellhead
