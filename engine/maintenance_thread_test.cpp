#include "engine/maintenance_thread.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class MaintenanceThreadTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
  }
  [[nodiscard]] PostgresOptions options() const {
    PostgresOptions options;
    options.connection = database_->connection();
    return options;
  }
  static bool soon(const std::function<bool()>& holds) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(20);
    while (steady_clock::now() < deadline) {
      if (holds()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }

  std::unique_ptr<TestDatabase> database_;
};

TEST_F(MaintenanceThreadTest, WhatIsDueIsDoneAtTheStartAndTold) {
  database_->create_shipped_tables();
  database_->execute(
      "INSERT INTO telemetry (timestamp, device_id) VALUES (now() - interval '40 days', 'well-1')");
  if (database_->edition() == "plain") database_->execute("SELECT wellhead_make_partitions('telemetry')");
  if (database_->edition() != "community")
    database_->execute(
        "INSERT INTO wellhead_invalidation SELECT 'telemetry', timestamp, timestamp + interval '1 second' "
        "FROM "
        "telemetry");
  MaintenanceThread thread(options());
  thread.start();
  EXPECT_TRUE(soon([&] { return thread.stats().chunks_refused.load() == 1; }));
  thread.stop();
  if (database_->edition() != "community") {
    EXPECT_EQ(thread.stats().transactions.value(), 3U);
    EXPECT_EQ(thread.stats().rows.value(), 3U);
  }
  EXPECT_EQ(thread.stats().failures.value(), 0U);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "1");
}

TEST_F(MaintenanceThreadTest, ItAsksTheDatabaseForWhatMetricsShowWhereThatIsWanted) {
  database_->create_shipped_tables();
  MaintenanceThread thread(options(), true);
  thread.start();
  EXPECT_TRUE(soon([&] { return thread.stats().report.get() != nullptr; }));
  thread.stop();
  EXPECT_EQ(thread.stats().report_failures.value(), 0U);
  EXPECT_EQ(thread.stats().report.get()->sections.front().layout->name, "overview");
}

TEST_F(MaintenanceThreadTest, ADatabaseWithoutTheTablesIsAFailureAndNothingElse) {
  MaintenanceThread thread(options());
  thread.start();
  EXPECT_TRUE(soon([&] { return thread.stats().failures.value() == 1; }));
  const auto before = steady_clock::now();
  thread.stop();
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(2)) << "it waited for its next turn";
}

TEST_F(MaintenanceThreadTest, ATableThatGetsItsNameWhileItIsConnectedIsCaredForFromThenOn) {
  database_->create_shipped_tables();
  if (database_->edition() == "community")
    GTEST_SKIP() << "the server computes the aggregates there, whoever looks";
  database_->execute(
      "INSERT INTO telemetry (timestamp, device_id) VALUES (now() - interval '40 days', 'well-1')");
  database_->execute(
      "INSERT INTO wellhead_invalidation SELECT 'telemetry', timestamp, timestamp + interval '1 second' "
      "FROM telemetry");
  // As while it is being converted.
  database_->execute("CREATE SCHEMA wellhead_next; CREATE TABLE wellhead_next.telemetry (x int)");
  MaintenanceThread thread(options(), true, std::chrono::seconds(1));
  thread.start();
  ASSERT_TRUE(soon([&] { return thread.stats().report.get() != nullptr; })) << "its first turn is done";
  EXPECT_EQ(thread.stats().transactions.value(), 0U);
  database_->execute("DROP SCHEMA wellhead_next CASCADE");
  EXPECT_TRUE(soon([&] { return thread.stats().transactions.value() == 3; }));
  thread.stop();
  EXPECT_EQ(thread.stats().failures.value(), 0U) << "it is the same connection";
}

