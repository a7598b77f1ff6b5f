#include <fmt/format.h>
#include <gtest/gtest.h>

#include "database/lifecycle_fixture.hpp"

namespace wellhead {
namespace {

class PartitionsTest : public LifecycleTest {
 protected:
  MaintenanceReport make() {
    MaintenanceReport report;
    const auto made = maintenance_->make_partitions(report);
    EXPECT_TRUE(made) << made.error();
    return report;
  }
  std::string in_default() { return value("SELECT count(*) FROM telemetry_default"); }
};

TEST_P(PartitionsTest, TheNextDaysAreMadeAheadOfTime) {
  EXPECT_TRUE(make().partitions.empty()) << "the migration made them";
  EXPECT_EQ(value("SELECT max(range_until) = date_trunc('day', now(), 'UTC') + interval '4 days' FROM "
                  "wellhead_chunks('telemetry')"),
            "t");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_make_partitions('telemetry', now() + interval '1 day')"),
            "1");
}

TEST_P(PartitionsTest, RowsWithoutAPartitionAreTakenAndMoveToTheirOwn) {
  execute(
      "INSERT INTO telemetry (timestamp, device_id) SELECT now() - n * interval '1 day', 'well-1' FROM "
      "generate_series(1, 3) AS n");
  EXPECT_EQ(in_default(), "3");
  const MaintenanceReport report = make();
  EXPECT_EQ(report.partitions.size(), 3U);
  EXPECT_EQ(report.partitions.front().rows_moved, 1U);
  EXPECT_EQ(in_default(), "0");
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "3");
}

TEST_P(PartitionsTest, ATableThatHoldsRowsIsPartitionedWithoutCopyingThem) {
  execute(
      "CREATE TABLE mine (at timestamptz NOT NULL, id bigint, CONSTRAINT mine_key PRIMARY KEY (id, at), "
      "CONSTRAINT mine_range CHECK (id > 0)); CREATE INDEX mine_time_idx ON mine (at DESC); "
      "COMMENT ON TABLE mine IS 'ours'; INSERT INTO mine SELECT TIMESTAMPTZ '2026-03-01 00:00:00+00' + n * "
      "interval "
      "'1 hour', n FROM generate_series(1, 50) AS n; GRANT SELECT ON mine TO PUBLIC; "
      "INSERT INTO wellhead_lifecycle (table_name, time_column, chunk_interval) VALUES ('mine', 'at', '1 "
      "day')");
  const std::string file = value("SELECT pg_relation_filenode('mine')");
  execute("SELECT wellhead_partition_table('mine')");
  EXPECT_EQ(value("SELECT count(*) FROM mine"), "50");
  EXPECT_EQ(value("SELECT pg_relation_filenode('mine_before')"), file);
  EXPECT_EQ(value("SELECT range_until = '2026-03-04 00:00:00+00' FROM wellhead_chunks('mine')"), "t");
  EXPECT_EQ(
      value("SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'mine'"),
      "mine_key mine_time_idx");
  EXPECT_EQ(value("SELECT obj_description('mine'::regclass)"), "ours");
  EXPECT_EQ(value("SELECT has_table_privilege('public', 'mine', 'SELECT')"), "t");
  EXPECT_EQ(
      value(
          "SELECT count(*) FROM pg_constraint WHERE conrelid = 'mine'::regclass AND conname = 'mine_range'"),
      "1");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_make_partitions('mine', '2026-03-03 12:00:00+00')"), "3");
}

TEST_P(PartitionsTest, ASchemaWhoseNameNeedsQuotesIsOneLikeOthers) {
  const auto chunks = connection_->query(
      "CREATE SCHEMA \"Well Head\"; SET search_path = \"Well Head\", public; "
      "CREATE TABLE mine (at timestamptz NOT NULL) PARTITION BY RANGE (at); "
      "CREATE TABLE mine_march PARTITION OF mine FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 "
      "00:00:00+00'); SELECT chunk FROM wellhead_chunks('mine')");
  ASSERT_TRUE(chunks) << chunks.error().message;
  ASSERT_EQ(chunks->size(), 1U);
  EXPECT_EQ(chunks->front()[0], "\"Well Head\".mine_march");
}

// Longer chunks begin in the middle of which there are shorter ones: what these leave is filled.
TEST_P(PartitionsTest, LongerChunksAreMadeAroundTheShorterOnesThatAreThere) {
  const auto insert = [&](const std::string& days) {
    execute(
        "INSERT INTO telemetry (timestamp, device_id) SELECT '2026-03-02 18:00:00+00'::timestamptz + n * " +
        ("interval '1 day', 'well-1' FROM unnest(ARRAY[" + days + "]) AS n"));
  };
  insert("2, 4");
  make();
  execute("UPDATE wellhead_lifecycle SET chunk_interval = '7 days' WHERE table_name = 'telemetry'");
  insert("0, 1, 2, 3, 4, 5, 6, 7");
  EXPECT_EQ(in_default(), "6");
  make();
  EXPECT_EQ(in_default(), "0");
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "10");
  EXPECT_EQ(value("SELECT string_agg(format('%s %s', chunk, range_until - range_from), ', ' ORDER BY "
                  "range_from) FROM wellhead_chunks('telemetry') WHERE range_from < '2026-04-01'"),
            "public.telemetry_20260302 2 days, public.telemetry_20260304 1 day, public.telemetry_20260305 1 "
            "day, public.telemetry_20260306 1 day, public.telemetry_20260307 2 days, "
            "public.telemetry_20260309 7 days");
  EXPECT_TRUE(make().partitions.empty());
}

TEST_P(PartitionsTest, WhatIsLeftWithinADayHasANameOfItsOwn) {
  execute("UPDATE wellhead_lifecycle SET chunk_interval = '6 hours' WHERE table_name = 'telemetry'");
  execute("INSERT INTO telemetry (timestamp, device_id) VALUES ('2026-03-02 07:00:00+00', 'well-1')");
  make();
  execute("UPDATE wellhead_lifecycle SET chunk_interval = '1 day' WHERE table_name = 'telemetry'");
  execute(
      "INSERT INTO telemetry (timestamp, device_id) SELECT '2026-03-02 01:00:00+00'::timestamptz + n * "
      "interval '6 hours', 'well-1' FROM generate_series(0, 3) AS n");
  make();
  EXPECT_EQ(in_default(), "0");
  EXPECT_EQ(value("SELECT string_agg(chunk, ' ' ORDER BY range_from) FROM wellhead_chunks('telemetry') WHERE "
                  "range_from < '2026-04-01'"),
            "public.telemetry_20260302 public.telemetry_20260302_0600 public.telemetry_20260302_1200");
}

TEST_P(PartitionsTest, TheDayTheClocksAreChangedIsADayLikeOthers) {
  const auto made = connection_->query(
      "SET timezone = 'Europe/Berlin'; INSERT INTO telemetry (timestamp, device_id) VALUES ('2026-03-29 "
      "23:30:00+00', 'well-1'); SELECT count(*), min(range_until - range_from), max(range_until - "
      "range_from) "
      "FROM wellhead_make_partitions('telemetry', '2026-03-27 12:00:00+00')");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->front(), (DatabaseRow{"4", "1 day", "1 day"}));
  EXPECT_EQ(in_default(), "0");
}

INSTANTIATE_TEST_SUITE_P(Editions, PartitionsTest, testing::Values(TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
