#include "scoring/scorer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "codec/quality.hpp"
#include "codec/stream_rules.hpp"
#include "scoring/test_support.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t field_count = 3;

bool has(const test::Computed& computed, QualityReason reason) {
  return (computed.flags & quality_bit(reason)) != 0;
}

class ScorerTest : public testing::Test {
 protected:
  void limit(ScorerLimits limits) { scorer_ = Scorer(schemas_, limits, stats_); }

  void score(const test::Rows& rows) {
    scorer_.start();
    const auto sorted = rows.sorted();
    scorer_.score(0, sorted);
  }
  void commit(const test::Rows& rows) {
    score(rows);
    static_cast<void>(scorer_.states_to_save());
    scorer_.commit();
  }
  // Readings of one device, a second apart, around 70.
  test::Rows noise(const std::string& device, int first, int count) {
    test::Rows rows;
    for (int reading = first; reading < first + count; ++reading)
      rows.add(device, at(reading), {70 + normal_(random_), 70 + normal_(random_), std::nullopt});
    return rows;
  }
  static std::int64_t at(int reading) { return test::start_us + reading * test::second_us; }
  test::Computed score_one(const std::string& device, int reading, float value) {
    test::Rows rows;
    rows.add(device, at(reading), {value, 70, std::nullopt});
    commit(rows);
    return test::computed_of(rows.header(0));
  }
  std::vector<std::string> unknown(const test::Rows& rows) {
    std::vector<DeviceName> names;
    const auto sorted = rows.sorted();
    scorer_.find_unknown(0, sorted, names);
    std::vector<std::string> texts;
    for (const DeviceName& name : names) texts.emplace_back(name.text);
    return texts;
  }

