#include "scoring/device_state.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "scoring/scorer.hpp"
#include "scoring/test_support.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t field_count = 5;

struct Shard {
  SchemaPointer schema = test::compile(test::watched_stream(field_count));
  std::vector<SchemaPointer> schemas{schema};
  std::vector<StreamScores> stats = std::vector<StreamScores>(1);
  Scorer scorer{schemas, {}, stats};

  std::vector<test::Computed> score(test::Rows& rows, bool commit = true) {
    scorer.start();
    const auto sorted = rows.sorted();
    scorer.score(0, sorted);
    std::vector<test::Computed> computed;
    for (std::size_t row = 0; row < rows.size(); ++row)
      computed.push_back(test::computed_of(rows.header(row)));
    if (commit) scorer.commit();
    return computed;
  }
};

void add_readings(test::Rows& rows, std::mt19937& random, int first, int count) {
  std::normal_distribution<float> normal(70, 1);
  for (int reading = first; reading < first + count; ++reading) {
    test::Values values(field_count);
    for (auto& value : values)
      if (random() % 10 != 0) value = normal(random) + (random() % 50 == 0 ? 15.0F : 0.0F);
    rows.add("well-1", test::start_us + reading * test::second_us, values);
  }
}

// The state of a device that has read for a while.
std::vector<std::byte> learned_state(std::uint32_t seed) {
  Shard shard;
  std::mt19937 random(seed);
  test::Rows rows;
  add_readings(rows, random, 0, 500);
  shard.score(rows);
  const auto states = shard.scorer.unsaved_states(1);
  EXPECT_EQ(states.size(), 1U);
  return {states[0].bytes.begin(), states[0].bytes.end()};
}

DeviceState named(const test::Rows& rows, std::span<const std::byte> bytes) {
  return {{0, rows.header(0).device_hash, "well-1"}, bytes};
}

TEST(device_state, a_restored_device_judges_as_the_one_that_was_saved) {
  Shard first;
  std::mt19937 random(3);
  test::Rows learned;
  add_readings(learned, random, 0, 1'000);
  first.score(learned);
  const auto states = first.scorer.unsaved_states(10);
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0].device.text, "well-1");
  EXPECT_EQ(states[0].bytes.size(), device_state_bytes(field_count));
  Shard second;
  ASSERT_TRUE(second.scorer.restore(states[0]));
  first.scorer.commit();
  test::Rows next;
  add_readings(next, random, 1'000, 1'000);
  const auto expected = first.score(next);
  EXPECT_EQ(second.score(next), expected);
  EXPECT_GT(first.stats[0].anomalous.value(), 0U);
}

TEST(device_state, of_another_format_or_other_fields_is_refused) {
  const std::vector<std::byte> good = learned_state(5);
  test::Rows rows;
  rows.add("well-1", test::start_us, test::Values(field_count));
  Shard shard;
  std::vector<std::byte> version = good;
  version[0] = std::byte{2};
  EXPECT_FALSE(shard.scorer.restore(named(rows, version)));
  EXPECT_FALSE(shard.scorer.restore(named(rows, {})));
  EXPECT_FALSE(shard.scorer.restore(named(rows, std::span(good).first(good.size() - 1))));
  std::vector<std::byte> longer = good;
  longer.push_back({});
  EXPECT_FALSE(shard.scorer.restore(named(rows, longer)));
  StreamConfig renamed = test::watched_stream(field_count);
  renamed.columns[3].name = "other";
  const std::vector<SchemaPointer> schemas{test::compile(renamed)};
  std::vector<StreamScores> stats(1);
  Scorer other(schemas, {}, stats);
  EXPECT_FALSE(other.restore(named(rows, good)));
  EXPECT_EQ(shard.scorer.devices(), 0U);
  EXPECT_TRUE(shard.scorer.restore(named(rows, good)));
}

// The latest reading with a right clock is kept beside one whose clock was ahead; states of before that are
// read, and say that it is not known.
TEST(device_state, tells_which_reading_was_the_latest_with_a_right_clock) {
  const StateFields fields(*test::compile(test::watched_stream(field_count)));
  DeviceTable table(0, groups_of(field_count));
  Device& device = table.add(1, "well-1");
  Device& restored = table.add(2, "well-2");
  std::vector<std::byte> state(device_state_bytes(field_count));
  const auto restore = [&](DeviceLearned learned) {
    device.learned = learned;
    encode_state(device, fields, state);
    EXPECT_TRUE(valid_state(state, fields));
    decode_state(state, fields, restored);
    EXPECT_EQ(restored.learned.time_us, learned.time_us);
    EXPECT_EQ(restored.learned.clock_was_ahead, learned.clock_was_ahead);
    return restored.learned.right_time_us;
  };
  EXPECT_EQ(restore({}), never_us);
  EXPECT_EQ(restore({.time_us = 7, .right_time_us = 7}), 7);
  EXPECT_EQ(restore({.time_us = 7, .right_time_us = -5, .clock_was_ahead = true}), -5);
  EXPECT_EQ(restore({.time_us = 7, .right_time_us = never_us, .clock_was_ahead = true}), never_us);
  constexpr std::int64_t apart_us = std::int64_t{1} << 56;
  EXPECT_EQ(restore({.time_us = apart_us, .right_time_us = 1, .clock_was_ahead = true}), 1);
  EXPECT_EQ(restore({.time_us = apart_us, .right_time_us = 0, .clock_was_ahead = true}), never_us);
  // Before the first of all times, which no reading is.
  restore({.time_us = never_us + 1, .right_time_us = never_us, .clock_was_ahead = true});
  state[17] = std::byte{1};
  seal_state(state);
  EXPECT_FALSE(valid_state(state, fields));
}

// The checksum finds every change; behind it, numbers that no baseline has are refused too, which is tried
// with checksums made right again.
TEST(device_state, changed_bytes_never_make_a_baseline_that_is_none) {
  const std::vector<std::byte> good = learned_state(9);
  const StateFields fields(*test::compile(test::watched_stream(field_count)));
  DeviceTable table(0, groups_of(field_count));
  Device& device = table.add(1, "well-1");
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> changed = good;
    for (auto flips = 1 + random() % 4; flips > 0; --flips)
      changed[random() % changed.size()] ^= static_cast<std::byte>(1U << random() % 8);
    if (changed == good) continue;
    ASSERT_FALSE(valid_state(changed, fields));
    seal_state(changed);
    if (!valid_state(changed, fields)) continue;
    decode_state(changed, fields, device);
    for (std::uint32_t field = 0; field < field_count; ++field) {
      const FieldGroup& group = device.groups()[field / group_fields];
      const std::uint32_t lane = field % group_fields;
      ASSERT_TRUE(std::isfinite(group.mean[lane]) && std::isfinite(group.anchor[lane]) &&
                  std::isfinite(group.variance[lane]) && group.variance[lane] >= 0);
      ASSERT_TRUE(group.caution[lane] >= 1 && group.count[lane] >= 0 && group.tail_start[lane] >= 0 &&
                  group.tail_excess[lane] >= 0);
    }
  }
}

}  // namespace
}  // namespace wellhead
