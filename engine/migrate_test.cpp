#include "engine/migrate.hpp"

#include <array>
#include <future>
#include <thread>

#include "codec/quality.hpp"
#include "codec/schema.hpp"
#include "engine/migrate_fixture.hpp"
#include "sink/catalog.hpp"

namespace wellhead {
namespace {

// Migrations from SQL alone, named a, b, c, …
class Script {
 public:
  // `downs` are the ways back, as many as there are.
  explicit Script(std::vector<std::string> files, std::vector<std::string> downs = {})
      : contents_(std::move(files)), downs_(std::move(downs)) {
    std::vector<EmbeddedFile> embedded;
    for (std::size_t index = 0; index < contents_.size(); ++index) {
      names_.push_back("000" + std::to_string(index + 1) + "_" + static_cast<char>('a' + index) + ".sql");
    }
    embedded.reserve(contents_.size());
    for (std::size_t index = 0; index < contents_.size(); ++index)
      embedded.push_back({names_[index], contents_[index]});
    std::vector<EmbeddedFile> ways_back;
    for (std::size_t index = 0; index < downs_.size(); ++index)
      ways_back.push_back({names_[index], downs_[index]});
    migrations_ = parse_migrations(embedded, ways_back).value();
  }
  [[nodiscard]] std::span<const Migration> all() const { return migrations_; }

 private:
  std::vector<std::string> contents_;
  std::vector<std::string> downs_;
  std::vector<std::string> names_;
  std::vector<Migration> migrations_;
};

TEST_F(MigrateTest, AnEmptyDatabaseGetsEveryTableTheBuiltInStreamsNeed) {
  const auto report = up(shipped_);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->applied_now, always_applied());
  std::vector<SchemaPointer> schemas;
  for (StreamConfig& stream : builtin_streams())
    schemas.push_back(Schema::compile(std::move(stream), static_cast<std::uint16_t>(schemas.size())).value());
  const auto database = connect();
  const auto findings = check_catalog(*database, schemas);
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_TRUE(findings->problems.empty()) << testing::PrintToString(findings->problems);
}

TEST_F(MigrateTest, TheTablesBecomeHypertablesWithTheirChunksWhereTimescaleDbIs) {
  ASSERT_TRUE(up(shipped_));
  if (!timescaledb_) {
    EXPECT_NE(told_.find("Warning: this server has no TimescaleDB"), std::string::npos) << told_;
    EXPECT_EQ(value("SELECT to_regclass('telemetry') IS NOT NULL"), "t");
    return;
  }
  const auto chunk_of = [&](const std::string& table) {
    return value("SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = '" +
                 table + "'");
  };
  EXPECT_EQ(chunk_of("telemetry"), "1 day");
  EXPECT_EQ(chunk_of("esp_telemetry"), "1 day");
  EXPECT_EQ(chunk_of("diagnostic_results"), "7 days");
  EXPECT_EQ(chunk_of("dead_letter"), "1 day");
}

TEST_F(MigrateTest, ExactlyTheIndexesThatAreWantedAreMade) {
  ASSERT_TRUE(up(shipped_));
  const auto indexes = [&](const std::string& table) {
    return value(
        "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public' "
        "AND tablename = '" +
        table + "'");
  };
  EXPECT_EQ(indexes("telemetry"),
            "telemetry_anomaly_idx telemetry_device_time_idx telemetry_low_quality_idx");
  EXPECT_EQ(indexes("esp_telemetry"),
            "esp_telemetry_pkey esp_telemetry_time_idx esp_telemetry_well_time_idx");
  EXPECT_EQ(indexes("diagnostic_results"),
            "diagnostic_results_pkey diagnostic_results_severity_time_idx diagnostic_results_well_time_idx");
  EXPECT_EQ(indexes("dead_letter"), "dead_letter_stream_time_idx dead_letter_time_idx");
}

TEST_F(MigrateTest, TheScoredFieldsHaveTheNamesOfTheBuiltInStreamsColumns) {
  ASSERT_TRUE(up(shipped_));
  for (const StreamConfig& stream : builtin_streams()) {
    std::string names;
    for (const ColumnConfig& column : stream.columns)
      if (column.scored) names += (names.empty() ? "" : ",") + column.name;
    EXPECT_EQ(value("SELECT array_to_string(wellhead_scored_fields('" + stream.name + "'), ',')"), names);
  }
}

TEST_F(MigrateTest, QualityFlagsAreExplainedInWords) {
  ASSERT_TRUE(up(shipped_));
  const auto reasons = [&](const std::string& stream, std::uint64_t flags) {
    return value("SELECT wellhead_quality_reasons('" + stream + "', " +
                 std::to_string(static_cast<std::int64_t>(flags)) + ")::text");
  };
  const auto field = [](std::uint32_t shift, unsigned number) {
    return std::uint64_t{1} << (shift + number);
  };
  const std::uint64_t late = quality_bit(QualityReason::late);
  EXPECT_EQ(reasons("telemetry", 0), "{}");
  EXPECT_EQ(reasons("telemetry", late | field(quality_missing_shift, 1) |
                                     field(quality_out_of_range_shift, 2) | field(quality_unusual_shift, 0)),
            "{late,missing:vibration,out_of_range:pressure,unusual:temperature}");
  EXPECT_EQ(reasons("esp_telemetry", quality_bit(QualityReason::repaired) | field(quality_unusual_shift, 6)),
            "{repaired,unusual:gor}");
  EXPECT_EQ(reasons("own", field(quality_missing_shift, 3)), "{missing:field3}");
  EXPECT_EQ(value("SELECT array_length(wellhead_quality_reasons('telemetry', 9223372036854775807), 1)"),
            std::to_string(11 + 3 * scored_fields_max))
      << "every reason has a word, and every field one of each kind";
}

TEST_F(MigrateTest, TheTablesRefuseWhatIsOutOfRange) {
  ASSERT_TRUE(up(shipped_));
  const auto inserts = [&](const std::string& column, const std::string& constant) {
    const auto database = connect();
    return database
        ->run("INSERT INTO telemetry (\"timestamp\", device_id, " + column + ") VALUES (now(), 'well-1', " +
              constant + ")")
        .has_value();
  };
  EXPECT_TRUE(inserts("temperature", "200"));
  EXPECT_FALSE(inserts("temperature", "200.5"));
  EXPECT_FALSE(inserts("temperature", "-51"));
  EXPECT_FALSE(inserts("pressure", "-1"));
  EXPECT_FALSE(inserts("data_quality_score", "1.5"));
}

TEST_F(MigrateTest, RunningAgainChangesNothing) {
  ASSERT_TRUE(up(shipped_));
  const auto again = up(shipped_);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->applied_now, 0);
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), std::to_string(always_applied()));
}

