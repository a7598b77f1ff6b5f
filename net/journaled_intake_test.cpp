// The intake with a journal in between: what is told when, and what is kept in memory.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "net/batching_intake.hpp"
#include "net/testing/intake_fixture.hpp"

namespace wellhead {
namespace {

using testing::FakeWriter;
using testing::record;

class JournaledIntakeTest : public testing::IntakeFixture {
 protected:
  void make_journaled(const BatchingOptions& options = {}) { make(options, &writer_); }

  // One operation of the journal, as a ring would run it; false when there is none.
  bool complete_one() {
    const auto operation = intake_->journal_operation();
    if (!operation) return false;
    intake_->on_journal_completion(perform(*operation));
    return true;
  }
  void finish_block() {
    while (complete_one()) {
    }
  }
  // A turn with everything the journal has to do.
  void turn() {
    intake_->turn(listener_);
    while (complete_one()) intake_->turn(listener_);
  }
  void fail_block(int error) {
    ASSERT_TRUE(intake_->journal_operation().has_value());
    intake_->on_journal_completion(-error);
  }

  FakeWriter writer_;
};

TEST_F(JournaledIntakeTest, ARequestIsAnsweredWhenItsBlockIsDurableAndNotBefore) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1) + record("b", 2), 7).submission, Submission::taken);
  intake_->turn(listener_);
  EXPECT_TRUE(listener_.outcomes.empty()) << "nothing is written";
  ASSERT_TRUE(complete_one());
  intake_->turn(listener_);
  EXPECT_TRUE(listener_.outcomes.empty()) << "written, but not synchronized";
  EXPECT_EQ(board_.at(0, 0).durable.load() + board_.at(0, 1).durable.load(), 0U);
  EXPECT_TRUE(take_all().empty()) << "no shard sees rows that are not durable";
  ASSERT_TRUE(complete_one());
  EXPECT_FALSE(intake_->prepare_sleep()) << "an outcome is waiting";
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 2U);
  EXPECT_EQ(listener_.outcomes[0].cookie, 7U);
  EXPECT_FALSE(listener_.outcomes[0].abandoned);
  EXPECT_EQ(stats().records_durable.value(), 2U);
  EXPECT_EQ(stats().blocks.value(), 1U);
  EXPECT_FALSE(take_all().empty());
}

TEST_F(JournaledIntakeTest, ShortWritesAreContinuedAndNothingIsToldMeanwhile) {
  make_journaled();
  std::string body;
  for (int row = 0; row < 500; ++row) body += record("well-" + std::to_string(row), row % 60);
  ASSERT_EQ(submit(body).submission, Submission::taken);
  intake_->turn(listener_);
  int operations = 0;
  while (writer_.bytes_left() > 0) {
    const auto operation = intake_->journal_operation();
    ASSERT_TRUE(operation.has_value());
    ASSERT_EQ(operation->kind, JournalOperation::Kind::write);
    EXPECT_FALSE(intake_->journal_operation().has_value()) << "each operation is given once";
    intake_->on_journal_completion(4096);
    intake_->turn(listener_);
    EXPECT_TRUE(listener_.outcomes.empty());
    ++operations;
  }
  EXPECT_GT(operations, 1);
  const auto last = intake_->journal_operation();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->kind, JournalOperation::Kind::synchronize);
  intake_->on_journal_completion(0);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 500U);
}

TEST_F(JournaledIntakeTest, WhatComesWhileABlockIsOnItsWayGoesIntoTheNextTogether) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 0), 100).submission, Submission::taken);
  intake_->turn(listener_);
  for (std::uint64_t request = 0; request < 50; ++request) {
    ASSERT_EQ(submit(record("a", 1), request).submission, Submission::taken);
    intake_->turn(listener_);
  }
  EXPECT_EQ(stats().blocks.value(), 0U);
  turn();
  EXPECT_EQ(stats().blocks.value(), 2U);
  EXPECT_EQ(listener_.outcomes.size(), 51U);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[1]->row_count(), 50U);
  EXPECT_EQ(batches[1]->lane_sequence(), 2U);
  EXPECT_EQ(board_.at(0, batches[1]->shard()).durable.load(), 2U);
}

