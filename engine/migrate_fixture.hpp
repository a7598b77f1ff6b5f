// Migrations run on a database of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/migrate.hpp"
#include "sink/pg_database.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {

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
    const auto parsed = parse_migrations(embedded_migration_files(), embedded_down_files());
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

  template <typename Call>
  auto with_migrator(std::span<const Migration> migrations, Call call) {
    const auto database = connect();
    Migrator migrator(*database, migrations, {}, [this](std::string_view told) { told_ += told; });
    return call(migrator);
  }
  std::expected<std::string, std::string> plan() {
    return with_migrator(shipped_, [](Migrator& migrator) { return migrator.plan(); });
  }
  std::expected<std::vector<std::string>, std::string> verify() {
    return with_migrator(shipped_, [](Migrator& migrator) { return migrator.verify(); });
  }
  std::expected<MigrationReport, std::string> down(std::span<const Migration> migrations,
                                                   std::optional<int> to, bool data_loss = false) {
    return with_migrator(migrations, [&](Migrator& migrator) { return migrator.down(to, data_loss); });
  }

  // How many of the shipped migrations an `up` without options applies. REQUIRES the extension where it can
  // be.
  [[nodiscard]] int always_applied() {
    const auto database = connect();
    const Server server = detect_server(*database).value();
    return static_cast<int>(std::ranges::count_if(shipped_, [&](const Migration& shipped) {
      return shipped.option.empty() && shipped.edition.holds(server);
    }));
  }

  std::unique_ptr<TestDatabase> test_database_;
  bool timescaledb_ = false;
  std::vector<Migration> shipped_;
  std::string told_;
};

}  // namespace wellhead
