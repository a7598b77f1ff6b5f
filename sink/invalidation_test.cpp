// What a flush tells of the time it touches: that it is never too little, is little, and stands or falls with
// the flush's rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "sink/postgres_committer.hpp"
#include "sink/simulated_server.hpp"
#include "sink/test_rows.hpp"

namespace wellhead {
namespace {

using test::Invalidation;
using test::SimulatedServer;

constexpr std::int64_t minute_us = 60'000'000;
constexpr std::int64_t day_us = 1440 * minute_us;

std::vector<TimeRange> touched_by(const std::vector<std::int64_t>& times_us) {
  TouchedTime touched;
  for (const std::int64_t time_us : times_us) touched.add(time_us);
  return {touched.ranges().begin(), touched.ranges().end()};
}

TEST(TouchedTimeTest, neighbouring_minutes_are_one_stretch_in_whatever_order_they_come) {
  const std::int64_t start = 100 * minute_us;
  EXPECT_EQ(touched_by({}), std::vector<TimeRange>{});
  EXPECT_EQ(touched_by({start}), (std::vector<TimeRange>{{start, start + minute_us}}));
  EXPECT_EQ(touched_by({start + minute_us - 1}), (std::vector<TimeRange>{{start, start + minute_us}}));
  EXPECT_EQ(touched_by({start + 130'000'000, start, start + minute_us}),
            (std::vector<TimeRange>{{start, start + 3 * minute_us}}));
  EXPECT_EQ(
      touched_by({start + 2 * minute_us, start}),
      (std::vector<TimeRange>{{start, start + minute_us}, {start + 2 * minute_us, start + 3 * minute_us}}));
}

TEST(TouchedTimeTest, minutes_before_2000_begin_where_others_do) {
  EXPECT_EQ(touched_by({-1}), (std::vector<TimeRange>{{-minute_us, 0}}));
  EXPECT_EQ(touched_by({-minute_us}), (std::vector<TimeRange>{{-minute_us, 0}}));
  EXPECT_EQ(touched_by({-minute_us - 1}), (std::vector<TimeRange>{{-2 * minute_us, -minute_us}}));
}

TEST(TouchedTimeTest, times_the_database_does_not_have_are_passed_over) {
  EXPECT_EQ(touched_by({std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}),
            std::vector<TimeRange>{});
}

TEST(TouchedTimeTest, late_rows_stay_stretches_of_their_own_however_many_others_there_are) {
  std::vector<std::int64_t> times_us{-30 * day_us, -3 * day_us};
  for (std::int64_t minute = 0; minute < 100; ++minute) times_us.push_back(minute * 10 * minute_us);
  const auto ranges = touched_by(times_us);
  ASSERT_EQ(ranges.size(), TouchedTime::ranges_max);
  EXPECT_EQ(ranges[0], (TimeRange{-30 * day_us, -30 * day_us + minute_us}));
  EXPECT_EQ(ranges[1], (TimeRange{-3 * day_us, -3 * day_us + minute_us}));
  EXPECT_EQ(ranges[2].from_us, 0);
  EXPECT_EQ(ranges.back().until_us, 991 * minute_us);
}

TEST(TouchedTimeTest, every_time_is_in_a_stretch_of_whole_minutes_and_stretches_do_not_touch) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 dice(seed);
  for (int round = 0; round < 2000; ++round) {
    const std::int64_t spread = std::int64_t{1} << (20 + dice() % 38);
    std::vector<std::int64_t> times_us;
    for (std::uint64_t count = dice() % 60; times_us.size() < count;)
      times_us.push_back(static_cast<std::int64_t>(dice() % static_cast<std::uint64_t>(spread)) - spread / 2);
    const auto ranges = touched_by(times_us);
    ASSERT_LE(ranges.size(), TouchedTime::ranges_max);
    for (const std::int64_t time_us : times_us) {
      const auto holds = [&](const TimeRange& range) {
        return range.from_us <= time_us && time_us < range.until_us;
      };
      ASSERT_EQ(std::ranges::count_if(ranges, holds), 1) << time_us;
    }
    for (std::size_t index = 0; index < ranges.size(); ++index) {
      ASSERT_EQ(ranges[index].from_us % minute_us, 0);
      ASSERT_EQ(ranges[index].until_us % minute_us, 0);
      ASSERT_LT(ranges[index].from_us, ranges[index].until_us);
      if (index > 0) {
        ASSERT_LT(ranges[index - 1].until_us, ranges[index].from_us);
      }
    }
  }
}

const std::atomic<bool> not_stopping{false};
constexpr LaneId lane{1, 0, 0};
constexpr std::string_view bad_device = "refused";
constexpr std::int64_t base_time_s = 1'767'225'600;  // test::base_time_us since 1970

const std::vector<std::string> with_aggregates{"telemetry"};
const std::vector<std::string> without_aggregates;

// A committer on a server where telemetry has aggregates that the node keeps, or none.
struct Node {
  explicit Node(const std::vector<std::string>& aggregated) {
    auto owned = std::make_unique<SimulatedServer>(schemas);
    server = owned.get();
    server->aggregated = aggregated;
    server->refuses = [](const std::string&, const std::string& tuple) {
      return tuple.find(bad_device) != std::string::npos;
    };
    committer = std::make_unique<PostgresCommitter>(
        std::move(owned),
        CommitterSetup{.streams = schemas, .owner = {.journal_id = "journal", .node_id = "node"}});
  }

