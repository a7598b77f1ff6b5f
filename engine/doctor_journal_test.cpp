#include "engine/doctor_journal.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "engine/doctor_finding_fake.hpp"
#include "engine/temporary_directory.hpp"

namespace wellhead {
namespace {

class DoctorJournalTest : public testing::Test {
 protected:
  DoctorJournalTest() {
    facts_.directory = "/var/lib/wellhead/journal";
    facts_.there = true;
    facts_.file_system = "ext4";
    facts_.latency = {.samples = 400, .p50_ms = 0.4, .p99_ms = 2, .direct = true, .problem = ""};
    facts_.free_bytes = 100ULL << 30;
    wishes_ = {.bytes_max = 4ULL << 30, .free_bytes_min = 256ULL << 20, .direct_required = false};
  }
  [[nodiscard]] Finding found(std::string_view subject) const {
    return test::finding_of(judge_journal(facts_, wishes_), subject);
  }

  JournalFacts facts_;
  JournalWishes wishes_;
};

TEST_F(DoctorJournalTest, AGoodDiskHasNothingButOk) {
  for (const Finding& each : judge_journal(facts_, wishes_))
    EXPECT_EQ(each.level, FindingLevel::ok) << each.subject << ": " << each.seen;
}

TEST_F(DoctorJournalTest, ANodeWithoutAJournalIsToldWhatItGivesUp) {
  facts_.enabled = false;
  EXPECT_EQ(found("journal").level, FindingLevel::warning);
}

TEST_F(DoctorJournalTest, ADirectoryThatIsNotThereYetIsAdviceAndOneThatCannotBeAProblem) {
  facts_.there = false;
  EXPECT_EQ(found("directory").level, FindingLevel::advice);
  facts_.problems = {"it cannot be made."};
  EXPECT_EQ(found("journal").level, FindingLevel::problem);
}

TEST_F(DoctorJournalTest, EachFileSystemIsJudgedByWhatItDoesToTheJournal) {
  const std::pair<const char*, FindingLevel> expected[] = {
      {"ext4", FindingLevel::ok},      {"xfs", FindingLevel::ok},       {"0xabc", FindingLevel::ok},
      {"btrfs", FindingLevel::advice}, {"zfs", FindingLevel::advice},   {"overlay", FindingLevel::warning},
      {"nfs", FindingLevel::warning},  {"fuse", FindingLevel::warning}, {"tmpfs", FindingLevel::problem},
      {"ramfs", FindingLevel::problem}};
  for (const auto& [name, level] : expected) {
    facts_.file_system = name;
    EXPECT_EQ(found("file system").level, level) << name;
    EXPECT_EQ(found("file system").fix.empty(), level == FindingLevel::ok) << name;
  }
}

TEST_F(DoctorJournalTest, DirectWritesAreAProblemOnlyWhereTheyAreRequired) {
  facts_.latency.direct = false;
  EXPECT_EQ(found("direct writes").level, FindingLevel::advice);
  wishes_.direct_required = true;
  EXPECT_EQ(found("direct writes").level, FindingLevel::problem);
  facts_.latency.direct = true;
  EXPECT_EQ(found("direct writes").level, FindingLevel::ok);
}

TEST_F(DoctorJournalTest, TheDisksLatencyIsJudgedAtBothEnds) {
  const auto with = [&](double p50, double p99) {
    facts_.latency.p50_ms = p50;
    facts_.latency.p99_ms = p99;
    return found("disk latency").level;
  };
  EXPECT_EQ(with(1, 20), FindingLevel::ok);
  EXPECT_EQ(with(1, 21), FindingLevel::advice);
  EXPECT_EQ(with(1, 201), FindingLevel::warning);
  EXPECT_EQ(with(0.01, 0.1), FindingLevel::advice) << "too quick to be true";
  facts_.latency.samples = 0;
  EXPECT_EQ(with(0, 0), FindingLevel::warning) << "not measured";
}

TEST_F(DoctorJournalTest, WhatTheJournalHoldsAlreadyCountsAsRoom) {
  facts_.free_bytes = 1ULL << 30;
  EXPECT_EQ(found("space").level, FindingLevel::warning);
  EXPECT_NE(found("space").fix.find("journal.bytes_max = \"768MiB\""), std::string::npos)
      << found("space").fix;
  facts_.used_bytes = 3ULL << 30;
  facts_.free_bytes = (1ULL << 30) + wishes_.free_bytes_min;
  EXPECT_EQ(found("space").level, FindingLevel::ok);
}

TEST(DoctorJournal, TheDiskIsMeasuredInBoundedTimeAndNothingIsLeftBehind) {
  const TemporaryDirectory directory;
  const auto begun = std::chrono::steady_clock::now();
  const SyncLatency latency = measure_sync_latency(directory.path());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  EXPECT_EQ(latency.problem, "");
  EXPECT_GT(latency.samples, 0U);
  EXPECT_GT(latency.p50_ms, 0);
  EXPECT_LE(latency.p50_ms, latency.p99_ms);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(DoctorJournal, ADirectoryThatIsNotThereIsNotMade) {
  const TemporaryDirectory directory;
  Config config;
  config.journal.directory = directory / "journal";
  const JournalFacts facts = gather_journal(config);
  EXPECT_FALSE(facts.there);
  EXPECT_FALSE(facts.file_system.empty());
  EXPECT_GT(facts.latency.samples, 0U) << "the directory above it was measured";
  EXPECT_FALSE(std::filesystem::exists(config.journal.directory));

  config.journal.directory = directory / "no/such/journal";
  EXPECT_FALSE(gather_journal(config).problems.empty());
  EXPECT_NE(measure_sync_latency(config.journal.directory).problem, "");
}

}  // namespace
}  // namespace wellhead
