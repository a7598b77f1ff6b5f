#include "scoring/moments.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "scoring/judge.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t seed = 20240501;
constexpr double relative_error_max = 1e-9;

// Values around an offset a million times their spread; as doubles, so that the offset costs digits.
std::vector<double> values_around(double offset, std::size_t count) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise;
  std::vector<double> values(count);
  for (double& value : values) value = offset + noise(random);
  return values;
}

void expect_near_relative(double actual, long double expected) {
  EXPECT_LE(std::fabs(static_cast<long double>(actual) - expected), relative_error_max * std::fabs(expected));
}

// Two passes in long double share neither method nor type with what is tested.
TEST(moments, without_forgetting_are_those_of_two_passes) {
  const std::vector<double> values = values_around(1e6, 10'000'000);
  const double anchor = values.front();
  double mean = 0, variance = 0, count = 0;
  for (const double value : values)
    learn_deviation(mean, variance, (value - anchor) - mean, reading_weight(++count, 0), 1.0);
  long double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const long double exact_mean = sum / static_cast<long double>(values.size());
  for (const double value : values) squares += (value - exact_mean) * (value - exact_mean);
  SCOPED_TRACE(seed);
  expect_near_relative(anchor + mean, exact_mean);
  expect_near_relative(variance, squares / static_cast<long double>(values.size()));
}

// The definition: weights that fade by (1 - w) a reading, summed from the latest back.
TEST(moments, with_forgetting_are_the_weighted_sums) {
  const std::vector<double> values = values_around(1e6, 10'000'000);
  const double weight_min = 1.0 / 600;
  const double anchor = values.front();
  double mean = 0, variance = 0, count = 0;
  for (const double value : values)
    learn_deviation(mean, variance, (value - anchor) - mean, reading_weight(++count, weight_min), 1.0);
  long double weight = weight_min, weights = 0, sum = 0, squares = 0;
  const auto recent = [&](auto use) {
    weight = weight_min;
    // exp(-60'000 / 600): what is further back cannot be seen.
    for (std::size_t back = 0; back < 60'000; ++back, weight *= 1 - static_cast<long double>(weight_min))
      use(weight, static_cast<long double>(values[values.size() - 1 - back]));
  };
  recent([&](long double share, long double value) { weights += share, sum += share * value; });
  const long double exact_mean = sum / weights;
  recent([&](long double share, long double value) {
    squares += share * (value - exact_mean) * (value - exact_mean);
  });
  SCOPED_TRACE(seed);
  expect_near_relative(anchor + mean, exact_mean);
  expect_near_relative(variance, squares / weights);
}

// The vector code keeps them as exactly; readings that nothing limits are those within the threshold.
TEST(moments, of_a_field_group_are_those_of_its_readings) {
  constexpr std::size_t count = 1'000'000;
  ScoringConfig config;
  config.z_min = 1e6;
  config.memory = 1U << 24;
  const JudgeLimits limits(config, 4);
  const GroupRates rates{{1e30F, 1e30F, 1e30F, 1e30F}};
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise;
  const double offsets[group_fields] = {0, 1e6, -1e9, 1e-3};
  FieldGroup group;
  std::vector<GroupReading> readings(count);
  for (GroupReading& reading : readings)
    for (std::uint32_t lane = 0; lane < group_fields; ++lane)
      reading.value[lane] = offsets[lane] + noise(random) * (lane + 1);
  for (const GroupReading& reading : readings)
    static_cast<void>(judge_and_learn(group, reading, rates, limits, 1, 15, 0));
  SCOPED_TRACE(seed);
  for (std::uint32_t lane = 0; lane < group_fields; ++lane) {
    long double sum = 0, squares = 0;
    for (const GroupReading& reading : readings) sum += reading.value[lane] - group.anchor[lane];
    const long double mean = sum / count;
    for (const GroupReading& reading : readings) {
      const long double away = reading.value[lane] - group.anchor[lane] - mean;
      squares += away * away;
    }
    expect_near_relative(group.mean[lane], mean);
    expect_near_relative(group.variance[lane], squares / count);
    EXPECT_EQ(group.count[lane], static_cast<float>(count));
  }
}

}  // namespace
}  // namespace wellhead
