#include "engine/migrate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <future>
#include <memory>

#include "codec/quality.hpp"
#include "codec/schema.hpp"
#include "sink/catalog.hpp"
#include "sink/pg_database.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

// Runs against any server: with TimescaleDB of either edition, or without.
class MigrateTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    test_database_ = std::make_unique<TestDatabase>();
    // The extension is the migrations' to create.
    test_database_->execute("DROP EXTENSION IF EXISTS timescaledb CASCADE");
    timescaledb_ = test_database_->value(
                       "SELECT count(*) FROM pg_settings WHERE name = 'timescaledb.disable_load'") == "1";
    const auto parsed = parse_migrations(embedded_migration_files());
    ASSERT_TRUE(parsed);
    shipped_ = *parsed;
  }

  std::unique_ptr<PgDatabase> connect() { return connect_with(test_database_->connection()); }
  static std::unique_ptr<PgDatabase> connect_with(const std::string& connection) {
    PostgresOptions options;
    options.connection = connection;
    auto database = std::make_unique<PgDatabase>(options, "wellhead test");
    const auto connected = database->connect();
    EXPECT_TRUE(connected) << connected.error().message;
    return database;
  }
  std::expected<MigrationReport, std::string> up(std::span<const Migration> migrations,
                                                 std::set<std::string> options = {}) {
    const auto database = connect();
    return Migrator(*database, migrations, std::move(options),
                    [this](std::string_view told) { told_ += told; })
        .up();
  }
  std::expected<MigrationReport, std::string> status(std::span<const Migration> migrations) {
    const auto database = connect();
    return Migrator(*database, migrations, {}, [](std::string_view) {}).status();
  }
  std::string value(const std::string& sql) { return test_database_->value(sql); }

  // How many of the shipped migrations an `up` without options applies.
  [[nodiscard]] int always_applied() const {
    return static_cast<int>(
        std::ranges::count_if(shipped_, [](const Migration& shipped) { return shipped.option.empty(); }));
  }

  std::unique_ptr<TestDatabase> test_database_;
  bool timescaledb_ = false;
  std::vector<Migration> shipped_;
  std::string told_;
};

// Migrations from SQL alone, named a, b, c, …
class Script {
 public:
  explicit Script(std::vector<std::string> files) : contents_(std::move(files)) {
    std::vector<EmbeddedFile> embedded;
    for (std::size_t index = 0; index < contents_.size(); ++index) {
      names_.push_back("000" + std::to_string(index + 1) + "_" + static_cast<char>('a' + index) + ".sql");
    }
    embedded.reserve(contents_.size());
    for (std::size_t index = 0; index < contents_.size(); ++index)
      embedded.push_back({names_[index], contents_[index]});
    migrations_ = parse_migrations(embedded).value();
  }
  [[nodiscard]] std::span<const Migration> all() const { return migrations_; }

 private:
  std::vector<std::string> contents_;
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
  EXPECT_TRUE(findings->empty()) << testing::PrintToString(*findings);
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

}  // namespace
}  // namespace wellhead
