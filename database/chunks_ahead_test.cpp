// Chunks are there before anybody writes into them, so that writers who cross midnight at once do not meet.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <barrier>
#include <thread>

#include "database/lifecycle_fixture.hpp"
#include "sink/chunk_guard.hpp"
#include "sink/test_rows.hpp"

namespace wellhead {
namespace {

constexpr int writer_count = 8;
constexpr std::int64_t minute_us = 60'000'000;

class ChunksAheadTest : public LifecycleTest {
 protected:
  void SetUp() override {
    LifecycleTest::SetUp();
    if (IsSkipped()) return;
    execute(
        "INSERT INTO telemetry (\"timestamp\", device_id) VALUES (now(), 'well-0');"
        "INSERT INTO esp_telemetry (id, well_id, \"timestamp\") VALUES (0, 'well-0', now())");
    midnight_us_ =
        std::stoll(value("SELECT (extract(epoch FROM date_trunc('day', now(), 'UTC') + INTERVAL '1 day' - "
                         "'2000-01-01 00:00:00+00'::timestamptz) * "
                         "1000000)::bigint"));
  }
  [[nodiscard]] bool has_chunks() { return database_->edition() != "plain"; }
  std::string chunks_of(const std::string& table) {
    return value("SELECT count(*) FROM wellhead_chunks('" + table + "') WHERE range_until > now()");
  }

  // Opens a flush as a shard does, over midnight into two tables, and leaves its transaction open. Nobody
  // waits longer than the timeout for anybody.
  DatabaseResult<void> write_over_midnight(Database& database, int number, bool hypertables) const {
    Flush flush(test::shipped_schemas());
    auto batch = test::make_batch();
    const std::string device = "well-" + std::to_string(number);
    for (int minute = -30; minute < 30; ++minute) {
      test::add_telemetry(*batch, device, midnight_us_ + minute * minute_us, 1);
      test::add_esp(*batch, number * 100 + minute, device, midnight_us_ + minute * minute_us);
    }
    Batch* const batches[] = {batch.get()};
    flush.assign(batches);
    ChunkGuard guard;
    const bool known = guard.knows(flush);
    const std::string lock = !known && hypertables ? guard.lock_statement(test::shipped_schemas()) : "";
    const auto begun = database.run("BEGIN; SET LOCAL lock_timeout = '400ms'; " + lock);
    if (!begun) return std::unexpected(begun.error());
    for (const std::string table :
         {"telemetry (\"timestamp\", device_id)", "esp_telemetry (\"timestamp\", well_id, id)"}) {
      const bool esp = table.starts_with("esp");
      std::string rows;
      for (int minute = -30; minute < 30; ++minute)
        rows += fmt::format("{}\t{}{}\n", time_text(minute), device,
                            esp ? fmt::format("\t{}", number * 100 + minute) : "");
      if (auto copying = database.run("COPY " + table + " FROM STDIN"); !copying)
        return std::unexpected(copying.error());
      if (auto sent = database.copy_data(std::as_bytes(std::span(rows))); !sent) return sent;
      if (auto ended = database.copy_end(); !ended) return std::unexpected(ended.error());
    }
    return {};
  }
  [[nodiscard]] std::string time_text(int minute) const {
    // Julian day 2451545 is 2000-01-01, which the server reads with a time beside it.
    const std::int64_t minutes = midnight_us_ / minute_us + minute;
    return fmt::format("J{} {:02}:{:02}+00", 2'451'545 + minutes / 1'440, minutes % 1'440 / 60, minutes % 60);
  }

  // All transactions are open at once before the first of them commits: whoever waits for another fails.
  std::vector<std::string> cross_midnight() {
    const bool hypertables = has_chunks();
    std::vector<std::unique_ptr<PgDatabase>> connections;
    for (int number = 0; number < writer_count; ++number) connections.push_back(connect());
    std::vector<std::string> failures(writer_count);
    std::barrier all(writer_count);
    {
      std::vector<std::jthread> threads;
      for (int number = 0; number < writer_count; ++number)
        threads.emplace_back([&, number] {
          const auto index = static_cast<std::size_t>(number);
          Database& database = *connections[index];
          all.arrive_and_wait();
          const auto written = write_over_midnight(database, number, hypertables);
          if (!written) failures[index] = written.error().sqlstate + " " + written.error().message;
          all.arrive_and_wait();
          if (const auto ended = database.run(written ? "COMMIT" : "ROLLBACK"); !ended)
            failures[index] += ended.error().message;
        });
    }
    std::erase(failures, "");
    return failures;
  }

