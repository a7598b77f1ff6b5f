// Scoring again against a table whose older chunks are compressed.
#include "engine/rescore_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "codec/quality.hpp"
#include "engine/offline_flush.hpp"
#include "sink/pg_database.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t day_us = 86'400'000'000;

// Two readings of telemetry, a day apart; the chunk of the older one is compressed.
class RescoreTableTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
    if (database_->edition() != "community")
      GTEST_SKIP() << "needs the Community edition of TimescaleDB; this is " << database_->edition();
    database_->create_shipped_tables();
    database_->execute(
        "INSERT INTO telemetry (timestamp, device_id, temperature) VALUES ('2026-01-01 12:00:00Z', 'well-1', "
        "50), "
        "('2026-01-02 12:00:00Z', 'well-1', 50); "
        "SELECT compress_chunk(c) FROM show_chunks('telemetry', older_than => '2026-01-02 "
        "00:00:00Z'::timestamptz) AS c");
    PostgresOptions options;
    options.connection = database_->connection();
    connection_ = std::make_unique<PgDatabase>(options, "wellhead test");
    ASSERT_TRUE(connection_->connect());
    for (std::int64_t day = 0; day < 2; ++day)
      test::add_telemetry(*batch_, "well-1", test::base_time_us + day_us / 2 + day * day_us, 1);
  }

  // What scoring again finds if every row is now an anomaly with a score of a half.
  RescoreReport rescore(bool write) {
    RescoreReport report;
    RescoreTable table(*connection_, test::shipped_schemas()[test::telemetry_stream], report, 0, write);
    EXPECT_TRUE(table.prepare());
    for_each_row(*batch_, [&](const RowHeader& header, std::span<const std::byte>, std::uint32_t) {
      EXPECT_TRUE(table.add(header, {0.5, true, quality_bit(QualityReason::anomalous)}));
    });
    const auto flushed = table.flush();
    EXPECT_TRUE(flushed) << flushed.error().message;
    return report;
  }
  std::string stored() {
    return database_->value(
        "SELECT string_agg(data_quality_score || ' ' || is_anomaly, ', ' ORDER BY timestamp) FROM telemetry");
  }

  std::unique_ptr<TestDatabase> database_;
  std::unique_ptr<PgDatabase> connection_;
  std::unique_ptr<Batch> batch_ = test::make_batch();
};

TEST_F(RescoreTableTest, RowsInCompressedChunksAreComparedAndNotWritten) {
  const RescoreReport looked = rescore(false);
  EXPECT_EQ(looked.changed, 2U);
  EXPECT_EQ(looked.compressed, 1U);
  EXPECT_EQ(stored(), "1 false, 1 false");

  const RescoreReport written = rescore(true);
  EXPECT_EQ(written.compared, 2U);
  EXPECT_EQ(written.changed, 2U);
  EXPECT_EQ(written.compressed, 1U);
  EXPECT_EQ(written.written, 1U);
  EXPECT_EQ(stored(), "1 false, 0.5 true");
  // And it is still compressed, whole.
  EXPECT_EQ(database_->value("SELECT string_agg(is_compressed::text, ' ' ORDER BY range_start) FROM "
                             "timescaledb_information.chunks WHERE hypertable_name = 'telemetry'"),
            "true false");
}

TEST_F(RescoreTableTest, WhatAChunkWasDecompressedForIsWritten) {
  database_->execute("SELECT decompress_chunk(c, true) FROM show_chunks('telemetry') AS c");
  const RescoreReport written = rescore(true);
  EXPECT_EQ(written.compressed, 0U);
  EXPECT_EQ(written.written, 2U);
  EXPECT_EQ(stored(), "0.5 true, 0.5 true");
}

}  // namespace
}  // namespace wellhead