TEST_F(MigrateTest, TheCoveringIndexIsMadeOnlyWhereItIsAskedFor) {
  ASSERT_TRUE(up(shipped_));
  EXPECT_EQ(value("SELECT to_regclass('telemetry_covering_idx') IS NULL"), "t");
  const auto report = up(shipped_, {"covering_index"});
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->applied_now, 1);
  EXPECT_EQ(value("SELECT to_regclass('telemetry_covering_idx') IS NOT NULL"), "t");
}

TEST_F(MigrateTest, StatusOfAnEmptyDatabaseListsEverythingAndMakesNothing) {
  const auto report = status(shipped_);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->records.size(), shipped_.size());
  EXPECT_EQ(report->records[0].state, MigrationState::pending);
  EXPECT_EQ(report->records[4].state, MigrationState::optional);
  EXPECT_EQ(value("SELECT to_regclass('wellhead_migration') IS NULL"), "t");
}

TEST_F(MigrateTest, WhatWasAppliedIsRecordedWithChecksumAndEdition) {
  ASSERT_TRUE(up(shipped_));
  EXPECT_EQ(value("SELECT checksum FROM wellhead_migration WHERE version = 2"), shipped_[1].checksum);
  const std::string edition = value("SELECT edition FROM wellhead_migration WHERE version = 2");
  EXPECT_NE(edition.find(timescaledb_ ? "edition)" : "without TimescaleDB"), std::string::npos) << edition;
  const std::string printed = print_report(*status(shipped_));
  EXPECT_NE(printed.find("0002     telemetry"), std::string::npos) << printed;
}

TEST_F(MigrateTest, AnAppliedFileThatWasEditedIsRefused) {
  ASSERT_TRUE(up(Script({"CREATE TABLE one (x int)"}).all()));
  const auto refused = up(Script({"CREATE TABLE one (x bigint)", "CREATE TABLE two (x int)"}).all());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().starts_with("The migration 0001_a was applied on ")) << refused.error();
  EXPECT_EQ(value("SELECT to_regclass('two') IS NULL"), "t");
}