  std::int64_t midnight_us_ = 0;
};

TEST_P(ChunksAheadTest, EightWritersCrossMidnightAtOnceAndNobodyWaits) {
  MaintenanceReport report;
  const auto made = maintenance_->make_partitions(report);
  ASSERT_TRUE(made) << made.error();
  const std::vector<std::string> failures = cross_midnight();
  EXPECT_TRUE(failures.empty()) << testing::PrintToString(failures);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), std::to_string(writer_count * 60 + 1));
  EXPECT_EQ(value("SELECT count(*) FROM esp_telemetry"), std::to_string(writer_count * 60 + 1));
}

TEST_P(ChunksAheadTest, WithoutThemTheyWaitForEachOther) {
  const std::vector<std::string> failures = cross_midnight();
  if (!has_chunks()) {
    EXPECT_TRUE(failures.empty())
        << "the migration made partitions, and a row without one goes to the default";
    return;
  }
  ASSERT_EQ(failures.size(), static_cast<std::size_t>(writer_count - 1)) << testing::PrintToString(failures);
  EXPECT_TRUE(failures.front().starts_with("55P03")) << failures.front();
}

TEST_P(ChunksAheadTest, AChunkMadeAheadIsLikeAnyOtherAndEmpty) {
  const std::string before = value("SELECT count(*) FROM telemetry");
  MaintenanceReport report;
  ASSERT_TRUE(maintenance_->make_partitions(report));
  if (!has_chunks()) {
    EXPECT_TRUE(report.partitions.empty()) << "the migration made the partitions";
    return;
  }
  EXPECT_EQ(report.partitions.size(), 4U) << print(report);
  EXPECT_EQ(chunks_of("telemetry"), "3");
  EXPECT_EQ(chunks_of("esp_telemetry"), "3");
  EXPECT_EQ(chunks_of("diagnostic_results"), "0") << "nothing is copied from an empty table";
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), before);
  const std::string parts =
      "SELECT count(DISTINCT (SELECT string_agg(replace(pg_get_indexdef(x.indexrelid), i.relname, ''), ';' "
      "ORDER BY "
      "i.relname) IS NOT NULL AND count(*) = 3 FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE "
      "x.indrelid = "
      "c.chunk::regclass)) || ' ' || count(DISTINCT (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = "
      "c.chunk::regclass)) FROM wellhead_chunks('esp_telemetry') c";
  EXPECT_EQ(value(parts), "1 1") << "indexes and constraints are the same on each";
  MaintenanceReport again;
  ASSERT_TRUE(maintenance_->make_partitions(again));
  EXPECT_TRUE(again.partitions.empty()) << print(again);
}

TEST_P(ChunksAheadTest, ATableWithTriggersIsLeftToTheGuard) {
  execute(
      "CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
      "CREATE TRIGGER told AFTER INSERT ON telemetry FOR EACH ROW EXECUTE FUNCTION told()");
  MaintenanceReport report;
  ASSERT_TRUE(maintenance_->make_partitions(report));
  EXPECT_EQ(chunks_of("telemetry"), has_chunks() ? "1" : "4") << "partitions need no row to be made";
  EXPECT_EQ(chunks_of("esp_telemetry"), has_chunks() ? "3" : "4");
}

TEST_P(ChunksAheadTest, ATimeThatTheColumnRoundsLeavesNoRowBehind) {
  if (!has_chunks()) GTEST_SKIP() << "partitions need no row to be made";
  execute(
      "CREATE TABLE coarse (\"timestamp\" timestamptz(3) NOT NULL, device_id text, PRIMARY KEY "
      "(\"timestamp\", "
      "device_id));"
      "SELECT create_hypertable('coarse', 'timestamp', chunk_time_interval => INTERVAL '1 day');"
      "INSERT INTO coarse VALUES ('2026-03-01 12:00:00Z', 'well-0');"
      "INSERT INTO wellhead_lifecycle (table_name, time_column, chunk_interval) VALUES ('coarse', "
      "'timestamp', '1 day')");
  const auto make = [this](const std::string& at) {
    return value(
        "SELECT string_agg(range_from::timestamptz AT TIME ZONE 'UTC' || '', ' ' ORDER BY range_from) FROM "
        "wellhead_make_chunks('coarse', '" +
        at + "', 1)");
  };
  EXPECT_EQ(make("2026-03-02 06:00:00.123456Z"), "2026-03-02 00:00:00 2026-03-03 00:00:00");
  EXPECT_EQ(value("SELECT count(*) FROM coarse"), "1");
  // It is rounded into the next day, whose chunk is made, and told; it is that of the second time as well.
  EXPECT_EQ(make("2026-03-10 23:59:59.9999Z"), "2026-03-11 00:00:00");
  EXPECT_EQ(value("SELECT count(*) FROM coarse"), "1");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_chunks('coarse')"), "4");
}

