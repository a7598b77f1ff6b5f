// Direct compress on a server that offers it: the Community edition of TimescaleDB, from 2.21. On another
// each test is listed as skipped, by name. That nothing is lost or doubled when links break is tested by the
// committer's own tests, whose flushes go this way on such a server.
#include <gtest/gtest.h>

#include <barrier>
#include <future>

#include "sink/catalog.hpp"
#include "sink/pg_database.hpp"
#include "sink/postgres_committer.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using test::base_time_us;

const std::atomic<bool> not_stopping{false};
constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t day_us = 86'400 * second_us;

// A committer with one lane, and what it counts.
class Writer {
 public:
  Writer(const std::string& connection, DirectCompressOptions direct, std::uint32_t shard = 0)
      : lane_{1, 0, shard} {
    PostgresOptions options{.connection = connection};
    options.node_id = "node-" + std::to_string(shard);
    committer_ = make_postgres_committer(options, {.shard = shard,
                                                   .streams = test::shipped_schemas(),
                                                   .owner = {.journal_id = random_journal_id()},
                                                   .direct_compress = direct});
    committer_->attach(stats);
    prepare();
  }

  // As a shard does: again until it is committed.
  void commit(Batch& batch) {
    std::vector<Batch*> batches{&batch};
    for (int tries = 0; tries < 20; ++tries) {
      batch.refused().clear();
      const std::vector<LaneMove> moves{{lane_, sequence_, sequence_ + 1}};
      const FlushReport report = committer_->commit({batches, moves, false}, not_stopping);
      if (report.outcome == FlushOutcome::committed) {
        ++sequence_;
        return;
      }
      problem_ = report.problem;
      prepare();
    }
    FAIL() << problem_;
  }

  ShardStats stats;
  [[nodiscard]] const std::string& problem() const noexcept {
    return problem_;
  }  // of the last try that failed

 private:
  void prepare() {
    std::vector<LaneProgress> progress{{lane_, 0}};
    ShardState state{};
    ASSERT_TRUE(committer_->prepare(progress, not_stopping, state, problem_)) << problem_;
    sequence_ = progress.front().sequence;
  }

  LaneId lane_;
  std::unique_ptr<Committer> committer_;
  std::uint64_t sequence_ = 0;
  std::string problem_;
};

class DirectCompressDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
    database_->create_shipped_tables();
    const auto offered = database_->value("SELECT " + std::string(direct_compress_offered));
    if (offered != "t")
      GTEST_SKIP() << "needs TimescaleDB's Community edition, 2.21 or newer; this is "
                   << database_->edition();
  }

  Writer writer(DirectCompressOptions direct = {}, std::uint32_t shard = 0) {
    return Writer(database_->connection(), direct, shard);
  }
  // A second apart each, from a day of January 2026 on.
  static std::unique_ptr<Batch> readings(int devices, int rows_each, int day = 0, int first_second = 0) {
    auto batch = test::make_batch(16U << 20);
    for (int row = 0; row < devices * rows_each; ++row)
      test::add_telemetry(*batch, "well-" + std::to_string(row % devices),
                          base_time_us + day * day_us + (first_second + row / devices) * second_us,
                          static_cast<float>(row % 10));
    return batch;
  }
  std::string value(const std::string& sql) { return database_->value(sql); }
  std::string count(const std::string& what) { return value("SELECT count(*) FROM " + what); }
  // Rows of telemetry that lie as rows; the others are compressed.
  std::string rows_as_rows() {
    return value(
        "SELECT coalesce(sum((xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM ONLY "
        "%I.%I', chunk_schema, chunk_name), false, true, '')))[1]::text::bigint), 0) FROM "
        "timescaledb_information.chunks WHERE hypertable_name = 'telemetry'");
  }

  std::unique_ptr<TestDatabase> database_;
};

