// Rejected records on their way into the stream dead_letter, in the batches of their request.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/copy_binary.hpp"
#include "codec/row_json.hpp"
#include "net/batching_intake.hpp"
#include "net/testing/intake_fixture.hpp"

namespace wellhead {
namespace {

using testing::FakeWriter;
using testing::record;

constexpr std::string_view bad_line = R"({"device_id":"well-1","timestamp":true})";

constexpr std::string_view repairable_line =
    R"({"device_id":"well-2","timestamp":"2024-05-01T12:00:00Z","pressure":-3})";

std::string repairable(int count) {
  std::string lines;
  for (int line = 0; line < count; ++line) lines.append(repairable_line).append("\n");
  return lines;
}

std::string bad(int count) {
  std::string lines;
  for (int line = 0; line < count; ++line) lines.append(bad_line).append("\n");
  return lines;
}

class DeadLetterIntakeTest : public testing::IntakeFixture {
 protected:
  // Positions in the stream's columns.
  static constexpr std::size_t stream = 3, code = 4, field = 5, source = 8, device_id = 9, payload = 10;
  static constexpr std::uint16_t dead_letter_index = 1;

  BatchingOptions keeping(std::uint32_t per_request_max = 1'000) {
    BatchingOptions options;
    options.dead_letter = {.schema = Schema::compile(dead_letter_stream(1'024), dead_letter_index).value(),
                           .node_id = "node-1",
                           .per_request_max = per_request_max};
    return options;
  }
  void turn() {
    intake_->turn(listener_);
    while (const auto operation = intake_->journal_operation()) {
      intake_->on_journal_completion(perform(*operation));
      intake_->turn(listener_);
    }
  }
  // Takes all batches, notes the tuples of their dead letters and gives them back committed.
  void commit_all() {
    for (Batch* batch : take_all()) {
      for_each_row(*batch, [&](const RowHeader& header, std::span<const std::byte> tuple, std::uint32_t) {
        if (header.stream == dead_letter_index)
          letters_.emplace_back(tuple.begin(), tuple.end());
        else
          ++record_rows_;
      });
      give_back(batch, BatchOutcome::committed);
    }
    turn();
  }
  [[nodiscard]] std::string text(std::size_t letter, std::size_t column) const {
    return std::string(tuple_field(letters_.at(letter), column));
  }

  FakeWriter writer_;
  std::vector<std::vector<std::byte>> letters_;
  std::size_t record_rows_ = 0;
};

TEST_F(DeadLetterIntakeTest, ABadRecordIsKeptWithItsReasonItsBytesAndWhereItCameFrom) {
  make(keeping());
  intake_->describe_sources([](ConnectionId id) { return "connection " + std::to_string(id.slot); });
  ASSERT_EQ(submit(record("a", 1) + bad(1) + record("a", 2)).submission, Submission::taken);
  turn();
  commit_all();
  EXPECT_EQ(record_rows_, 2U);
  ASSERT_EQ(letters_.size(), 1U);
  EXPECT_EQ(text(0, stream), "telemetry");
  EXPECT_EQ(text(0, code), "wrong_type");
  EXPECT_EQ(text(0, field), "timestamp");
  EXPECT_EQ(text(0, source), "connection 4");
  EXPECT_EQ(text(0, device_id), "well-1");
  EXPECT_EQ(text(0, payload), bad_line);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].received, 3U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 2U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 1U);
  EXPECT_EQ(stats().dead_letter_rows.value(), 1U);
  EXPECT_EQ(stats().records_received.value(), 3U) << "a dead letter is no record";
}

TEST_F(DeadLetterIntakeTest, ARepairedRecordIsStoredAndItsOriginalIsKept) {
  make(keeping());
  ASSERT_EQ(submit(record("a", 1) + repairable(1)).submission, Submission::taken);
  turn();
  commit_all();
  EXPECT_EQ(record_rows_, 2U);
  ASSERT_EQ(letters_.size(), 1U);
  EXPECT_EQ(text(0, code), "repaired");
  EXPECT_EQ(text(0, field), "pressure");
  EXPECT_EQ(text(0, 6), "\"pressure\" must be at least 0 psi; the record has -3.");
  EXPECT_EQ(text(0, device_id), "well-2");
  EXPECT_EQ(text(0, payload), repairable_line);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 2U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 0U);
  EXPECT_EQ(listener_.outcomes[0].errors.count(), 0U);
}

TEST_F(DeadLetterIntakeTest, RepairedRecordsOfARequestThatIsRefusedWholeLeaveNothing) {
  make(keeping(), &writer_);
  ASSERT_EQ(submit(repairable(2) + bad(1), 1, true).submission, Submission::taken);
  turn();
  commit_all();
  EXPECT_EQ(record_rows_, 0U);
  ASSERT_EQ(letters_.size(), 1U);
  EXPECT_EQ(text(0, code), "wrong_type");
  EXPECT_EQ(stats().dead_letter_rows_dropped.value(), 0U);
}

TEST_F(DeadLetterIntakeTest, RepairedRecordsCountAgainstTheMostThatIsKeptOfARequest) {
  make(keeping(3));
  ASSERT_EQ(submit(repairable(4) + bad(2)).submission, Submission::taken);
  turn();
  commit_all();
  EXPECT_EQ(record_rows_, 4U);
  ASSERT_EQ(letters_.size(), 4U);
  EXPECT_EQ(text(2, code), "repaired");
  EXPECT_EQ(text(3, code), "not_kept");
  EXPECT_TRUE(text(3, 6).starts_with("The request had 3 more records")) << text(3, 6);
  EXPECT_EQ(listener_.outcomes.at(0).accepted, 4U);
}

TEST_F(DeadLetterIntakeTest, TheAnswerWaitsUntilTheLettersAreDurable) {
  make(keeping(), &writer_);
  ASSERT_EQ(submit(bad(2)).submission, Submission::taken);
  intake_->turn(listener_);
  EXPECT_TRUE(listener_.outcomes.empty());
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 0U);
  EXPECT_TRUE(listener_.receipts[0].empty()) << "a receipt names records";
  commit_all();
  EXPECT_EQ(letters_.size(), 2U);
}

