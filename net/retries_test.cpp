// What the intake remembers of requests that may be repeated, with a journal that a test drives.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "journal/ledger_table.hpp"
#include "net/batching_intake.hpp"
#include "net/testing/intake_fixture.hpp"

namespace wellhead {
namespace {

using testing::FakeWriter;
using testing::record;

constexpr const char* bad_record = "{\"device_id\":\"a\"}\n";

class RetriesTest : public testing::IntakeFixture {
 protected:
  void SetUp() override { start(); }

  // A node on what the journal of the last one holds; a block on its way is lost.
  void start(const BatchingOptions& options = {}) {
    (void)take_all();
    std::array<Batch*, 64> dropped{};
    while (returns_.take(dropped) > 0) {
    }
    intake_.reset();
    if (writer_) held_.insert(held_.end(), writer_->ledger().begin(), writer_->ledger().end());
    writer_ = std::make_unique<FakeWriter>();
    table_ = std::make_unique<LedgerTable>(LedgerOptions{});
    for (const FakeWriter::LedgerSection& section : held_) {
      const auto entries = decode_entries(section.payload, section.entries);
      ASSERT_TRUE(entries);
      for (const LedgerEntry& entry : *entries) table_->restore(entry);
    }
    table_->finish_restore(clock_.wall_us());
    make(options, writer_.get(), table_.get());
  }

  struct Sent {
    std::string key = {};
    AckLevel ack = AckLevel::journal;
    bool all_or_nothing = false;
    ProducerLines lines = {};
  };
  SubmitResult send(std::string body, const Sent& sent) {
    const std::size_t size = body.size();
    body.append(input_padding_bytes, '\0');
    return intake_->submit({.schema = schema_.get(),
                            .body = std::string_view(body).substr(0, size),
                            .format = BodyFormat::detect,
                            .connection = {.slot = 1, .generation = 1},
                            .cookie = ++cookie_,
                            .all_or_nothing = sent.all_or_nothing,
                            .ack = sent.ack,
                            .wants_receipt = true,
                            .idempotency_key = sent.key,
                            .lines = sent.lines});
  }
  Submission send_key(const std::string& body, const std::string& key) {
    return send(body, {.key = key}).submission;
  }
  void finish_block() {
    while (const auto operation = intake_->journal_operation())
      intake_->on_journal_completion(perform(*operation));
  }
  // Until nothing more happens by itself.
  void settle() {
    for (int round = 0; round < 3; ++round) {
      intake_->turn(listener_);
      finish_block();
    }
    intake_->turn(listener_);
  }
  std::uint64_t rows_at_shards() {
    std::uint64_t rows = 0;
    for (Batch* batch : take_all()) {
      rows += batch->row_count();
      give_back(batch, BatchOutcome::committed);
    }
    return rows;
  }

