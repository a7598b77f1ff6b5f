// What only the Community edition of TimescaleDB does. On another server each is listed as skipped, by name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "database/lifecycle_fixture.hpp"

namespace wellhead {
namespace {

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
  execute(
      "INSERT INTO telemetry (timestamp, device_id, temperature) SELECT date_trunc('day', now(), 'UTC') - "
      "interval "
      "'5 days' + n * interval '20 seconds', 'well-' || n % 3, n % 40 * 0.25 FROM generate_series(0, 5000) "
      "AS n");
  MaintenanceReport report;
  for (const AggregateFacts& aggregate : maintenance_->aggregates()) {
    const auto done = maintenance_->refresh(aggregate, true, report);
    ASSERT_TRUE(done) << done.error();
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

INSTANTIATE_TEST_SUITE_P(Editions, CommunityTest, testing::Values(TestedServer::as_it_is), name_of);

}  // namespace
}  // namespace wellhead