TEST_F(DeadLetterIntakeTest, ALetterThatCouldNotBeWrittenIsNotTakenForKept) {
  make(keeping(), &writer_);
  ASSERT_EQ(submit(bad(1)).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_TRUE(intake_->journal_operation().has_value());
  intake_->on_journal_completion(-EIO);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_TRUE(listener_.outcomes[0].abandoned);
}

TEST_F(DeadLetterIntakeTest, WhoWaitsForACommitWaitsForRecordsOnly) {
  make(keeping(), &writer_);
  ASSERT_EQ(submit(bad(1), 1, false, AckLevel::commit).submission, Submission::taken);
  ASSERT_EQ(submit(record("a", 1) + bad(1), 2, false, AckLevel::commit).submission, Submission::taken);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].cookie, 1U);
  commit_all();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(listener_.outcomes[1].accepted, 1U);
  EXPECT_EQ(letters_.size(), 2U);
}

TEST_F(DeadLetterIntakeTest, ARequestThatIsRefusedWholeLeavesOnlyTheLettersOfItsBadRecords) {
  make(keeping(), &writer_);
  ASSERT_EQ(submit(record("a", 1) + bad(1) + record("b", 2), 1, true).submission, Submission::taken);
  turn();
  commit_all();
  EXPECT_EQ(record_rows_, 0U);
  ASSERT_EQ(letters_.size(), 1U);
  EXPECT_EQ(text(0, payload), bad_line);
  EXPECT_EQ(listener_.outcomes.at(0).rejected, 3U);
}

