// The intake without a journal, and what it does the same way with one.
#include "net/batching_intake.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "net/testing/intake_fixture.hpp"

namespace wellhead {
namespace {

using testing::record;

class BatchingIntakeTest : public testing::IntakeFixture {};

TEST_F(BatchingIntakeTest, ARequestIsAnsweredWhenItsLastRowIsCommittedAndNotBefore) {
  make();
  std::string body;
  for (int device = 0; device < 40; ++device) body += record("well-" + std::to_string(device), device);
  ASSERT_EQ(submit(body, 77).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 2U) << "forty devices must meet both shards";
  give_back(batches[0], BatchOutcome::committed);
  intake_->turn(listener_);
  EXPECT_TRUE(listener_.outcomes.empty());
  give_back(batches[1], BatchOutcome::committed);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 40U);
  EXPECT_EQ(listener_.outcomes[0].cookie, 77U);
  EXPECT_EQ(listener_.connections[0], (ConnectionId{4, 2}));
  EXPECT_EQ(intake_->pending(), 0U);
}

TEST_F(BatchingIntakeTest, RowsOfOneDeviceStayInOneShardInOrder) {
  make();
  for (int second = 0; second < 30; ++second)
    ASSERT_EQ(submit(record("well-1", second)).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 1U);
  std::int64_t previous = INT64_MIN;
  for_each_row(*batches[0], [&](const RowHeader& header, std::span<const std::byte>, std::uint32_t) {
    EXPECT_GT(header.time_us, previous);
    previous = header.time_us;
  });
}

TEST_F(BatchingIntakeTest, ARequestOfBadRecordsIsAnsweredWithoutTheDatabase) {
  make();
  ASSERT_EQ(submit("{\"device_id\":\"x\"}\nnot json\n").submission, Submission::taken);
  EXPECT_FALSE(intake_->prepare_sleep()) << "an outcome is waiting";
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
  EXPECT_EQ(listener_.outcomes[0].errors.kept()[0].code, RecordErrorCode::missing_field);
}

TEST_F(BatchingIntakeTest, ARefusedRowCostsOnlyItself) {
  make();
  ASSERT_EQ(submit(record("a", 1) + "broken\n" + record("a", 2) + record("a", 3), 1).submission,
            Submission::taken);
  ASSERT_EQ(submit(record("a", 4), 2).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 1U);
  batches[0]->refused().push_back(
      {.row = 1, .record_index = 2, .sqlstate = "23514", .message = "violates check"});
  give_back(batches[0], BatchOutcome::committed);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 2U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
  EXPECT_EQ(listener_.outcomes[0].errors.kept().back().code, RecordErrorCode::database_refused);
  EXPECT_EQ(listener_.outcomes[0].errors.kept().back().index, 2U);
  EXPECT_NE(listener_.outcomes[0].errors.kept().back().message.find("23514"), std::string::npos);
  EXPECT_EQ(listener_.outcomes[1].accepted, 1U);
}

TEST_F(BatchingIntakeTest, ABrokenArrayLeavesNothingBehind) {
  make();
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  const SubmitResult result = submit("[" + record("a", 2) + "," + record("b", 3) + ",{\"dev", 2);
  EXPECT_EQ(result.submission, Submission::malformed);
  intake_->turn(listener_);
  std::uint32_t rows = 0;
  for (Batch* batch : take_all()) {
    rows += batch->row_count();
    give_back(batch, BatchOutcome::committed);
  }
  EXPECT_EQ(rows, 1U);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 1U);
}

TEST_F(BatchingIntakeTest, AllOrNothingStoresNothingWhenARecordIsBad) {
  make();
  ASSERT_EQ(submit(record("a", 1) + "{}\n", 1, true).submission, Submission::taken);
  intake_->turn(listener_);
  EXPECT_TRUE(take_all().empty());
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 0U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
  EXPECT_EQ(listener_.outcomes[0].errors.count(), 1U);
}

TEST_F(BatchingIntakeTest, RewindingCrossesBatchesFilledByTheSameRequest) {
  make({.batch_bytes = 4096, .batches_max = 64});
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  std::string body;
  for (int row = 0; row < 200; ++row) body += record("a", row % 60);
  ASSERT_EQ(submit(body + "{}\n", 2, true).submission, Submission::taken);
  intake_->turn(listener_);
  std::uint32_t rows = 0;
  for (Batch* batch : take_all()) rows += batch->row_count();
  EXPECT_EQ(rows, 1U);
}

TEST_F(BatchingIntakeTest, WithoutFreeBatchesItIsBusyAndSaysWhenItIsNot) {
  make({.batch_bytes = 4096, .batches_max = 2});
  std::string body;
  for (int row = 0; row < 15; ++row) body += record("a", row);
  ASSERT_EQ(submit(body, 1).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_EQ(submit(body + body + body, 2).submission, Submission::busy);
  EXPECT_EQ(intake_->stats().batch_exhaustions.value(), 1U);
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 0);
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::committed);
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 1);
}

