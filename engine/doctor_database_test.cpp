#include "engine/doctor_database.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/doctor_finding_fake.hpp"

namespace wellhead {
namespace {

constexpr double mebibyte = 1024.0 * 1024;

class DoctorDatabaseTest : public testing::Test {
 protected:
  DoctorDatabaseTest() {
    ServerFacts& server = facts_.server;
    server.server = {.postgresql = "17.5",
                     .postgresql_version = 170'005,
                     .timescaledb = "2.29.2",
                     .timescaledb_version = {2, 29},
                     .edition = Edition::community,
                     .available = true,
                     .preloaded = true};
    server.local = true;
    server.role = "node";
    server.reads_statistics = true;
    server.statements = true;
    for (const char* name : {"fsync", "full_page_writes", "autovacuum", "track_counts"}) set(name, "on", 0);
    set("wal_compression", "lz4", 0);
    set("shared_buffers", "4GB", 4'096 * mebibyte);
    set("max_wal_size", "8GB", 8'192 * mebibyte);
    set("checkpoint_timeout", "15min", 900);
    set("max_connections", "100", 100);
    set("superuser_reserved_connections", "3", 3);
    set("max_locks_per_transaction", "256", 256);
    set("max_worker_processes", "32", 32);
    set("max_parallel_workers", "8", 8);
    set("timescaledb.max_background_workers", "16", 16);
    server.connections = 6;
    server.databases = 2;
    server.jobs = {8, {}};
    server.tables = {{.table = "telemetry",
                      .there = true,
                      .divided = true,
                      .chunks = 30,
                      .indexes = 3,
                      .chunk_interval_seconds = 86'400,
                      .recent_index_bytes = 1ULL << 30,
                      .rows_per_segment = 900}};
    wishes_ = {.shards = 4, .memory_bytes = 16ULL << 30, .journal = true, .synchronous_commit = "off"};
  }
  void set(const std::string& name, const std::string& text, double value) {
    facts_.server.settings[name] = {text, value};
  }
  [[nodiscard]] Finding found(std::string_view subject) const {
    return test::finding_of(judge_database(facts_, wishes_), subject);
  }
  [[nodiscard]] FindingLevel level(std::string_view subject) const { return found(subject).level; }
  [[nodiscard]] bool told(std::string_view subject) const {
    return std::ranges::count(judge_database(facts_, wishes_), subject, &Finding::subject) != 0;
  }
  TableFacts& table() { return facts_.server.tables.front(); }

  DatabaseFacts facts_;
  DatabaseWishes wishes_;
};

TEST_F(DoctorDatabaseTest, AGoodDatabaseHasNothingButOk) {
  for (const Finding& each : judge_database(facts_, wishes_)) {
    EXPECT_EQ(each.level, FindingLevel::ok) << each.subject << ": " << each.seen;
    EXPECT_EQ(each.fix, "") << each.subject;
  }
}

TEST_F(DoctorDatabaseTest, WhateverIsNotOkSaysWhyAndHowToFixIt) {
  facts_.server.settings.clear();
  facts_.server.local = false;
  facts_.server.reads_statistics = facts_.server.statements = false;
  facts_.server.jobs.failing = {"1001 policy_compression of telemetry"};
  facts_.pending = {"0017_quality_reports (pending)"};
  facts_.stream_problems = {"The table x is missing."};
  table() = {.table = "telemetry",
             .there = true,
             .unique_constraints = {"telemetry_pkey"},
             .unique_indexes = {"telemetry_key"},
             .row_triggers = {"audit"},
             .exclusions = {"no_overlap"},
             .foreign_keys = {"device"},
             .chunks = 10'000,
             .rows_per_segment = 3};
  std::size_t bad = 0;
  for (const Finding& each : judge_database(facts_, wishes_)) {
    if (each.level == FindingLevel::ok) continue;
    ++bad;
    EXPECT_NE(each.reason, "") << each.subject;
    EXPECT_NE(each.fix, "") << each.subject;
  }
  EXPECT_GT(bad, 15U);
}

TEST_F(DoctorDatabaseTest, ADatabaseThatCannotBeReachedIsOneFinding) {
  facts_.unreachable = "it cannot be reached: refused";
  ASSERT_EQ(judge_database(facts_, wishes_).size(), 1U);
  EXPECT_EQ(level("connection"), FindingLevel::problem);
  facts_ = {};
  facts_.left_alone = true;
  ASSERT_EQ(judge_database(facts_, wishes_).size(), 1U);
  EXPECT_EQ(level("connection"), FindingLevel::ok);
}

TEST_F(DoctorDatabaseTest, EachEditionIsToldWhatItLacks) {
  EXPECT_EQ(level("server"), FindingLevel::ok);
  facts_.server.server.edition = Edition::apache;
  EXPECT_NE(found("server").fix.find("timescaledb.license = 'timescale'"), std::string::npos);
  facts_.server.server.edition = Edition::plain;
  EXPECT_TRUE(found("server").fix.starts_with("CREATE EXTENSION timescaledb;"));
  facts_.server.server.preloaded = false;
  EXPECT_NE(found("server").fix.find("shared_preload_libraries"), std::string::npos);
  facts_.server.server.postgresql_version = 130'009;
  EXPECT_EQ(level("server"), FindingLevel::problem);
}

TEST_F(DoctorDatabaseTest, MigrationsAndStreamsAreToldByName) {
  facts_.pending = {"0017_quality_reports (pending)", "0019_database_reports (pending)"};
  EXPECT_EQ(level("migrations"), FindingLevel::warning);
  EXPECT_NE(found("migrations").seen.find("0017_quality_reports (pending), 0019"), std::string::npos);
  facts_.migrations_problem = "permission denied";
  EXPECT_NE(found("migrations").fix.find("GRANT SELECT ON wellhead_migration TO \"node\""),
            std::string::npos);
  facts_.stream_problems = {"a: GRANT INSERT ON x TO y", "b: GRANT INSERT ON x TO y",
                            "The table z is missing."};
  EXPECT_EQ(level("streams"), FindingLevel::problem);
  EXPECT_EQ(found("streams").fix, "GRANT INSERT ON x TO y;");
  EXPECT_EQ(std::ranges::count(judge_database(facts_, wishes_), "streams", &Finding::subject), 2)
      << "one right is one finding";
}

TEST_F(DoctorDatabaseTest, AConstraintThatTakesLessThanTheRulesIsAWarningBesideTheStreams) {
  EXPECT_FALSE(told("constraints"));
  facts_.narrower_checks = {"stream \"rig\": 260 is refused"};
  EXPECT_EQ(level("constraints"), FindingLevel::warning);
  EXPECT_EQ(found("constraints").seen, "stream \"rig\": 260 is refused");
  EXPECT_EQ(level("streams"), FindingLevel::ok);
}

TEST_F(DoctorDatabaseTest, SwitchesThatMustBeOnAre) {
  const std::pair<const char*, FindingLevel> expected[] = {{"fsync", FindingLevel::problem},
                                                           {"full_page_writes", FindingLevel::problem},
                                                           {"autovacuum", FindingLevel::warning},
                                                           {"track_counts", FindingLevel::warning}};
  for (const auto& [name, off] : expected) {
    EXPECT_EQ(level(name), FindingLevel::ok) << name;
    set(name, "off", 0);
    EXPECT_EQ(level(name), off) << name;
    EXPECT_EQ(found(name).fix, std::string("ALTER SYSTEM SET ") + name +
                                   " = 'on'; SELECT pg_reload_conf(); -- as a superuser");
  }
}

TEST_F(DoctorDatabaseTest, SharedBuffersAreComparedWithTheMemoryWhereThatIsKnown) {
  set("shared_buffers", "128MB", 128 * mebibyte);
  EXPECT_EQ(level("shared_buffers"), FindingLevel::advice);
  EXPECT_NE(found("shared_buffers").fix.find("'4096MB'"), std::string::npos) << found("shared_buffers").fix;
  set("shared_buffers", "12GB", 12'288 * mebibyte);
  EXPECT_EQ(level("shared_buffers"), FindingLevel::warning);
  facts_.server.local = false;
  EXPECT_EQ(level("shared_buffers"), FindingLevel::ok) << "another machine's memory is not known";
  set("shared_buffers", "128MB", 128 * mebibyte);
  EXPECT_EQ(level("shared_buffers"), FindingLevel::advice);
}

TEST_F(DoctorDatabaseTest, EarlyCheckpointsAreAWarningAndASmallLogIsAdvice) {
  set("max_wal_size", "1GB", 1'024 * mebibyte);
  EXPECT_EQ(level("max_wal_size"), FindingLevel::advice);
  facts_.server.checkpoints_timed = 4;
  facts_.server.checkpoints_requested = 6;
  EXPECT_EQ(level("max_wal_size"), FindingLevel::warning);
  set("max_wal_size", "8GB", 8'192 * mebibyte);
  EXPECT_NE(found("max_wal_size").fix.find("'16GB'"), std::string::npos) << found("max_wal_size").fix;
  facts_.server.checkpoints_timed = 6;
  EXPECT_EQ(level("max_wal_size"), FindingLevel::ok);
}

TEST_F(DoctorDatabaseTest, CheckpointsAndWholePagesInTheLog) {
  set("checkpoint_timeout", "5min", 300);
  EXPECT_EQ(level("checkpoint_timeout"), FindingLevel::advice);
  set("wal_compression", "off", 0);
  EXPECT_NE(found("wal_compression").fix.find("'lz4'"), std::string::npos);
  facts_.server.server.postgresql_version = 140'000;
  EXPECT_NE(found("wal_compression").fix.find("'on'"), std::string::npos);
}

TEST_F(DoctorDatabaseTest, HowTheNodeCommitsFollowsFromItsJournal) {
  EXPECT_EQ(level("synchronous_commit"), FindingLevel::ok);
  wishes_.synchronous_commit = "on";
  EXPECT_EQ(level("synchronous_commit"), FindingLevel::advice);
  wishes_.journal = false;
  EXPECT_EQ(level("synchronous_commit"), FindingLevel::ok);
  wishes_.synchronous_commit = "off";
  EXPECT_EQ(level("synchronous_commit"), FindingLevel::problem);
}

TEST_F(DoctorDatabaseTest, ConnectionsAreCountedAgainstTheShards) {
  wishes_.shards = 93;
  EXPECT_EQ(level("max_connections"), FindingLevel::ok);
  wishes_.shards = 94;
  EXPECT_EQ(level("max_connections"), FindingLevel::problem);
  wishes_.shards = 4;
  facts_.server.connections = 94;
  EXPECT_EQ(level("max_connections"), FindingLevel::warning);
}

TEST_F(DoctorDatabaseTest, LocksAreCountedAgainstTheChunks) {
  // 25,600 in all; a chunk with three indexes takes four.
  table().chunks = 3'200;
  EXPECT_EQ(level("max_locks_per_transaction"), FindingLevel::ok);
  table().chunks = 3'201;
  EXPECT_EQ(level("max_locks_per_transaction"), FindingLevel::warning);
  table().chunks = 6'401;
  EXPECT_EQ(level("max_locks_per_transaction"), FindingLevel::problem);
  EXPECT_NE(found("max_locks_per_transaction").fix.find("'1024'"), std::string::npos)
      << found("max_locks_per_transaction").fix;
}

TEST_F(DoctorDatabaseTest, WorkersAreCountedAgainstTheJobs) {
  set("timescaledb.max_background_workers", "9", 9);
  EXPECT_EQ(level("workers for jobs"), FindingLevel::advice);
  set("max_worker_processes", "19", 19);
  EXPECT_EQ(level("max_worker_processes"), FindingLevel::advice);
  set("max_worker_processes", "20", 20);
  EXPECT_EQ(level("max_worker_processes"), FindingLevel::ok);
  facts_.server.server.edition = Edition::plain;
  EXPECT_FALSE(told("workers for jobs"));
}

TEST_F(DoctorDatabaseTest, WhatBlocksFastPathsIsToldByTable) {
  EXPECT_EQ(level("fast paths"), FindingLevel::ok);
  table().unique_indexes = {"telemetry_key"};
  EXPECT_EQ(level("unique index of telemetry"), FindingLevel::advice);
  EXPECT_NE(found("unique index of telemetry").reason.find("never written compressed"), std::string::npos);
  facts_.server.server.timescaledb_version = {2, 20};
  EXPECT_EQ(found("unique index of telemetry").reason.find("never written compressed"), std::string::npos);
  table().row_triggers = {"audit"};
  EXPECT_EQ(level("trigger of telemetry"), FindingLevel::warning);
  EXPECT_FALSE(told("fast paths"));
  table().exclusions = {"no_overlap"};
  EXPECT_EQ(level("exclusion constraint of telemetry"), FindingLevel::warning);
  table().foreign_keys = {"device"};
  EXPECT_EQ(level("foreign key of telemetry"), FindingLevel::advice);
}

TEST_F(DoctorDatabaseTest, WhatIsDroppedIsQuotedAndDroppedAsWhatItIs) {
  table() = {.table = "wells.Odd\"table",
             .there = true,
             .divided = true,
             .unique_constraints = {"a key", "b"},
             .unique_indexes = {"wells.\"An index\""},
             .row_triggers = {"My trigger"},
             .exclusions = {"no_overlap"},
             .foreign_keys = {"device"}};
  const auto fix = [&](const std::string& what) { return found(what + " of wells.Odd\"table").fix; };
  const std::string name = R"("wells"."Odd""table")";
  EXPECT_TRUE(fix("unique constraint")
                  .starts_with("ALTER TABLE " + name + " DROP CONSTRAINT \"a key\"; ALTER TABLE " + name +
                               " DROP CONSTRAINT \"b\"; -- keep it where"))
      << fix("unique constraint");
  EXPECT_TRUE(fix("unique index").starts_with("DROP INDEX wells.\"An index\"; -- keep it where"));
  EXPECT_TRUE(fix("trigger").starts_with("DROP TRIGGER \"My trigger\" ON " + name + "; -- "));
  for (const char* constraint : {"exclusion constraint", "foreign key"})
    EXPECT_NE(fix(constraint).find("; -- keep it where something else relies on it"), std::string::npos);
}

// Whatever stands behind the last statement is a comment.
TEST_F(DoctorDatabaseTest, StatementsCanBePastedWithTheirRemarks) {
  facts_.server.settings.clear();
  facts_.server.local = false;
  facts_.server.reads_statistics = facts_.server.statements = false;
  table() = {.table = "telemetry", .there = true, .row_triggers = {"audit"}, .rows_per_segment = 3};
  for (const Finding& each : judge_database(facts_, wishes_)) {
    if (each.level == FindingLevel::ok || each.subject == "synchronous_commit") continue;
    if (each.fix.starts_with("wellhead ")) continue;  // for the shell
    const std::string statements = each.fix.substr(0, each.fix.find(" -- "));
    EXPECT_TRUE(statements.ends_with(';')) << each.subject << ": " << each.fix;
    EXPECT_EQ(each.fix.find("   ("), std::string::npos) << each.fix;
  }
  EXPECT_TRUE(found("shared_buffers").fix.starts_with("ALTER SYSTEM SET shared_buffers = '1024MB'; -- "));
  EXPECT_TRUE(
      found("segments of telemetry")
          .fix.starts_with("SELECT set_chunk_time_interval('\"telemetry\"', INTERVAL '720 hours'); -- "))
      << found("segments of telemetry").fix;
}

TEST_F(DoctorDatabaseTest, IndexesOfARecentChunkFitAQuarterOfTheMemory) {
  table().recent_index_bytes = 4ULL << 30;
  EXPECT_EQ(level("chunk interval of telemetry"), FindingLevel::ok);
  table().recent_index_bytes = 8ULL << 30;
  EXPECT_EQ(level("chunk interval of telemetry"), FindingLevel::warning);
  EXPECT_EQ(found("chunk interval of telemetry").fix,
            "SELECT set_chunk_time_interval('\"telemetry\"', INTERVAL '12 hours');");
  facts_.server.local = false;
  set("shared_buffers", "16GB", 16'384 * mebibyte);
  EXPECT_EQ(level("chunk interval of telemetry"), FindingLevel::ok) << "shared_buffers are the measure there";
  table().recent_index_bytes = 0;
  EXPECT_FALSE(told("chunk interval of telemetry"));
}

TEST_F(DoctorDatabaseTest, ASmallTableBesideALargeOneIsNotBlamed) {
  table().recent_index_bytes = 20ULL << 30;
  facts_.server.tables.push_back(
      {.table = "small", .there = true, .divided = true, .recent_index_bytes = 1ULL << 20});
  EXPECT_EQ(level("chunk interval of telemetry"), FindingLevel::warning);
  EXPECT_EQ(level("chunk interval of small"), FindingLevel::ok);
}

TEST_F(DoctorDatabaseTest, SegmentsOfFewRowsAreTold) {
  table().rows_per_segment = 100;
  EXPECT_EQ(level("segments of telemetry"), FindingLevel::ok);
  table().rows_per_segment = 99;
  EXPECT_EQ(level("segments of telemetry"), FindingLevel::warning);
  table().rows_per_segment.reset();
  EXPECT_FALSE(told("segments of telemetry")) << "nothing is compressed yet";
}

TEST_F(DoctorDatabaseTest, APlainTableAndRightsThatAreMissingAreAdvice) {
  table().divided = false;
  EXPECT_EQ(level("chunks of telemetry"), FindingLevel::advice);
  EXPECT_TRUE(found("chunks of telemetry").fix.starts_with("wellhead migrate convert telemetry   # "))
      << found("chunks of telemetry").fix;
  facts_.server.tables.push_back({.table = "mine", .there = true});
  EXPECT_TRUE(found("chunks of mine").fix.starts_with("SELECT create_hypertable('\"mine\"'"))
      << found("chunks of mine").fix;
  facts_.server.reads_statistics = false;
  EXPECT_EQ(found("rights to look").fix, "GRANT pg_monitor TO \"node\"; -- as a superuser");
  facts_.server.statements = false;
  EXPECT_EQ(level("statements"), FindingLevel::advice);
  facts_.server.jobs.failing = {"1001 policy_compression of telemetry"};
  EXPECT_NE(found("jobs").fix.find("job_id = 1001"), std::string::npos);
}

}  // namespace
}  // namespace wellhead
