#include "scoring/judge.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

namespace wellhead {
namespace {

constexpr float unlimited = std::numeric_limits<float>::infinity();
constexpr GroupRates no_rates{{unlimited, unlimited, unlimited, unlimited}};
constexpr double none = missing_reading;

class Judge : public testing::Test {
 protected:
  GroupVerdict reading(double value, double second = none, float seconds = 1) {
    return judge_and_learn(group_, {{value, second, none, none}}, rates_, limits_, seconds, 15, cautious_);
  }
  void learn_noise(int readings, double mean = 70, double deviation = 1) {
    for (int count = 0; count < readings; ++count) reading(mean + deviation * normal_(random_));
  }

  ScoringConfig config_;
  JudgeLimits limits_{config_, 4};
  GroupRates rates_ = no_rates;
  FieldGroup group_;
  std::uint32_t cautious_ = 0;
  std::mt19937 random_{7};
  std::normal_distribution<double> normal_;
};

TEST_F(Judge, a_device_is_not_judged_before_it_is_warm) {
  for (std::uint32_t count = 0; count < config_.warm_up; ++count) {
    const GroupVerdict verdict = reading(count % 2 == 0 ? 70 : 71);
    EXPECT_EQ(verdict.warming_up, 1U);
    EXPECT_EQ(verdict.anomalous, 0U);
  }
  const GroupVerdict verdict = reading(500);
  EXPECT_EQ(verdict.warming_up, 0U);
  EXPECT_EQ(verdict.anomalous, 1U);
  EXPECT_EQ(verdict.inconsistent, 1U);
}

TEST_F(Judge, nothing_within_three_deviations_is_anomalous) {
  learn_noise(5'000);
  const double deviation = std::sqrt(group_.variance[0]);
  const double mean = group_.anchor[0] + group_.mean[0];
  EXPECT_EQ(judge(group_, {{mean + 2.99 * deviation, none, none, none}}, limits_).anomalous, 0U);
  EXPECT_EQ(judge(group_, {{mean - 8 * deviation, none, none, none}}, limits_).anomalous, 1U);
}

TEST_F(Judge, one_spike_leaves_the_baseline_where_it_was) {
  learn_noise(2'000);
  const double mean = group_.mean[0];
  const double variance = group_.variance[0];
  EXPECT_EQ(reading(1e6).anomalous, 1U);
  EXPECT_NEAR(group_.mean[0], mean, 0.01);
  EXPECT_NEAR(group_.variance[0], variance, 0.03 * variance);
  EXPECT_EQ(reading(85).anomalous, 1U) << "and the next one is still found";
}

TEST_F(Judge, a_fault_of_minutes_is_flagged_to_its_end) {
  learn_noise(2'000);
  int flagged = 0;
  for (int count = 0; count < 400; ++count) flagged += reading(82 + normal_(random_)).anomalous != 0 ? 1 : 0;
  EXPECT_EQ(flagged, 400);
}

TEST_F(Judge, missing_readings_teach_nothing) {
  for (int count = 0; count < 300; ++count) reading(normal_(random_), normal_(random_));
  const FieldGroup before = group_;
  for (int count = 0; count < 100; ++count) reading(normal_(random_), none);
  const auto same = [&](auto member) { return (group_.*member)[1] == (before.*member)[1]; };
  EXPECT_TRUE(same(&FieldGroup::mean) && same(&FieldGroup::variance) && same(&FieldGroup::last));
  EXPECT_TRUE(same(&FieldGroup::count) && same(&FieldGroup::tail_start) && same(&FieldGroup::tail_excess));
  EXPECT_TRUE(same(&FieldGroup::caution) && same(&FieldGroup::streak) && same(&FieldGroup::same));
  EXPECT_TRUE(same(&FieldGroup::anchor) && same(&FieldGroup::usual) && same(&FieldGroup::changes));
  EXPECT_EQ(group_.count[0], 400);
  EXPECT_EQ(group_.count[2], 0);
}

TEST_F(Judge, a_field_is_judged_the_same_in_whatever_lane_it_is) {
  FieldGroup groups[group_fields];
  for (int count = 0; count < 3'000; ++count) {
    const double value = 70 + normal_(random_) + (count % 500 == 0 ? 12 : 0);
    std::uint32_t expected = 0;
    for (std::uint32_t lane = 0; lane < group_fields; ++lane) {
      GroupReading one{{none, none, none, none}};
      one.value[lane] = value;
      const GroupVerdict verdict = judge_and_learn(groups[lane], one, no_rates, limits_, 1, 15, 1);
      if (lane == 0) expected = verdict.anomalous;
      ASSERT_EQ(verdict.anomalous, expected << lane);
      ASSERT_EQ(groups[lane].variance[lane], groups[0].variance[0]);
    }
  }
}

TEST_F(Judge, a_sensor_that_stops_varying_is_stuck) {
  learn_noise(500);
  for (std::uint32_t count = 0; count < config_.stuck_after; ++count) EXPECT_EQ(reading(70.5).stuck, 0U);
  EXPECT_EQ(reading(70.5).stuck, 1U);
  EXPECT_EQ(reading(70.6).stuck, 0U);
}

TEST_F(Judge, a_sensor_that_often_rests_is_not_stuck_when_it_does) {
  for (int level = 0; level < 40; ++level)
    for (int count = 0; count < 100; ++count) EXPECT_EQ(reading(level % 3).stuck, 0U);
  for (int count = 0; count < 700; ++count) EXPECT_EQ(reading(5).stuck, 0U);
  for (int count = 0; count < 200; ++count) reading(5);
  EXPECT_EQ(reading(5).stuck, 1U);
}

TEST_F(Judge, a_field_that_never_changed_is_not_stuck) {
  for (int count = 0; count < 5'000; ++count) EXPECT_EQ(reading(60).stuck, 0U);
}

TEST_F(Judge, a_change_is_judged_by_the_time_it_took) {
  rates_.rate_max[0] = 2;
  reading(10);
  EXPECT_EQ(reading(13.9, none, 2).quick, 0U);
  EXPECT_EQ(reading(10, none, 1.9F).quick, 1U);
  EXPECT_EQ(reading(100, none, 0).quick, 0U) << "no time, no rate";
}

TEST_F(Judge, a_value_more_than_half_of_the_average_away_is_inconsistent_whatever_the_noise) {
  learn_noise(1'000, 100, 1);
  EXPECT_EQ(reading(145).inconsistent, 0U);
  EXPECT_EQ(reading(155).inconsistent, 1U);
  group_ = FieldGroup();
  learn_noise(1'000, 2, 1);
  const double average = group_.anchor[0] + group_.mean[0];
  EXPECT_EQ(judge(group_, {{average * 1.49, none, none, none}}, limits_).inconsistent, 0U);
  EXPECT_EQ(judge(group_, {{average * 1.51, none, none, none}}, limits_).inconsistent, 1U);
  EXPECT_EQ(judge(group_, {{average * 1.51, none, none, none}}, limits_).anomalous, 0U);
}

TEST_F(Judge, nothing_is_inconsistent_with_an_average_of_zero_or_one_of_too_few_readings) {
  for (int count = 0; count < 200; ++count) reading(0);
  EXPECT_EQ(reading(5).inconsistent, 0U);
  group_ = FieldGroup();
  for (std::uint32_t count = 0; count + 1 < config_.warm_up; ++count) reading(60);
  EXPECT_EQ(reading(10).inconsistent, 0U);
  EXPECT_EQ(reading(10).inconsistent, 1U);
}

// A field that never varied says nothing of how it may; but a jump off it is one.
TEST_F(Judge, a_spike_of_a_constant_field_is_found_and_leaves_it_as_it_was) {
  for (const double level : {60.0, -0.001}) {
    SCOPED_TRACE(level);
    group_ = FieldGroup();
    for (int count = 0; count < 2'000; ++count) ASSERT_EQ(reading(level).anomalous, 0U);
    EXPECT_EQ(reading(10'000).anomalous, 1U);
    EXPECT_NEAR(group_.anchor[0] + group_.mean[0], level, std::abs(level) * 1e-4);
    EXPECT_LE(std::sqrt(group_.variance[0]), std::abs(level) * 1e-3);
    for (int count = 0; count < 20; ++count) EXPECT_EQ(reading(level).anomalous, 0U) << count;
    for (int count = 0; count < 20; ++count) EXPECT_EQ(reading(level + 5).anomalous, 1U) << count;
  }
}

// There is no telling what is far from zero, so the field learns it, and forgets it when it rests again.
TEST_F(Judge, a_spike_of_a_field_that_was_always_zero_is_found_and_forgotten_when_it_rests) {
  for (int count = 0; count < 2'000; ++count) reading(0);
  EXPECT_EQ(reading(10'000).anomalous, 1U);
  for (int count = 0; count < 700; ++count) EXPECT_EQ(reading(0).anomalous, 0U) << count;
  EXPECT_EQ(reading(0.1).anomalous, 1U);
}

TEST_F(Judge, a_constant_field_is_at_another_level_when_it_rests_there) {
  for (const double level : {60.0, 57.0, 0.0, 60.0}) {
    int flagged = 0;
    for (int count = 0; count < 3'000; ++count) flagged += reading(level).anomalous != 0 ? 1 : 0;
    EXPECT_LE(flagged, static_cast<int>(config_.stuck_after) + 1) << level;
    EXPECT_GE(flagged, level == 60.0 && group_.changes[0] == 1 ? 0 : 100) << level;
    EXPECT_EQ(reading(level + 5).anomalous, 1U) << level;
    EXPECT_EQ(reading(level).anomalous, 0U) << level;
  }
}

TEST_F(Judge, a_constant_field_may_move_by_what_few_sensors_resolve) {
  for (int count = 0; count < 2'000; ++count) reading(60);
  for (int count = 0; count < 5'000; ++count)
    ASSERT_EQ(reading(count % 100 == 0 ? 60.1 : 60).anomalous, 0U) << count;
}

// Wherever among the first readings the spike is, the field is judged as one without it.
TEST_F(Judge, a_spike_among_the_first_readings_is_outgrown) {
  for (int at = 0; at < 20; ++at)
    for (const double spike : {10'000.0, -1e16}) {
      SCOPED_TRACE("spike " + std::to_string(spike) + " at " + std::to_string(at));
      group_ = FieldGroup();
      for (int count = 0; count < 100; ++count) reading(count == at ? spike : 60 + 0.1 * normal_(random_));
      EXPECT_NEAR(group_.anchor[0] + group_.mean[0], 60, 1);
      EXPECT_EQ(reading(70).anomalous, 1U);
      group_ = FieldGroup();
      for (int count = 0; count < 100; ++count) reading(count == at ? spike : 60);
      EXPECT_NEAR(group_.anchor[0] + group_.mean[0], 60, 1);
      EXPECT_EQ(reading(70).anomalous, 1U);
      for (int count = 0; count < 700; ++count) reading(60);
      EXPECT_EQ(reading(60.5).anomalous, 1U) << "and in the end it is known to be constant";
    }
}

TEST_F(Judge, a_first_reading_out_of_all_proportion_costs_later_ones_no_digits) {
  reading(1e16);
  for (int count = 0; count < 4'000; ++count) reading(count % 2 == 0 ? 60.125 : 60.375);
  EXPECT_NEAR(group_.anchor[0] + group_.mean[0], 60.25, 0.001);
  EXPECT_NEAR(std::sqrt(group_.variance[0]), 0.125, 0.001);
}

TEST_F(Judge, a_value_beyond_all_bounds_is_judged_as_the_largest_and_teaches_nothing) {
  rates_.rate_max[0] = 1e6F;
  learn_noise(300);
  for (const double value : {1e19, -1e300, std::numeric_limits<double>::infinity()}) {
    const FieldGroup before = group_;
    const GroupVerdict verdict = reading(value);
    EXPECT_EQ(verdict.anomalous, 1U) << value;
    EXPECT_EQ(verdict.inconsistent, 1U) << value;
    EXPECT_EQ(verdict.quick, 1U) << value;
    EXPECT_EQ(verdict.taught, 0U) << value;
    EXPECT_EQ(judge(group_, {{value, none, none, none}}, limits_).anomalous, 1U);
    EXPECT_EQ(std::memcmp(&before, &group_, sizeof(group_)), 0) << value;
  }
  EXPECT_EQ(reading(70).taught, 1U);
}

TEST_F(Judge, whatever_comes_the_baseline_stays_finite) {
  std::mt19937_64 random(11);
  for (int count = 0; count < 200'000; ++count) {
    double value;
    const std::uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof(value));
    const double scale = std::pow(10.0, static_cast<double>(random() % 40) - 20);
    reading(random() % 3 == 0 ? value : scale, random() % 2 == 0 ? -scale : 1e18);
    for (std::uint32_t lane = 0; lane < group_fields; ++lane) {
      ASSERT_TRUE(std::isfinite(group_.mean[lane]) && std::isfinite(group_.variance[lane]));
      ASSERT_GE(group_.variance[lane], 0);
      ASSERT_LE(group_.variance[lane], judged_variance_max);
      ASSERT_TRUE(std::isfinite(group_.tail_excess[lane]) && group_.tail_excess[lane] < tail_number_max);
      ASSERT_TRUE(std::isfinite(group_.tail_start[lane]) && group_.tail_start[lane] < tail_number_max);
      ASSERT_TRUE(group_.caution[lane] >= 1 && std::isfinite(group_.last[lane]));
    }
  }
}

}  // namespace
}  // namespace wellhead
