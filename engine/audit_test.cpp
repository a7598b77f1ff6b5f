// The audit of a real journal against a real server.
#include "engine/audit.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <memory>

#include "journal/section.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"
#include "sink/pg_database.hpp"
#include "sink/postgres_committer.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using test::base_time_us;
using Batches = std::vector<std::unique_ptr<Batch>>;

const std::atomic<bool> not_stopping{false};
constexpr std::int64_t hour_us = 3'600'000'000;

class AuditTest : public testing::Test {
 protected:
  static constexpr std::size_t batch_bytes = 64U << 10;

  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    server_ = std::make_unique<TestDatabase>();
    server_->create_shipped_tables();
    postgres_.connection = server_->connection();
    start(streams_);
  }

  // A run of the node with these streams.
  void start(const std::vector<SchemaPointer>& streams) {
    journal_.reset();
    JournalOptions options;
    options.node_id = "well-1";
    options.batch_bytes = batch_bytes;
    options.segment_bytes = 1U << 20;
    options.block_bytes_max = 512U << 10;
    options.free_bytes_min = 0;
    options.keep_bytes = 0;
    options.keep_time = std::chrono::milliseconds(0);
    options.catalog = print_catalog(streams);
    auto journal = Journal::open(disk_, clock_, options);
    ASSERT_TRUE(journal.has_value()) << journal.error().sentence;
    journal_ = std::move(*journal);
    committed_ = 0;
    committer_ = make_postgres_committer(
        postgres_, {.streams = streams, .owner = {.journal_id = journal_->id_text(), .node_id = "well-1"}});
    committer_->attach(stats_);
  }

  // Makes a batch durable in the journal. It is not committed yet.
  template <typename Fill>
  Batch& journal(Fill&& fill) {
    clock_.now_ns += 1'000'000'000;
    Batch& batch = *batches_.emplace_back(std::make_unique<Batch>(batch_bytes, 0));
    fill(batch);
    batch.set_shard(0);
    while (journal_->work()) {
    }
    const std::array<Batch*, 1> block{&batch};
    EXPECT_EQ(journal_->writer(0).append(block), AppendStatus::planned);
    EXPECT_EQ(carry_out(journal_->writer(0)), CompleteResult::durable);
    return batch;
  }
  Batch& journal_telemetry(std::string_view device, unsigned rows, float pressure = 100) {
    return journal([&](Batch& batch) {
      for (unsigned row = 0; row < rows; ++row)
        test::add_telemetry(batch, device, base_time_us + row * hour_us, pressure);
    });
  }
  void commit(Batch& batch) {
    std::vector<LaneProgress> progress{{batch.lane(), 0}};
    ShardState state{};
    std::string problem;
    ASSERT_TRUE(committer_->prepare(progress, not_stopping, state, problem)) << problem;
    const std::vector<LaneMove> moves{{batch.lane(), committed_, batch.lane_sequence()}};
    const std::array<Batch*, 1> batches{&batch};
    ASSERT_EQ(committer_->commit({batches, moves, false}, not_stopping).outcome, FlushOutcome::committed);
    committed_ = batch.lane_sequence();
  }

  std::expected<AuditReport, std::string> try_audit(const AuditOptions& options = {}) {
    PgDatabase database(postgres_, "wellhead test");
    const auto connected = database.connect();
    EXPECT_TRUE(connected) << connected.error().message;
    return Audit(disk_, database, streams_, options).run();
  }
  AuditReport audit(const AuditOptions& options = {}) {
    auto report = try_audit(options);
    EXPECT_TRUE(report) << report.error();
    return report.value_or(AuditReport{});
  }
  static const StreamAudit& stream(const AuditReport& report, std::string_view name) {
    const auto found = std::ranges::find(report.streams, name, &StreamAudit::name);
    EXPECT_NE(found, report.streams.end()) << name;
    return *found;
  }

  std::vector<SchemaPointer> streams_ = test::shipped_schemas();
  std::unique_ptr<TestDatabase> server_;
  PostgresOptions postgres_;
  ManualClock clock_;
  SimulatedFileSystem disk_{{.seed = 1}};
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Committer> committer_;
  ShardStats stats_;
  Batches batches_;
  std::uint64_t committed_ = 0;
};