  std::vector<FakeWriter::LedgerSection> held_;  // by the journals of earlier starts
  std::unique_ptr<FakeWriter> writer_;
  std::unique_ptr<LedgerTable> table_;
  std::uint64_t cookie_ = 0;
};

TEST_F(RetriesTest, ARepeatedRequestIsAnsweredAsBeforeAndStoredOnce) {
  const std::string body = record("a", 1) + bad_record + record("well-1", 2);
  ASSERT_EQ(send_key(body, "k"), Submission::taken);
  settle();
  ASSERT_EQ(send_key(body, "k"), Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  const RequestOutcome& first = listener_.outcomes[0];
  const RequestOutcome& second = listener_.outcomes[1];
  EXPECT_FALSE(first.replayed);
  EXPECT_TRUE(second.replayed);
  EXPECT_EQ(second.cookie, 2U);
  EXPECT_EQ(second.accepted, 2U);
  EXPECT_EQ(second.rejected, 1U);
  EXPECT_EQ(second.duplicate, 0U);
  ASSERT_EQ(second.errors.kept().size(), 1U);
  EXPECT_EQ(second.errors.kept()[0].index, first.errors.kept()[0].index);
  EXPECT_EQ(second.errors.kept()[0].message, first.errors.kept()[0].message);
  EXPECT_FALSE(listener_.receipts[0].empty());
  EXPECT_EQ(listener_.receipts[0], listener_.receipts[1]);
  EXPECT_EQ(rows_at_shards(), 2U);
  EXPECT_EQ(stats().records_received.value(), 6U);
  EXPECT_EQ(stats().records_duplicate.value(), 2U);
}

TEST_F(RetriesTest, ARequestOnItsWayIsNotTakenTwice) {
  ASSERT_EQ(send_key(record("a", 1), "k"), Submission::taken);
  EXPECT_EQ(send_key(record("a", 1), "k"), Submission::in_flight);
  intake_->turn(listener_);  // its block is being written
  EXPECT_EQ(send_key(record("a", 1), "k"), Submission::in_flight);
  settle();
  EXPECT_EQ(send_key(record("a", 1), "k"), Submission::taken);
  EXPECT_EQ(send_key(record("a", 1), "another"), Submission::taken);
  settle();
  EXPECT_EQ(rows_at_shards(), 2U);
}

TEST_F(RetriesTest, AKeyUsedForOtherContentIsAConflict) {
  ASSERT_EQ(send_key(record("a", 1), "k"), Submission::taken);
  EXPECT_EQ(send_key(record("a", 2), "k"), Submission::conflict);
  settle();
  EXPECT_EQ(send_key(record("a", 2), "k"), Submission::conflict);
  EXPECT_EQ(send(record("a", 1), {.key = "k", .all_or_nothing = true}).submission, Submission::conflict);
  EXPECT_EQ(listener_.outcomes.size(), 1U);
}

TEST_F(RetriesTest, AfterARestartTheRowsAndTheKeyAreThereOrNeitherIs) {
  ASSERT_EQ(send_key(record("a", 1), "durable"), Submission::taken);
  settle();
  const std::string receipt = listener_.receipts.at(0);
  ASSERT_EQ(send_key(record("a", 2), "written but not synchronized"), Submission::taken);
  intake_->turn(listener_);
  intake_->on_journal_completion(perform(*intake_->journal_operation()));
  ASSERT_TRUE(writer_->writing());

  start();
  EXPECT_EQ(send_key(record("a", 1), "durable"), Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_TRUE(listener_.outcomes[1].replayed);
  EXPECT_EQ(listener_.receipts[1], receipt);
  EXPECT_EQ(send_key(record("a", 2), "written but not synchronized"), Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 3U);
  EXPECT_FALSE(listener_.outcomes[2].replayed);
}

// Nobody knows whether a failed block is whole on the disk, where the next start would find it.
TEST_F(RetriesTest, TheKeysOfAFailedBlockAreInDoubtAtEveryReactorUntilALaterBlockTookItsPlace) {
  const auto known = [this](std::string_view key) {
    const Fingerprint fingerprint = key_fingerprint("telemetry", key);
    const KeyStatus status = table_->keys.begin(fingerprint, {}, 0).status;
    if (status == KeyStatus::fresh) table_->keys.abandon(fingerprint);
    return status != KeyStatus::fresh;
  };
  ASSERT_EQ(send_key(record("a", 1), "in the block"), Submission::taken);
  intake_->turn(listener_);
  ASSERT_EQ(send_key(record("a", 2), "behind it"), Submission::taken);
  ASSERT_TRUE(intake_->journal_operation());
  intake_->on_journal_completion(-EIO);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_TRUE(listener_.outcomes[0].abandoned);
  EXPECT_TRUE(listener_.outcomes[1].nothing_stored);
  EXPECT_TRUE(known("in the block"));
  EXPECT_FALSE(known("behind it"));
  intake_->reopen_journal();
  intake_->turn(listener_);
  EXPECT_EQ(send_key(record("a", 1), "in the block"), Submission::in_flight);
  const std::uint64_t blocks = writer_->blocks_durable();
  settle();
  EXPECT_EQ(writer_->blocks_durable(), blocks + 1) << "an empty one, so that nobody waits for traffic";
  EXPECT_FALSE(known("in the block"));
  ASSERT_EQ(send_key(record("a", 1), "in the block"), Submission::taken);
  ASSERT_EQ(send_key(record("a", 2), "behind it"), Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 4U);
  EXPECT_FALSE(listener_.outcomes[2].replayed || listener_.outcomes[2].abandoned);
  EXPECT_EQ(rows_at_shards(), 2U);
}

TEST_F(RetriesTest, WhatWasNotTakenIsNotRemembered) {
  EXPECT_EQ(send_key("[{\"a\":1},", "k"), Submission::malformed);
  EXPECT_EQ(send_key(record("a", 1), "k"), Submission::taken);
  settle();
  writer_->answer(AppendStatus::full);
  ASSERT_EQ(send_key(record("a", 1), "waits"), Submission::taken);
  settle();
  EXPECT_EQ(send_key(record("a", 2), "refused"), Submission::unavailable);
  writer_->answer(AppendStatus::planned);
  settle();
  EXPECT_EQ(send_key(record("a", 3), "refused"), Submission::taken);
  settle();
  EXPECT_EQ(listener_.outcomes.size(), 3U);
  EXPECT_EQ(table_->stats.keys, 3);
}

TEST_F(RetriesTest, ARepeatedRequestIsAnsweredAlsoWhenTheJournalIsFullAndTheDatabaseAway) {
  ASSERT_EQ(send_key(record("a", 1), "k"), Submission::taken);
  settle();
  writer_->answer(AppendStatus::full);
  available_ = {false, false};
  ASSERT_EQ(send_key(record("a", 2), "fills it"), Submission::taken);
  settle();
  EXPECT_EQ(send_key(record("a", 3), "new"), Submission::unavailable);
  ASSERT_EQ(send_key(record("a", 1), "k"), Submission::taken);
  EXPECT_EQ(send(record("a", 1), {.key = "k", .ack = AckLevel::commit}).submission, Submission::unavailable);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_TRUE(listener_.outcomes[1].replayed);
  writer_->answer(AppendStatus::planned);
  settle();
}

TEST_F(RetriesTest, ARequestOfWhichNothingIsStoredMayBeMendedUnderItsKey) {
  ASSERT_EQ(send_key(bad_record, "k"), Submission::taken);
  ASSERT_EQ(send(record("a", 1) + bad_record, {.key = "all", .all_or_nothing = true}).submission,
            Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(table_->stats.keys, 0);
  EXPECT_EQ(send_key(record("a", 1), "k"), Submission::taken);
  EXPECT_EQ(send(record("a", 1), {.key = "all", .all_or_nothing = true}).submission, Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 4U);
  EXPECT_EQ(listener_.outcomes[2].accepted + listener_.outcomes[3].accepted, 2U);
  EXPECT_FALSE(listener_.outcomes[2].replayed || listener_.outcomes[3].replayed);
}

TEST_F(RetriesTest, ARepeatedRequestThatAsksForTheCommitWaitsForIt) {
  ASSERT_EQ(send_key(record("a", 1) + record("well-1", 1), "k"), Submission::taken);
  settle();
  ASSERT_EQ(send(record("a", 1) + record("well-1", 1), {.key = "k", .ack = AckLevel::commit}).submission,
            Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 1U) << "durable, not committed";
  EXPECT_LT(intake_->sleep_max(), std::chrono::milliseconds(100)) << "no shard wakes the reactor for it";
  EXPECT_EQ(intake_->pending(), 1U);
  std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 2U);
  for (Batch* batch : batches) {
    EXPECT_EQ(listener_.outcomes.size(), 1U);
    board_.at(0, batch->shard()).committed.store(batch->lane_sequence());
    give_back(batch, BatchOutcome::committed);
    settle();
  }
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_TRUE(listener_.outcomes[1].replayed);
  EXPECT_EQ(listener_.outcomes[1].accepted, 2U);
  EXPECT_EQ(intake_->pending(), 0U);
}

TEST_F(RetriesTest, ManyKeysAtOnceShareABlockAndEachComesBackWithItsOwnReceipt) {
  start({.batch_bytes = 4096, .batches_max = 200, .block_bytes_max = 64 * 4096});
  std::size_t taken = 0;
  for (int number = 0; number < 300; ++number)
    if (send_key(record("a", number % 60), "key " + std::to_string(number)) == Submission::taken) ++taken;
  EXPECT_LT(taken, 300U) << "the section has its bound";
  EXPECT_GT(taken, 10U);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), taken);
  const std::vector<std::string> receipts = listener_.receipts;

  start();
  for (std::size_t number = 0; number < taken; ++number)
    ASSERT_EQ(send_key(record("a", static_cast<int>(number) % 60), "key " + std::to_string(number)),
              Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 2 * taken);
  for (std::size_t number = 0; number < taken; ++number) {
    EXPECT_TRUE(listener_.outcomes[taken + number].replayed);
    EXPECT_EQ(listener_.receipts[taken + number], receipts[number]);
  }
}

TEST_F(RetriesTest, ARepeatedRequestWritesNoSecondDeadLetter) {
  BatchingOptions options;
  options.dead_letter = {.schema = Schema::compile(dead_letter_stream(1'024), 1).value(),
                         .node_id = "node-1"};
  start(options);
  const std::string body = record("a", 1) + bad_record;
  ASSERT_EQ(send_key(body, "k"), Submission::taken);
  settle();
  EXPECT_EQ(rows_at_shards(), 2U);
  EXPECT_EQ(stats().dead_letter_rows.value(), 1U);
  ASSERT_EQ(send_key(body, "k"), Submission::taken);
  settle();
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(listener_.outcomes[1].rejected, 1U);
  EXPECT_EQ(listener_.receipts[0], listener_.receipts[1]);
  EXPECT_EQ(rows_at_shards(), 0U);
  EXPECT_EQ(stats().dead_letter_rows.value(), 1U);
}

// --- producers ---

TEST_F(RetriesTest, AProducersLinesAreDurableTogetherWithItsPlace) {
  const Fingerprint producer = producer_fingerprint("telemetry", "pump");
  const std::uint64_t claim = table_->producers.claim(producer, 0);
  ASSERT_EQ(send(record("a", 1), {.lines = {producer, claim, 1}}).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_EQ(send(record("a", 2), {.lines = {producer, claim, 5}}).submission, Submission::taken);
  const std::uint64_t later = table_->producers.claim(producer, 0);
  EXPECT_EQ(table_->producers.standing(producer, later).status, ProducerStatus::settling);
  EXPECT_EQ(send(record("a", 3), {.lines = {producer, claim, 6}}).submission, Submission::taken_over);
  settle();
  EXPECT_EQ(table_->producers.standing(producer, later).last_sequence, 5U);

  start();
  const std::uint64_t again = table_->producers.claim(producer, 0);
  EXPECT_EQ(table_->producers.standing(producer, again).last_sequence, 5U);
}

TEST_F(RetriesTest, NoLineOfAProducerIsStoredBehindOneThatFailed) {
  const Fingerprint producer = producer_fingerprint("telemetry", "pump");
  const std::uint64_t claim = table_->producers.claim(producer, 0);
  ASSERT_EQ(send(record("a", 1), {.lines = {producer, claim, 1}}).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_EQ(send(record("a", 2), {.lines = {producer, claim, 2}}).submission, Submission::taken);
  ASSERT_TRUE(intake_->journal_operation());
  intake_->on_journal_completion(-EIO);
  intake_->turn(listener_);
  EXPECT_EQ(listener_.outcomes.size(), 2U);
  const std::uint64_t later = table_->producers.claim(producer, 0);
  EXPECT_EQ(table_->producers.standing(producer, later).status, ProducerStatus::settling);
  intake_->reopen_journal();
  settle();
  EXPECT_EQ(send(record("a", 3), {.lines = {producer, claim, 3}}).submission, Submission::taken_over);
  EXPECT_EQ(rows_at_shards(), 0U);
  const ProducerStanding standing = table_->producers.standing(producer, later);
  EXPECT_EQ(standing.status, ProducerStatus::ready);
  EXPECT_EQ(standing.last_sequence, 0U);
}

TEST_F(RetriesTest, LinesOfWhichNoneIsStoredLeaveTheProducerWhereItWas) {
  const Fingerprint producer = producer_fingerprint("telemetry", "pump");
  const std::uint64_t claim = table_->producers.claim(producer, 0);
  ASSERT_EQ(send(bad_record, {.lines = {producer, claim, 1}}).submission, Submission::taken);
  settle();
  EXPECT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(table_->producers.standing(producer, claim).last_sequence, 0U);
  ASSERT_EQ(send(record("a", 1), {.lines = {producer, claim, 2}}).submission, Submission::taken);
  settle();
  EXPECT_EQ(table_->producers.standing(producer, claim).last_sequence, 2U);
}

TEST_F(RetriesTest, LinesPassedOverAreInTheAccount) {
  intake_->count_duplicates(17);
  EXPECT_EQ(stats().records_received.value(), 17U);
  EXPECT_EQ(stats().records_duplicate.value(), 17U);
}

}  // namespace
}  // namespace wellhead
