// A database with the shipped tables, and the care of it, on the server's own edition and on plain
// PostgreSQL.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "database/maintenance.hpp"
#include "sink/pg_database.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {

enum class TestedServer : std::uint8_t { as_it_is, plain };

inline std::string name_of(const testing::TestParamInfo<TestedServer>& info) {
  return info.param == TestedServer::plain ? "PlainPostgreSql" : "ServersOwnEdition";
}

class LifecycleTest : public testing::TestWithParam<TestedServer> {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
    if (GetParam() == TestedServer::plain) database_->make_plain();
    database_->create_shipped_tables();
    connection_ = connect();
    maintenance_ = std::make_unique<Maintenance>(*connection_);
    const auto prepared = maintenance_->prepare();
    ASSERT_TRUE(prepared) << prepared.error();
  }

  std::unique_ptr<PgDatabase> connect() {
    PostgresOptions options;
    options.connection = database_->connection();
    auto database = std::make_unique<PgDatabase>(options, "wellhead test");
    const auto connected = database->connect();
    EXPECT_TRUE(connected) << connected.error().message;
    return database;
  }
  void execute(const std::string& sql) { database_->execute(sql); }
  std::string value(const std::string& sql) { return database_->value(sql); }

  std::unique_ptr<TestDatabase> database_;
  std::unique_ptr<PgDatabase> connection_;
  std::unique_ptr<Maintenance> maintenance_;
};

}  // namespace wellhead