TEST_F(AuditTest, FindsEveryCommittedRowOnceAndCountsWhatIsQueued) {
  commit(journal_telemetry("well-7", 40));
  commit(journal([](Batch& batch) {
    for (int row = 0; row < 5; ++row) test::add_esp(batch, row, "well-8", base_time_us + row);
    test::add_diagnostic(batch, 1, "well-8", base_time_us);
  }));
  journal_telemetry("well-7", 3);
  const AuditReport report = audit({.exclusive = true});
  EXPECT_TRUE(report.faults().empty());
  const StreamAudit& telemetry = stream(report, "telemetry");
  EXPECT_EQ(telemetry.journaled, 43U);
  EXPECT_EQ(telemetry.found, 40U);
  EXPECT_EQ(telemetry.queued, 3U);
  EXPECT_EQ(telemetry.others, 0U);
  EXPECT_EQ(stream(report, "esp_telemetry").found, 5U);
  EXPECT_EQ(stream(report, "diagnostic_results").found, 1U);
  EXPECT_FALSE(stream(report, "diagnostic_results").others);  // it has no receive time
  const AuditReport::Totals totals = report.totals();
  EXPECT_EQ(totals.journaled, totals.committed + totals.queued + totals.quarantined + totals.lost);
  EXPECT_EQ(totals.found, totals.committed);
  ASSERT_EQ(report.lanes.size(), 1U);
  EXPECT_EQ(report.lanes.front().last, 3U);
  EXPECT_EQ(report.lanes.front().progress, 2U);
  EXPECT_EQ(report.lanes.front().rows_queued, 3U);
}

TEST_F(AuditTest, NamesRowsThatAreMissing) {
  commit(journal_telemetry("well-7", 40));
  server_->execute("DELETE FROM telemetry WHERE timestamp = '2026-01-01 05:00:00Z'");
  const AuditReport report = audit();
  ASSERT_EQ(report.faults().size(), 1U);
  EXPECT_NE(report.faults().front().find("1 rows of telemetry are in the journal and committed"),
            std::string::npos);
  const StreamAudit& telemetry = stream(report, "telemetry");
  EXPECT_EQ(telemetry.found, 39U);
  EXPECT_EQ(telemetry.missing, 1U);
  ASSERT_EQ(telemetry.examples.size(), 1U);
  EXPECT_EQ(telemetry.examples.front().device, "well-7");
  EXPECT_NE(print_audit(report).find("NOT conserved"), std::string::npos);
}

TEST_F(AuditTest, ARowWithAnotherValueIsMissing) {
  commit(journal_telemetry("well-7", 4));
  server_->execute("UPDATE telemetry SET pressure = 101 WHERE timestamp = '2026-01-01 02:00:00Z'");
  const StreamAudit telemetry = stream(audit(), "telemetry");
  EXPECT_EQ(telemetry.missing, 1U);
  EXPECT_EQ(telemetry.others, 1U);
}

TEST_F(AuditTest, ComputedColumnsAreNotCompared) {
  commit(journal_telemetry("well-7", 4));
  server_->execute(
      "UPDATE telemetry SET data_quality_score = 0.25, is_anomaly = true, quality_flags = 512 WHERE "
      "timestamp >= '2026-01-01 02:00:00Z'");
  const AuditReport report = audit();
  EXPECT_TRUE(report.faults().empty());
  EXPECT_EQ(stream(report, "telemetry").found, 4U);
  EXPECT_EQ(stream(report, "telemetry").missing, 0U);
  EXPECT_EQ(stream(report, "telemetry").others, 0U);
}

TEST_F(AuditTest, CountsCopiesAndNotRows) {
  commit(journal_telemetry("well-7", 10));
  commit(journal_telemetry("well-7", 10));  // a client sent the same again: two copies are right
  EXPECT_TRUE(audit().faults().empty());
  server_->execute(
      "INSERT INTO telemetry SELECT * FROM telemetry WHERE timestamp = '2026-01-01 05:00:00Z' LIMIT 1");
  const AuditReport report = audit();
  ASSERT_EQ(report.faults().size(), 1U);
  EXPECT_EQ(stream(report, "telemetry").found, 20U);
  EXPECT_EQ(stream(report, "telemetry").duplicated, 1U);
}