TEST_F(MaintenanceThreadTest, ChunksThatCannotBeMadeKeepNothingElseFromBeingDone) {
  database_->create_shipped_tables();
  database_->execute(
      "INSERT INTO telemetry (timestamp, device_id) VALUES (now() - interval '40 days', 'well-1')");
  if (database_->edition() == "plain") {
    database_->execute("SELECT wellhead_make_partitions('telemetry')");
    database_->execute("ALTER FUNCTION wellhead_make_partitions RENAME TO gone");
  } else {
    database_->execute("ALTER FUNCTION wellhead_make_chunks RENAME TO gone");
  }
  if (database_->edition() != "community")
    database_->execute(
        "INSERT INTO wellhead_invalidation SELECT 'telemetry', timestamp, timestamp + interval '1 second' "
        "FROM telemetry");
  MaintenanceThread thread(options());
  thread.start();
  EXPECT_TRUE(soon([&] { return thread.stats().failures.value() == 1; }));
  thread.stop();
  EXPECT_EQ(thread.stats().chunks_refused.load(), 1U);
  if (database_->edition() != "community") {
    EXPECT_EQ(thread.stats().rows.value(), 3U);
  }
}

// As if somebody else were at the daily aggregate, whose refresh then finds no lock.
TEST_F(MaintenanceThreadTest, WhatWasPutOffIsDoneAtTheNextTurnAndNothingOfItIsDroppedBefore) {
  database_->create_shipped_tables();
  if (database_->edition() == "community") GTEST_SKIP() << "this server computes its aggregates itself";
  database_->execute(
      "UPDATE wellhead_lifecycle SET guarded = false; "
      "INSERT INTO telemetry (timestamp, device_id) VALUES (now() - interval '40 days', 'well-1'); "
      "INSERT INTO esp_telemetry (id, well_id, timestamp) VALUES (1, 'well-1', now() - interval '40 days'); "
      "INSERT INTO wellhead_invalidation SELECT 'telemetry', timestamp, timestamp + interval '1 second' "
      "FROM telemetry; CREATE TABLE busy (); "
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF to_regclass('busy') IS NOT "
      "NULL THEN RAISE EXCEPTION 'busy' USING ERRCODE = 'lock_not_available'; END IF; RETURN NULL; END $$; "
      "CREATE TRIGGER refuse BEFORE DELETE ON telemetry_daily FOR EACH STATEMENT EXECUTE FUNCTION refuse()");
  if (database_->edition() == "plain")
    database_->execute(
        "SELECT wellhead_make_partitions('telemetry'), wellhead_make_partitions('esp_telemetry')");
  MaintenanceThread thread(options());
  thread.start();
  EXPECT_TRUE(soon([&] { return thread.stats().postponed.value() >= 2; }));
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "1");
  EXPECT_EQ(database_->value("SELECT count(*) FROM esp_telemetry"), "0") << "it waits for nobody";
  database_->execute("DROP TABLE busy");
  EXPECT_TRUE(soon([&] { return thread.stats().chunks_dropped.value() == 2; }));
  thread.stop();
  EXPECT_EQ(thread.stats().failures.value(), 0U);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "0");
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry_daily"), "1");
}

TEST(Schedule, ATaskIsDueAtFirstAndThenOnceInItsTimeWithoutMakingUpForWhatWasMissed) {
  using std::chrono::seconds;
  Schedule schedule;
  const Schedule::Time start{};
  EXPECT_TRUE(schedule.due("a", seconds(10), start));
  EXPECT_FALSE(schedule.due("a", seconds(10), start + seconds(9)));
  EXPECT_TRUE(schedule.due("b", seconds(10), start + seconds(9)));
  EXPECT_TRUE(schedule.due("a", seconds(10), start + seconds(35)));
  EXPECT_FALSE(schedule.due("a", seconds(10), start + seconds(44)));
  EXPECT_TRUE(schedule.due("b", seconds(10), start + seconds(44)));
  schedule.again("a");
  EXPECT_TRUE(schedule.due("a", seconds(10), start + seconds(44)));
  EXPECT_FALSE(schedule.due("b", seconds(10), start + seconds(44)));
  schedule.put_off("b", start + seconds(60));
  EXPECT_FALSE(schedule.due("b", seconds(10), start + seconds(59)));
  EXPECT_TRUE(schedule.due("b", seconds(10), start + seconds(60)));
  schedule.reset();
  EXPECT_TRUE(schedule.due("a", seconds(10), start + seconds(44)));
  EXPECT_TRUE(schedule.due("b", seconds(10), start + seconds(44)));
}

}  // namespace
}  // namespace wellhead