TEST_F(DeadLetterIntakeTest, ABodyThatIsNotJsonLeavesNothing) {
  make(keeping());
  ASSERT_EQ(submit("[" + std::string(bad_line) + ", {").submission, Submission::malformed);
  turn();
  EXPECT_TRUE(take_all().empty());
  EXPECT_EQ(stats().dead_letter_rows.value(), 0U);
}

TEST_F(DeadLetterIntakeTest, OfTooManyInOneRequestTheRestIsCountedInARowOfItsOwn) {
  make(keeping(3));
  ASSERT_EQ(submit(bad(10)).submission, Submission::taken);
  turn();
  commit_all();
  ASSERT_EQ(letters_.size(), 4U);
  EXPECT_EQ(text(3, code), "not_kept");
  EXPECT_TRUE(text(3, 6).starts_with("The request had 7 more records")) << text(3, 6);
  EXPECT_EQ(text(3, payload), "");
  EXPECT_EQ(stats().dead_letter_rows.value(), 4U);
  EXPECT_EQ(stats().dead_letter_rows_dropped.value(), 7U);
  EXPECT_EQ(listener_.outcomes.at(0).rejected, 10U);
}

TEST_F(DeadLetterIntakeTest, NothingIsKeptWhereNobodyWantsIt) {
  make(keeping(0));
  ASSERT_EQ(submit(bad(2)).submission, Submission::taken);
  turn();
  EXPECT_TRUE(take_all().empty());
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
}

TEST_F(DeadLetterIntakeTest, AFloodOfBadRecordsLeavesRoomForGoodOnes) {
  BatchingOptions options = keeping(100'000);
  options.batch_bytes = 16U << 10;
  options.batches_max = 32;
  make(options, &writer_);
  for (std::uint64_t request = 0; request < 20; ++request) {
    ASSERT_EQ(submit(bad(2'000), request).submission, Submission::taken) << request;
    turn();
    ASSERT_EQ(submit(record("a", 1), 100 + request).submission, Submission::taken) << request;
    turn();
  }
  EXPECT_EQ(listener_.outcomes.size(), 40U);
  EXPECT_GT(stats().dead_letter_rows.value(), 0U);
  EXPECT_GT(stats().dead_letter_rows_dropped.value(), 0U);
}

TEST_F(DeadLetterIntakeTest, OfARecordTooLargeToHoldTheBeginningIsKept) {
  make(keeping(), &writer_);
  ASSERT_EQ(intake_
                ->reject_too_large({.schema = schema_.get(),
                                    .body = "{\"device",
                                    .format = BodyFormat::ndjson,
                                    .connection = {.slot = 1, .generation = 1},
                                    .cookie = 9},
                                   5'000'000)
                .submission,
            Submission::taken);
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].cookie, 9U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 1U);
  ASSERT_EQ(listener_.outcomes[0].errors.kept().size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].errors.kept()[0].code, RecordErrorCode::record_too_large);
  commit_all();
  ASSERT_EQ(letters_.size(), 1U);
  EXPECT_EQ(text(0, code), "record_too_large");
  EXPECT_EQ(text(0, payload), "{\"device");
  EXPECT_EQ(copy_binary::get<std::uint64_t>(
                reinterpret_cast<const std::byte*>(tuple_field(letters_[0], payload + 1).data())),
            5'000'000U);
}

TEST_F(DeadLetterIntakeTest, ARefusedLetterChangesNoAccount) {
  make(keeping());
  ASSERT_EQ(submit(record("a", 1) + bad(1)).submission, Submission::taken);
  turn();
  for (Batch* batch : take_all()) {
    for_each_row(*batch, [&](const RowHeader& header, std::span<const std::byte>, std::uint32_t row) {
      if (header.stream == dead_letter_index)
        batch->refused().push_back({row, header.record_index, "22021", "not this"});
    });
    give_back(batch, BatchOutcome::committed);
  }
  turn();
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 1U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 1U);
}

}  // namespace
}  // namespace wellhead