TEST_F(AuditTest, ComparesNullsNotANumberAndJson) {
  commit(journal([](Batch& batch) {
    test::Tuple tuple;
    tuple.bigint(9).text("well-9").timestamptz(base_time_us).text("info").null().null();
    tuple.jsonb(R"({"b": 1.0, "a": [null, "ü"]})");
    test::add_row(batch, test::diagnostic_stream, "well-9", base_time_us, tuple);
    test::Tuple reading;
    reading.timestamptz(base_time_us)
        .text("well-9")
        .real(20)
        .real(0)
        .real(NAN)
        .real(0)
        .real(0)
        .real(0)
        .real(0);
    reading.null().timestamptz(base_time_us).text("scada").unscored();
    test::add_row(batch, test::telemetry_stream, "well-9", base_time_us, reading);
  }));
  const AuditReport report = audit();
  EXPECT_TRUE(report.faults().empty());
  EXPECT_EQ(report.totals().found, 2U);
}

TEST_F(AuditTest, WhatTheShardComputedIsNoDifference) {
  commit(journal_telemetry("well-7", 10));
  server_->execute("UPDATE telemetry SET data_quality_score = 0.5, is_anomaly = true, quality_flags = 768");
  const AuditReport report = audit();
  EXPECT_TRUE(report.faults().empty());
  EXPECT_EQ(stream(report, "telemetry").found, 10U);
}

TEST_F(AuditTest, RowsOfOtherNodesAreNoFaultUnlessTheTableIsThisNodesOwn) {
  commit(journal_telemetry("well-7", 10));
  server_->execute(
      "INSERT INTO telemetry (timestamp, device_id, ingestion_timestamp, source_system) SELECT timestamp, "
      "'other', "
      "ingestion_timestamp, 'scada' FROM telemetry");
  EXPECT_EQ(stream(audit(), "telemetry").others, 10U);
  EXPECT_TRUE(audit().faults().empty());
  EXPECT_EQ(audit({.exclusive = true}).faults().size(), 1U);
}

TEST_F(AuditTest, ARefusedRowIsMissingWithoutItsLetterAndQuarantinedWithIt) {
  commit(journal_telemetry("well-7", 10));
  commit(journal_telemetry("well-6", 1, -5));  // which the table's CHECK refuses
  EXPECT_EQ(stream(audit(), "telemetry").missing, 1U);
  const std::string letter =
      "INSERT INTO dead_letter (received_at, id, node_id, stream, code, sqlstate, device_id) VALUES (now(), "
      "gen_random_uuid(), 'well-1', 'telemetry', 'database_refused', '23514', ";
  server_->execute(letter + "'another')");
  EXPECT_EQ(stream(audit(), "telemetry").missing, 1U);
  server_->execute(letter + "'well-6')");
  const AuditReport report = audit();
  EXPECT_TRUE(report.faults().empty());
  EXPECT_EQ(stream(report, "telemetry").quarantined, 1U);
  EXPECT_EQ(stream(report, "telemetry").committed(), 10U);
}

TEST_F(AuditTest, ARowNoTableCanHoldDoesNotHideTheOthers) {
  commit(journal([](Batch& batch) {
    for (int row = 0; row < 20; ++row) test::add_diagnostic(batch, row, "well-9", base_time_us);
    test::Tuple tuple;
    tuple.bigint(99).text("well-9").timestamptz(base_time_us).text("info").null().null().jsonb(R"("\u0000")");
    test::add_row(batch, test::diagnostic_stream, "well-9", base_time_us, tuple);
    test::add_diagnostic(batch, 100, "well-9", base_time_us);
  }));
  const StreamAudit diagnostics = stream(audit(), "diagnostic_results");
  EXPECT_EQ(diagnostics.journaled, 22U);
  EXPECT_EQ(diagnostics.found, 21U);
  EXPECT_EQ(diagnostics.missing, 1U);
}

TEST_F(AuditTest, ReadsTheRowsOfEarlierRunsByTheirOwnStreams) {
  commit(journal_telemetry("well-7", 10));
  std::vector<StreamConfig> configs = builtin_streams();
  std::ranges::reverse(configs);
  streams_.clear();
  for (StreamConfig& config : configs)
    streams_.push_back(*Schema::compile(std::move(config), static_cast<std::uint16_t>(streams_.size())));
  start(streams_);
  const AuditReport report = audit();
  EXPECT_TRUE(report.faults().empty());
  EXPECT_EQ(stream(report, "telemetry").found, 10U);
  EXPECT_EQ(report.streams.size(), 3U);
}