TEST_F(BatchingIntakeTest, ARequestLargerThanAllBatchesIsRefusedForGood) {
  make({.batch_bytes = 4096, .batches_max = 2});
  std::string body;
  for (int row = 0; row < 200; ++row) body += record("a", row % 60);
  const SubmitResult result = submit(body);
  EXPECT_EQ(result.submission, Submission::malformed);
  EXPECT_EQ(result.code, RecordErrorCode::record_too_large);
}

TEST_F(BatchingIntakeTest, WhileAShardCannotCommitNothingIsTaken) {
  make();
  available_[1] = false;
  intake_->turn(listener_);
  const SubmitResult result = submit(record("a", 1));
  EXPECT_EQ(result.submission, Submission::unavailable);
  EXPECT_EQ(result.message, "the database is away");
  available_[1] = true;
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 1);
  EXPECT_EQ(submit(record("a", 1)).submission, Submission::taken);
}

TEST_F(BatchingIntakeTest, SmallRequestsShareABatchWhileTheShardIsBehind) {
  make({.batches_away_eager = 1});
  ASSERT_EQ(submit(record("a", 0), 0).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> first = take_all();
  ASSERT_EQ(first.size(), 1U);
  for (std::uint64_t request = 1; request <= 20; ++request) {
    ASSERT_EQ(submit(record("a", 1), request).submission, Submission::taken);
    intake_->turn(listener_);
  }
  EXPECT_TRUE(take_all().empty());
  give_back(first[0], BatchOutcome::committed);
  intake_->turn(listener_);
  const std::vector<Batch*> second = take_all();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0]->row_count(), 20U);
}

TEST_F(BatchingIntakeTest, AbandonedRowsAreNeverReportedAsAccepted) {
  make();
  ASSERT_EQ(submit(record("a", 1) + record("a", 2)).submission, Submission::taken);
  intake_->turn(listener_);
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::abandoned);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_TRUE(listener_.outcomes[0].abandoned);
  EXPECT_EQ(listener_.outcomes[0].accepted, 0U);
  EXPECT_EQ(intake_->stats().records_abandoned.value(), 2U);
}

TEST_F(BatchingIntakeTest, BatchesAreNumberedByLaneAndMayBeReadAtOnce) {
  make();
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    ASSERT_EQ(submit(record("a", 1)).submission, Submission::taken);
    intake_->turn(listener_);
    const std::vector<Batch*> batches = take_all();
    ASSERT_EQ(batches.size(), 1U);
    EXPECT_EQ(batches[0]->lane(), (LaneId{.epoch = 1, .reactor = 0, .shard = batches[0]->shard()}));
    EXPECT_EQ(batches[0]->lane_sequence(), sequence);
    EXPECT_EQ(board_.at(0, batches[0]->shard()).durable.load(), sequence);
    EXPECT_TRUE(batches[0]->must_return());
    give_back(batches[0], BatchOutcome::committed);
    intake_->turn(listener_);
  }
  EXPECT_EQ(stats().records_durable.value(), 0U) << "nothing is durable before its commit";
}

TEST_F(BatchingIntakeTest, TheReceiptNamesEveryRowOfTheRequestAndNoOther) {
  make({.receipt_digest = 99});
  ASSERT_EQ(submit(record("a", 1) + record("a", 2), 1).submission, Submission::taken);
  std::string body;
  for (int device = 0; device < 40; ++device) body += record("well-" + std::to_string(device), device);
  ASSERT_EQ(submit(body + "broken\n", 2).submission, Submission::taken);
  intake_->turn(listener_);
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::committed);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.receipts.size(), 2U);
  const bool first_is_first = listener_.outcomes[0].cookie == 1;
  const auto first = decode_receipt(listener_.receipts[first_is_first ? 0 : 1]);
  const auto second = decode_receipt(listener_.receipts[first_is_first ? 1 : 0]);
  ASSERT_TRUE(first && second);
  ASSERT_EQ(first->parts.size(), 1U);
  EXPECT_EQ(first->parts[0].row_count, 2U);
  EXPECT_EQ(second->journal_digest, 99U);
  EXPECT_EQ(second->epoch, 1U);
  ASSERT_EQ(second->parts.size(), 2U);
  EXPECT_EQ(second->parts[0].row_count + second->parts[1].row_count, 40U);
  const ReceiptPart& shared =
      second->parts[0].shard == first->parts[0].shard ? second->parts[0] : second->parts[1];
  EXPECT_EQ(shared.first_row, 2U) << "behind the rows of the first request";
}

}  // namespace
}  // namespace wellhead
