#include "engine/journal_check.hpp"

#include <gtest/gtest.h>

#include "engine/node_journal.hpp"
#include "engine/temporary_directory.hpp"

namespace wellhead {
namespace {

class JournalCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.node_id = "north-7";
    config_.journal.directory = directory_ / "journal";
    config_.journal.limits.free_bytes_min = 0;
    config_.journal.limits.block_bytes_max = 128U << 10;
    config_.journal.limits.segment_bytes = 256U << 10;
  }
  // The only problem.
  std::string problem() {
    const JournalCheck check = check_journal(config_);
    EXPECT_EQ(check.problems.size(), 1U);
    return check.problems.empty() ? "" : check.problems.front();
  }
  auto start() { return NodeJournal::open(config_, {}, {1, 1}, clock_); }

  TemporaryDirectory directory_;
  SystemClock clock_;
  Config config_;
};

TEST_F(JournalCheckTest, ADirectoryThatIsNotThereYetWillBeMade) {
  const JournalCheck check = check_journal(config_);
  EXPECT_TRUE(check.problems.empty());
  EXPECT_EQ(check.state, config_.journal.directory + " will be made");
  EXPECT_FALSE(std::filesystem::exists(config_.journal.directory));
}

TEST_F(JournalCheckTest, ADirectoryWhoseParentIsMissingIsAProblem) {
  config_.journal.directory = directory_ / "missing/journal";
  EXPECT_NE(problem().find("cannot be made"), std::string::npos);
}

TEST_F(JournalCheckTest, ARunningNodesJournalCanBeLookedAt) {
  const auto running = start();
  ASSERT_TRUE(running) << running.error().sentence;
  const JournalCheck check = check_journal(config_);
  EXPECT_TRUE(check.problems.empty()) << testing::PrintToString(check.problems);
  EXPECT_EQ(check.state, config_.journal.directory + " is this node's");
}

TEST_F(JournalCheckTest, AnotherNodesJournalIsAProblem) {
  ASSERT_TRUE(start());
  config_.node_id = "south-1";
  EXPECT_NE(problem().find("north-7"), std::string::npos);
}

TEST_F(JournalCheckTest, AFileSystemWithoutRoomIsAProblem) {
  ASSERT_TRUE(start());
  config_.journal.limits.free_bytes_min = 1ULL << 60;
  EXPECT_NE(problem().find("MiB free"), std::string::npos);
}

}  // namespace
}  // namespace wellhead
