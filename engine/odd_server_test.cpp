// What the migrations' runner says to servers it cannot use, or can use only in part.
#include <functional>

#include "database/maintenance.hpp"
#include "database/odd_server.hpp"
#include "engine/migrate_fixture.hpp"

namespace wellhead {
namespace {

// What a server of another kind or age would say is put into its mouth; all else is the real one.
class OddServerTest : public MigrateTest {
 protected:
  template <typename Call>
  auto with(std::function<void(DatabaseRow&)> change, Call call) {
    const auto database = connect();
    OddServer server(*database, std::move(change));
    Migrator migrator(server, shipped_, {}, [this](std::string_view told) { told_ += told; });
    return call(migrator);
  }
  auto up_with(std::function<void(DatabaseRow&)> change) {
    return with(std::move(change), [](Migrator& migrator) { return migrator.up(); });
  }
  void expect_untouched() {
    EXPECT_EQ(value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), "0");
    EXPECT_EQ(value("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"), "0");
  }
};

TEST_F(OddServerTest, AServerThatIsTooOldIsRefusedAndNothingIsChanged) {
  const auto old_server = up_with([](DatabaseRow& row) {
    row[0] = "13.18";
    row[1] = "130018";
  });
  ASSERT_FALSE(old_server);
  EXPECT_EQ(old_server.error(),
            "This server is too old: it is PostgreSQL 13.18, and wellhead needs PostgreSQL 14, with "
            "TimescaleDB 2.7 or newer "
            "where there is one. Nothing was changed; upgrade the server.");
  const auto old_extension = up_with([](DatabaseRow& row) {
    row[2] = "2.6.1";
    row[5] = "t";
  });
  ASSERT_FALSE(old_extension);
  EXPECT_NE(old_extension.error().find("with TimescaleDB 2.6.1"), std::string::npos) << old_extension.error();
  expect_untouched();
}

TEST_F(OddServerTest, AnExtensionThatIsMissingOrNotPreloadedIsToldAndTheTablesArePartitioned) {
  const auto not_installed = with(
      [](DatabaseRow& row) {
        row[4] = "f";
        row[5] = "f";
      },
      [](Migrator& migrator) { return migrator.plan(); });
  ASSERT_TRUE(not_installed) << not_installed.error();
  EXPECT_NE(not_installed->find("-- 0011_partitions"), std::string::npos);
  expect_untouched();
  const auto not_preloaded = up_with([](DatabaseRow& row) {
    row[4] = "t";
    row[5] = "f";
  });
  ASSERT_TRUE(not_preloaded) << not_preloaded.error();
  EXPECT_NE(told_.find("it is installed, but shared_preload_libraries does not name timescaledb"),
            std::string::npos)
      << told_;
  EXPECT_EQ(value("SELECT relkind FROM pg_class WHERE oid = 'telemetry'::regclass"), "p");
}

TEST_F(OddServerTest, OnPlainPostgreSqlTheRunnerPlansMakesAndComparesPartitionsAndGoesNoFurtherDown) {
  const auto planned = with(without_timescaledb, [](Migrator& migrator) { return migrator.plan(); });
  ASSERT_TRUE(planned) << planned.error();
  EXPECT_NE(planned->find("-- 0011_partitions\nBEGIN;\n"), std::string::npos);
  EXPECT_EQ(planned->find("CREATE EXTENSION IF NOT EXISTS timescaledb"), std::string::npos);
  expect_untouched();
  const auto made = up_with(without_timescaledb);
  ASSERT_TRUE(made) << made.error();
  EXPECT_EQ(value("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'p'"),
            "dead_letter diagnostic_results esp_telemetry telemetry telemetry_1hour telemetry_1min "
            "telemetry_daily");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_chunks('telemetry') WHERE range_until > now()"), "4");
  const auto again = up_with(without_timescaledb);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->applied_now, 0);

  const auto verify = [&] {
    return with(without_timescaledb, [](Migrator& migrator) { return migrator.verify(); }).value();
  };
  EXPECT_TRUE(verify().empty()) << testing::PrintToString(verify());
  test_database_->execute(
      "ALTER TABLE telemetry DROP COLUMN rpm; CREATE INDEX own_idx ON telemetry (pressure)");
  const std::vector<std::string> differences = verify();
  ASSERT_EQ(differences.size(), 3U) << testing::PrintToString(differences);  // the check goes with its column
  EXPECT_EQ(differences[0], "telemetry: the column rpm is missing; it is to be: real.");
  EXPECT_TRUE(differences[2].starts_with("telemetry: the index own_idx is there, and no migration makes it"))
      << differences[2];

