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

INSTANTIATE_TEST_SUITE_P(Servers, ChunksAheadTest,
                         testing::Values(TestedServer::as_it_is, TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
