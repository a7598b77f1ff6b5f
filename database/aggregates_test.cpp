#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <future>
#include <random>
#include <thread>

#include "database/aggregates_fixture.hpp"

namespace wellhead {
namespace {

TEST_P(AggregatesTest, EachIsRowForRowWhatADirectQueryGives) {
  insert_readings_of_some_days();
  refresh_all();
  expect_equal_to_direct_queries();
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_invalidation"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_invalidation_pending"), "0");
}

TEST_P(AggregatesTest, LateDataChangeTheirBucketsAndNoOther) {
  insert_readings_of_some_days();
  refresh_all();
  const std::string others =
      "SELECT md5(string_agg(xmin::text, ' ' ORDER BY bucket, device_id)) FROM telemetry_1min WHERE bucket < "
      "date_trunc('day', now(), 'UTC') - interval '4 days 23 hours' OR bucket >= "
      "date_trunc('day', now(), 'UTC') - interval '4 days 22 hours 58 minutes'";
  const std::string before = value(others);
  execute(
      "INSERT INTO telemetry (timestamp, device_id, temperature) SELECT date_trunc('day', now(), 'UTC') - "
      "interval '4 days 23 hours' + n * interval '1 second', 'late', n * 0.25 FROM generate_series(0, 90) AS "
      "n; "
      "INSERT INTO wellhead_invalidation SELECT 'telemetry', min(timestamp), max(timestamp) + interval '1 "
      "microsecond' "
      "FROM telemetry WHERE device_id = 'late'");
  refresh_all();
  expect_equal_to_direct_queries();
  EXPECT_EQ(value(others), before) << "buckets that were not touched were computed again";
}

TEST_P(AggregatesTest, AnUpdateThatMovesARowAcrossABoundaryChangesBothBuckets) {
  insert_readings_of_some_days();
  refresh_all();
  execute(
      "UPDATE telemetry SET timestamp = timestamp + interval '1 minute' WHERE device_id = 'well-1' AND "
      "timestamp = "
      "(SELECT min(timestamp) FROM telemetry WHERE device_id = 'well-1'); "
      "INSERT INTO wellhead_invalidation SELECT 'telemetry', min(timestamp), min(timestamp) + interval '2 "
      "minutes' "
      "FROM telemetry");
  refresh_all();
  expect_equal_to_direct_queries();
}

TEST_P(AggregatesTest, ABucketThatLostAllItsRowsGoes) {
  insert_readings_of_some_days();
  refresh_all();
  const std::string minute = "date_trunc('day', now(), 'UTC') - interval '4 days 23 hours'";
  execute(
      fmt::format("DELETE FROM telemetry WHERE timestamp >= {0} AND timestamp < {0} + interval '1 minute'; "
                  "INSERT INTO wellhead_invalidation VALUES ('telemetry', {0}, {0} + interval '1 minute')",
                  minute));
  refresh_all();
  expect_equal_to_direct_queries();
  EXPECT_EQ(value(fmt::format("SELECT count(*) FROM telemetry_1min WHERE bucket = {}", minute)), "0");
}

TEST_P(AggregatesTest, ARefreshThatIsKilledInTheMiddleLeavesAllAsItWasAndIsDoneAgain) {
  insert_readings_of_some_days();
  refresh_all();
  const std::string all =
      "SELECT md5(string_agg(v::text, ' ' ORDER BY bucket, device_id)) FROM telemetry_1min AS v";
  const std::string before = value(all);
  insert_readings("date_trunc('day', now(), 'UTC') - interval '4 days 22 hours'",
                  "date_trunc('day', now(), 'UTC') - interval '4 days 21 hours'");
  // A lock on the source stops it between deleting and computing.
  const auto blocker = connect();
  ASSERT_TRUE(blocker->run("BEGIN; LOCK TABLE telemetry IN ACCESS EXCLUSIVE MODE"));
  const auto victim = connect();
  const std::string pid = victim->query("SELECT pg_backend_pid()")->front()[0].value_or("");
  auto refreshing = std::async(std::launch::async, [&] {
    return victim->run("SELECT wellhead_refresh('telemetry_1min', late => true)");
  });
  const std::string waits =
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = " + pid;
  while (value(waits) == "0") std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(value("SELECT pg_terminate_backend(" + pid + ", 5000)"), "t");
  EXPECT_FALSE(refreshing.get());
  ASSERT_TRUE(blocker->run("ROLLBACK"));

  EXPECT_EQ(value(all), before);
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_invalidation"), "1");
  refresh_all();
  expect_equal_to_direct_queries();
  EXPECT_NE(value(all), before);
}

