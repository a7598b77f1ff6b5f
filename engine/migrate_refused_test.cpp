// What `wellhead migrate up` does not get over is found before anything is changed, the extension included.
#include "engine/migrate_fixture.hpp"

namespace wellhead {
namespace {

class MigrateRefusedTest : public MigrateTest {
 protected:
  // The error of an `up` that has to be refused.
  std::string refused(const std::string& connection) {
    const auto database = connect_with(connection);
    const auto report =
        Migrator(*database, shipped_, {}, [this](std::string_view told) { told_ += told; }).up();
    EXPECT_FALSE(report);
    return report ? "" : report.error();
  }
  std::string refused() { return refused(test_database_->connection()); }
  void expect_untouched() {
    EXPECT_EQ(value("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"), "0");
    EXPECT_EQ(
        value("SELECT to_regclass('wellhead_migration') IS NULL AND to_regclass('wellhead_progress') IS "
              "NULL"),
        "t");
  }
};

TEST_F(MigrateRefusedTest, TheExtensionIsNotLeftBehindByARunThatIsRefused) {
  test_database_->execute("CREATE VIEW telemetry AS SELECT 1 AS x");
  EXPECT_TRUE(refused().starts_with("A view named telemetry is in the way")) << refused();
  expect_untouched();
  test_database_->execute("DROP VIEW telemetry; CREATE TABLE telemetry (id int PRIMARY KEY)");
  EXPECT_TRUE(refused().starts_with("A table named telemetry is there already")) << refused();
  expect_untouched();
  test_database_->execute("DROP TABLE telemetry");
  EXPECT_TRUE(up(shipped_));
}

TEST_F(MigrateRefusedTest, ARoleThatMayMakeNoTableLeavesNoExtensionBehind) {
  if (!timescaledb_) GTEST_SKIP() << "needs a server with TimescaleDB";
  const std::string role = test_database_->name() + "_owner";
  test_database_->create_role(role);
  test_database_->execute("GRANT CREATE ON DATABASE " + test_database_->name() + " TO \"" + role +
                          "\"; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
  const std::string sentence = refused(test_database_->connection_as(role));
  test_database_->execute("DROP OWNED BY \"" + role + "\"; DROP ROLE \"" + role + "\"");
  EXPECT_NE(sentence.find("Nothing was changed"), std::string::npos) << sentence;
  expect_untouched();
}

TEST_F(MigrateRefusedTest, IndexesTypesSequencesAndFunctionsInTheWayAreNamed) {
  struct Obstacle {
    const char* make;
    const char* drop;
    const char* sentence;
  };
  for (const Obstacle& obstacle : {
           Obstacle{
               "CREATE TABLE mine (x int); CREATE INDEX telemetry_anomaly_idx ON mine (x)", "DROP TABLE mine",
               "An index named telemetry_anomaly_idx is in the way of what the migrations make under that "
               "name. No table was changed; rename it (ALTER INDEX telemetry_anomaly_idx RENAME TO …)"},
           Obstacle{"CREATE SEQUENCE telemetry_low_quality_idx", "DROP SEQUENCE telemetry_low_quality_idx",
                    "A sequence named telemetry_low_quality_idx is in the way"},
           Obstacle{"CREATE TYPE dead_letter AS ENUM ('a')", "DROP TYPE dead_letter",
                    "A type named dead_letter is in the way"},
           Obstacle{"CREATE DOMAIN wellhead_lifecycle AS text", "DROP DOMAIN wellhead_lifecycle",
                    "A domain named wellhead_lifecycle is in the way"},
           Obstacle{"CREATE FUNCTION wellhead_chunks(mine text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                    "DROP FUNCTION wellhead_chunks(text)",
                    "A function named wellhead_chunks(text) is in the way"},
           Obstacle{
               "CREATE TABLE mine (x int) PARTITION BY RANGE (x); CREATE TABLE esp_telemetry PARTITION OF "
               "mine DEFAULT",
               "DROP TABLE mine", "A table named esp_telemetry is there already"},
       }) {
    test_database_->execute(obstacle.make);
    const std::string sentence = refused();
    EXPECT_TRUE(sentence.starts_with(obstacle.sentence)) << sentence;
    expect_untouched();
    test_database_->execute(obstacle.drop);
  }
  test_database_->execute("CREATE FUNCTION wellhead_chunks(mine int) RETURNS int LANGUAGE sql AS 'SELECT 1'");
  EXPECT_TRUE(up(shipped_)) << "one that takes another argument is another function";
}

TEST_F(MigrateRefusedTest, WhatIsInTheWayIsFoundWithoutTheRightToMakeASchema) {
  if (timescaledb_) test_database_->execute("CREATE EXTENSION timescaledb");
  const std::string role = test_database_->name() + "_writer";
  test_database_->create_role(role);
  test_database_->execute("GRANT CREATE, USAGE ON SCHEMA public TO \"" + role +
                          "\"; CREATE TABLE mine (x int); CREATE INDEX telemetry_anomaly_idx ON mine (x)");
  const std::string connection = test_database_->connection_as(role);
  const std::string index = refused(connection);
  EXPECT_TRUE(index.starts_with(
      "The migration 0002_telemetry would fail: relation \"telemetry_anomaly_idx\" already exists (SQLSTATE "
      "42P07). Nothing was changed; rename what has that name"))
      << index;
  EXPECT_EQ(value("SELECT to_regclass('wellhead_migration') IS NULL AND to_regclass('telemetry') IS NULL"),
            "t");
  test_database_->execute("DROP INDEX telemetry_anomaly_idx");
  {
    const auto database = connect_with(connection);
    const auto report = Migrator(*database, shipped_, {}, [](std::string_view) {}).up();
    EXPECT_TRUE(report) << report.error();
  }
  test_database_->execute("DROP OWNED BY \"" + role + "\" CASCADE; DROP ROLE \"" + role + "\"");
}

TEST_F(MigrateRefusedTest, AScriptOfThePlanGivesWhatUpGivesAndIsRecorded) {
  const auto planned = plan();
  ASSERT_TRUE(planned) << planned.error();
  if (planned->find("not in a transaction") != std::string::npos)
    GTEST_SKIP() << "needs psql: a migration of this edition runs outside of a transaction";
  test_database_->execute(*planned);
  const auto again = up(shipped_);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->applied_now, 0);
  for (const MigrationRecord& record : again->records)
    EXPECT_NE(record.state, MigrationState::pending) << record.name;
  EXPECT_EQ(value("SELECT edition FROM wellhead_migration WHERE version = 2"), again->edition);
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  EXPECT_TRUE(differences->empty()) << testing::PrintToString(*differences);
}

TEST_F(MigrateRefusedTest, ASchemaWhoseNameNeedsQuotesIsRefusedBeforeAnythingIsMade) {
  for (const std::string schema : {"Field", "field 7", "a.b", "7"}) {
    test_database_->execute("CREATE SCHEMA \"" + schema + "\"; ALTER DATABASE " + test_database_->name() +
                            " SET search_path = \"" + schema + "\"");
    const std::string sentence = refused();
    EXPECT_TRUE(sentence.starts_with("The tables would come into the schema \"" + schema +
                                     "\", whose name has to be quoted"))
        << sentence;
    expect_untouched();
  }
  test_database_->execute("CREATE SCHEMA \"field-7\"; ALTER DATABASE " + test_database_->name() +
                          " SET search_path = \"field-7\"");
  const auto report = up(shipped_);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(value("SELECT count(*) >= 0 FROM wellhead_chunks('telemetry')"), "t");
  EXPECT_TRUE(verify().value_or(std::vector<std::string>{"refused"}).empty());
}

}  // namespace
}  // namespace wellhead
