// What only the Community edition of TimescaleDB does. On another server each is listed as skipped, by name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "database/lifecycle_fixture.hpp"

namespace wellhead {
namespace {

constexpr int turns_max = 100;

class CommunityTest : public LifecycleTest {
 protected:
  void SetUp() override {
    LifecycleTest::SetUp();
    if (!IsSkipped() && maintenance_->server().edition != Edition::community)
      GTEST_SKIP() << "needs the Community edition of TimescaleDB; this is "
                   << describe(maintenance_->server());
  }
  std::string config_of(const std::string& relation, const std::string& procedure, const std::string& key) {
    return value(
        fmt::format("SELECT j.config ->> '{}' FROM timescaledb_information.jobs j LEFT JOIN "
                    "timescaledb_information.continuous_aggregates a ON a.materialization_hypertable_name = "
                    "j.hypertable_name "
                    "WHERE coalesce(a.view_name, j.hypertable_name) = '{}' AND j.proc_name = '{}'",
                    key, relation, procedure));
  }
  // 5,001 readings of three devices over 28 hours of the past.
  void insert_readings(int days_ago) {
    execute(fmt::format(
        "INSERT INTO telemetry (timestamp, device_id, temperature) SELECT date_trunc('day', now(), 'UTC') - "
        "interval '{} days' + n * interval '20 seconds', 'well-' || n % 3, n % 40 * 0.25 FROM "
        "generate_series(0, 5000) AS n",
        days_ago));
  }
  void mark_telemetry() {
    execute(
        "INSERT INTO wellhead_archive_marker (table_name, covered_until, as_of, kind) VALUES ('telemetry', "
        "now(), now(), 'backup')");
  }
  void let_policies_look_back_three_days() {
    execute(
        "SELECT alter_job(job_id, config => jsonb_set(config, '{start_offset}', '\"3 days\"')) FROM "
        "timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate' AND (config "
        "->> "
        "'start_offset')::interval > interval '3 days'");
  }
  void compress(const std::string& table) {
    execute("SELECT compress_chunk(c) FROM show_chunks('" + table + "') AS c");
  }
  // The server's own jobs compute the same aggregates, and what they are at is put off.
  void refresh(const AggregateFacts& aggregate) {
    for (int turn = 0; turn < turns_max; ++turn) {
      MaintenanceReport report;
      const auto done = maintenance_->refresh(aggregate, true, report);
      ASSERT_TRUE(done) << done.error();
      if (report.postponed.empty()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    FAIL() << aggregate.view << " was put off " << turns_max << " times";
  }
  // Computes what came late; each aggregate is then row for row what a direct query gives.
  void refresh_and_compare() {
    for (const AggregateFacts& aggregate : maintenance_->aggregates()) {
      ASSERT_NO_FATAL_FAILURE(refresh(aggregate));
      const std::string direct = value("SELECT wellhead_aggregate_query('" + aggregate.view + "')");
      EXPECT_NE(value("SELECT count(*) FROM " + aggregate.view), "0");
      EXPECT_EQ(value(fmt::format(
                    "SELECT count(*) FROM ((TABLE {0} EXCEPT ALL ({1})) UNION ALL (({1}) EXCEPT ALL TABLE "
                    "{0})) AS d",
                    aggregate.view, direct)),
                "0")
          << aggregate.view;
    }
  }
};

TEST_P(CommunityTest, TenWellsOverFifteenDaysAreSixteenChunksWithTheirPolicies) {
  execute(
      "INSERT INTO esp_telemetry (id, well_id, timestamp, flow_rate, pip, motor_current, motor_temp, "
      "vibration, "
      "vsd_frequency, gor) SELECT row_number() OVER (), 'well-' || well, date_trunc('day', now(), 'UTC') - "
      "interval "
      "'15 days' + interval '12 hours' + hour * interval '1 hour', 1000, 2000, 50, 200, 0.25, 60, 300 "
      "FROM generate_series(1, 10) AS well, generate_series(0, 359) AS hour");
  EXPECT_EQ(value("SELECT count(*) FROM esp_telemetry"), "3600");
  EXPECT_EQ(
      value("SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'esp_telemetry'"),
      "16");
  EXPECT_EQ(
      value("SELECT count(*) FROM timescaledb_information.jobs WHERE hypertable_name = 'esp_telemetry' AND "
            "proc_name = 'policy_compression'"),
      "1");
  EXPECT_EQ(value("SELECT count(*) FROM (SELECT well_id FROM esp_telemetry GROUP BY well_id HAVING count(*) "
                  "= 360 AND "
                  "avg(flow_rate) = 1000) AS wells"),
            "10");
}

TEST_P(CommunityTest, EveryTableIsCompressedAtItsAgeByDeviceAndTime) {
  const auto compressed_after = [&](const std::string& table) {
    return config_of(table, "policy_compression", "compress_after");
  };
  EXPECT_EQ(compressed_after("telemetry"), "7 days");
  EXPECT_EQ(compressed_after("esp_telemetry"), "7 days");
  EXPECT_EQ(compressed_after("diagnostic_results"), "14 days");
  const auto segments = [&](const std::string& table) {
    return value(
        "SELECT string_agg(attname, ' ' ORDER BY segmentby_column_index) FROM "
        "timescaledb_information.compression_settings WHERE segmentby_column_index IS NOT NULL AND "
        "hypertable_name = '" +
        table + "'");
  };
  EXPECT_EQ(segments("telemetry"), "device_id");
  EXPECT_EQ(segments("esp_telemetry"), "well_id");
  EXPECT_EQ(segments("diagnostic_results"), "well_id severity");
}

TEST_P(CommunityTest, TheAggregatesAreRefreshedAndKeptByTheServersOwnJobs) {
  const auto refresh = [&](const std::string& view, const std::string& key) {
    return config_of(view, "policy_refresh_continuous_aggregate", key);
  };
  EXPECT_EQ(refresh("telemetry_1min", "start_offset"), "01:00:00");
  EXPECT_EQ(refresh("telemetry_1min", "end_offset"), "00:00:30");
  EXPECT_EQ(refresh("telemetry_1hour", "start_offset"), "7 days");
  EXPECT_EQ(refresh("telemetry_daily", "end_offset"), "1 day");
  EXPECT_EQ(config_of("telemetry_1min", "policy_retention", "drop_after"), "90 days");
  EXPECT_EQ(config_of("telemetry_1hour", "policy_retention", "drop_after"), "365 days");
  EXPECT_EQ(config_of("telemetry_daily", "policy_retention", "drop_after"), "");
}

TEST_P(CommunityTest, NoPolicyOfTheServersDropsWhatWasNotArchived) {
  EXPECT_EQ(
      value("SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention' AND "
            "hypertable_name IN (SELECT table_name FROM wellhead_lifecycle WHERE guarded)"),
      "0");
}

TEST_P(CommunityTest, LateDataReachTheAggregatesThroughTheNode) {
  insert_readings(5);
  refresh_and_compare();
  insert_readings(9);
  refresh_and_compare();
}

TEST_P(CommunityTest, UpdatesAcrossABoundaryAndDeletionsReachTheAggregates) {
  insert_readings(5);
  refresh_and_compare();
  execute(
      "UPDATE telemetry SET timestamp = timestamp - interval '1 hour', temperature = 99 WHERE device_id = "
      "'well-1' AND temperature < 1 AND extract(hour FROM timestamp AT TIME ZONE 'UTC') >= 1");
  execute("DELETE FROM telemetry WHERE device_id = 'well-2' AND temperature > 5");
  refresh_and_compare();
}

TEST_P(CommunityTest, LateDataIntoCompressedChunksReachTheAggregates) {
  insert_readings(9);
  const std::string before = value("SELECT count(*) || ' ' || sum(temperature) FROM telemetry");
  compress("telemetry");
  EXPECT_EQ(value("SELECT count(*) || ' ' || sum(temperature) FROM telemetry"), before);
  refresh_and_compare();
  insert_readings(9);
  refresh_and_compare();
}

TEST_P(CommunityTest, TheServersJobsRunAsTheyAreSet) {
  insert_readings(9);
  execute(
      "DO $$ DECLARE job integer; BEGIN FOR job IN SELECT job_id FROM timescaledb_information.jobs WHERE "
      "proc_name IN ('policy_compression', 'policy_refresh_continuous_aggregate', 'policy_retention') LOOP "
      "CALL run_job(job); END LOOP; END $$");
  EXPECT_EQ(
      value("SELECT bool_and(is_compressed) FROM timescaledb_information.chunks WHERE hypertable_name = "
            "'telemetry'"),
      "t");
  // The window of the daily aggregate and not that of the minutes: the node computes what is late for those.
  EXPECT_NE(value("SELECT count(*) FROM telemetry_daily"), "0");
}

TEST_P(CommunityTest, WhatAPolicyStillComputesIsNotDropped) {
  execute(
      "UPDATE wellhead_lifecycle SET keep = interval '2 days' WHERE table_name = 'telemetry'; "
      "UPDATE wellhead_aggregate SET refresh_from = least(refresh_from, interval '3 days')");
  insert_readings(9);
  mark_telemetry();
  MaintenanceReport report;
  ASSERT_TRUE(maintenance_->drop_expired(false, report));
  ASSERT_EQ(report.refused(), 2U);
  EXPECT_TRUE(
      report.chunks.front().reason.starts_with("telemetry_daily is still computed of what came since "))
      << report.chunks.front().reason;
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "5001");
  let_policies_look_back_three_days();
  MaintenanceReport after;
  ASSERT_TRUE(maintenance_->drop_expired(false, after));
  EXPECT_EQ(after.refused(), 0U);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "0");
}

TEST_P(CommunityTest, CompressedChunksGoBehindAMarkerAndNotBefore) {
  execute(
      "UPDATE wellhead_lifecycle SET keep = interval '2 days' WHERE table_name = 'telemetry'; "
      "UPDATE wellhead_aggregate SET refresh_from = least(refresh_from, interval '3 days')");
  let_policies_look_back_three_days();
  insert_readings(9);
  refresh_and_compare();
  compress("telemetry");
  MaintenanceReport report;
  ASSERT_TRUE(maintenance_->drop_expired(false, report));
  EXPECT_EQ(report.refused(), 2U);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "5001");
  mark_telemetry();
  MaintenanceReport after;
  const auto dropped = maintenance_->drop_expired(false, after);
  ASSERT_TRUE(dropped) << dropped.error();
  EXPECT_EQ(after.refused(), 0U);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "0");
  // What was computed of them stays, also when it is computed again.
  const std::string kept = value("SELECT sum(sample_count) FROM telemetry_1hour");
  EXPECT_EQ(kept, "5001");
  MaintenanceReport ignored;
  for (const AggregateFacts& aggregate : maintenance_->aggregates())
    ASSERT_TRUE(maintenance_->refresh(aggregate, true, ignored));
  EXPECT_EQ(value("SELECT sum(sample_count) FROM telemetry_1hour"), kept);
}

TEST_P(CommunityTest, CompressionTakesAtLeastFourFifthsOfTheSpace) {
  // A day of ten devices, a reading every ten seconds: values that wander as sensors do, in steps of theirs.
  execute(
      "INSERT INTO telemetry (timestamp, device_id, temperature, vibration, pressure, flow_rate, "
      "motor_current, rpm, intake_pressure, discharge_pressure) SELECT date_trunc('day', now(), 'UTC') - "
      "interval '9 days' + n * interval '10 seconds', 'well-' || d, 60 + round(10 * sin(n / 500.0 + "
      "d)::numeric, 1), "
      "0.25 + 0.01 * (n * d % 5), 1200 + n % 3, 900 + (n / 7) % 5, 50, 3500, 1900, 2100 "
      "FROM generate_series(0, 8639) AS n, generate_series(1, 10) AS d");
  const auto size = [&] { return std::stoull(value("SELECT hypertable_size('telemetry')")); };
  const auto before = size();
  compress("telemetry");
  EXPECT_LT(size() * 5, before) << before;
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "86400");
}

INSTANTIATE_TEST_SUITE_P(Editions, CommunityTest, testing::Values(TestedServer::as_it_is), name_of);

}  // namespace
}  // namespace wellhead
