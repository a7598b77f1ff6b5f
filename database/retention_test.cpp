#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "database/lifecycle_fixture.hpp"

namespace wellhead {
namespace {

// Twelve days of esp_telemetry, a row each, of which ten are past their time.
class RetentionTest : public LifecycleTest {
 protected:
  void SetUp() override {
    LifecycleTest::SetUp();
    if (IsSkipped()) return;
    execute(
        "UPDATE wellhead_lifecycle SET keep = interval '2 days' WHERE table_name = 'esp_telemetry'; "
        "INSERT INTO esp_telemetry (id, well_id, timestamp, ingestion_timestamp) SELECT n, 'well-1', "
        "date_trunc('day', now(), 'UTC') - n * interval '1 day', now() - interval '1 hour' FROM "
        "generate_series(1, 12) AS n");
    MaintenanceReport ignored;
    const auto made = maintenance_->make_partitions(ignored);
    ASSERT_TRUE(made) << made.error();
  }

  // `covered_days`: of the days past, the one whose beginning the marker covers up to.
  void mark(int covered_days, const std::string& as_of = "now()") {
    execute(fmt::format(
        "INSERT INTO wellhead_archive_marker (table_name, covered_until, as_of, kind) VALUES "
        "('esp_telemetry', date_trunc('day', now(), 'UTC') - {} * interval '1 day', {}, 'archive')",
        covered_days, as_of));
  }
  MaintenanceReport drop(bool force = false) {
    MaintenanceReport report;
    const auto dropped = maintenance_->drop_expired(force, report);
    EXPECT_TRUE(dropped) << dropped.error();
    return report;
  }
  bool somebody_waits_for_a_lock() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < deadline) {
      if (value("SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database "
                "WHERE datname = current_database())") != "0")
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  std::string days_left() { return value("SELECT count(*) FROM esp_telemetry"); }
};

TEST_P(RetentionTest, NothingIsDroppedThatNoMarkerCovers) {
  const MaintenanceReport report = drop();
  EXPECT_EQ(days_left(), "12");
  EXPECT_EQ(report.refused(), 10U);
  ASSERT_FALSE(report.chunks.empty());
  EXPECT_EQ(report.chunks.front().reason, "nothing of this table was archived or backed up");
  EXPECT_NE(print(report).find("KEPT, though its time is up"), std::string::npos) << print(report);
  EXPECT_NE(print_json(report).find("\"refused\":10"), std::string::npos) << print_json(report);
}

TEST_P(RetentionTest, WhatIsCoveredAndPastItsTimeGoesAndNothingElse) {
  mark(6);
  const MaintenanceReport report = drop();
  EXPECT_EQ(days_left(), "6");
  EXPECT_EQ(value("SELECT max(id) FROM esp_telemetry"), "6");
  EXPECT_EQ(report.refused(), 4U);
  EXPECT_TRUE(report.chunks.back().reason.starts_with("archived or backed up only until "))
      << report.chunks.back().reason;
  EXPECT_EQ(value("SELECT dropped_before = date_trunc('day', now(), 'UTC') - interval '6 days' FROM "
                  "wellhead_lifecycle "
                  "WHERE table_name = 'esp_telemetry'"),
            "t");
  mark(0);
  EXPECT_EQ(drop().refused(), 0U);
  EXPECT_EQ(days_left(), "2");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_retention_log WHERE NOT forced"), "10");
}

TEST_P(RetentionTest, RowsThatCameAfterTheArchiveWasMadeKeepTheirChunk) {
  mark(0, "now() - interval '2 hours'");
  const MaintenanceReport report = drop();
  EXPECT_EQ(days_left(), "12");
  EXPECT_TRUE(report.chunks.front().reason.starts_with("rows were received after it was archived"))
      << report.chunks.front().reason;
  mark(0);
  EXPECT_EQ(drop().refused(), 0U);
  EXPECT_EQ(days_left(), "2");
}

TEST_P(RetentionTest, ANewerChunkWaitsForAnOlderOneThatMustStay) {
  mark(0);
  execute("UPDATE esp_telemetry SET ingestion_timestamp = now() + interval '1 hour' WHERE id = 11");
  const MaintenanceReport report = drop();
  EXPECT_EQ(value("SELECT max(id) FROM esp_telemetry"), "11");
  EXPECT_EQ(report.refused(), 9U);
  EXPECT_EQ(report.chunks.back().reason, "an older chunk has to go first");
}

TEST_P(RetentionTest, ForceDropsAndIsLogged) {
  const MaintenanceReport report = drop(true);
  EXPECT_EQ(days_left(), "2");
  EXPECT_EQ(report.refused(), 0U);
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_retention_log WHERE forced AND dropped_by = current_user "
                  "AND reason = "
                  "'nothing of this table was archived or backed up'"),
            "10");
}

