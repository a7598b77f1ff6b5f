#include "database/database_report.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "database/lifecycle_fixture.hpp"
#include "database/server_facts.hpp"

namespace wellhead {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds timeout{30'000};

class DatabaseReportTest : public LifecycleTest {
 protected:
  static const ReportSection& section(const DatabaseReport& report, std::string_view name) {
    const auto found =
        std::ranges::find(report.sections, name, [](const ReportSection& each) { return each.layout->name; });
    EXPECT_NE(found, report.sections.end()) << name;
    return *found;
  }
  // A field of the first row whose first column is `key`; "null" and "no row" by these words.
  static std::string field(const ReportSection& section, std::string_view key, std::string_view column) {
    const auto columns = section.layout->columns;
    const auto place = std::ranges::find(columns, column, &ReportColumn::name) - columns.begin();
    for (const DatabaseRow& row : section.rows)
      if (row.front() == key) return row[static_cast<std::size_t>(place)].value_or("null");
    return "no row";
  }
  DatabaseReport read(ReportScope scope = ReportScope::everything) {
    auto report = read_database_report(*connection_, scope, timeout);
    EXPECT_TRUE(report) << report.error();
    for (const ReportSection& each : report->sections) EXPECT_EQ(each.problem, "") << each.layout->name;
    return std::move(*report);
  }
  // Two days of readings, a minute apart. Those of March are past every time; recent ones the server leaves
  // alone.
  static constexpr const char* march = "timestamptz '2026-03-01 00:00:00+00'";
  static constexpr const char* recent = "date_trunc('day', now(), 'UTC') - interval '3 days'";
  void fill(const std::string& from) {
    execute("INSERT INTO telemetry (timestamp, device_id, temperature) SELECT " + from +
            " + i * interval '1 minute', 'well-' || i % 10, 50 FROM generate_series(0, 2879) AS i");
    // On plain PostgreSQL to partitions of their own.
    if (server().edition == Edition::plain) execute("SELECT wellhead_make_partitions('telemetry')");
  }
  [[nodiscard]] const Server& server() const { return maintenance_->server(); }
  // The same on each edition, where the server's own jobs would compute on the Community edition.
  [[nodiscard]] bool has_log() const { return !server().has_continuous_aggregates(); }
};

TEST_P(DatabaseReportTest, EveryServerHasTheSameColumnsAndSaysWhatItCannotTell) {
  const DatabaseReport report = read();
  EXPECT_EQ(report.sections.size(), report_layouts().size());
  EXPECT_EQ(field(section(report, "overview"), database_->name(), "edition"), to_string(server().edition));
  const auto& notes = section(report, "notes");
  EXPECT_NE(field(notes, "bloat", "note"), "no row");
  EXPECT_EQ(field(notes, "compression", "note").find("Nothing is compressed") == 0,
            !server().has_compression());
  EXPECT_EQ(field(notes, "rights", "note"), "no row") << "the tests' role is a superuser";
}

TEST_P(DatabaseReportTest, ATableIsToldWithAllItsChunksTogether) {
  fill(recent);
  execute("ANALYZE telemetry");
  const DatabaseReport report = read();
  const auto& tables = section(report, "tables");
  const auto number = [&](std::string_view column) { return std::stod(field(tables, "telemetry", column)); };
  EXPECT_EQ(field(tables, "telemetry", "kind"),
            server().edition == Edition::plain ? "partitioned table" : "hypertable");
  // The partitions made ahead and the default one lie beside them.
  EXPECT_EQ(
      value("SELECT count(*) FROM database_chunks WHERE table_name = 'telemetry' AND range_from < now() - "
            "interval '1 day'"),
      "2");
  EXPECT_EQ(field(tables, "telemetry", "range_from"),
            value("SELECT to_char((" + std::string(recent) +
                  ") AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"));
  EXPECT_EQ(std::to_string(static_cast<long>(number("heap_bytes"))),
            value("SELECT sum(heap_bytes) FROM database_chunks WHERE table_name = 'telemetry'"));
  EXPECT_GT(number("heap_bytes"), 2880 * 40);
  EXPECT_GT(number("index_bytes"), 0);
  EXPECT_GE(number("total_bytes"), number("heap_bytes") + number("index_bytes"));
  EXPECT_EQ(field(tables, "telemetry", "before_compression_bytes"), "null") << "nothing is compressed yet";
  EXPECT_LT(number("bloat_percent"), 15) << "a fresh table has none";
  EXPECT_EQ(field(tables, "wellhead_lifecycle", "kind"), "table");
}

TEST_P(DatabaseReportTest, DeletedRowsAreBloatOnceTheyAreVacuumed) {
  fill(recent);
  execute("DELETE FROM telemetry WHERE device_id <> 'well-9'");
  // At the end, so that the pages before them stay.
  execute("INSERT INTO telemetry (timestamp, device_id) SELECT " + std::string(recent) +
          " + day * interval '24 hours' - interval '1 second', 'last' FROM generate_series(1, 2) AS day");
  execute("VACUUM ANALYZE telemetry");
  const DatabaseReport report = read();
  EXPECT_GT(std::stod(field(section(report, "tables"), "telemetry", "bloat_percent")), 50);
}

TEST_P(DatabaseReportTest, IndexesOfChunksCountAsTheTables) {
  fill(recent);
  EXPECT_EQ(value("SELECT count(*) FROM database_indexes WHERE index_name LIKE 'of chunks only%'"), "0")
      << value("SELECT string_agg(index_name || ' ' || definition, '; ') FROM database_indexes");
  EXPECT_EQ(value("SELECT index_bytes = (SELECT sum(pg_relation_size(i.indexrelid)) FROM "
                  "wellhead_database_relations() r "
                  "JOIN pg_index i ON i.indrelid = r.relation WHERE r.table_name = 'telemetry' AND "
                  "pg_get_indexdef(i.indexrelid) LIKE '%(device_id, \"timestamp\" DESC)') FROM "
                  "database_indexes WHERE "
                  "index_name = 'telemetry_device_time_idx'"),
            "t");
  EXPECT_EQ(value("SELECT is_unique FROM database_indexes WHERE index_name LIKE '%esp_telemetry_pkey%' OR "
                  "index_name = "
                  "'wellhead_lifecycle_pkey' LIMIT 1"),
            "t");
}

TEST_P(DatabaseReportTest, WhatAnAggregateHasYetToComputeIsItsLag) {
  if (!has_log()) GTEST_SKIP() << "the server's own policies compute here; community_test.cpp";
  const std::string at = "timestamptz '2026-03-05 12:00:00+00'";
  const auto lag = [&](const std::string& columns) {
    return value("SELECT row(" + columns + ")::text FROM wellhead_database_aggregates(" + at +
                 ") WHERE view_name = 'telemetry_1min'");
  };
  EXPECT_EQ(lag("complete_until, lag_seconds, due_seconds, late_seconds, pending_ranges, log_rows"),
            "(\"2026-03-05 11:59:00+00\",60,0,0,0,0)");
  // Ten minutes in the window, and two of a day before it.
  execute(
      "INSERT INTO wellhead_invalidation VALUES ('telemetry', '2026-03-05 11:40:10+00', '2026-03-05 "
      "11:49:30+00'), "
      "('telemetry', '2026-03-04 08:00:00+00', '2026-03-04 08:02:00+00')");
  EXPECT_EQ(lag("complete_until, lag_seconds, due_seconds, late_seconds, pending_ranges, log_rows"),
            "(\"2026-03-05 11:40:00+00\",1200,600,120,2,2)");
  execute("SELECT wellhead_refresh('telemetry_1min', at => " + at + ")");
  EXPECT_EQ(lag("lag_seconds, due_seconds, late_seconds, pending_ranges, log_rows"), "(60,0,120,1,0)");
  execute("SELECT wellhead_refresh('telemetry_1min', late => true, at => " + at + ")");
  EXPECT_EQ(lag("lag_seconds, due_seconds, late_seconds"), "(60,0,0)");
}

// What does not depend on the server, and so is tried on one.
class AnyServerReportTest : public DatabaseReportTest {};

// What follows needs the Community edition, and is listed as skipped on another.
class CommunityReportTest : public DatabaseReportTest {
 protected:
  void SetUp() override {
    DatabaseReportTest::SetUp();
    if (!IsSkipped() && !server().has_compression())
      GTEST_SKIP() << "needs the Community edition of TimescaleDB; this is " << describe(server());
  }
};

TEST_P(CommunityReportTest, CompressedChunksAreToldWithWhatTheyTookBefore) {
  fill(recent);
  execute("SELECT compress_chunk(c) FROM show_chunks('telemetry') c");
  const DatabaseReport report = read();
  const auto number = [&](std::string_view column) {
    return std::stod(field(section(report, "tables"), "telemetry", column));
  };
  EXPECT_EQ(number("compressed_chunks"), 2);
  EXPECT_GT(number("before_compression_bytes"), number("after_compression_bytes"));
  EXPECT_GT(number("compression_percent"), 0);
  EXPECT_EQ(value("SELECT bool_and(compressed) FROM database_chunks WHERE table_name = 'telemetry'"), "t");
}

TEST_P(CommunityReportTest, AContinuousAggregateIsAsFarAsItWasRefreshed) {
  const auto lag = [&](const std::string& at, const std::string& columns) {
    return value("SELECT row(" + columns + ")::text FROM wellhead_database_aggregates(" + at +
                 ") WHERE view_name = 'telemetry_1min'");
  };
  // Where the policy refreshes at the same time, it does no more than is done here: these times are long
  // past.
  execute(
      "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000");
  const std::string at = "timestamptz '2026-03-05 12:00:00+00'";
  EXPECT_EQ(lag(at, "due_seconds, late_seconds"), "(0,0)") << "there is nothing to compute of";
  execute("INSERT INTO telemetry (timestamp, device_id) VALUES ('2026-03-10 00:00:00+00', 'a')");
  execute("CALL refresh_continuous_aggregate('telemetry_1min', NULL, NULL)");
  EXPECT_EQ(lag(at, "due_seconds, late_seconds"), "(0,0)");
  execute(
      "INSERT INTO telemetry (timestamp, device_id) VALUES ('2026-03-05 11:40:10+00', 'a'), ('2026-03-05 "
      "11:49:30+00', "
      "'a')");
  EXPECT_EQ(lag(at, "kind, complete_until, due_seconds"),
            "(\"continuous aggregate\",\"2026-03-05 11:40:00+00\",600)");
  EXPECT_EQ(lag("timestamptz '2026-03-07 12:00:00+00'", "due_seconds, late_seconds"), "(0,600)");
  execute("CALL refresh_continuous_aggregate('telemetry_1min', NULL, NULL)");
  EXPECT_EQ(lag(at, "due_seconds, late_seconds"), "(0,0)");
}

TEST_P(CommunityReportTest, JobsAreToldByTheTableOrAggregateTheyAreFor) {
  EXPECT_EQ(value("SELECT count(*) FROM database_jobs WHERE job_name = 'policy_refresh_continuous_aggregate' "
                  "AND table_name "
                  "LIKE 'telemetry_%'"),
            "3");
  execute(
      "CREATE PROCEDURE failing(job_id integer, config jsonb) LANGUAGE plpgsql AS $$BEGIN RAISE 'it was to "
      "fail'; END$$");
  const std::string job = value("SELECT add_job('failing', '1 hour')");
  const auto failures = [&] { return value("SELECT failures FROM database_jobs WHERE job_id = " + job); };
  for (int attempt = 0; attempt < 200 && failures() == "0"; ++attempt)
    std::this_thread::sleep_for(milliseconds(100));
  EXPECT_NE(failures(), "0");
  EXPECT_EQ(value("SELECT last_error FROM database_jobs WHERE job_id = " + job), "it was to fail");
  const auto facts = gather_server(*connection_, {});
  ASSERT_TRUE(facts) << facts.error().message;
  ASSERT_EQ(facts->jobs.failing.size(), 1U);
  EXPECT_EQ(facts->jobs.failing.front(), job + " failing of no table");
}

TEST_P(DatabaseReportTest, LanesOfOlderRunsAndReplacedJournalsAreInTheViewOnly) {
  execute(
      "INSERT INTO wellhead_progress (journal_id, epoch, reactor, shard, node_id, sequence, updated_at) "
      "VALUES "
      "('00000000-0000-0000-0000-000000000001', 1, 0, 0, 'n', 7, now() - interval '1 day'), "
      "('00000000-0000-0000-0000-000000000002', 5, 0, 1, 'n', 8, now() - interval '2 days'), "
      "('00000000-0000-0000-0000-000000000001', 2, 0, 1, 'n', 9, now() - interval '90 s')");
  const DatabaseReport report = read();
  ASSERT_EQ(section(report, "lanes").rows.size(), 1U);
  EXPECT_EQ(field(section(report, "lanes"), "n", "sequence"), "9");
  EXPECT_NEAR(std::stod(field(section(report, "lanes"), "n", "idle_seconds")), 90, 30);
  EXPECT_EQ(value("SELECT count(*) FROM database_lanes"), "3") << "a replaced journal's as well";
}

TEST_P(DatabaseReportTest, WhatRetentionKeepsIsToldWithTheReason) {
  fill(march);
  const DatabaseReport report = read();
  EXPECT_EQ(field(section(report, "retention"), "telemetry", "chunks_refused"), "2");
  EXPECT_EQ(field(section(report, "retention"), "telemetry", "reason"),
            "nothing of this table was archived or backed up");
}

TEST_P(AnyServerReportTest, StatementsAreToldWhereTheyAreCountedAndElseHowToGetThem) {
  const bool counted = value("SELECT current_setting('pg_stat_statements.max', true) IS NOT NULL") == "t";
  const std::string note = field(section(read(), "notes"), "statements", "note");
  EXPECT_NE(note.find(counted ? "run CREATE EXTENSION pg_stat_statements in this database"
                              : "shared_preload_libraries"),
            std::string::npos)
      << note;
  // Where it is made and not loaded, it must not be asked.
  if (value("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')") != "t")
    return;
  execute("CREATE EXTENSION pg_stat_statements");
  execute("SELECT count(*) AS asked_by_a_test FROM telemetry");
  const DatabaseReport report = read();
  EXPECT_EQ(section(report, "statements").rows.empty(), !counted);
  EXPECT_EQ(field(section(report, "notes"), "statements", "note") == "no row", counted);
}

TEST_P(AnyServerReportTest, ARoleWithoutRightsGetsASentenceForEachPartItMayNotRead) {
  const std::string role = database_->name() + "_guest";
  database_->create_role(role);
  const auto as_role = [&] {
    PostgresOptions options;
    options.connection = database_->connection_as(role);
    PgDatabase guest(options, "wellhead test");
    EXPECT_TRUE(guest.connect());
    return read_database_report(guest, ReportScope::everything, timeout);
  };
  const auto refused = as_role();
  execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"" + role + "\"");
  const auto reads = as_role();
  execute("DROP OWNED BY \"" + role + "\"; DROP ROLE \"" + role + "\"");
  ASSERT_TRUE(refused) << refused.error();
  EXPECT_NE(section(*refused, "tables").problem.find("database_tables cannot be read: permission denied"),
            std::string::npos)
      << section(*refused, "tables").problem;
  ASSERT_TRUE(reads) << reads.error();
  for (const ReportSection& each : reads->sections) EXPECT_EQ(each.problem, "") << each.layout->name;
  EXPECT_NE(field(section(*reads, "notes"), "rights", "note").find("GRANT pg_monitor TO"), std::string::npos);
}

TEST_P(AnyServerReportTest, WhatIsWatchedLooksIntoNoChunk) {
  const DatabaseReport report = read(ReportScope::watched);
  EXPECT_EQ(std::ranges::count(report.sections, "retention",
                               [](const ReportSection& each) { return each.layout->name; }),
            0);
  EXPECT_FALSE(report.sections.empty());
}

TEST_P(AnyServerReportTest, ALockedTableCostsOnePartAndNotTheRest) {
  fill(recent);
  const auto other = connect();
  ASSERT_TRUE(other->run("BEGIN; LOCK TABLE wellhead_progress IN ACCESS EXCLUSIVE MODE"));
  const auto report = read_database_report(*connection_, ReportScope::watched, milliseconds(2'000));
  ASSERT_TRUE(report) << report.error();
  EXPECT_NE(section(*report, "lanes").problem, "");
  EXPECT_EQ(section(*report, "overview").problem, "");
  EXPECT_TRUE(connection_->connected());
  EXPECT_FALSE(connection_->in_transaction());
}

TEST_P(AnyServerReportTest, WithoutTheViewsTheReportSaysWhatMakesThem) {
  execute("DROP VIEW database_notes; DROP FUNCTION wellhead_database_notes(); DROP VIEW database_overview");
  const auto report = read_database_report(*connection_, ReportScope::everything, timeout);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().find("Run `wellhead migrate up`."), std::string::npos) << report.error();
}

INSTANTIATE_TEST_SUITE_P(Servers, DatabaseReportTest,
                         testing::Values(TestedServer::as_it_is, TestedServer::plain), name_of);
INSTANTIATE_TEST_SUITE_P(Servers, AnyServerReportTest, testing::Values(TestedServer::as_it_is), name_of);
INSTANTIATE_TEST_SUITE_P(Servers, CommunityReportTest, testing::Values(TestedServer::as_it_is), name_of);

TEST(ReportLayout, EveryMetricHasAMeaningAndEveryRowTheLabelsThatTellItApart) {
  std::map<std::string_view, std::string_view> owners;
  for (const ReportLayout& layout : report_layouts()) {
    // Which statements take the most changes all the time, and so would the labels.
    EXPECT_FALSE(layout.name == "statements" && layout.watched);
    bool labelled = layout.rows_max == 1;
    bool has_metric = false;
    for (const ReportColumn& column : layout.columns) {
      labelled = labelled || column.label;
      if (column.metric.empty() || column.label) continue;
      has_metric = true;
      EXPECT_FALSE(column.help.empty()) << column.metric;
      EXPECT_TRUE(owners.emplace(column.metric, layout.name).second) << column.metric;
      EXPECT_NE(column.kind, FigureKind::text) << column.metric;
      EXPECT_NE(column.kind, FigureKind::time) << column.metric;
    }
    EXPECT_TRUE(labelled || !has_metric) << layout.name;
    EXPECT_TRUE(layout.watched || !has_metric) << layout.name;
    EXPECT_LE(layout.rows_max, 128U) << layout.name << ": label values";
  }
}

TEST(Figures, OfNullAndOfWhatIsNoNumberThereAreNone) {
  EXPECT_EQ(figure_of("12.5"), 12.5);
  EXPECT_EQ(figure_of("-3"), -3);
  EXPECT_FALSE(figure_of(std::nullopt));
  EXPECT_FALSE(figure_of("NaN"));
  EXPECT_FALSE(figure_of("Infinity"));
  EXPECT_FALSE(figure_of("12 MB"));
}

}  // namespace
}  // namespace wellhead