TEST_P(ChunksAheadTest, MakingThemTakesTheWritersLockAndOnlyWhereOneIsMissing) {
  if (!has_chunks()) GTEST_SKIP() << "writers make no partitions";
  const auto writer = connect();
  ASSERT_TRUE(writer->run("BEGIN; SELECT pg_advisory_xact_lock(2003135596, 1)"));
  const auto made = connection_->query(
      "BEGIN; SET LOCAL lock_timeout = '50ms'; SELECT count(*) FROM wellhead_make_chunks('telemetry')");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().sqlstate, "55P03");
  ASSERT_TRUE(connection_->run("ROLLBACK"));
  EXPECT_EQ(chunks_of("telemetry"), "1");
  ASSERT_TRUE(writer->run("COMMIT"));
  MaintenanceReport report;
  ASSERT_TRUE(maintenance_->make_partitions(report));
  EXPECT_EQ(chunks_of("telemetry"), "3");
  ASSERT_TRUE(writer->run("BEGIN; SELECT pg_advisory_xact_lock(2003135596, 1)"));
  const auto again = connection_->query(
      "BEGIN; SET LOCAL lock_timeout = '50ms'; SELECT count(*) FROM wellhead_make_chunks('telemetry'); "
      "COMMIT");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->front()[0], "0");
}

TEST_P(ChunksAheadTest, ARowThatCannotBeTakenBackIsNotLeftEither) {
  if (!has_chunks()) GTEST_SKIP() << "partitions need no row to be made";
  // A trigger that is taken for one of the server's own keeps the row.
  const std::string before = value("SELECT count(*) FROM telemetry");
  execute(
      "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
      "CREATE TRIGGER ts_keep BEFORE DELETE ON telemetry FOR EACH ROW EXECUTE FUNCTION keep()");
  const auto made = connection_->query("SELECT count(*) FROM wellhead_make_chunks('telemetry')");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("the row that made a chunk of telemetry is not at"), std::string::npos)
      << made.error().message;
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), before);
  EXPECT_EQ(chunks_of("telemetry"), "1");
}

TEST_P(ChunksAheadTest, WhereTheyCannotBeMadeTheOtherStepsAreDoneAndTheFailureIsTold) {
  execute("INSERT INTO telemetry (\"timestamp\", device_id) VALUES (now() - INTERVAL '40 days', 'well-0')");
  if (has_chunks()) {
    execute("ALTER FUNCTION wellhead_make_chunks RENAME TO gone");
  } else {
    execute(
        "SELECT wellhead_make_partitions('telemetry'); ALTER FUNCTION wellhead_make_partitions RENAME TO "
        "gone");
  }
  if (database_->edition() != "community")
    execute(
        "INSERT INTO wellhead_invalidation SELECT 'telemetry', \"timestamp\", \"timestamp\" + INTERVAL '1 "
        "second' FROM "
        "telemetry");
  const MaintenanceReport report = maintenance_->run_all(false);
  ASSERT_EQ(report.failures.size(), 1U) << print(report);
  EXPECT_NE(report.failures.front().find(" of dead_letter failed and was rolled back"), std::string::npos)
      << report.failures.front();
  EXPECT_NE(print(report).find(report.failures.front()), std::string::npos);
  EXPECT_NE(print_json(report).find("\"failures\":[\"Making "), std::string::npos);
  EXPECT_EQ(report.refreshes.size(), 3U) << print(report);
  EXPECT_EQ(report.refused(), 1U) << print(report);

  // An aggregate that fails does keep its data from being dropped.
  execute("ALTER TABLE wellhead_aggregate RENAME TO gone_aggregate");
  const MaintenanceReport uncomputed = maintenance_->run_all(true);
  EXPECT_EQ(uncomputed.failures.size(), 4U) << print(uncomputed);
  EXPECT_TRUE(uncomputed.chunks.empty()) << print(uncomputed);
  EXPECT_NE(print(uncomputed).find("Dropping old data is put off: an aggregate failed"), std::string::npos);
}

TEST_P(ChunksAheadTest, WhatWasMadeIsToldAsWhatItIs) {
  if (has_chunks()) {
    MaintenanceReport report;
    ASSERT_TRUE(maintenance_->make_partitions(report));
    EXPECT_TRUE(print(report).starts_with("Made the chunk _timescaledb_internal.")) << print(report);
    EXPECT_EQ(print(report).find("waited"), std::string::npos) << print(report);
    return;
  }
  execute("INSERT INTO telemetry (\"timestamp\", device_id) VALUES (now() + INTERVAL '20 days', 'well-0')");
  MaintenanceReport report;
  ASSERT_TRUE(maintenance_->make_partitions(report));
  EXPECT_NE(print(report).find(", with 1 rows that waited for it."), std::string::npos) << print(report);
}

INSTANTIATE_TEST_SUITE_P(Servers, ChunksAheadTest,
                         testing::Values(TestedServer::as_it_is, TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