TEST_F(JournaledIntakeTest, ACommitLevelRequestIsAnsweredWhenItsBatchesComeBackCommitted) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1), 1, false, AckLevel::commit).submission, Submission::taken);
  ASSERT_EQ(submit(record("a", 2), 2, false, AckLevel::journal).submission, Submission::taken);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].cookie, 2U);
  EXPECT_EQ(stats().records_pending.value(), 1);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_TRUE(batches[0]->must_return());
  give_back(batches[0], BatchOutcome::committed);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(listener_.outcomes[1].cookie, 1U);
  EXPECT_EQ(listener_.outcomes[1].accepted, 1U);
  EXPECT_EQ(stats().records_accepted.value(), 2U);
  EXPECT_NE(listener_.receipts[0], listener_.receipts[1]);
}

TEST_F(JournaledIntakeTest, RefusedRowsAreToldToThoseWhoWaitAndQuarantinedForTheOthers) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1) + record("a", 2), 1).submission, Submission::taken);
  ASSERT_EQ(submit(record("a", 3) + record("a", 4), 2, false, AckLevel::commit).submission,
            Submission::taken);
  turn();
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 1U);
  for (const std::uint32_t row : {1U, 2U})
    batches[0]->refused().push_back(
        {.row = row, .record_index = row % 2, .sqlstate = "23514", .message = "violates check"});
  give_back(batches[0], BatchOutcome::committed);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 2U) << "both rows are durable";
  EXPECT_EQ(listener_.outcomes[1].accepted, 1U);
  EXPECT_EQ(listener_.outcomes[1].rejected, 1U);
  EXPECT_EQ(stats().records_quarantined.value(), 1U);
  EXPECT_EQ(stats().records_accepted.value(), 2U);
}

TEST_F(JournaledIntakeTest, ReusedRequestsAreNotMistakenForThoseOfABatchThatComesBack) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  turn();
  const std::vector<Batch*> early = take_all();
  ASSERT_EQ(early.size(), 1U);
  // The same slot, now for a request that waits for its commit.
  ASSERT_EQ(submit(record("a", 2), 2, false, AckLevel::commit).submission, Submission::taken);
  turn();
  give_back(early[0], BatchOutcome::committed);
  turn();
  EXPECT_EQ(listener_.outcomes.size(), 1U);
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::committed);
  turn();
  EXPECT_EQ(listener_.outcomes.size(), 2U);
}

TEST_F(JournaledIntakeTest, AFailedWriteIsNeverASuccessAndClosesTheDoor) {
  for (const int error : {EIO, ENOSPC, EROFS}) {
    SCOPED_TRACE(error);
    FakeWriter writer;
    make({}, &writer);
    listener_ = {};
    ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
    ASSERT_EQ(submit(record("b", 1), 2, false, AckLevel::commit).submission, Submission::taken);
    intake_->turn(listener_);
    fail_block(error);
    intake_->turn(listener_);
    ASSERT_EQ(listener_.outcomes.size(), 2U);
    for (const RequestOutcome& outcome : listener_.outcomes) {
      EXPECT_TRUE(outcome.abandoned);
      EXPECT_FALSE(outcome.nothing_stored) << "part of the block may be on the disk";
      EXPECT_EQ(outcome.accepted, 0U);
      EXPECT_NE(outcome.problem.find("not known"), std::string_view::npos);
    }
    EXPECT_TRUE(take_all().empty());
    EXPECT_EQ(board_.at(0, 0).durable.load() + board_.at(0, 1).durable.load(), 0U);
    const SubmitResult refused = submit(record("a", 2));
    EXPECT_EQ(refused.submission, Submission::unavailable);
    EXPECT_EQ(refused.message, writer.problem());
    EXPECT_EQ(stats().records_abandoned.value(), 2U);
    EXPECT_EQ(intake_->pending(), 0U);
    expect_conservation();
  }
}

TEST_F(JournaledIntakeTest, AFailedSynchronizationIsNeverASuccess) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1)).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_TRUE(complete_one());
  fail_block(EIO);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_TRUE(listener_.outcomes[0].abandoned);
  EXPECT_TRUE(listener_.receipts[0].empty()) << "another block gets the sequences it would name";
  EXPECT_TRUE(take_all().empty());
}