TEST_P(AggregatesTest, AFlushThatCommitsBehindARefreshIsFoundByTheNext) {
  insert_readings_of_some_days();
  const auto writer = connect();
  ASSERT_TRUE(
      writer->run("BEGIN; INSERT INTO telemetry (timestamp, device_id, temperature) VALUES "
                  "(date_trunc('day', now(), 'UTC') - "
                  "interval '5 days', 'slow', 1); INSERT INTO wellhead_invalidation VALUES ('telemetry', "
                  "date_trunc('day', now(), "
                  "'UTC') - interval '5 days', date_trunc('day', now(), 'UTC') - interval '5 days' + "
                  "interval '1 microsecond')"));
  refresh_all();
  EXPECT_EQ(value("SELECT count(*) FROM telemetry_1min WHERE device_id = 'slow'"), "0");
  ASSERT_TRUE(writer->run("COMMIT"));
  refresh_all();
  expect_equal_to_direct_queries();
}

TEST_P(AggregatesTest, OnlyWholeBucketsWithinTheWindowAreComputed) {
  const std::string at = "TIMESTAMPTZ '2026-03-01 12:00:40+00'";
  execute(
      "INSERT INTO telemetry (timestamp, device_id, temperature) SELECT TIMESTAMPTZ '2026-03-01 10:00:00+00' "
      "+ n * "
      "interval '1 minute', 'well-1', 1 FROM generate_series(0, 119) AS n; "
      "INSERT INTO wellhead_invalidation VALUES ('telemetry', '2026-03-01 10:00:00+00', '2026-03-01 "
      "12:00:40+00')");
  // From 11:01, the first whole minute of the last hour, to 12:00, the last that ended 30 seconds ago.
  EXPECT_EQ(value("SELECT rows_inserted FROM wellhead_refresh('telemetry_1min', at => " + at + ")"), "59");
  EXPECT_EQ(
      value("SELECT min(bucket) = '2026-03-01 11:01:00+00' AND max(bucket) = '2026-03-01 11:59:00+00' FROM "
            "telemetry_1min"),
      "t");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_refresh('telemetry_1min', at => " + at + ")"), "0");
  const std::string until = ", until => '2026-03-01 10:30:00+00')";
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_refresh('telemetry_1min', at => " + at + until), "0");
  EXPECT_EQ(
      value("SELECT rows_inserted FROM wellhead_refresh('telemetry_1min', late => true, at => " + at + until),
      "30");
  EXPECT_EQ(
      value("SELECT rows_inserted FROM wellhead_refresh('telemetry_1min', late => true, at => " + at + ")"),
      "31");
}

TEST_P(AggregatesTest, WhatWasDroppedAtTheSourceKeepsWhatWasComputedOfIt) {
  insert_readings_of_some_days();
  refresh_all();
  const std::string rows = value("SELECT count(*) FROM telemetry_1min");
  execute(
      "UPDATE wellhead_aggregate SET refresh_from = least(refresh_from, interval '3 days'); "
      "UPDATE wellhead_lifecycle SET keep = interval '1 day', guarded = false WHERE table_name = "
      "'telemetry'");
  ASSERT_TRUE(maintenance_->make_partitions(report_));
  const auto dropped = maintenance_->drop_expired(false, report_);
  ASSERT_TRUE(dropped) << dropped.error();
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "0");
  execute(
      "INSERT INTO wellhead_invalidation VALUES ('telemetry', now() - interval '6 days', now() - interval '3 "
      "days')");
  refresh_all();
  EXPECT_EQ(value("SELECT count(*) FROM telemetry_1min"), rows);
}

