// What flushes tell of the time they touch, on a server where the node keeps the aggregates.
#include <gtest/gtest.h>

#include "sink/catalog.hpp"
#include "sink/pg_database.hpp"
#include "sink/postgres_committer.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using test::base_time_us;

const std::atomic<bool> not_stopping{false};
constexpr std::int64_t hour_us = 3'600'000'000;

class InvalidationDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
    database_->create_shipped_tables();
    if (database_->value("SELECT to_regclass('wellhead_invalidation') IS NULL") == "t")
      GTEST_SKIP() << "this server computes its aggregates itself";
    database_->execute("DELETE FROM wellhead_invalidation");
    options_.connection = database_->connection();
    options_.node_id = "node";
    committer_ = make_postgres_committer(
        options_, {.streams = test::shipped_schemas(), .owner = {.journal_id = random_journal_id()}});
    committer_->attach(stats_);
  }

  [[nodiscard]] FlushOutcome try_commit(Batch& batch) {
    std::vector<LaneProgress> progress{{lane, 0}};
    ShardState state = ShardState::starting;
    if (!committer_->prepare(progress, not_stopping, state, problem_)) return FlushOutcome::retry;
    const std::uint64_t sequence = progress.front().sequence;
    const std::vector<LaneMove> moves{{lane, sequence, sequence + 1}};
    const std::vector<Batch*> batches{&batch};
    batch.refused().clear();
    const FlushReport report = committer_->commit({batches, moves, false}, not_stopping);
    problem_ = report.problem;
    return report.outcome;
  }
  [[nodiscard]] std::string told() {
    return database_->value(
        "SELECT string_agg(format('%s %s %s', source, range_from AT TIME ZONE 'UTC', range_until AT TIME "
        "ZONE "
        "'UTC'), '; ' ORDER BY range_from) FROM wellhead_invalidation");
  }
  static std::unique_ptr<Batch> make_flush(float last_pressure) {
    auto batch = test::make_batch();
    test::add_telemetry(*batch, "well-1", base_time_us + 59'999'999, 1000);
    test::add_telemetry(*batch, "well-2", base_time_us + 60'000'000, 1000);
    test::add_esp(*batch, 1, "well-1", base_time_us + hour_us);
    test::add_telemetry(*batch, "well-3", base_time_us - 48 * hour_us, last_pressure);
    return batch;
  }

  static constexpr LaneId lane{3, 1, 0};
  const std::string told_of_flush =
      "telemetry 2025-12-30 00:00:00 2025-12-30 00:01:00; telemetry 2026-01-01 00:00:00 2026-01-01 00:02:00";
  std::unique_ptr<TestDatabase> database_;
  PostgresOptions options_;
  ShardStats stats_;
  std::unique_ptr<Committer> committer_;
  std::string problem_;
};

TEST_F(InvalidationDatabaseTest, a_flush_tells_which_minutes_of_telemetry_it_touched) {
  ASSERT_EQ(try_commit(*make_flush(1000)), FlushOutcome::committed) << problem_;
  EXPECT_EQ(told(), told_of_flush);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "3");
}

TEST_F(InvalidationDatabaseTest, a_salvaged_flush_tells_once) {
  const auto batch = make_flush(-1);
  ASSERT_EQ(try_commit(*batch), FlushOutcome::committed) << problem_;
  EXPECT_EQ(batch->refused().size(), 1U);
  EXPECT_EQ(told(), told_of_flush);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "2");
}

// As on a server that was moved to the Community edition: the log is still there, and nobody reads it.
TEST_F(InvalidationDatabaseTest, where_aggregates_are_views_nothing_is_told_and_no_right_is_needed) {
  for (const std::string view : {"telemetry_1min", "telemetry_1hour", "telemetry_daily"})
    database_->execute("ALTER TABLE " + view + " RENAME TO " + view + "_before; CREATE VIEW " + view +
                       " AS SELECT * FROM " + view + "_before");
  ASSERT_EQ(try_commit(*make_flush(1000)), FlushOutcome::committed) << problem_;
  EXPECT_EQ(database_->value("SELECT count(*) FROM wellhead_invalidation"), "0");
}

TEST_F(InvalidationDatabaseTest, when_the_log_is_taken_away_it_goes_on_with_the_next_connection) {
  ASSERT_EQ(try_commit(*make_flush(1000)), FlushOutcome::committed) << problem_;
  database_->execute("DROP TABLE wellhead_invalidation");
  EXPECT_EQ(try_commit(*make_flush(1000)), FlushOutcome::blocked);
  EXPECT_NE(problem_.find("wellhead_invalidation"), std::string::npos) << problem_;
  EXPECT_EQ(try_commit(*make_flush(1000)), FlushOutcome::committed) << problem_;
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "6");
}

TEST_F(InvalidationDatabaseTest, a_role_that_may_not_tell_is_told_which_right_it_lacks) {
  const std::string role = database_->name() + "_writer";
  database_->create_role(role);
  database_->execute("GRANT INSERT ON telemetry, esp_telemetry, diagnostic_results TO " + role +
                     "; GRANT SELECT, INSERT, UPDATE, DELETE ON wellhead_progress TO " + role);
  PgDatabase connection({.connection = database_->connection_as(role)}, "wellhead check");
  ASSERT_TRUE(connection.connect());
  const auto problems = [&] {
    const auto report = check_catalog(connection, test::shipped_schemas());
    EXPECT_TRUE(report) << report.error().message;
    return report ? report->problems : std::vector<std::string>{};
  };
  const auto sentence = [&](const std::string& table, const std::string& right) {
    return std::vector<std::string>{"role \"" + role + "\" may not read and write table \"" + table +
                                    "\": GRANT " + right + " ON " + table + " TO \"" + role + "\""};
  };
  EXPECT_EQ(problems(), sentence("wellhead_aggregate", "SELECT"));
  database_->execute("GRANT SELECT ON wellhead_aggregate TO " + role);
  EXPECT_EQ(problems(), sentence("wellhead_invalidation", "INSERT"));
  database_->execute("GRANT INSERT ON wellhead_invalidation TO " + role);
  EXPECT_EQ(problems(), std::vector<std::string>{});
  connection.disconnect();
  database_->execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

}  // namespace
}  // namespace wellhead