TEST_F(JournaledIntakeTest, WhatWaitsBehindABlockThatFailsIsGivenUpWithIt) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_EQ(submit(record("a", 2), 2).submission, Submission::taken);
  fail_block(EIO);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_FALSE(listener_.outcomes[0].nothing_stored);
  EXPECT_EQ(listener_.outcomes[1].cookie, 2U);
  EXPECT_TRUE(listener_.outcomes[1].abandoned);
  EXPECT_TRUE(listener_.outcomes[1].nothing_stored) << "the journal never saw it";
  EXPECT_EQ(intake_->pending(), 0U);
}

TEST_F(JournaledIntakeTest, AfterTheOperatorsActionTheJournalIsUsedAgain) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  intake_->turn(listener_);
  fail_block(EIO);
  intake_->turn(listener_);
  EXPECT_EQ(submit(record("a", 2)).submission, Submission::unavailable);
  intake_->reopen_journal();
  turn();
  EXPECT_EQ(writer_.reopened(), 1U);
  EXPECT_EQ(listener_.capacity_calls, 1);
  ASSERT_EQ(submit(record("a", 3), 3).submission, Submission::taken);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(listener_.outcomes[1].cookie, 3U);
  EXPECT_EQ(listener_.outcomes[1].accepted, 1U);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0]->lane_sequence(), 1U) << "the failed block's sequences are used again";
}

TEST_F(JournaledIntakeTest, WhoWasBusyIsCalledWhenAnIdleJournalIsMended) {
  make_journaled({.batch_bytes = 4096, .batches_max = 8, .block_bytes_max = 8 * 4096});
  std::string body;
  for (int row = 0; row < 200; ++row) body += record("a", row % 60);
  ASSERT_EQ(submit(body, 1).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_EQ(submit(body, 2).submission, Submission::busy);
  fail_block(EIO);
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 0) << "it would only be refused";
  intake_->reopen_journal();
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 1);
}

TEST_F(JournaledIntakeTest, AHealthyJournalIsNotReopened) {
  make_journaled();
  intake_->reopen_journal();
  EXPECT_EQ(writer_.reopened(), 0U);
  EXPECT_EQ(submit(record("a", 1)).submission, Submission::taken);
}

TEST_F(JournaledIntakeTest, AFullJournalKeepsWhatWasTakenAndTakesNoMore) {
  make_journaled();
  writer_.answer(AppendStatus::full);
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  intake_->turn(listener_);
  EXPECT_FALSE(intake_->journal_operation().has_value());
  const SubmitResult refused = submit(record("a", 2), 2);
  EXPECT_EQ(refused.submission, Submission::unavailable);
  EXPECT_NE(refused.message.find("full"), std::string::npos);
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 0);
  EXPECT_TRUE(listener_.outcomes.empty());
  EXPECT_LT(intake_->sleep_max(), std::chrono::seconds(1)) << "nobody wakes the reactor when there is room";
  writer_.answer(AppendStatus::planned);
  turn();
  EXPECT_EQ(listener_.capacity_calls, 1);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 1U);
  EXPECT_EQ(submit(record("a", 2)).submission, Submission::taken);
}

TEST_F(JournaledIntakeTest, AJournalThatIsNotReadyYetIsBusyForAMoment) {
  make_journaled();
  writer_.answer(AppendStatus::not_ready);
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  intake_->turn(listener_);
  EXPECT_EQ(submit(record("a", 2)).submission, Submission::busy);
  EXPECT_LE(intake_->sleep_max(), std::chrono::milliseconds(5));
  writer_.answer(AppendStatus::planned);
  turn();
  EXPECT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.capacity_calls, 1);
  EXPECT_EQ(submit(record("a", 2)).submission, Submission::taken);
  EXPECT_EQ(intake_->sleep_max(), std::chrono::nanoseconds::max());
}

