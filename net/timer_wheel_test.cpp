#include "net/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

namespace wellhead {
namespace {

constexpr std::int64_t millisecond = 1'000'000;

std::vector<std::uint32_t> expired(TimerWheel& wheel, std::int64_t now_ns,
                                   std::size_t count_max = 1'000'000) {
  std::vector<std::uint32_t> slots;
  wheel.advance(now_ns, count_max, [&](std::uint32_t slot) { slots.push_back(slot); });
  return slots;
}

TEST(TimerWheel, ADeadlineFiresAtMostATickLateAndNeverEarly) {
  TimerWheel wheel(0);
  wheel.set(7, 105 * millisecond);
  EXPECT_TRUE(expired(wheel, 105 * millisecond - 1).empty());
  EXPECT_EQ(expired(wheel, 105 * millisecond + TimerWheel::tick_ns), std::vector<std::uint32_t>{7});
  EXPECT_TRUE(expired(wheel, 10'000 * millisecond).empty());
}

TEST(TimerWheel, AClearedDeadlineDoesNotFire) {
  TimerWheel wheel(0);
  for (std::uint32_t slot = 0; slot < 3; ++slot) wheel.set(slot, 50 * millisecond);
  wheel.clear(1);
  wheel.clear(9);
  std::vector<std::uint32_t> slots = expired(wheel, 1'000 * millisecond);
  EXPECT_EQ(slots.size(), 2U);
  EXPECT_EQ(std::ranges::count(slots, 1U), 0);
}

TEST(TimerWheel, ADeadlinePastTheHorizonFiresInItsOwnTime) {
  TimerWheel wheel(0);
  const std::int64_t deadline = 300'000 * millisecond;
  wheel.set(1, deadline);
  for (std::int64_t now = 0; now < deadline; now += 333 * millisecond)
    ASSERT_TRUE(expired(wheel, now).empty()) << now;
  EXPECT_EQ(expired(wheel, deadline + TimerWheel::tick_ns).size(), 1U);
}

TEST(TimerWheel, ATurnHandlesAtMostWhatItIsTold) {
  TimerWheel wheel(0);
  for (std::uint32_t slot = 0; slot < 100; ++slot) wheel.set(slot, 10 * millisecond);
  EXPECT_EQ(expired(wheel, 100 * millisecond, 30).size(), 30U);
  EXPECT_EQ(wheel.sleep_ns(100 * millisecond), 0);
  EXPECT_EQ(expired(wheel, 100 * millisecond, 100).size(), 70U);
}

TEST(TimerWheel, TheSleepEndsBeforeTheDeadline) {
  TimerWheel wheel(0);
  EXPECT_GE(wheel.sleep_ns(0), 500 * millisecond);
  wheel.set(3, 40 * millisecond);
  EXPECT_GT(wheel.sleep_ns(0), 0);
  EXPECT_LE(wheel.sleep_ns(0), 40 * millisecond + TimerWheel::tick_ns);
}

TEST(TimerWheel, RandomDeadlinesFireExactlyOnceAndInTime) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  TimerWheel wheel(123'456'789);
  std::map<std::uint32_t, std::int64_t> model;
  std::int64_t now = 123'456'789;
  for (int step = 0; step < 20'000; ++step) {
    const auto slot = static_cast<std::uint32_t>(random() % 200);
    if (random() % 4 != 0) {
      const std::int64_t deadline = now + static_cast<std::int64_t>(random() % 30'000) * millisecond;
      wheel.set(slot, deadline);
      model[slot] = deadline;
    } else {
      wheel.clear(slot);
      model.erase(slot);
    }
    now += static_cast<std::int64_t>(random() % 100) * millisecond;
    for (const std::uint32_t fired : expired(wheel, now)) {
      ASSERT_TRUE(model.contains(fired));
      ASSERT_LE(model[fired], now);
      model.erase(fired);
    }
    for (const auto& [left, deadline] : model) ASSERT_GT(deadline + TimerWheel::tick_ns, now) << left;
  }
}

}  // namespace
}  // namespace wellhead