  const auto down = with(without_timescaledb, [](Migrator& migrator) { return migrator.down(10, true); });
  ASSERT_FALSE(down);
  EXPECT_NE(down.error().find("The migration 0011_partitions has no way back. Nothing was changed"),
            std::string::npos)
      << down.error();
  const auto aggregates =
      with(without_timescaledb, [](Migrator& migrator) { return migrator.down(11, false); });
  ASSERT_TRUE(aggregates) << aggregates.error();
  EXPECT_EQ(value("SELECT to_regclass('telemetry_1min') IS NULL AND to_regclass('telemetry') IS NOT NULL"),
            "t");
  ASSERT_TRUE(up_with(without_timescaledb));
}

TEST_F(OddServerTest, TablesPartitionedByPostgreSqlStaySoWhereTimescaleDbComesLater) {
  if (!timescaledb_) GTEST_SKIP() << "needs a server with TimescaleDB";
  ASSERT_TRUE(up_with(without_timescaledb));
  told_.clear();
  const auto available = up(shipped_);
  ASSERT_TRUE(available) << available.error();
  EXPECT_EQ(available->applied_now, 0);
  EXPECT_EQ(value("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"), "0");
  EXPECT_NE(told_.find("its extension is not created: this database was migrated without it"),
            std::string::npos)
      << told_;
  const auto planned = plan();
  ASSERT_TRUE(planned) << planned.error();
  EXPECT_NE(planned->find("-- Nothing to apply."), std::string::npos) << *planned;

  test_database_->execute("CREATE EXTENSION timescaledb");
  const auto created = up(shipped_);
  ASSERT_TRUE(created) << created.error();
  EXPECT_EQ(created->applied_now, 0);
  const auto differences = verify();
  ASSERT_TRUE(differences) << differences.error();
  EXPECT_TRUE(differences->empty()) << testing::PrintToString(*differences);
}

TEST_F(OddServerTest, PartitionsGoOnBeingMadeAndDroppedWhereTheExtensionIsCreatedLater) {
  if (!timescaledb_) GTEST_SKIP() << "needs a server with TimescaleDB";
  ASSERT_TRUE(up_with(without_timescaledb));
  test_database_->execute(
      "CREATE EXTENSION timescaledb; INSERT INTO telemetry (timestamp, device_id) VALUES "
      "(now() + interval '20 days', 'well-1'), (now() - interval '40 days', 'well-1'); "
      "INSERT INTO wellhead_archive_marker (table_name, covered_until, as_of, kind, noted_at) VALUES "
      "('telemetry', now() - interval '30 days', now() + interval '1 hour', 'backup', now() + interval '1 "
      "hour')");
  const auto database = connect();
  Maintenance maintenance(*database);
  const auto prepared = maintenance.prepare();
  ASSERT_TRUE(prepared) << prepared.error();
  const MaintenanceReport report = maintenance.run_all(false);
  EXPECT_TRUE(report.failures.empty()) << print(report);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry_default"), "0") << print(report);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "1") << print(report);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry_daily"), "0") << print(report);
}

TEST_F(OddServerTest, AnExtensionWhoseLibraryIsNotLoadedIsRefusedByEveryCommand) {
  const auto not_loaded = [](DatabaseRow& row) {
    row[2] = "2.19.3";
    row[3] = std::nullopt;
    row[5] = "f";
  };
  const auto expect_refused = [](const auto& outcome) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(
        outcome.error(),
        "TimescaleDB 2.19.3 is in this database, and the server does not load its library, so that no "
        "table can be changed. Nothing was changed; add timescaledb to shared_preload_libraries, restart "
        "the server, and call this again.");
  };
  expect_refused(up_with(not_loaded));
  expect_refused(with(not_loaded, [](Migrator& migrator) { return migrator.plan(); }));
  expect_refused(with(not_loaded, [](Migrator& migrator) { return migrator.verify(); }));
  expect_refused(with(not_loaded, [](Migrator& migrator) { return migrator.down(std::nullopt, false); }));
  expect_untouched();
}

}  // namespace
}  // namespace wellhead