TEST_F(JournaledIntakeTest, OnlyRequestsThatWaitForACommitNeedTheDatabase) {
  make_journaled();
  available_[1] = false;
  intake_->turn(listener_);
  const SubmitResult refused = submit(record("a", 1), 1, false, AckLevel::commit);
  EXPECT_EQ(refused.submission, Submission::unavailable);
  EXPECT_EQ(refused.message, "the database is away");
  ASSERT_EQ(submit(record("a", 1), 2).submission, Submission::taken);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 1U);
  EXPECT_EQ(listener_.capacity_calls, 0);
  available_[1] = true;
  turn();
  EXPECT_EQ(listener_.capacity_calls, 1);
}

TEST_F(JournaledIntakeTest, MemoryStaysFlatWhenAShardNeverTakesAnything) {
  constexpr std::uint32_t batches_max = 32;
  make_journaled({.batch_bytes = 4096, .batches_max = batches_max, .block_bytes_max = 64U << 10});
  for (std::uint64_t request = 0; request < 10'000; ++request) {
    ASSERT_EQ(submit(record("a", 1) + record("b", 2) + record("well-1", 3), request).submission,
              Submission::taken)
        << request;
    turn();
  }
  EXPECT_EQ(listener_.outcomes.size(), 10'000U);
  EXPECT_EQ(stats().records_accepted.value(), 30'000U);
  EXPECT_EQ(writer_.rows_durable(), 30'000U);
  const std::size_t away = take_all().size();
  EXPECT_LE(away, batches_max / 2);
  EXPECT_EQ(stats().batches_spilled.value() + away,
            board_.at(0, 0).durable.load() + board_.at(0, 1).durable.load());
}

TEST_F(JournaledIntakeTest, AShardIsWokenForBatchesThatItHasToReadBack) {
  make_journaled({.batches_max = 4});
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(submit(record("a", round)).submission, Submission::taken);
    intake_->turn(listener_);
    finish_block();
  }
  const std::size_t shard = board_.at(0, 0).durable.load() > 0 ? 0 : 1;
  EXPECT_EQ(take(shard).size(), 1U);
  EXPECT_EQ(stats().batches_spilled.value(), 2U);
  EXPECT_TRUE(inboxes_[shard].prepare_sleep());
  std::uint64_t wakes = 0;
  ASSERT_EQ(read(inboxes_[shard].wake_fd(), &wakes, sizeof wakes), static_cast<ssize_t>(sizeof wakes));
  EXPECT_EQ(wakes, 2U) << "once for each block that left something out";
}

TEST_F(JournaledIntakeTest, ADatabaseThatHangsLeavesRoomForTheJournal) {
  make_journaled({.batch_bytes = 4096, .batches_max = 32, .block_bytes_max = 32U << 10});
  // Requests that wait for a commit that never comes, until no more are taken.
  int commits = 0;
  while (submit(record("a", 1), 1, false, AckLevel::commit).submission == Submission::taken) {
    turn();
    ASSERT_LT(++commits, 100);
  }
  EXPECT_EQ(commits, 16) << "half of the batches";
  // Who comes later does not overtake, and is not decoded in vain.
  EXPECT_EQ(submit(record("a", 1), 1, false, AckLevel::commit).submission, Submission::busy);
  EXPECT_EQ(stats().batch_exhaustions.value(), 1U);
  for (std::uint64_t request = 0; request < 1'000; ++request) {
    ASSERT_EQ(submit(record("a", 1), request).submission, Submission::taken) << request;
    turn();
  }
  EXPECT_EQ(listener_.outcomes.size(), 1'000U);
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::committed);
  turn();
  EXPECT_EQ(listener_.outcomes.size(), 1'016U);
  EXPECT_EQ(listener_.capacity_calls, 1);
  EXPECT_EQ(submit(record("a", 1), 1, false, AckLevel::commit).submission, Submission::taken);
}

TEST_F(JournaledIntakeTest, WhatIsAwayForOthersOnlyDelaysWhoWaitsForTheCommit) {
  make_journaled({.batch_bytes = 4096, .batches_max = 32, .block_bytes_max = 128U << 10});
  const auto device = [](int number) { return "well-" + std::to_string(number); };
  for (int request = 0; request < 1'000; ++request) {
    ASSERT_EQ(submit(record(device(request), 1), 1).submission, Submission::taken);
    turn();
  }
  EXPECT_GT(stats().batches_spilled.value(), 0U) << "as many are away as may be: half of all";
  std::string body;  // more than a quarter of the batches, and less than half
  for (int row = 0; row < 400; ++row) body += record(device(row), 1);
  EXPECT_EQ(submit(body, 2, false, AckLevel::commit).submission, Submission::busy) << "not refused for good";
  // The database hangs: nothing comes back, and what needs much may wait long. What needs little goes on.
  ASSERT_EQ(submit(record("a", 1), 6).submission, Submission::taken);
  turn();
  for (int commits = 0; commits < 8; ++commits) {
    ASSERT_EQ(submit(record("a", 1), 3, false, AckLevel::commit).submission, Submission::taken);
    turn();
  }
  turn();
  ASSERT_EQ(submit(body, 4).submission, Submission::busy) << "a quarter of the batches is left";
  turn();
  EXPECT_EQ(submit(record("a", 1) + record("b", 2), 5).submission, Submission::taken);
  turn();
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::committed);
  turn();
  EXPECT_EQ(submit(body, 2, false, AckLevel::commit).submission, Submission::taken);
}

TEST_F(JournaledIntakeTest, AllRowsOfARequestAreInOneBlock) {
  make_journaled({.batch_bytes = 4096, .batches_max = 64, .block_bytes_max = 8 * 4096});
  std::string body;  // some five batches
  for (int row = 0; row < 200; ++row) body += record("a", row % 60);
  ASSERT_EQ(submit(body, 1).submission, Submission::taken);
  EXPECT_EQ(submit(body, 2).submission, Submission::busy) << "the rest of it would be in another block";
  intake_->turn(listener_);
  EXPECT_LE(writer_.block_bytes(), 8U * 4096);
  ASSERT_EQ(submit(body, 2).submission, Submission::taken);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(stats().blocks.value(), 2U);
  EXPECT_EQ(stats().batch_exhaustions.value(), 1U);
}

TEST_F(JournaledIntakeTest, ARequestThatFitsIntoNoBlockIsRefusedForGood) {
  make_journaled({.batch_bytes = 4096, .batches_max = 64, .block_bytes_max = 8 * 4096});
  std::string body;
  for (int row = 0; row < 600; ++row) body += record("a", row % 60);
  const SubmitResult result = submit(body);
  EXPECT_EQ(result.submission, Submission::malformed);
  EXPECT_EQ(result.code, RecordErrorCode::record_too_large);
  EXPECT_NE(result.message.find("32 KiB"), std::string::npos) << result.message;
}

TEST_F(JournaledIntakeTest, ACommitLevelRequestLargerThanItsShareIsToldWhatToDo) {
  make_journaled({.batch_bytes = 4096, .batches_max = 16});
  std::string body;
  for (int row = 0; row < 250; ++row) body += record("a", row % 60);
  const SubmitResult result = submit(body, 1, false, AckLevel::commit);
  EXPECT_EQ(result.submission, Submission::malformed);
  EXPECT_NE(result.message.find("Ack: journal"), std::string::npos) << result.message;
  EXPECT_EQ(submit(body, 1).submission, Submission::taken);
}

TEST_F(JournaledIntakeTest, AStopAnswersFromTheJournalAndWaitsForNoShard) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1)).submission, Submission::taken);
  intake_->turn(listener_);
  intake_->begin_stop();
  EXPECT_EQ(intake_->pending(), 1U);
  turn();
  EXPECT_EQ(intake_->pending(), 0U);
  EXPECT_EQ(listener_.outcomes.size(), 1U);
}

