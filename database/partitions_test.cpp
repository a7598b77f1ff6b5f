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

INSTANTIATE_TEST_SUITE_P(Editions, PartitionsTest, testing::Values(TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