TEST_F(DirectCompressDatabaseTest, many_rows_per_device_go_compressed_and_few_as_rows) {
  Writer to = writer();
  to.commit(*readings(4, 100));
  EXPECT_EQ(to.stats.rows_compressed.value(), 400U);
  EXPECT_EQ(count("telemetry"), "400");
  EXPECT_EQ(count("(SELECT DISTINCT device_id, timestamp FROM telemetry) AS d"), "400");
  EXPECT_EQ(value("SELECT sum(pressure) FROM telemetry"), "1800");
  EXPECT_EQ(value("SELECT bool_and(is_compressed) FROM timescaledb_information.chunks WHERE hypertable_name "
                  "= 'telemetry'"),
            "t");
  to.commit(*readings(40, 2, 0, 1'000));
  EXPECT_EQ(to.stats.rows_compressed.value(), 400U);
  EXPECT_EQ(count("telemetry"), "480");
  EXPECT_EQ(to.stats.direct_compress_skipped.value(), 0U);
}

TEST_F(DirectCompressDatabaseTest, a_small_live_flush_into_a_compressed_chunk_is_found_like_any_other) {
  Writer to = writer();
  to.commit(*readings(2, 500));
  to.commit(*readings(2, 10, 0, 100));  // again, among them
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE device_id = 'well-1' AND timestamp >= "
                  "'2026-01-01 00:01:40Z' AND timestamp < '2026-01-01 00:01:50Z'"),
            "20");
  EXPECT_EQ(value("SELECT extract(epoch FROM max(timestamp) - min(timestamp))::int FROM telemetry"), "499");
  // In order, though batches overlap.
  EXPECT_EQ(value("SELECT bool_and(timestamp >= before) FROM (SELECT timestamp, lag(timestamp) OVER () AS "
                  "before FROM (SELECT timestamp FROM telemetry WHERE device_id = 'well-0' ORDER BY "
                  "timestamp) AS sorted) AS s"),
            "t");
}

