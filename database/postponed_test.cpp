// What the server itself computes and is at: the node's own turn is put off, and retention with it. On a
// server that has no continuous aggregates, and says it has.
#include <gtest/gtest.h>

#include "database/lifecycle_fixture.hpp"

namespace wellhead {
namespace {

// A connection to the test's server that takes itself for the Community edition. A refresh of its aggregates
// ends as the test wants.
class CommunityInDisguise : public Database {
 public:
  explicit CommunityInDisguise(Database& real) : real_(real) {}

  // Empty: as it should.
  std::string refresh_ends_with;

  void interrupt_with(const std::atomic<bool>* stopping) noexcept override { real_.interrupt_with(stopping); }
  void on_notice(std::function<void(const DatabaseNotice&)> handler) override {
    real_.on_notice(std::move(handler));
  }
  [[nodiscard]] DatabaseResult<void> connect() override { return real_.connect(); }
  void disconnect() noexcept override { real_.disconnect(); }
  [[nodiscard]] bool connected() const noexcept override { return real_.connected(); }
  [[nodiscard]] bool in_transaction() const noexcept override { return real_.in_transaction(); }
  [[nodiscard]] bool alive() override { return real_.alive(); }
  [[nodiscard]] DatabaseResult<DatabaseStep> copy_end() override { return real_.copy_end(); }
  [[nodiscard]] DatabaseResult<void> copy_data(std::span<const std::byte> bytes) override {
    return real_.copy_data(bytes);
  }
  [[nodiscard]] DatabaseResult<DatabaseStep> run(std::string_view statements) override {
    if (!statements.starts_with("CALL refresh_continuous_aggregate(")) return real_.run(statements);
    if (!refresh_ends_with.empty()) return std::unexpected(DatabaseError{refresh_ends_with, "no", ""});
    return DatabaseStep{};
  }
  [[nodiscard]] DatabaseResult<DatabaseRows> query(std::string_view statements) override {
    auto rows = real_.query(statements);
    if (rows && statements.find("pg_available_extensions") != std::string_view::npos) {
      rows->front()[2] = "2.19.3";
      rows->front()[3] = "timescale";
    }
    return rows;
  }

 private:
  Database& real_;
};

class PostponedTest : public LifecycleTest {
 protected:
  void SetUp() override {
    LifecycleTest::SetUp();
    if (IsSkipped()) return;
    if (maintenance_->server().edition == Edition::plain) GTEST_SKIP() << "needs hypertables";
    execute(
        "UPDATE wellhead_lifecycle SET guarded = false; "
        "INSERT INTO telemetry (timestamp, device_id) VALUES (now() - interval '40 days', 'well-1'); "
        "INSERT INTO esp_telemetry (id, well_id, timestamp) VALUES (1, 'well-1', now() - interval '40 "
        "days')");
    MaintenanceReport ignored;
    ASSERT_TRUE(maintenance_->make_partitions(ignored));
    community_ = std::make_unique<CommunityInDisguise>(*connection_);
    maintenance_ = std::make_unique<Maintenance>(*community_);
    ASSERT_TRUE(maintenance_->prepare());
  }

  std::unique_ptr<CommunityInDisguise> community_;
};

TEST_P(PostponedTest, WhatTheServerIsComputingItselfIsNotDropped) {
  community_->refresh_ends_with = "55P03";
  MaintenanceReport report;
  for (const AggregateFacts& aggregate : maintenance_->aggregates()) {
    EXPECT_EQ(maintenance_->refresh(aggregate, true, report), StepResult::postponed) << aggregate.view;
    EXPECT_EQ(maintenance_->refresh(aggregate, false, report), StepResult::done) << "the policy's own";
  }
  EXPECT_EQ(maintenance_->drop_expired(true, report, {"telemetry"}), StepResult::postponed);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "1");
  EXPECT_EQ(value("SELECT count(*) FROM esp_telemetry"), "0") << "it waits for nobody";
  EXPECT_EQ(report.postponed.size(), 4U) << testing::PrintToString(report.postponed);
}

TEST_P(PostponedTest, AllOfItAtOnceDropsAsSoonAsEverythingIsComputed) {
  community_->refresh_ends_with = "55P03";
  EXPECT_EQ(maintenance_->run_all(true).postponed.size(), 4U);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "1");
  community_->refresh_ends_with = "XX000";
  EXPECT_EQ(maintenance_->run_all(true).failures.size(), 3U);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "1");
  community_->refresh_ends_with.clear();
  const MaintenanceReport report = maintenance_->run_all(true);
  EXPECT_TRUE(report.postponed.empty() && report.failures.empty()) << print(report);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), "0");
}

INSTANTIATE_TEST_SUITE_P(Editions, PostponedTest, testing::Values(TestedServer::as_it_is), name_of);

}  // namespace
}  // namespace wellhead