TEST_F(MigrateTest, AFailingFileLeavesNothingBehindAndTheOnesBeforeItStay) {
  const auto failed =
      up(Script({"CREATE TABLE one (x int)", "CREATE TABLE two (x int); SELECT 1 / 0"}).all());
  ASSERT_FALSE(failed);
  EXPECT_TRUE(failed.error().starts_with(
      "The migration 0002_b failed and was rolled back: division by zero (SQLSTATE 22012)"))
      << failed.error();
  EXPECT_EQ(value("SELECT to_regclass('two') IS NULL"), "t");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), "1");
}

TEST_F(MigrateTest, AFileThatEndsItsTransactionIsRefused) {
  const auto failed = up(Script({"CREATE TABLE one (x int); COMMIT"}).all());
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().find("it ended its own transaction"), std::string::npos) << failed.error();
}

TEST_F(MigrateTest, ADatabaseOfANewerReleaseIsReportedAndNotChanged) {
  ASSERT_TRUE(up(Script({"CREATE TABLE one (x int)", "CREATE TABLE two (x int)"}).all()));
  const auto nothing_to_do = up(Script({"CREATE TABLE one (x int)"}).all());
  ASSERT_TRUE(nothing_to_do) << nothing_to_do.error();
  EXPECT_EQ(nothing_to_do->records.back().state, MigrationState::unknown);
  EXPECT_NE(told_.find("which this binary does not know"), std::string::npos) << told_;

  test_database_->execute("DELETE FROM wellhead_migration WHERE version = 1");
  const auto refused = up(Script({"CREATE TABLE three (x int)"}).all());
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().starts_with("There are migrations to apply, but a newer wellhead"))
      << refused.error();
}

TEST_F(MigrateTest, SeveralRunnersAtOnceApplyEachFileOnce) {
  constexpr int runners = 4;
  std::array<std::future<int>, runners> results;
  for (auto& result : results) {
    result = std::async(std::launch::async, [this] {
      const auto database = connect();
      const auto report = Migrator(*database, shipped_, {}, [](std::string_view) {}).up();
      EXPECT_TRUE(report) << report.error();
      return report ? report->applied_now : -1;
    });
  }
  int applied = 0;
  for (auto& result : results) applied += result.get();
  EXPECT_EQ(applied, always_applied());
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), std::to_string(always_applied()));
}

TEST_F(MigrateTest, ARoleWithoutTheRightToCreateIsToldWhatToDo) {
  const std::string role = test_database_->name() + "_reader";
  test_database_->create_role(role);
  std::expected<MigrationReport, std::string> refused;
  {
    const auto database = connect_with(test_database_->connection_as(role));
    refused = Migrator(*database, shipped_, {}, [](std::string_view) {}).up();
  }
  test_database_->execute("DROP ROLE \"" + role + "\"");
  ASSERT_FALSE(refused);
  const std::string expected =
      timescaledb_ ? "run CREATE EXTENSION timescaledb in this database as its owner or a superuser"
                   : "the role needs the right to create tables";
  EXPECT_NE(refused.error().find(expected), std::string::npos) << refused.error();
}

TEST_F(MigrateTest, ThePlanIsTheSqlOfThisServersEditionAndChangesNothing) {
  const auto planned = plan();
  ASSERT_TRUE(planned) << planned.error();
  EXPECT_EQ(value("SELECT to_regclass('telemetry') IS NULL AND to_regclass('wellhead_migration') IS NULL"),
            "t");
  EXPECT_EQ(value("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"), "0");
  EXPECT_NE(planned->find("-- 0002_telemetry\nBEGIN;\n"), std::string::npos);
  EXPECT_EQ(planned->find("CREATE EXTENSION IF NOT EXISTS timescaledb") != std::string::npos, timescaledb_);
  EXPECT_EQ(planned->find("-- 0011_partitions") == std::string::npos, timescaledb_);
  EXPECT_EQ(planned->find("covering"), std::string::npos);
  ASSERT_TRUE(up(shipped_));
  const auto nothing = plan();
  ASSERT_TRUE(nothing) << nothing.error();
  EXPECT_NE(nothing->find("-- Nothing to apply."), std::string::npos) << *nothing;
}

TEST_F(MigrateTest, WhatWasMigratedVerifies) {
  ASSERT_TRUE(up(shipped_));
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  EXPECT_TRUE(differences->empty()) << testing::PrintToString(*differences);
  EXPECT_EQ(value("SELECT count(*) FROM pg_namespace WHERE nspname = 'wellhead_verify'"), "0");
}