TEST_F(AuditTest, ComparesOnlyWhatWasWrittenWithinTheRange) {
  commit(journal_telemetry("well-7", 10));
  server_->execute("DELETE FROM telemetry");
  const std::int64_t between_us = clock_.wall_us() + 500'000;
  commit(journal_telemetry("well-8", 10));
  const AuditReport report = audit({.range = {.since_us = between_us}});
  EXPECT_TRUE(report.faults().empty());
  EXPECT_EQ(report.totals().journaled, 10U);
  const auto outside = try_audit({.range = {.since_us = between_us + hour_us}});
  ASSERT_FALSE(outside);
  EXPECT_NE(outside.error().find("holds nothing that was written within this time"), std::string::npos);
}

TEST_F(AuditTest, ADatabaseThatFellBackBehindTheJournalIsAFault) {
  for (int batch = 0; batch < 40; ++batch) commit(journal_telemetry("well-7", 200));
  server_->execute("UPDATE wellhead_progress SET sequence = 0");
  server_->execute("DELETE FROM telemetry");
  EXPECT_TRUE(audit().faults().empty());  // all of it is in the journal, to be committed again
  const std::vector<std::pair<LaneId, std::uint64_t>> flushed{{LaneId{1, 0, 0}, 40}};
  const auto trimmed = journal_->trim(flushed);
  ASSERT_TRUE(trimmed.has_value());
  ASSERT_GT(*trimmed, 0U);
  const AuditReport report = audit();
  ASSERT_EQ(report.faults().size(), 1U);
  EXPECT_NE(report.faults().front().find("batches are in neither"), std::string::npos);
}

TEST_F(AuditTest, SaysThatNothingWasCommitted) {
  journal_telemetry("well-7", 10);
  const AuditReport report = audit();
  EXPECT_TRUE(report.faults().empty());
  EXPECT_EQ(report.totals().queued, 10U);
  ASSERT_EQ(report.notes.size(), 1U);
  EXPECT_NE(report.notes.front().find("no progress of this journal"), std::string::npos);
}

TEST_F(AuditTest, DamageIsAFaultAndTheIdentityStillAddsUp) {
  commit(journal_telemetry("well-7", 10));
  commit(journal_telemetry("well-8", 20));
  disk_.contents(segment_path({1, 0, 1}))[journal_format::segment_header_bytes + 150] ^= std::byte{1};
  const AuditReport report = audit();
  ASSERT_EQ(report.faults().size(), 1U);
  EXPECT_NE(report.faults().front().find("1 batches with 10 rows for certain"), std::string::npos);
  const AuditReport::Totals totals = report.totals();
  EXPECT_EQ(totals.journaled, 30U);
  EXPECT_EQ(totals.lost, 10U);
  EXPECT_EQ(totals.journaled, totals.committed + totals.queued + totals.quarantined + totals.lost);
}

TEST_F(AuditTest, ChangesNothingInTheDatabaseAndTellsTheSameInJson) {
  commit(journal_telemetry("well-7", 10));
  const AuditReport report = audit();
  EXPECT_EQ(server_->value("SELECT count(*) FROM pg_class WHERE relname LIKE 'wellhead_audit%'"), "0");
  simdjson::dom::parser parser;
  const std::string text = print_audit_json(report);
  simdjson::dom::element json;
  ASSERT_EQ(parser.parse(text).get(json), simdjson::SUCCESS) << text;
  EXPECT_TRUE(bool(json["holds"]));
  EXPECT_EQ(std::uint64_t(json["identity"]["journaled"]), 10U);
  EXPECT_EQ(std::uint64_t(json["lanes"].at(0)["progress"]), 1U);
}

TEST_F(AuditTest, NeedsTheProgressTable) {
  server_->execute("DROP TABLE wellhead_progress");
  const auto report = try_audit();
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().find("42P01"), std::string::npos) << report.error();
}

TEST_F(AuditTest, SaysWhereThereIsNoJournal) {
  journal_.reset();
  SimulatedFileSystem empty{{.seed = 2}};
  PgDatabase database(postgres_, "wellhead test");
  ASSERT_TRUE(database.connect());
  const auto report = Audit(empty, database, streams_, {}).run();
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().find("There is no journal in this directory"), std::string::npos);
}

}  // namespace
}  // namespace wellhead
