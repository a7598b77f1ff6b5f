// What the server itself computes and is at: the node's own turn is put off, and retention with it. On a
// server that has no continuous aggregates, and says it has.
#include <gtest/gtest.h>

#include "database/lifecycle_fixture.hpp"
#include "database/odd_server.hpp"

namespace wellhead {
namespace {

// It takes itself for the Community edition, and a refresh of its aggregates ends as the test wants.
class CommunityInDisguise : public OddServer {
 public:
  explicit CommunityInDisguise(Database& real)
      : OddServer(real, [](DatabaseRow& row) {
          row[2] = "2.19.3";
          row[3] = "timescale";
        }) {}

  // Empty: as it should.
  std::string refresh_ends_with;

  [[nodiscard]] DatabaseResult<DatabaseStep> run(std::string_view statements) override {
    if (!statements.starts_with("CALL refresh_continuous_aggregate(")) return OddServer::run(statements);
    if (!refresh_ends_with.empty()) return std::unexpected(DatabaseError{refresh_ends_with, "no", ""});
    return DatabaseStep{};
  }
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