TEST_F(MigrateTest, EachDifferenceIsNamed) {
  ASSERT_TRUE(up(shipped_));
  test_database_->execute(
      "ALTER TABLE telemetry ALTER COLUMN source_system SET DEFAULT 'other'; "
      "ALTER TABLE telemetry DROP CONSTRAINT telemetry_rpm_check; "
      "DROP INDEX telemetry_anomaly_idx; CREATE INDEX mine_idx ON telemetry (rpm); "
      "ALTER TABLE diagnostic_results ALTER COLUMN severity DROP NOT NULL; "
      "ALTER TABLE diagnostic_results ALTER COLUMN well_id TYPE varchar(64); "
      "CREATE OR REPLACE FUNCTION wellhead_maintenance_lock() RETURNS void LANGUAGE sql AS 'SELECT'; "
      "DROP TABLE wellhead_retention_log; CREATE TABLE mine (x int)");
  if (timescaledb_)
    test_database_->execute("SELECT set_chunk_time_interval('dead_letter', interval '2 days')");
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  SCOPED_TRACE(testing::PrintToString(*differences));
  const auto told = [&](const std::string& beginning) {
    return std::ranges::any_of(*differences,
                               [&](const std::string& each) { return each.starts_with(beginning); });
  };
  EXPECT_TRUE(
      told("telemetry: the column source_system is text DEFAULT 'other'::text; it is to be text DEFAULT "
           "'scada'::text."));
  EXPECT_TRUE(told("telemetry: the constraint telemetry_rpm_check is missing; it is to be: CHECK"));
  EXPECT_TRUE(told("telemetry: the index telemetry_anomaly_idx is missing; it is to be: CREATE INDEX"));
  EXPECT_TRUE(
      told("telemetry: the index mine_idx is there, and no migration makes it: CREATE INDEX mine_idx"));
  EXPECT_TRUE(told("diagnostic_results: the column severity is text; it is to be text NOT NULL."));
  EXPECT_TRUE(
      told("diagnostic_results: the column well_id is character varying(64) NOT NULL; it is to be text"));
  EXPECT_TRUE(told("The function wellhead_maintenance_lock() has another body."));
  EXPECT_TRUE(told("wellhead_retention_log is missing."));
  EXPECT_EQ(told("dead_letter: the chunk interval received_at is 2 days; it is to be 1 day."), timescaledb_);
  EXPECT_FALSE(told("mine"));
}

TEST_F(MigrateTest, APolicyOfTheServersThatIsPausedIsNamed) {
  ASSERT_TRUE(up(shipped_));
  if (test_database_->edition() != "community")
    GTEST_SKIP() << "needs the Community edition of TimescaleDB, which has policies";
  test_database_->execute(
      "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE proc_name = "
      "'policy_compression' AND hypertable_name = 'telemetry'");
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  ASSERT_EQ(differences->size(), 1U) << testing::PrintToString(*differences);
  EXPECT_TRUE(differences->front().starts_with("telemetry: the policy policy_compression is paused, every "))
      << differences->front();
}

TEST_F(MigrateTest, ADatabaseThatWasNotMigratedIsToldSo) {
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  EXPECT_EQ(differences->front(), "The migration 0001_progress is not applied.");
  EXPECT_EQ(value("SELECT to_regclass('telemetry') IS NULL"), "t");
}

TEST_F(MigrateTest, PartitionedTablesOfPlainPostgreSqlVerify) {
  test_database_->make_plain();
  test_database_->create_shipped_tables();
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  // They were made without a runner, which is all that is to be told of them.
  for (const std::string& difference : *differences)
    EXPECT_TRUE(difference.ends_with(" is not applied.")) << difference;
  EXPECT_FALSE(differences->empty());
}

TEST_F(MigrateTest, TheNewestIsUndoneAndCanBeAppliedAgain) {
  const Script script({"CREATE TABLE one (x int)", "CREATE TABLE two (x int)"},
                      {"DROP TABLE one;", "-- loses: two\nDROP TABLE two;"});
  ASSERT_TRUE(up(script.all()));
  const auto undone = down(script.all(), std::nullopt);
  ASSERT_TRUE(undone) << undone.error();
  EXPECT_EQ(undone->undone_now, 1);
  EXPECT_EQ(value("SELECT to_regclass('two') IS NULL AND to_regclass('one') IS NOT NULL"), "t");
  ASSERT_TRUE(up(script.all()));
  ASSERT_TRUE(down(script.all(), 0));
  EXPECT_EQ(value("SELECT to_regclass('one') IS NULL AND to_regclass('two') IS NULL"), "t");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), "0");
}