  // True once it is committed, within a few tries.
  [[nodiscard]] bool commit(Batch& batch) {
    bool in_doubt = false;
    for (int tries = 0; tries < 5; ++tries) {
      std::vector<LaneProgress> progress{{lane, 0}};
      if (!committer->prepare(progress, not_stopping, state, problem)) continue;
      if (in_doubt && progress.front().sequence > sequence) return ++sequence > 0;
      const std::vector<LaneMove> moves{{lane, sequence, sequence + 1}};
      const std::vector<Batch*> batches{&batch};
      batch.refused().clear();
      const auto outcome = committer->commit({batches, moves, false}, not_stopping).outcome;
      if (outcome == FlushOutcome::committed) return ++sequence > 0;
      in_doubt = outcome == FlushOutcome::unknown;
    }
    return false;
  }
  [[nodiscard]] const std::vector<Invalidation>& told() const { return server->committed.invalidations; }

  std::vector<SchemaPointer> schemas = test::shipped_schemas();
  SimulatedServer* server;
  std::unique_ptr<PostgresCommitter> committer;
  std::uint64_t sequence = 0;
  ShardState state = ShardState::starting;
  std::string problem;
};

std::unique_ptr<Batch> make_flush(bool with_bad_row = false) {
  auto batch = test::make_batch();
  for (int row = 0; row < 4; ++row)
    test::add_telemetry(*batch, "well-" + std::to_string(row), test::base_time_us + row * 30'000'000, 1);
  test::add_telemetry(*batch, "late", test::base_time_us - 5 * day_us, 1);
  test::add_esp(*batch, 1, "well-1", test::base_time_us + day_us);
  if (with_bad_row) test::add_telemetry(*batch, bad_device, test::base_time_us + 2 * day_us, 1);
  return batch;
}

const std::vector<Invalidation> told_of_flush{
    {"telemetry", base_time_s - 5 * 86'400, base_time_s - 5 * 86'400 + 60},
    {"telemetry", base_time_s, base_time_s + 120}};

TEST(InvalidationTest, a_flush_tells_of_tables_with_aggregates_without_a_round_trip) {
  Node telling(with_aggregates);
  Node silent(without_aggregates);
  ASSERT_TRUE(telling.commit(*make_flush()));
  ASSERT_TRUE(silent.commit(*make_flush()));
  EXPECT_EQ(telling.told(), told_of_flush);
  const int telling_calls = telling.server->calls;
  const int silent_calls = silent.server->calls;
  ASSERT_TRUE(telling.commit(*make_flush()));
  ASSERT_TRUE(silent.commit(*make_flush()));
  EXPECT_EQ(telling.server->calls - telling_calls, silent.server->calls - silent_calls);
  EXPECT_EQ(telling.told().size(), 2 * told_of_flush.size());
  EXPECT_TRUE(silent.told().empty());
}

TEST(InvalidationTest, a_flush_without_rows_of_such_tables_tells_nothing) {
  Node node(with_aggregates);
  auto batch = test::make_batch();
  test::add_esp(*batch, 1, "well-1", test::base_time_us);
  ASSERT_TRUE(node.commit(*batch));
  EXPECT_TRUE(node.told().empty());
}

TEST(InvalidationTest, a_salvaged_flush_tells_of_the_rows_that_were_refused_too) {
  Node node(with_aggregates);
  ASSERT_TRUE(node.commit(*make_flush(true)));
  auto expected = told_of_flush;
  expected.push_back({"telemetry", base_time_s + 2 * 86'400, base_time_s + 2 * 86'400 + 60});
  EXPECT_EQ(node.told(), expected);
}

TEST(InvalidationTest, whatever_call_breaks_what_is_told_is_told_once_with_the_rows) {
  for (const bool bad_row : {false, true}) {
    Node whole(with_aggregates);
    ASSERT_TRUE(whole.commit(*make_flush(bad_row)));
    for (int number = 0; number < whole.server->calls; ++number)
      for (const bool after_effect : {false, true}) {
        SCOPED_TRACE("call " + std::to_string(number) + (after_effect ? " after" : " before"));
        Node node(with_aggregates);
        node.server->break_call(number, after_effect);
        ASSERT_TRUE(node.commit(*make_flush(bad_row)));
        EXPECT_EQ(node.server->committed.rows(), whole.server->committed.rows());
        EXPECT_EQ(node.told(), whole.told());
      }
  }
}

TEST(InvalidationTest, aggregates_that_went_or_came_are_seen_by_the_next_connection) {
  Node node(without_aggregates);
  ASSERT_TRUE(node.commit(*make_flush()));
  EXPECT_TRUE(node.told().empty());
  node.server->aggregated = with_aggregates;
  node.server->break_call(node.server->calls + 1, false);
  ASSERT_TRUE(node.commit(*make_flush()));
  EXPECT_EQ(node.told(), told_of_flush);
}

}  // namespace
}  // namespace wellhead