  // As it would be saved. The device is to have learned something that is not.
  std::vector<std::byte> state_of(const std::string& device) {
    score(noise(device, 0, 1));
    std::vector<std::byte> bytes;
    for (const DeviceState& state : scorer_.unsaved_states(1'000))
      if (state.device.text == device) bytes.assign(state.bytes.begin(), state.bytes.end());
    scorer_.discard();
    return bytes;
  }

  std::vector<SchemaPointer> schemas_{test::compile(test::watched_stream(field_count))};
  std::array<StreamScores, 1> stats_;
  Scorer scorer_{schemas_, {}, stats_};
  std::mt19937 random_{5};
  std::normal_distribution<float> normal_;
};

TEST_F(ScorerTest, what_the_decoder_found_is_scored_by_the_formula) {
  test::Rows rows;
  RowHeader& row = rows.add("a", at(0), {1, std::nullopt, std::nullopt});
  row.quality_reasons = static_cast<std::uint8_t>(quality_bit(QualityReason::late));
  row.quality_missing = 0b010;
  row.quality_out_of_range = 0b100;
  commit(rows);
  const test::Computed computed = test::computed_of(row);
  EXPECT_FLOAT_EQ(computed.score, 1 - 0.15F - 0.25F - 0.10F);
  EXPECT_FALSE(computed.anomaly);
  EXPECT_EQ(computed.flags, quality_bit(QualityReason::late) | quality_bit(QualityReason::warming_up) |
                                std::uint64_t{0b010} << quality_missing_shift |
                                std::uint64_t{0b100} << quality_out_of_range_shift);
}

TEST_F(ScorerTest, an_anomaly_is_told_with_its_field_and_counted_when_committed) {
  commit(noise("a", 0, 300));
  const test::Computed computed = score_one("a", 300, 150);
  EXPECT_TRUE(computed.anomaly);
  EXPECT_TRUE(has(computed, QualityReason::anomalous));
  EXPECT_TRUE(has(computed, QualityReason::inconsistent));
  EXPECT_FLOAT_EQ(computed.score, 0.8F);
  EXPECT_EQ(computed.flags >> quality_unusual_shift, 0b001U);
  EXPECT_EQ(stats_[0].rows.value(), 301U);
  EXPECT_GE(stats_[0].anomalous.value(), 1U);
  EXPECT_EQ(stats_[0].inconsistent.value(), 1U);
  EXPECT_EQ(stats_[0].score_millionths.value(), 300'800'000U);
}

TEST_F(ScorerTest, rules_that_are_changed_hold_from_the_next_flush_on) {
  commit(noise("a", 0, 300));
  StreamConfig changed = schemas_[0]->config();
  changed.columns[2].rate_max = 0.001;
  changed.scoring.z_min = 100;
  schemas_[0]->rules().set({.schema = test::compile(changed), .attributes = nullptr});
  const test::Computed computed = score_one("a", 300, 90);
  EXPECT_TRUE(has(computed, QualityReason::changed_quickly));
  EXPECT_FALSE(has(computed, QualityReason::anomalous));
}

TEST_F(ScorerTest, a_value_out_of_range_that_was_kept_is_not_judged) {
  commit(noise("a", 0, 300));
  test::Rows rows;
  rows.add("a", at(300), {1e6F, 70, std::nullopt}).quality_out_of_range = 0b001;
  commit(rows);
  EXPECT_FALSE(test::computed_of(rows.header(0)).anomaly);
  EXPECT_EQ(test::computed_of(rows.header(0)).flags >> quality_unusual_shift, 0U);
}

TEST_F(ScorerTest, a_value_beyond_all_bounds_is_an_anomaly_and_teaches_nothing) {
  commit(noise("a", 0, 300));
  const test::Computed computed = score_one("a", 300, 1e30F);
  EXPECT_EQ(computed.flags, quality_bit(QualityReason::anomalous) | quality_bit(QualityReason::inconsistent) |
                                std::uint64_t{1} << quality_unusual_shift);
  EXPECT_FLOAT_EQ(computed.score, 0.8F);
  EXPECT_EQ(score_one("a", 301, 70).flags, 0U);
  EXPECT_TRUE(score_one("a", 302, 80).anomaly);
}

TEST_F(ScorerTest, a_discarded_flush_scores_the_same_again) {
  commit(noise("a", 0, 300));
  test::Rows rows = noise("a", 300, 200);
  test::Rows others = noise("b", 0, 100);
  rows.add("a", at(500), {90, 70, std::nullopt});
  const auto computed = [&] {
    std::vector<test::Computed> all;
    for (std::size_t row = 0; row < rows.size(); ++row) all.push_back(test::computed_of(rows.header(row)));
    return all;
  };
  score(rows);
  const auto first = computed();
  const auto saved = scorer_.states_to_save();
  const std::vector<std::byte> state(saved[0].bytes.begin(), saved[0].bytes.end());
  scorer_.discard();
  EXPECT_EQ(scorer_.devices(), 1U);
  score(others);  // another company
  scorer_.discard();
  EXPECT_EQ(scorer_.devices(), 1U);
  score(rows);
  EXPECT_EQ(computed(), first);
  const auto again = scorer_.states_to_save();
  EXPECT_TRUE(std::ranges::equal(state, again[0].bytes));
  scorer_.commit();
  EXPECT_EQ(stats_[0].rows.value(), 501U);
}

TEST_F(ScorerTest, rows_are_scored_alike_in_one_flush_and_in_many) {
  const test::Rows rows = noise("a", 0, 500);
  score(rows);
  std::vector<test::Computed> together;
  for (std::size_t row = 0; row < rows.size(); ++row) together.push_back(test::computed_of(rows.header(row)));
  scorer_.discard();
  const auto sorted = rows.sorted();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    scorer_.start();
    scorer_.score(0, std::span(sorted).subspan(rows.size() - 1 - row, 1));
    scorer_.commit();
    ASSERT_EQ(test::computed_of(rows.header(row)), together[row]) << row;
  }
}

TEST_F(ScorerTest, a_late_row_is_judged_and_moves_nothing) {
  commit(noise("a", 0, 300));
  score(noise("a", 300, 1));
  const auto before = scorer_.states_to_save();
  ASSERT_EQ(before.size(), 1U);
  const std::vector<std::byte> state(before[0].bytes.begin(), before[0].bytes.end());
  scorer_.commit();
  const test::Computed odd = score_one("a", 100, 150);
  EXPECT_TRUE(has(odd, QualityReason::out_of_order));
  EXPECT_TRUE(odd.anomaly);
  const test::Computed ordinary = score_one("a", 101, 70);
  EXPECT_EQ(ordinary.flags, quality_bit(QualityReason::out_of_order));
  const test::Computed ancient = score_one("a", -7200, 150);
  EXPECT_TRUE(has(ancient, QualityReason::out_of_order));
  EXPECT_FALSE(ancient.anomaly) << "too old to compare";
  const test::Computed repeated = score_one("a", 300, 70);
  EXPECT_FALSE(has(repeated, QualityReason::out_of_order));
  score(noise("a", 50, 1));
  const auto after = scorer_.states_to_save();
  ASSERT_EQ(after.size(), 1U);
  EXPECT_TRUE(std::ranges::equal(after[0].bytes, state));
}

// One record, sent as two of the same time.
TEST_F(ScorerTest, the_parts_of_a_split_record_all_teach) {
  test::Rows halves;
  for (int reading = 0; reading < 300; ++reading) {
    // Of one time in one flush, the last to come is looked at first.
    halves.add("a", at(reading), {500, 500, std::nullopt});
    halves.add("a", at(reading), {70 + normal_(random_), std::nullopt, std::nullopt});
    halves.add("a", at(reading), {std::nullopt, 20 + normal_(random_), std::nullopt});
  }
  commit(halves);
  const auto flags = [&](std::size_t row) { return test::computed_of(halves.header(row)).flags; };
  EXPECT_EQ((flags(898) | flags(899)) & quality_bit(QualityReason::warming_up), 0U);
  EXPECT_TRUE(has(test::computed_of(halves.header(897)), QualityReason::anomalous));
  EXPECT_EQ(flags(897) >> quality_unusual_shift, 0b11U);
  test::Rows next;
  next.add("a", at(300), {std::nullopt, 20, std::nullopt});
  next.add("a", at(300), {90, std::nullopt, std::nullopt});
  commit(next);
  EXPECT_EQ(test::computed_of(next.header(0)).flags, 0U);
  EXPECT_EQ(test::computed_of(next.header(1)).flags,
            quality_bit(QualityReason::anomalous) | std::uint64_t{1} << quality_unusual_shift);
}

TEST_F(ScorerTest, a_clock_that_was_ahead_does_not_make_all_later_rows_late) {
  commit(noise("a", 0, 100));
  test::Rows ahead;
  ahead.add("a", at(50'000), {70, 70, std::nullopt}).quality_reasons =
      static_cast<std::uint8_t>(quality_bit(QualityReason::clock_ahead));
  commit(ahead);
  EXPECT_FALSE(has(score_one("a", 101, 70), QualityReason::out_of_order));
  EXPECT_TRUE(has(score_one("a", 100, 70), QualityReason::out_of_order));
}

TEST_F(ScorerTest, late_rows_stay_late_after_a_clock_that_was_ahead) {
  commit(noise("a", 0, 300));
  test::Rows ahead;
  ahead.add("a", at(50'000), {70, 70, std::nullopt}).quality_reasons =
      static_cast<std::uint8_t>(quality_bit(QualityReason::clock_ahead));
  commit(ahead);
  const auto state = state_of("a");
  const test::Computed late = score_one("a", 100, 500);
  EXPECT_TRUE(has(late, QualityReason::out_of_order));
  EXPECT_TRUE(late.anomaly);
  EXPECT_EQ(state_of("a"), state) << "and it moved nothing";
  EXPECT_TRUE(has(score_one("a", -7200, 70), QualityReason::out_of_order));
  EXPECT_EQ(score_one("a", 299, 70).flags, 0U) << "of the time of the latest with a right clock";
  EXPECT_EQ(state_of("a"), state);
  EXPECT_EQ(score_one("a", 300, 70).flags, 0U);
  EXPECT_NE(state_of("a"), state) << "and from here it goes on";
  EXPECT_TRUE(has(score_one("a", 299, 70), QualityReason::out_of_order));
}

TEST_F(ScorerTest, a_clock_that_was_ahead_from_the_beginning_leaves_the_present_open) {
  for (const int reading : {50'000, 50'001}) {
    test::Rows ahead;
    ahead.add("a", at(reading), {70, 70, std::nullopt}).quality_reasons =
        static_cast<std::uint8_t>(quality_bit(QualityReason::clock_ahead));
    commit(ahead);
  }
  EXPECT_FALSE(has(score_one("a", 1, 70), QualityReason::out_of_order));
  EXPECT_TRUE(has(score_one("a", 0, 70), QualityReason::out_of_order));
}

TEST_F(ScorerTest, devices_whose_hashes_collide_are_different_ones) {
  test::Rows first, second;
  for (int reading = 0; reading < 200; ++reading) {
    first.add("a", at(reading), {10 + normal_(random_), 1, 1}, 42);
    second.add("b", at(reading), {500 + normal_(random_), 1, 1}, 42);
  }
  commit(first);
  commit(second);
  EXPECT_EQ(scorer_.devices(), 2U);
  test::Rows next;
  next.add("a", at(200), {500, 1, 1}, 42);
  commit(next);
  EXPECT_TRUE(test::computed_of(next.header(0)).anomaly);
  EXPECT_TRUE(unknown(next).empty());
  test::Rows third;
  third.add("c", at(200), {500, 1, 1}, 42);
  EXPECT_EQ(unknown(third), std::vector<std::string>{"c"});
}

TEST_F(ScorerTest, the_least_recently_seen_leave_with_their_states) {
  limit({.devices_max = 3, .saves_min = 0, .rows_per_save = 1'000'000});
  for (const char* const device : {"a", "b", "c"}) commit(noise(device, 0, 100));
  commit(noise("a", 100, 1));
  score(noise("d", 0, 1));
  auto states = scorer_.states_to_save();
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0].device.text, "b");
  const std::vector<std::byte> left(states[0].bytes.begin(), states[0].bytes.end());
  scorer_.discard();
  EXPECT_TRUE(unknown(noise("b", 100, 1)).empty()) << "nothing leaves with a flush that failed";
  score(noise("d", 0, 1));
  ASSERT_EQ(scorer_.states_to_save().size(), 1U);
  scorer_.commit();
  EXPECT_EQ(scorer_.devices(), 3U);
  const test::Rows next = noise("b", 100, 1);
  EXPECT_EQ(unknown(next), std::vector<std::string>{"b"});
  scorer_.start();
  ASSERT_TRUE(scorer_.restore({{0, next.header(0).device_hash, "b"}, left}));
  EXPECT_TRUE(unknown(next).empty());
  const auto sorted = next.sorted();
  scorer_.score(0, sorted);
  EXPECT_FALSE(has(test::computed_of(next.header(0)), QualityReason::warming_up));
}

TEST_F(ScorerTest, a_flush_of_more_devices_than_may_be_kept_is_scored_whole) {
  limit({.devices_max = 10, .saves_min = 0, .rows_per_save = 1'000'000});
  test::Rows rows;
  for (int device = 0; device < 25; ++device) rows.add("device-" + std::to_string(device), at(0), {1, 2, 3});
  score(rows);
  EXPECT_EQ(scorer_.states_to_save().size(), 15U);
  scorer_.commit();
  EXPECT_EQ(scorer_.devices(), 10U);
  EXPECT_EQ(scorer_.unsaved(), 10U);
}

TEST_F(ScorerTest, states_are_saved_oldest_first_a_few_at_a_time_and_in_order) {
  limit({.saves_min = 2, .rows_per_save = 10});
  for (const char* const device : {"d", "c", "b", "a"}) {
    score(noise(device, 0, 1));
    scorer_.commit();  // whose states were not asked for
  }
  EXPECT_EQ(scorer_.unsaved(), 4U);
  score(noise("d", 1, 1));
  std::vector<std::string> names;
  for (const DeviceState& state : scorer_.states_to_save()) names.emplace_back(state.device.text);
  EXPECT_EQ(names, (std::vector<std::string>{"c", "d"}));
  scorer_.discard();
  EXPECT_EQ(scorer_.unsaved(), 4U);
  score(noise("d", 1, 30));
  EXPECT_EQ(scorer_.states_to_save().size(), 3U) << "one for every ten rows";
  scorer_.commit();
  EXPECT_EQ(scorer_.unsaved(), 1U);
  const auto last = scorer_.unsaved_states(10);
  ASSERT_EQ(last.size(), 1U);
  EXPECT_EQ(last[0].device.text, "a");
  scorer_.commit();
  EXPECT_EQ(scorer_.unsaved(), 0U);
}

TEST_F(ScorerTest, devices_that_come_and_go_at_random_are_never_lost) {
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  limit({.devices_max = 50, .saves_min = 3, .rows_per_save = 100});
  std::set<std::string> known;
  for (int flush = 0; flush < 2'000; ++flush) {
    test::Rows rows;
    std::set<std::string> here;
    for (auto count = random() % 20; count > 0; --count)
      here.insert("device-" + std::to_string(random() % 200));
    for (const std::string& device : here) rows.add(device, at(flush), {1, 2, 3});
    std::vector<std::string> expected;
    std::ranges::set_difference(here, known, std::back_inserter(expected));
    ASSERT_EQ(unknown(rows), expected);
    score(rows);
    const auto states = scorer_.states_to_save();
    ASSERT_TRUE(
        std::ranges::is_sorted(states, {}, [](const DeviceState& state) { return state.device.text; }));
    if (random() % 4 == 0) {
      scorer_.discard();
      continue;
    }
    scorer_.commit();
    ASSERT_LE(scorer_.devices(), 50U);
    known.insert(here.begin(), here.end());
    std::erase_if(known, [&](const std::string& device) {
      test::Rows row;
      row.add(device, at(0), {1, 2, 3});
      return !unknown(row).empty();
    });
    ASSERT_EQ(known.size(), scorer_.devices());
    ASSERT_TRUE(std::ranges::includes(known, here)) << "those of the flush are the last to leave";
  }
}

TEST(scorer, streams_without_computed_columns_are_passed_over) {
  StreamConfig config = test::watched_stream(2);
  config.columns.resize(4);
  const std::vector<SchemaPointer> schemas{test::compile(config)};
  std::array<StreamScores, 1> stats;
  const Scorer scorer(schemas, {}, stats);
  EXPECT_FALSE(scorer.scores(0));
  EXPECT_FALSE(scorer.scores(1));
}

TEST(scorer, a_stream_without_scored_fields_has_scores_and_no_baselines) {
  const std::vector<SchemaPointer> schemas{test::compile(test::watched_stream(0))};
  std::array<StreamScores, 1> stats;
  Scorer scorer(schemas, {}, stats);
  test::Rows rows;
  rows.add("a", test::start_us, {}).quality_reasons =
      static_cast<std::uint8_t>(quality_bit(QualityReason::late));
  const auto sorted = rows.sorted();
  scorer.start();
  scorer.score(0, sorted);
  EXPECT_TRUE(scorer.states_to_save().empty());
  scorer.commit();
  EXPECT_FLOAT_EQ(test::computed_of(rows.header(0)).score, 0.9F);
  EXPECT_EQ(scorer.devices(), 0U);
}

TEST(scorer, a_change_quicker_than_the_column_allows_is_an_anomaly) {
  StreamConfig config = test::watched_stream(2);
  config.columns[3].rate_max = 5;
  const std::vector<SchemaPointer> schemas{test::compile(config)};
  std::array<StreamScores, 1> stats;
  Scorer scorer(schemas, {}, stats);
  test::Rows rows;
  rows.add("a", test::start_us, {1, 10});
  rows.add("a", test::start_us + 2 * test::second_us, {100, 19});
  rows.add("a", test::start_us + 3 * test::second_us, {1, std::nullopt});
  rows.add("a", test::start_us + 4 * test::second_us, {1, 90});  // nothing to compare with one second ago
  rows.add("a", test::start_us + 5 * test::second_us, {1, 96});
  const auto sorted = rows.sorted();
  scorer.start();
  scorer.score(0, sorted);
  for (std::size_t row = 0; row < 4; ++row) EXPECT_FALSE(test::computed_of(rows.header(row)).anomaly) << row;
  const test::Computed quick = test::computed_of(rows.header(4));
  EXPECT_TRUE(quick.anomaly);
  EXPECT_TRUE(has(quick, QualityReason::changed_quickly));
  EXPECT_EQ(quick.flags >> quality_unusual_shift, 0b10U);
}

}  // namespace
}  // namespace wellhead