TEST_F(MigrateTest, RowsAreDeletedOnTheWayBackOnlyWhereThatIsSaid) {
  const Script script({"CREATE TABLE one (x int)", "CREATE TABLE two (x int)"},
                      {"-- loses: one\nDROP TABLE one;", "DROP TABLE two;"});
  ASSERT_TRUE(up(script.all()));
  test_database_->execute("INSERT INTO one VALUES (1)");
  const auto refused = down(script.all(), 0);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(
      refused.error().starts_with("Going down would delete the rows of one for good. Nothing was changed"))
      << refused.error();
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), "2");
  EXPECT_TRUE(down(script.all(), 0, true));
  EXPECT_EQ(value("SELECT to_regclass('one') IS NULL"), "t");
}

TEST_F(MigrateTest, AColumnOfATableWithRowsIsDeletedOnTheWayBackOnlyWhereThatIsSaid) {
  const Script script({"CREATE TABLE one (x int)", "ALTER TABLE one ADD y int"},
                      {"-- loses: one\nDROP TABLE one;", "-- loses: one.y\nALTER TABLE one DROP y;"});
  ASSERT_TRUE(up(script.all()));
  ASSERT_TRUE(down(script.all(), 1));
  ASSERT_TRUE(up(script.all()));
  test_database_->execute("INSERT INTO one VALUES (1, 2)");
  const auto refused = down(script.all(), 1);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(
      refused.error().starts_with("Going down would delete the column one.y for good. Nothing was changed"))
      << refused.error();
  ASSERT_TRUE(down(script.all(), 1, true));
  EXPECT_EQ(value("SELECT to_jsonb(one)::text FROM one"), R"({"x": 1})");
}

TEST_F(MigrateTest, WhatHasNoWayBackStaysWithAllAboveIt) {
  const Script script({"CREATE TABLE one (x int)", "CREATE TABLE two (x int)"});
  ASSERT_TRUE(up(script.all()));
  const auto refused = down(script.all(), 0);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().starts_with("The migration 0002_b has no way back. Nothing was changed"))
      << refused.error();
}

TEST_F(MigrateTest, TheShippedLifecycleCanBeUndoneAndMadeAgain) {
  ASSERT_TRUE(up(shipped_));
  if (timescaledb_) {
    const auto undone = down(shipped_, 7);
    ASSERT_TRUE(undone) << undone.error();
    EXPECT_EQ(value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename IN "
                    "('telemetry_1min', 'wellhead_lifecycle', 'wellhead_invalidation', "
                    "'wellhead_device_baselines')"),
              "0");
    EXPECT_EQ(value("SELECT count(*) FROM pg_attribute WHERE attname = 'quality_flags' AND NOT attisdropped"),
              "0");
    // Those of earlier migrations stay.
    EXPECT_EQ(value("SELECT count(*) FROM pg_proc WHERE proname LIKE 'wellhead%' AND proname NOT IN "
                    "('wellhead_quality_reasons', 'wellhead_scored_fields')"),
              "0");
    ASSERT_TRUE(up(shipped_));
  }
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  EXPECT_TRUE(differences->empty()) << testing::PrintToString(*differences);
}

TEST_F(MigrateTest, TheQualityOfStoredReadingsIsNotDeletedUnasked) {
  if (!timescaledb_) GTEST_SKIP() << "the partitions of plain PostgreSQL have no way back";
  ASSERT_TRUE(up(shipped_));
  test_database_->execute(
      "INSERT INTO telemetry (timestamp, device_id, quality_flags) VALUES (now(), 'well-1', 1)");
  const auto refused = down(shipped_, 7);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("the column telemetry.quality_flags"), std::string::npos) << refused.error();
  EXPECT_EQ(value("SELECT quality_flags FROM telemetry"), "1");
  ASSERT_TRUE(down(shipped_, 7, true));
  EXPECT_EQ(value("SELECT device_id FROM telemetry"), "well-1");
  ASSERT_TRUE(up(shipped_));
  EXPECT_EQ(value("SELECT quality_flags FROM telemetry"), "0");
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  EXPECT_TRUE(differences->empty()) << testing::PrintToString(*differences);
}

