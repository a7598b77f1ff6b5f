// How a refresh finds its rows: by the devices' index or by reading chunks from end to end, with the same
// result.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "database/aggregates_fixture.hpp"

namespace wellhead {
namespace {

constexpr const char* five_days_ago = "(date_trunc('day', now(), 'UTC') - interval '5 days')";

class RefreshByDeviceTest : public AggregatesTest {
 protected:
  // So many readings, evenly spread over a day from five days ago on, which nobody tells of.
  void fill_a_day(int readings, int devices) {
    execute(fmt::format(
        "INSERT INTO telemetry (timestamp, device_id, temperature) SELECT {} + n * (interval '1 day' / {}), "
        "'well-' || n % {}, n % 64 * 0.25 FROM generate_series(0, {} - 1) AS n",
        five_days_ago, readings, devices, readings));
  }
  void tell(const std::string& from, const std::string& length) {
    execute(fmt::format("INSERT INTO wellhead_invalidation VALUES ('telemetry', {0}, {0} + interval '{1}')",
                        from, length));
  }
  // Times chunks were read from end to end by one refresh of telemetry_1min, and rows it looked up by an
  // index.
  std::string reads_of_refresh() {
    return value(
        "SELECT wellhead_refresh('telemetry_1min', late => true); "
        "SELECT format('%s from end to end, %s looked up', sum(s.seq_scan), "
        "CASE WHEN sum(s.idx_tup_fetch) BETWEEN 1 AND 300 THEN 'few' ELSE sum(s.idx_tup_fetch)::text END) "
        "FROM wellhead_chunks_of_slice('telemetry', '-infinity', 'infinity') AS c "
        "JOIN pg_stat_xact_all_tables s ON s.relid = c");
  }
  void expect_minutes_of_direct_query() {
    EXPECT_EQ(value("SELECT count(*) FROM telemetry_1min k FULL JOIN (SELECT date_trunc('minute', timestamp, "
                    "'UTC') AS bucket, device_id, count(*), avg(temperature) FROM telemetry GROUP BY 1, 2) d "
                    "USING (bucket, device_id) WHERE bucket >= (SELECT min(bucket) FROM telemetry_1min) AND "
                    "bucket <= (SELECT max(bucket) FROM telemetry_1min) AND (k.sample_count, "
                    "k.avg_temperature) IS DISTINCT FROM (d.count, d.avg)"),
              "0");
    EXPECT_NE(value("SELECT count(*) FROM telemetry_1min"), "0");
  }
  // The choice is by cost, and what tests can afford to write costs nothing: so they choose themselves.
  void choose(bool by_device) {
    execute(fmt::format(
        "CREATE OR REPLACE FUNCTION wellhead_devices_of_slice(of_aggregate text, range_from timestamptz, "
        "range_until timestamptz) RETURNS text[] LANGUAGE sql AS $$ {} $$",
        by_device ? "SELECT coalesce(array_agg(d), '{}') FROM wellhead_chunks_of_slice('telemetry', $2, $3) "
                    "AS c, unnest(wellhead_devices_of_chunk(c, 'device_id', 1000000)) AS d"
                  : "SELECT NULL::text[]"));
  }
};

constexpr const char* few_rows = "0 from end to end, few looked up";

TEST_P(RefreshByDeviceTest, AMinuteOfADaysChunkIsLookedUpAndTheChunkIsNotRead) {
  fill_a_day(40'000, 20);
  // There are no statistics of the chunk; on plain PostgreSQL it is the default partition.
  tell(fmt::format("{} + interval '13 hours'", five_days_ago), "1 minute");
  EXPECT_EQ(reads_of_refresh(), few_rows);
  execute("ANALYZE telemetry");
  if (GetParam() == TestedServer::plain) execute("SELECT wellhead_make_partitions('telemetry')");
  tell(fmt::format("{} + interval '13 hours'", five_days_ago), "2 minutes");
  EXPECT_EQ(reads_of_refresh(), few_rows);
  execute("ANALYZE telemetry");
  tell(fmt::format("{} + interval '13 hours 2 minutes'", five_days_ago), "1 minute");
  EXPECT_EQ(reads_of_refresh(), few_rows);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry_1min"), "60");
  expect_minutes_of_direct_query();
  EXPECT_EQ(value("SELECT wellhead_refresh('telemetry_1min', late => true); SHOW enable_seqscan"), "on");
}

TEST_P(RefreshByDeviceTest, ASliceOverMidnightIsLookedUpInBothChunks) {
  fill_a_day(40'000, 20);
  execute(
      fmt::format("INSERT INTO telemetry (timestamp, device_id, temperature) SELECT {} - n * interval '1 "
                  "second', 'only-yesterday-' || n % 3, n * 0.25 FROM generate_series(1, 90) AS n",
                  five_days_ago));
  if (GetParam() == TestedServer::plain) execute("SELECT wellhead_make_partitions('telemetry')");
  tell(fmt::format("{} - interval '1 minute'", five_days_ago), "2 minutes");
  EXPECT_EQ(reads_of_refresh(), few_rows);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry_1min"), "23");
  expect_minutes_of_direct_query();
}

TEST_P(RefreshByDeviceTest, WhereDevicesAreNearlyAsManyAsRowsTheChunkIsReadOnce) {
  fill_a_day(20'000, 10'000);
  tell(fmt::format("{} + interval '13 hours'", five_days_ago), "1 minute");
  EXPECT_THAT(reads_of_refresh(), testing::StartsWith("1 from end to end"));
  expect_minutes_of_direct_query();
}

TEST_P(RefreshByDeviceTest, AChunkThatWasFilledWithinTheSliceIsReadOnce) {
  execute(fmt::format(
      "INSERT INTO telemetry (timestamp, device_id, temperature) SELECT {} + interval '13 hours' + n * "
      "interval '1 millisecond', 'well-' || n % 20, n % 64 * 0.25 FROM generate_series(0, 39999) AS n",
      five_days_ago));
  tell(fmt::format("{} + interval '13 hours'", five_days_ago), "1 minute");
  EXPECT_THAT(reads_of_refresh(), testing::StartsWith("1 from end to end"));
  expect_minutes_of_direct_query();
}

TEST_P(RefreshByDeviceTest, RowsOfInfiniteTimesDoNoHarm) {
  if (GetParam() != TestedServer::plain) GTEST_SKIP() << "a hypertable has no default partition for them";
  execute(
      "INSERT INTO telemetry (timestamp, device_id) VALUES ('infinity', 'well-0'), ('-infinity', 'well-7')");
  fill_a_day(40'000, 20);
  tell(fmt::format("{} + interval '13 hours'", five_days_ago), "1 minute");
  EXPECT_THAT(reads_of_refresh(), testing::StartsWith("1 from end to end"));
  // What moved to its partition leaves its pages behind until then.
  execute("SELECT wellhead_make_partitions('telemetry')");
  execute("VACUUM telemetry_default");
  tell(fmt::format("{} + interval '13 hours'", five_days_ago), "1 minute");
  EXPECT_EQ(reads_of_refresh(), few_rows);
  expect_minutes_of_direct_query();
}

TEST_P(RefreshByDeviceTest, WithoutAnIndexOfDevicesTheChunkIsReadOnce) {
  fill_a_day(40'000, 20);
  execute("DROP INDEX telemetry_device_time_idx");
  tell(fmt::format("{} + interval '13 hours'", five_days_ago), "1 minute");
  EXPECT_EQ(reads_of_refresh(), "1 from end to end, 0 looked up");
  expect_minutes_of_direct_query();
}

TEST_P(RefreshByDeviceTest, ASliceWithoutAnyRowsIsEmptiedEitherWay) {
  for (const bool by_device : {true, false}) {
    choose(by_device);
    insert_readings_of_some_days();
    refresh_all();
    expect_equal_to_direct_queries();
    execute(
        "INSERT INTO wellhead_invalidation SELECT 'telemetry', min(timestamp), max(timestamp) + interval '1 "
        "second' FROM telemetry; DELETE FROM telemetry");
    refresh_all();
    for (const DirectQuery& query : direct_queries)
      EXPECT_EQ(value(fmt::format("SELECT count(*) FROM {}", query.view)), "0") << query.view;
  }
}

TEST_P(RefreshByDeviceTest, BothWaysGiveTheSameRowsOfAnyData) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 10; ++round) {
    // Three days with two midnights between them; some devices are of one day alone, some values are missing.
    const std::string from = fmt::format("({} + {} * interval '1 minute')", five_days_ago,
                                         static_cast<int>(random() % 2 * 1440 + random() % 240) - 120);
    const std::string until = fmt::format("({} + {} * interval '1 minute')", from, 1 + random() % 180);
    const std::string touched = fmt::format("timestamp >= {} AND timestamp < {}", from, until);
    // First some rows, or there may be nothing to compare in the end.
    switch (round == 0 ? 3 : random() % 4) {
      case 0:
        execute("DELETE FROM telemetry WHERE " + touched + " AND hashtext(device_id) % 2 = 0");
        break;
      case 1:
        // Not over midnight: a hypertable does not move a row to another chunk.
        execute(
            "UPDATE telemetry SET timestamp = timestamp + interval '40 seconds', temperature = NULL WHERE "
            "date_trunc('day', timestamp, 'UTC') = date_trunc('day', timestamp + interval '40 seconds', "
            "'UTC') AND " +
            touched);
        break;
      default:
        execute(fmt::format(
            "SELECT setseed(0.001 * {2}); INSERT INTO telemetry (timestamp, device_id, temperature, "
            "vibration, "
            "pressure, "
            "flow_rate, data_quality_score, is_anomaly) SELECT at, CASE WHEN random() < 0.5 THEN 'well-' || "
            "floor(random() * 5) ELSE 'of-' || at::date || floor(random() * 3) END, CASE WHEN random() < 0.8 "
            "THEN "
            "floor(random() * 400) * 0.25 END, CASE WHEN random() < 0.8 THEN floor(random() * 40) * 0.25 "
            "END, "
            "floor(random() * 9), CASE WHEN random() < 0.3 THEN 0.5 END, 0.75, CASE WHEN random() < 0.9 THEN "
            "random() < 0.1 END FROM (SELECT {0} + random() * ({1} - {0}) AS at FROM generate_series(1, "
            "400)) AS t",
            from, until, random() % 1000));
    }
    execute(fmt::format(
        "INSERT INTO wellhead_invalidation VALUES ('telemetry', {}, {} + interval '1 minute')", from, until));
    if (GetParam() == TestedServer::plain && random() % 3 == 0)
      execute("SELECT wellhead_make_partitions('telemetry')");
    choose(random() % 2 == 0);
    if (random() % 2 == 0) refresh_all();
  }
  refresh_all();
  expect_equal_to_direct_queries();
}

INSTANTIATE_TEST_SUITE_P(Editions, RefreshByDeviceTest,
                         testing::Values(TestedServer::as_it_is, TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