TEST_P(RetentionTest, WithoutATimeToKeepNothingGoes) {
  execute("UPDATE wellhead_lifecycle SET keep = NULL WHERE table_name = 'esp_telemetry'");
  mark(0);
  EXPECT_TRUE(drop(true).chunks.empty());
  EXPECT_EQ(days_left(), "12");
}

TEST_P(RetentionTest, ATableInUseIsLeftForTheNextTurn) {
  mark(0);
  const auto reader = connect();
  ASSERT_TRUE(reader->run("BEGIN; SELECT count(*) FROM esp_telemetry"));
  const MaintenanceReport report = drop();
  ASSERT_EQ(report.postponed.size(), 1U) << testing::PrintToString(report.postponed);
  EXPECT_TRUE(report.postponed.front().starts_with("Dropping old data of esp_telemetry is put off"))
      << report.postponed.front();
  ASSERT_TRUE(reader->run("ROLLBACK"));
  EXPECT_EQ(days_left(), "12");
  EXPECT_TRUE(drop().postponed.empty());
  EXPECT_EQ(days_left(), "2");
}

TEST_P(RetentionTest, ARowThatIsCommittedWhileItsChunkIsBeingDroppedKeepsTheChunk) {
  mark(0);
  const auto late = connect();
  ASSERT_TRUE(
      late->run("BEGIN; INSERT INTO esp_telemetry (id, well_id, timestamp, ingestion_timestamp) VALUES (100, "
                "'well-1', date_trunc('day', now(), 'UTC') - interval '11 days', now())"));
  auto dropping = std::async(std::launch::async, [this] { return drop(); });
  EXPECT_TRUE(somebody_waits_for_a_lock());
  ASSERT_TRUE(late->run("COMMIT"));
  const MaintenanceReport report = dropping.get();
  EXPECT_EQ(value("SELECT string_agg(id::text, ' ' ORDER BY id DESC) FROM esp_telemetry WHERE id > 9"),
            "100 11 10");
  EXPECT_EQ(report.refused(), 9U) << print(report);
  ASSERT_GT(report.chunks.size(), 1U);
  EXPECT_TRUE(report.chunks[1].reason.starts_with("rows were received after it was archived"))
      << report.chunks[1].reason;
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_retention_log"), "1");
}