TEST_P(AggregatesTest, WhatCouldNotBeComputedIsNotDropped) {
  insert_readings_of_some_days();
  execute(
      "UPDATE wellhead_aggregate SET refresh_from = least(refresh_from, interval '3 days'); "
      "UPDATE wellhead_lifecycle SET keep = interval '1 day', guarded = false WHERE table_name IN "
      "('telemetry', 'esp_telemetry'); INSERT INTO esp_telemetry (id, well_id, timestamp) VALUES (1, "
      "'well-1', "
      "now() - interval '9 days')");
  ASSERT_TRUE(maintenance_->make_partitions(report_));
  const auto other = connect();
  ASSERT_TRUE(other->run("BEGIN; LOCK TABLE telemetry_1hour IN SHARE MODE"));
  const MaintenanceReport report = maintenance_->run_all(false);
  EXPECT_TRUE(report.failures.empty()) << testing::PrintToString(report.failures);
  EXPECT_EQ(report.postponed.size(), 2U) << testing::PrintToString(report.postponed);
  EXPECT_NE(print(report).find("Dropping old data of telemetry is put off to the next turn: an aggregate is "
                               "yet to be computed of them"),
            std::string::npos)
      << print(report);
  EXPECT_NE(value("SELECT count(*) FROM telemetry"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM esp_telemetry"), "0") << "it waits for nobody";
  ASSERT_TRUE(other->run("ROLLBACK"));
  EXPECT_TRUE(maintenance_->run_all(true).postponed.empty());
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "0");
  EXPECT_NE(value("SELECT count(*) FROM telemetry_1hour"), "0");
}

TEST_P(AggregatesTest, ATurnHasAnEndWhileDataKeepComing) {
  insert_readings_of_some_days();
  // Whenever a slice was computed, its newest minute has been written to again, nine times over.
  execute(
      "CREATE SEQUENCE writes; CREATE FUNCTION write_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF nextval('writes') <= 9 THEN INSERT INTO wellhead_invalidation SELECT 'telemetry', max(timestamp), "
      "max(timestamp) + interval '1 second' FROM telemetry; END IF; RETURN NULL; END $$; "
      "CREATE TRIGGER written AFTER INSERT ON telemetry_1min FOR EACH STATEMENT EXECUTE FUNCTION "
      "write_again()");
  for (const AggregateFacts& aggregate : maintenance_->aggregates())
    ASSERT_TRUE(maintenance_->refresh(aggregate, true, report_));
  EXPECT_EQ(value("SELECT last_value FROM writes"), "4") << "each of the four slices is computed once";
  // Turn after turn nothing is left.
  while (value("SELECT last_value > 9 FROM writes") != "t") refresh_all();
  refresh_all();
  expect_equal_to_direct_queries();
}

TEST_P(AggregatesTest, SeveralNodesAtOnceComputeTheSame) {
  insert_readings_of_some_days();
  std::array<std::future<bool>, 3> nodes;
  for (auto& node : nodes) {
    node = std::async(std::launch::async, [this] {
      const auto connection = connect();
      Maintenance maintenance(*connection);
      MaintenanceReport report;
      bool right = maintenance.prepare().has_value();
      for (const AggregateFacts& aggregate : maintenance.aggregates())
        right = right && maintenance.refresh(aggregate, true, report).has_value();
      return right;
    });
  }
  for (auto& node : nodes) EXPECT_TRUE(node.get());
  refresh_all();
  expect_equal_to_direct_queries();
}

TEST_P(AggregatesTest, AnyMixOfChangesAndRefreshesEndsInTheDirectQueriesRows) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  insert_readings_of_some_days();
  const std::string day = "date_trunc('day', now(), 'UTC') - interval '5 days'";
  for (int round = 0; round < 12; ++round) {
    const std::string at = fmt::format("({} + {} * interval '1 second')", day, random() % 9'000);
    const std::string until = fmt::format("({} + {} * interval '1 second')", at, 1 + random() % 600);
    const std::string log =
        fmt::format("INSERT INTO wellhead_invalidation VALUES ('telemetry', {}, {})", at, until);
    switch (random() % 3) {
      case 0:
        insert_readings(at, until);
        break;
      case 1:
        execute(fmt::format("DELETE FROM telemetry WHERE timestamp >= {} AND timestamp < {}; {}", at, until,
                            log));
        break;
      default:
        execute(fmt::format(
            "UPDATE telemetry SET vibration = vibration + 0.25 WHERE timestamp >= {} AND timestamp < {}; {}",
            at, until, log));
    }
    if (random() % 2 == 0) refresh_all();
  }
  refresh_all();
  expect_equal_to_direct_queries();
}

INSTANTIATE_TEST_SUITE_P(Editions, AggregatesTest,
                         testing::Values(TestedServer::as_it_is, TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