TEST_F(JournaledIntakeTest, AStopGivesUpWhatAClosedJournalDidNotTake) {
  make_journaled();
  writer_.answer(AppendStatus::full);
  ASSERT_EQ(submit(record("a", 1)).submission, Submission::taken);
  intake_->turn(listener_);
  intake_->begin_stop();
  turn();
  EXPECT_FALSE(intake_->prepare_sleep()) << "an outcome is waiting";
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_TRUE(listener_.outcomes[0].abandoned);
  EXPECT_TRUE(listener_.outcomes[0].nothing_stored);
  EXPECT_EQ(intake_->pending(), 0U);
  EXPECT_EQ(stats().records_abandoned.value(), 1U);
}

TEST_F(JournaledIntakeTest, RowsThatAreDurableAndNotCommittedAtTheEndAreStoredLater) {
  make_journaled();
  ASSERT_EQ(submit(record("a", 1), 1, false, AckLevel::commit).submission, Submission::taken);
  ASSERT_EQ(submit(record("a", 2), 2).submission, Submission::taken);
  turn();
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::abandoned);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_FALSE(listener_.outcomes[0].abandoned) << "it was told before, and rightly";
  EXPECT_TRUE(listener_.outcomes[1].abandoned);
  EXPECT_NE(listener_.outcomes[1].problem.find("stored when it runs again"), std::string_view::npos);
  EXPECT_EQ(stats().records_abandoned.value(), 0U);
  EXPECT_EQ(stats().records_accepted.value(), 2U);
}

