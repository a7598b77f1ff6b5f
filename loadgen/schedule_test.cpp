#include "loadgen/schedule.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace wellhead::loadgen {
namespace {

TEST(Schedule, hands_out_batches_when_they_are_due_and_never_before) {
  SteadySchedule schedule({.open_loop = true, .rate = 1'000, .batch = 100, .records = 250});
  schedule.start(5'000);
  const auto first = schedule.claim(5'000);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->due_ns, 5'000);
  EXPECT_EQ(schedule.next_due_ns(), 100'005'000);
  EXPECT_FALSE(schedule.claim(100'004'999).has_value());
  const auto second = schedule.claim(100'005'000);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->range.first, 100U);
  const auto third = schedule.claim(900'000'000);
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->due_ns, 200'005'000);  // late, and counted from when it was due
  EXPECT_EQ(third->range.count, 50U);
  EXPECT_TRUE(schedule.exhausted(900'000'000));
  EXPECT_FALSE(schedule.claim(900'000'000).has_value());
  EXPECT_EQ(schedule.next_due_ns(), Schedule::never_ns);
}

TEST(Schedule, a_closed_loop_ends_with_its_time) {
  SteadySchedule schedule(
      {.open_loop = false, .batch = 10, .records = Schedule::unlimited, .duration_ns = 1'000});
  schedule.start(0);
  EXPECT_EQ(schedule.claim(7)->due_ns, 7);
  EXPECT_EQ(schedule.claim(999)->range.first, 10U);
  EXPECT_FALSE(schedule.claim(1'000).has_value());
  EXPECT_TRUE(schedule.exhausted(1'000));
  EXPECT_EQ(schedule.target_rate(), 0.0);
}

TEST(Schedule, gives_nothing_once_stopped) {
  SteadySchedule schedule({.open_loop = true, .rate = 10, .batch = 1, .records = 10});
  schedule.start(0);
  schedule.stop();
  EXPECT_FALSE(schedule.claim(Schedule::never_ns - 1).has_value());
  EXPECT_TRUE(schedule.exhausted(0));
}

TEST(Schedule, two_threads_never_get_the_same_batch) {
  constexpr std::uint64_t batches = 100'000;
  SteadySchedule schedule({.open_loop = false, .batch = 1, .records = batches});
  std::vector<std::uint8_t> taken(batches);
  const auto take_all = [&] {
    while (const auto claim = schedule.claim(1)) ++taken[claim->range.first];
  };
  {
    const std::jthread one(take_all);
    const std::jthread other(take_all);
  }
  EXPECT_EQ(std::count(taken.begin(), taken.end(), 1), static_cast<std::ptrdiff_t>(batches));
}

TEST(Schedule, a_recorded_one_keeps_its_times) {
  RecordedSchedule schedule({{.range = {.first = 0, .count = 2}, .due_offset_ns = 0},
                             {.range = {.first = 2, .count = 1}, .due_offset_ns = 500'000'000}},
                            true);
  schedule.start(100);
  EXPECT_EQ(schedule.claim(100)->range.count, 2U);
  EXPECT_FALSE(schedule.claim(500'000'099).has_value());
  EXPECT_EQ(schedule.claim(500'000'100)->due_ns, 500'000'100);
  EXPECT_EQ(schedule.records_planned(), 3U);
  EXPECT_DOUBLE_EQ(schedule.planned_s(), 0.5);
}

}  // namespace
}  // namespace wellhead::loadgen
