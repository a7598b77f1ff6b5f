#include "engine/journal_trimmer.hpp"

#include <gtest/gtest.h>

#include <array>

#include "engine/journal_fake.hpp"

namespace wellhead {
namespace {

class JournalTrimmerTest : public testing::Test {
 protected:
  const std::array<OldLane, 2> old_{OldLane{{1, 0, 3}, 1, 9}, OldLane{{2, 5, 0}, 4, 4}};
  LaneBoard lanes_{3, 1, 2, old_};
  FakeJournal journal_;
  JournalTrimmer trimmer_{journal_, lanes_};
};

TEST_F(JournalTrimmerTest, EveryLaneIsToldWithWhatTheDatabaseHasForGood) {
  lanes_.at(0, 1).committed = 8;
  lanes_.at(0, 1).flushed = 5;
  lanes_.find({2, 5, 0})->flushed = 4;
  trimmer_.trim();
  ASSERT_EQ(journal_.trims.size(), 1U);
  EXPECT_EQ(journal_.trims[0],
            (FakeJournal::Flushed{{{1, 0, 3}, 0}, {{2, 5, 0}, 4}, {{3, 0, 0}, 0}, {{3, 0, 1}, 5}}));
  EXPECT_EQ(trimmer_.segments_trimmed(), 1U);
}

TEST_F(JournalTrimmerTest, ATrimThatFailsIsTriedAgain) {
  journal_.trim_error = JournalError{JournalErrorCode::io, "The disk said no."};
  trimmer_.trim();
  trimmer_.trim();
  EXPECT_EQ(trimmer_.segments_trimmed(), 0U);
  journal_.trim_error.reset();
  trimmer_.trim();
  EXPECT_EQ(journal_.trims.size(), 3U);
  EXPECT_EQ(trimmer_.segments_trimmed(), 1U);
}

TEST_F(JournalTrimmerTest, TheThreadTrimsInIntervalsAndOnceMoreAtTheEnd) {
  trimmer_.start(std::chrono::milliseconds(1));
  while (trimmer_.segments_trimmed() < 2) std::this_thread::yield();
  lanes_.at(0, 0).flushed = 7;
  trimmer_.stop();
  EXPECT_EQ(journal_.trims.back()[2], (std::pair(LaneId{3, 0, 0}, std::uint64_t{7})));
  const std::size_t trims = journal_.trims.size();
  trimmer_.stop();
  EXPECT_EQ(journal_.trims.size(), trims);
}

TEST_F(JournalTrimmerTest, StoppingDoesNotWaitForTheInterval) {
  trimmer_.start(std::chrono::hours(1));
  trimmer_.stop();
  EXPECT_EQ(journal_.trims.size(), 1U);
}

}  // namespace
}  // namespace wellhead