// A model of everything at once: no outcome without its rows durable or committed, every request answered
// once, the account exact after every step.
TEST_F(JournaledIntakeTest, WhateverHappensNothingIsToldThatIsNotSo) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  make_journaled({.batch_bytes = 4096, .batches_max = 24, .block_bytes_max = 10 * 4096});
  std::deque<Batch*> at_shards;
  std::uint64_t taken = 0;
  std::size_t answered = 0;
  const auto one_step = [&] {
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        std::string body;
        for (std::uint64_t row = random() % 60 + 1; row > 0; --row)
          body += random() % 20 == 0 ? "{}\n" : record("w" + std::to_string(random() % 9), 7);
        const AckLevel ack = random() % 3 == 0 ? AckLevel::commit : AckLevel::journal;
        taken += submit(body, taken, random() % 5 == 0, ack).submission == Submission::taken ? 1U : 0U;
        break;
      }
      case 3:
        if (const auto operation = intake_->journal_operation()) {
          const bool fails = random() % 40 == 0;
          const bool is_short = operation->kind == JournalOperation::Kind::write && random() % 3 == 0;
          intake_->on_journal_completion(fails ? -EIO : is_short ? 512 : perform(*operation));
        }
        break;
      case 4:
        intake_->turn(listener_);
        break;
      case 5:
        for (Batch* batch : take_all()) at_shards.push_back(batch);
        break;
      case 6:
        if (at_shards.empty()) break;
        if (random() % 4 == 0)
          at_shards.front()->refused().push_back(
              {.row = static_cast<std::uint32_t>(random() % at_shards.front()->row_count()),
               .record_index = 0,
               .sqlstate = "22003",
               .message = "no"});
        give_back(at_shards.front(), BatchOutcome::committed);
        at_shards.pop_front();
        break;
      case 7: {
        constexpr std::array answers{AppendStatus::planned, AppendStatus::planned, AppendStatus::full,
                                     AppendStatus::not_ready};
        writer_.answer(answers[random() % answers.size()]);
        available_[random() % 2] = random() % 2 == 0;
        if (random() % 4 == 0) intake_->reopen_journal();
        break;
      }
    }
    // Between turns, outcomes may be known and not told; the numbers are exact all the same.
    expect_conservation();
    EXPECT_LE(stats().records_durable.value(), stats().records_received.value());
    EXPECT_GE(stats().records_durable.value(),
              stats().records_accepted.value() + stats().records_quarantined.value());
    answered = listener_.outcomes.size();
    ASSERT_LE(answered, taken);
  };
  for (int step = 0; step < 20'000 && !HasFailure(); ++step) one_step();
  writer_.answer(AppendStatus::planned);
  available_ = {true, true};
  for (int round = 0; round < 100 && intake_->pending() > 0; ++round) {
    intake_->reopen_journal();
    turn();
    for (Batch* batch : take_all()) at_shards.push_back(batch);
    for (; !at_shards.empty(); at_shards.pop_front()) give_back(at_shards.front(), BatchOutcome::committed);
  }
  EXPECT_EQ(intake_->pending(), 0U);
  EXPECT_EQ(listener_.outcomes.size(), taken);
  EXPECT_GT(stats().records_abandoned.value(), 0U);
  EXPECT_GT(stats().batches_spilled.value(), 0U);
  EXPECT_EQ(stats().records_durable.value(), writer_.rows_durable());
}

}  // namespace
}  // namespace wellhead