TEST_P(RetentionTest, ATransactionThatCannotSeeWhatWasCommittedMeanwhileDropsNothing) {
  mark(0);
  const auto dropped = connection_->query(
      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM wellhead_drop_expired('esp_telemetry'); COMMIT");
  ASSERT_FALSE(dropped);
  EXPECT_NE(dropped.error().message.find("READ COMMITTED"), std::string::npos) << dropped.error().message;
  ASSERT_TRUE(connection_->run("ROLLBACK"));
  EXPECT_EQ(days_left(), "12");
  // A server's or a role's default is no hindrance.
  ASSERT_TRUE(connection_->run("SET default_transaction_isolation = 'serializable'"));
  EXPECT_EQ(drop().refused(), 0U);
  EXPECT_EQ(days_left(), "2");
}

// Of rows without a time of arrival it is known only that they are no older than the chunk's time.
TEST_P(RetentionTest, WhereItIsUnknownWhenRowsCameTheArchiveMustBeYoungerThanTheChunk) {
  execute("UPDATE esp_telemetry SET ingestion_timestamp = NULL WHERE id BETWEEN 3 AND 8");
  mark(0, "date_trunc('day', now(), 'UTC') - interval '8 days'");
  // The others' rows came an hour ago.
  execute("UPDATE esp_telemetry SET ingestion_timestamp = timestamp WHERE id > 8");
  const MaintenanceReport report = drop();
  EXPECT_EQ(value("SELECT max(id) FROM esp_telemetry"), "8");
  EXPECT_EQ(report.refused(), 6U);
  EXPECT_TRUE(report.chunks.back().reason.starts_with("when its rows were received is not known, and "))
      << report.chunks.back().reason;
  mark(0);
  EXPECT_EQ(drop().refused(), 0U);
  EXPECT_EQ(days_left(), "2");
}

TEST_P(RetentionTest, AnUnknownArrivalIsNoHindranceWhereTheArchiveIsYoungerThanTheChunk) {
  execute("UPDATE esp_telemetry SET ingestion_timestamp = NULL");
  mark(0, "date_trunc('day', now(), 'UTC') - interval '2 days'");
  EXPECT_EQ(drop().refused(), 0U);
  EXPECT_EQ(days_left(), "2");
}

TEST_P(RetentionTest, AMarkerForAllTimesIsNoneForWhatCameAfterItWhereATableTellsOfNoArrival) {
  execute("UPDATE wellhead_lifecycle SET arrival_column = NULL WHERE table_name = 'esp_telemetry'");
  execute(
      "INSERT INTO wellhead_archive_marker (table_name, covered_until, as_of, kind) VALUES ('esp_telemetry', "
      "'infinity', date_trunc('day', now(), 'UTC') - interval '10 days', 'backup')");
  const MaintenanceReport report = drop();
  EXPECT_EQ(value("SELECT max(id) FROM esp_telemetry"), "10");
  EXPECT_EQ(report.refused(), 8U);
  EXPECT_TRUE(report.chunks.back().reason.starts_with("when its rows were received is not known, and "))
      << report.chunks.back().reason;
}

// A refresh of the server's own would find nothing where rows were dropped, and keep nothing of them.
TEST_P(RetentionTest, WhatAnAggregateIsStillComputedOfStaysHoweverShortItIsToBeKept) {
  execute(
      "UPDATE wellhead_lifecycle SET keep = interval '7 days' WHERE table_name = 'telemetry'; "
      "INSERT INTO telemetry (timestamp, device_id, ingestion_timestamp) SELECT now() - n * interval '1 "
      "day', "
      "'well-' || n, now() - interval '1 hour' FROM unnest(ARRAY[40, 31, 20, 10]) AS n; "
      "INSERT INTO wellhead_archive_marker (table_name, covered_until, as_of, kind) VALUES ('telemetry', "
      "now(), now(), 'archive')");
  MaintenanceReport ignored;
  ASSERT_TRUE(maintenance_->make_partitions(ignored));
  const MaintenanceReport report = drop();
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE device_id IN ('well-20', 'well-10')"), "2");
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE device_id = 'well-40'"), "0");
  EXPECT_GE(report.refused(), 2U);
  const ChunkReport* kept = nullptr;
  for (const ChunkReport& chunk : report.chunks)
    if (chunk.table == "telemetry" && !chunk.dropped && kept == nullptr) kept = &chunk;
  ASSERT_NE(kept, nullptr);
  EXPECT_TRUE(kept->reason.starts_with("telemetry_daily is still computed of what came since "))
      << kept->reason;
  if (maintenance_->server().has_continuous_aggregates()) return;
  execute(
      "UPDATE wellhead_aggregate SET refresh_from = interval '7 days' WHERE view_name = 'telemetry_daily'");
  EXPECT_EQ(drop().refused(), 10U) << "those of esp_telemetry, which no marker covers";
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "0");
}

// drop_chunks() knows times only: it would take the chunks of the same time along, which were not looked at.
TEST_P(RetentionTest, AHypertableThatIsDividedByMoreThanTimeIsLeftAlone) {
  if (maintenance_->server().edition == Edition::plain) GTEST_SKIP() << "needs hypertables";
  execute(
      "CREATE TABLE divided (at timestamptz NOT NULL, well integer NOT NULL); "
      "SELECT create_hypertable('divided', 'at', chunk_time_interval => interval '1 day'); "
      "SELECT add_dimension('divided', 'well', number_partitions => 2); "
      "INSERT INTO divided SELECT date_trunc('day', now(), 'UTC') - interval '9 days', n FROM "
      "generate_series(1, 20) AS n; INSERT INTO wellhead_lifecycle (table_name, time_column, chunk_interval, "
      "keep, guarded) VALUES ('divided', 'at', '1 day', '2 days', false)");
  ASSERT_EQ(value("SELECT count(*) FROM wellhead_chunks('divided')"), "2");
  ASSERT_TRUE(maintenance_->prepare());
  for (const bool force : {false, true}) {
    const MaintenanceReport report = drop(force);
    ASSERT_FALSE(report.chunks.empty());
    EXPECT_EQ(report.chunks.front().table, "divided");
    EXPECT_TRUE(report.chunks.front().reason.starts_with("the hypertable is divided by more than time"))
        << report.chunks.front().reason;
    EXPECT_EQ(value("SELECT count(*) FROM divided"), "20");
  }
}

INSTANTIATE_TEST_SUITE_P(Editions, RetentionTest,
                         testing::Values(TestedServer::as_it_is, TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