TEST_F(DirectCompressDatabaseTest, tables_with_a_unique_index_are_never_asked_for) {
  auto batch = test::make_batch(4U << 20);
  for (int row = 0; row < 1'000; ++row) test::add_esp(*batch, row, "well-1", base_time_us + row);
  Writer to = writer({.use = DirectCompressUse::always});
  to.commit(*batch);
  EXPECT_EQ(count("esp_telemetry"), "1000");
  EXPECT_EQ(to.stats.rows_compressed.value(), 0U);
  EXPECT_EQ(to.stats.server_warnings.value(), 0U);
}

TEST_F(DirectCompressDatabaseTest, what_makes_the_server_skip_it_is_seen_in_the_catalog) {
  PostgresOptions options{.connection = database_->connection()};
  PgDatabase connection(options, "wellhead test");
  ASSERT_TRUE(connection.connect());
  const auto schemas = test::shipped_schemas();
  const auto found = [&] {
    const auto streams = find_compressible_streams(connection, schemas);
    return streams ? testing::PrintToString(*streams) : streams.error().message;
  };
  EXPECT_TRUE(check_catalog(connection, schemas)->has_direct_compress);
  EXPECT_EQ(found(), "{ 0 }");
  database_->execute("CREATE UNIQUE INDEX one_each ON telemetry (device_id, timestamp)");
  EXPECT_EQ(found(), "{}");
  database_->execute("DROP INDEX one_each");
  EXPECT_EQ(found(), "{ 0 }");
  database_->execute(
      "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; "
      "CREATE TRIGGER pass BEFORE INSERT ON telemetry FOR EACH ROW EXECUTE FUNCTION pass()");
  EXPECT_EQ(found(), "{}");
  database_->execute("DROP TRIGGER pass ON telemetry");
  EXPECT_EQ(found(), "{ 0 }");
  database_->execute(
      "SELECT remove_compression_policy('telemetry'); ALTER TABLE telemetry SET (timescaledb.compress = "
      "false)");
  EXPECT_EQ(found(), "{}");
}

TEST_F(DirectCompressDatabaseTest, a_fast_path_the_server_skips_is_counted_and_not_asked_for_again) {
  Writer to = writer();
  to.commit(*readings(1, 100));
  database_->execute("CREATE UNIQUE INDEX one_each ON telemetry (device_id, timestamp)");
  to.commit(*readings(1, 100, 1));
  EXPECT_EQ(to.stats.direct_compress_skipped.value(), 1U);
  to.commit(*readings(1, 100, 2));
  EXPECT_EQ(to.stats.direct_compress_skipped.value(), 1U);
  EXPECT_EQ(to.stats.rows_compressed.value(), 100U);
  EXPECT_EQ(count("telemetry"), "300");
}

TEST_F(DirectCompressDatabaseTest, a_refused_row_costs_one_row_and_the_others_go_as_rows) {
  Writer to = writer();
  auto batch = readings(2, 200);
  test::add_telemetry(*batch, "well-1", base_time_us + 1'000 * second_us, -1);
  to.commit(*batch);
  ASSERT_EQ(batch->refused().size(), 1U);
  EXPECT_EQ(batch->refused()[0].row, 400U);
  EXPECT_EQ(batch->refused()[0].sqlstate, "23514");
  EXPECT_EQ(count("telemetry"), "400");
  EXPECT_EQ(rows_as_rows(), "400");
  EXPECT_EQ(to.stats.rows_compressed.value(), 0U);
}

TEST_F(DirectCompressDatabaseTest, the_servers_own_setting_does_not_compress_small_flushes) {
  database_->execute("ALTER DATABASE " + database_->name() +
                     " SET timescaledb.enable_direct_compress_copy = on");
  Writer to = writer();
  to.commit(*readings(40, 2));
  EXPECT_EQ(rows_as_rows(), "80");
  Writer off = writer({.use = DirectCompressUse::off}, 1);
  off.commit(*readings(40, 2, 3));
  EXPECT_EQ(rows_as_rows(), "80");  // there it counts
  EXPECT_EQ(count("telemetry"), "160");
}

TEST_F(DirectCompressDatabaseTest, the_aggregates_see_what_went_in_compressed) {
  const auto differences = [&] {
    database_->execute("CALL refresh_continuous_aggregate('telemetry_1min', NULL, NULL)");
    const std::string direct = value("SELECT wellhead_aggregate_query('telemetry_1min')");
    std::string question = "((TABLE telemetry_1min EXCEPT ALL (" + direct + ")) UNION ALL ((" + direct;
    return count(question + ") EXCEPT ALL TABLE telemetry_1min)) AS d");
  };
  Writer to = writer();
  to.commit(*readings(3, 300));
  EXPECT_EQ(differences(), "0");
  EXPECT_EQ(count("telemetry_1min"), "15");
  // Late, into buckets that were computed.
  to.commit(*readings(3, 100, 0, 60));
  EXPECT_EQ(differences(), "0");
  EXPECT_EQ(value("SELECT sum(sample_count) FROM telemetry_1min"), "1200");
}

TEST_F(DirectCompressDatabaseTest, shards_that_meet_in_new_chunks_all_get_through) {
  constexpr int shards = 4;
  constexpr int days = 6;
  std::barrier together(shards);
  std::vector<std::future<std::uint64_t>> done;
  for (std::uint32_t shard = 0; shard < shards; ++shard)
    done.push_back(std::async(std::launch::async, [&, shard] {
      Writer to = writer({}, shard);
      for (int flush = 0; flush < 3; ++flush) {
        auto batch = test::make_batch(16U << 20);
        // Each sees the days in another order.
        for (int row = 0; row < days * 60; ++row)
          test::add_telemetry(*batch, "well-" + std::to_string(shard) + "-" + std::to_string(row % 2),
                              base_time_us + (row + static_cast<int>(shard)) % days * day_us +
                                  (flush * 400 + row) * second_us,
                              1);
        together.arrive_and_wait();
        to.commit(*batch);
      }
      return to.stats.rows_compressed.value();
    }));
  std::uint64_t compressed = 0;
  for (auto& one : done) compressed += one.get();
  EXPECT_EQ(compressed, shards * 3 * days * 60U);
  EXPECT_EQ(count("telemetry"), std::to_string(shards * 3 * days * 60));
  EXPECT_EQ(count("(SELECT DISTINCT device_id, timestamp FROM telemetry) AS d"),
            std::to_string(shards * 3 * days * 60));
}

// Another session holds what a flush takes that may make a chunk.
class LockHolder {
 public:
  explicit LockHolder(const std::string& connection)
      : database_(PostgresOptions{.connection = connection}, "wellhead test lock") {
    EXPECT_TRUE(database_.connect());
    EXPECT_TRUE(database_.run("BEGIN; SELECT pg_advisory_xact_lock(2003135596, 1)"));
  }
  void release() { EXPECT_TRUE(database_.run("COMMIT")); }
  // Whether somebody comes to wait for it soon, or `done` first.
  bool waited_for(TestDatabase& database, const std::future<void>& done) {
    for (int looks = 0; looks < 1'000; ++looks) {
      if (database.value(
              "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = "
              "2003135596 AND database = (SELECT oid FROM pg_database WHERE datname = "
              "current_database())") != "0")
        return true;
      if (done.wait_for(std::chrono::milliseconds(5)) == std::future_status::ready) return false;
    }
    return false;
  }

 private:
  PgDatabase database_;
};

TEST_F(DirectCompressDatabaseTest, the_first_to_compress_into_a_chunk_that_was_made_ahead_waits_its_turn) {
  writer().commit(*readings(2, 10));
  ASSERT_EQ(value("SELECT count(*) FROM wellhead_make_chunks('telemetry', '2026-01-02 00:00:00Z', 1)"), "2");
  Writer to = writer();
  to.commit(*readings(40, 2, 1));  // as rows: its day is known from here on
  LockHolder holder(database_->connection());
  // Rows find their chunk and wait for nobody.
  Writer other = writer({}, 1);
  other.commit(*readings(40, 2, 2));
  EXPECT_EQ(other.problem(), "");
  auto batch = readings(1, 100, 1);
  const auto committing = std::async(std::launch::async, [&] { to.commit(*batch); });
  EXPECT_TRUE(holder.waited_for(*database_, committing));
  holder.release();
  committing.wait();
  EXPECT_EQ(to.stats.rows_compressed.value(), 100U);
  EXPECT_EQ(to.problem(), "");
  EXPECT_EQ(count("telemetry"), "280");
}

TEST_F(DirectCompressDatabaseTest,
       shards_that_first_compress_into_chunks_made_ahead_all_get_through_at_once) {
  constexpr int shards = 4;
  constexpr int days = 4;
  writer().commit(*readings(1, 10));
  ASSERT_EQ(value("SELECT count(*) FROM wellhead_make_chunks('telemetry', '2026-01-02 00:00:00Z', 3)"), "4");
  std::barrier together(shards);
  std::vector<std::future<std::string>> done;
  for (std::uint32_t shard = 0; shard < shards; ++shard)
    done.push_back(std::async(std::launch::async, [&, shard] {
      Writer to = writer({}, shard);
      auto batch = test::make_batch(16U << 20);
      for (int row = 0; row < days * 100; ++row)
        test::add_telemetry(
            *batch, "well-" + std::to_string(shard),
            base_time_us + (1 + (row + static_cast<int>(shard)) % days) * day_us + row * second_us, 1);
      together.arrive_and_wait();
      to.commit(*batch);
      return to.problem();
    }));
  for (auto& one : done) EXPECT_EQ(one.get(), "");
  EXPECT_EQ(count("telemetry"), std::to_string(10 + shards * days * 100));
  EXPECT_EQ(
      value("SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'telemetry' AND "
            "is_compressed"),
      std::to_string(days));
}

}  // namespace
}  // namespace wellhead