TEST_F(MigrateTest, StatementsOutsideOfATransactionAreRepeatedUntilTheLastIsDone) {
  const auto file = [](const char* last) {
    return std::string("-- transaction: none\nCREATE TABLE IF NOT EXISTS one (x int);\nVACUUM one;\n") + last;
  };
  const auto failed = up(Script({file("SELECT 1 / 0;\n")}).all());
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().find("the next `wellhead migrate up` repeats it from its first statement"),
            std::string::npos)
      << failed.error();
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), "0");
  ASSERT_TRUE(up(Script({file("VACUUM one;\n")}).all()));
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), "1");
}

TEST_F(MigrateTest, AStatementOutsideOfATransactionWaitsForWhatSomebodyElseHolds) {
  test_database_->execute("CREATE TABLE one (x int)");
  const Script script({"-- transaction: none\nSET lock_timeout = '10ms';\nALTER TABLE one ADD y int;\n"});
  const auto holder = connect();
  ASSERT_TRUE(holder->run("BEGIN; LOCK TABLE one"));
  const std::jthread release([&holder] {
    std::this_thread::sleep_for(std::chrono::milliseconds{150});
    EXPECT_TRUE(holder->run("COMMIT"));
  });
  const auto applied = up(script.all());
  ASSERT_TRUE(applied) << applied.error();
  EXPECT_EQ(value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'one'::regclass AND attname = 'y'"),
            "1");
}

TEST_F(MigrateTest, AFileOfNothingButCommentsIsApplied) {
  const auto applied = up(Script({"-- Nothing to do here.\n"}).all());
  ASSERT_TRUE(applied) << applied.error();
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_migration"), "1");
}

TEST_F(MigrateTest, MigrationsOfOtherEditionsAreListedAndNotApplied) {
  const auto report = up(shipped_);
  ASSERT_TRUE(report) << report.error();
  const auto partitions = std::ranges::find(report->records, "partitions", &MigrationRecord::name);
  ASSERT_NE(partitions, report->records.end());
  EXPECT_EQ(partitions->state, timescaledb_ ? MigrationState::elsewhere : MigrationState::applied);
}

TEST_F(MigrateTest, AViewInTheWayIsNamedAndNothingIsChanged) {
  test_database_->execute("CREATE VIEW telemetry AS SELECT 1 AS x");
  const auto refused = up(shipped_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(),
            "A view named telemetry is in the way of what the migrations make under that name. No table was "
            "changed; "
            "rename it (ALTER VIEW telemetry RENAME TO …) or drop it, then migrate again.");
  EXPECT_EQ(value("SELECT to_regclass('wellhead_migration') IS NULL"), "t");
}

TEST_F(MigrateTest, ATableOfTheSameNameIsToBeConvertedOrRenamedAndNothingIsChanged) {
  test_database_->execute("CREATE TABLE telemetry (at timestamptz, reading text)");
  const auto convertible = up(shipped_);
  ASSERT_FALSE(convertible);
  EXPECT_TRUE(convertible.error().starts_with(
      "A table named telemetry is there already, and no migration made it. No table "
      "was changed; `wellhead migrate convert telemetry`"))
      << convertible.error();
  test_database_->execute("DROP TABLE telemetry; CREATE TABLE wellhead_lifecycle (x int)");
  const auto other = up(shipped_);
  ASSERT_FALSE(other);
  EXPECT_TRUE(other.error().starts_with("A table named wellhead_lifecycle is in the way")) << other.error();
  EXPECT_EQ(value("SELECT to_regclass('wellhead_migration') IS NULL AND to_regclass('telemetry') IS NULL"),
            "t");
  test_database_->execute("DROP TABLE wellhead_lifecycle");
  EXPECT_TRUE(up(shipped_));
}

TEST_F(MigrateTest, AnAggregateOfSomebodyElsesInTheWayIsNamedBeforeAnythingIsMade) {
  test_database_->execute(
      "CREATE TABLE readings (x int); CREATE MATERIALIZED VIEW telemetry_1min AS SELECT x FROM readings");
  const auto refused = up(shipped_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().starts_with("A materialized view named telemetry_1min is in the way"))
      << refused.error();
  EXPECT_EQ(value("SELECT to_regclass('telemetry') IS NULL"), "t");
}

}  // namespace
}  // namespace wellhead
