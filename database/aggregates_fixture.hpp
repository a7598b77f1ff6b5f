// A database whose aggregates the node keeps, and what they have to be equal to.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "database/lifecycle_fixture.hpp"

namespace wellhead {

struct DirectQuery {
  const char* view;
  const char* columns;  // of the view, as far as their last digits depend on no order of summing
  const char* direct;
};

// Written apart from the definitions that ship, so that these are tested too. The readings of the tests are
// multiples of a quarter, whose sums are exact in any order; the deviation is not.
inline constexpr std::array direct_queries{
    DirectQuery{
        "telemetry_1min",
        "bucket, device_id, avg_temperature, max_temperature, min_temperature, "
        "round(stddev_temperature::numeric, 6), avg_vibration, max_vibration, avg_pressure, max_pressure, "
        "avg_flow_rate, sum_flow_rate, avg_quality_score, anomaly_count, sample_count",
        "SELECT date_trunc('minute', timestamp, 'UTC'), device_id, avg(temperature), max(temperature), "
        "min(temperature), round(stddev_samp(temperature)::numeric, 6), avg(vibration), max(vibration), "
        "avg(pressure), max(pressure), avg(flow_rate), sum(flow_rate)::float8, avg(data_quality_score), "
        "sum(CASE WHEN is_anomaly THEN 1 ELSE 0 END), count(*) FROM telemetry GROUP BY 1, 2"},
    DirectQuery{
        "telemetry_1hour",
        "bucket, device_id, avg_temperature, max_temperature, min_temperature, p95_temperature, "
        "avg_vibration, max_vibration, p95_vibration, avg_pressure, avg_flow_rate, sample_count, "
        "anomaly_count",
        "SELECT date_trunc('hour', timestamp, 'UTC'), device_id, avg(temperature), max(temperature), "
        "min(temperature), percentile_cont(0.95) WITHIN GROUP (ORDER BY temperature), avg(vibration), "
        "max(vibration), percentile_cont(0.95) WITHIN GROUP (ORDER BY vibration), avg(pressure), "
        "avg(flow_rate), count(*), sum(CASE WHEN is_anomaly THEN 1 ELSE 0 END) FROM telemetry GROUP BY 1, 2"},
    DirectQuery{
        "telemetry_daily",
        "bucket, device_id, avg_temperature, max_temperature, min_temperature, avg_vibration, max_vibration, "
        "avg_pressure, avg_flow_rate, sample_count, anomaly_count, avg_quality_score, "
        "round(uptime_percent::numeric, 9)",
        "SELECT date_trunc('day', timestamp, 'UTC'), device_id, avg(temperature), max(temperature), "
        "min(temperature), avg(vibration), max(vibration), avg(pressure), avg(flow_rate), count(*), "
        "sum(CASE WHEN is_anomaly THEN 1 ELSE 0 END), avg(data_quality_score), "
        "round(count(*) / 14.4, 9) FROM telemetry GROUP BY 1, 2"}};

class AggregatesTest : public LifecycleTest {
 protected:
  void SetUp() override {
    LifecycleTest::SetUp();
    if (!IsSkipped() && maintenance_->server().has_continuous_aggregates())
      GTEST_SKIP() << "this server computes its aggregates itself";
  }

  // Readings of three devices every 20 seconds, with their log row in the same transaction, as the sink
  // writes them. Times are SQL.
  void insert_readings(const std::string& from, const std::string& until) {
    execute(fmt::format(
        "BEGIN; INSERT INTO telemetry (timestamp, device_id, temperature, vibration, pressure, flow_rate, "
        "data_quality_score, is_anomaly) SELECT at, 'well-' || n, abs(hashint8(second + n) % 400) * 0.25, "
        "abs(hashint8(second - n) % 40) * 0.25, 100 + n, NULLIF(n, 2) * 0.5, 1.0 - n * 0.25, n = 1 "
        "FROM generate_series({0}, {1} - interval '1 second', interval '20 seconds') AS at, "
        "generate_series(0, 2) AS n, CAST(extract(epoch FROM at) AS bigint) AS second; "
        "INSERT INTO wellhead_invalidation VALUES ('telemetry', {0}, {1}); COMMIT",
        from, until));
  }
  void insert_readings_of_some_days() {
    insert_readings("date_trunc('day', now(), 'UTC') - interval '5 days 3 minutes'",
                    "date_trunc('day', now(), 'UTC') - interval '4 days 21 hours'");
  }
  void refresh_all() {
    for (const AggregateFacts& aggregate : maintenance_->aggregates()) {
      const auto done = maintenance_->refresh(aggregate, true, report_);
      ASSERT_TRUE(done) << done.error();
    }
    EXPECT_TRUE(report_.postponed.empty()) << testing::PrintToString(report_.postponed);
  }
  void expect_equal_to_direct_queries() {
    for (const DirectQuery& query : direct_queries) {
      EXPECT_NE(value(fmt::format("SELECT count(*) FROM {}", query.view)), "0") << query.view;
      const std::string kept = fmt::format("SELECT {} FROM {}", query.columns, query.view);
      EXPECT_EQ(
          value(fmt::format("SELECT count(*) FROM (({0} EXCEPT ALL {1}) UNION ALL ({1} EXCEPT ALL {0})) AS d",
                            kept, query.direct)),
          "0")
          << query.view << " differs from a direct query";
    }
  }

  MaintenanceReport report_;
};

}  // namespace wellhead
