#include "engine/record_account.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "engine/node_view_fake.hpp"

namespace wellhead {
namespace {

// One reactor, one shard, and what happens to records between them.
class RecordAccountTest : public testing::Test {
 protected:
  void SetUp() override {
    node_.reactor_readings = {{"0", reactor_.get(), intake_.get()}, {"admin", reactor_.get(), nullptr}};
    node_.shard_readings = {{0, ShardState::ready, "", shard_.get()}};
  }

  void take(std::uint64_t records) {
    intake_->records_received.add(records);
    intake_->records_pending.add(static_cast<std::int64_t>(records));
  }
  void make_durable(std::uint64_t records) {
    intake_->records_pending.add(-static_cast<std::int64_t>(records));
    intake_->records_accepted.add(records);
    lag() += 1;
  }
  void commit(std::uint64_t records, std::uint64_t refused = 0) {
    shard_->rows_committed.add(records);
    shard_->rows_refused.add(refused);
    lag() = 0;
  }
  std::uint64_t& lag() { return node_.shard_readings[0].lag_batches; }
  Counter& refused_told() {
    return intake_->records_rejected[static_cast<std::size_t>(RecordErrorCode::database_refused)];
  }

  // Reads, and checks that nothing is missing.
  RecordAccount account() {
    RecordAccount read = read_account(node_);
    EXPECT_EQ(read.unaccounted, 0);
    EXPECT_EQ(static_cast<std::int64_t>(read.received + read.recovered),
              static_cast<std::int64_t>(read.committed + read.rejected_count() + read.quarantined +
                                        read.duplicate + read.abandoned) +
                  read.queued);
    return read;
  }

  std::unique_ptr<ReactorStats> reactor_ = std::make_unique<ReactorStats>();
  std::unique_ptr<IntakeStats> intake_ = std::make_unique<IntakeStats>();
  std::unique_ptr<ShardStats> shard_ = std::make_unique<ShardStats>();
  FakeNode node_;
};

TEST_F(RecordAccountTest, RecordsInTheJournalAreQueuedUntilTheyAreCommitted) {
  take(10);
  EXPECT_EQ(account().queued, 10);
  make_durable(10);
  EXPECT_EQ(account().queued, 10);
  EXPECT_EQ(account().committed, 0U);
  commit(10);
  EXPECT_EQ(account().queued, 0);
  EXPECT_EQ(account().committed, 10U);
}

TEST_F(RecordAccountTest, RecordsWhoseClientWaitsForTheCommitCountOnce) {
  take(10);
  lag() = 1;
  EXPECT_EQ(account().queued, 10);
  commit(10);  // and the batch is on its way back
  EXPECT_EQ(account().queued, 0);
  EXPECT_EQ(account().committed, 10U);
  intake_->records_pending.add(-10);
  intake_->records_accepted.add(10);
  EXPECT_EQ(account().queued, 0);
  EXPECT_EQ(account().committed, 10U);
}

TEST_F(RecordAccountTest, RowsOfEarlierRunsAreATermOfTheirOwn) {
  take(5);
  make_durable(5);
  shard_->rows_recovered.add(100);
  commit(105);
  const RecordAccount read = account();
  EXPECT_EQ(read.received, 5U);
  EXPECT_EQ(read.recovered, 100U);
  EXPECT_EQ(read.committed, 105U);
}

TEST_F(RecordAccountTest, ARowRefusedAfterItsAcknowledgementIsQuarantined) {
  take(10);
  make_durable(10);
  commit(9, 1);
  EXPECT_EQ(account().quarantined, 1U);
  // Its batch came back to the reactor, which moves it over: nothing changes for the node.
  intake_->records_accepted.add(std::uint64_t{0} - 1);
  intake_->records_quarantined.add();
  EXPECT_EQ(account().quarantined, 1U);
}

TEST_F(RecordAccountTest, ARowRefusedWhileItsClientWaitedIsRejected) {
  take(10);
  lag() = 1;
  commit(9, 1);
  EXPECT_EQ(account().queued, 0);
  intake_->records_pending.add(-10);
  intake_->records_accepted.add(9);
  refused_told().add();
  EXPECT_EQ(account().quarantined, 0U);
  EXPECT_EQ(account().rejected_count(), 1U);
}

TEST_F(RecordAccountTest, WhatIsAbandonedOrRepeatedIsNotQueued) {
  take(10);
  intake_->records_pending.add(-10);
  intake_->records_abandoned.add(4);
  intake_->records_duplicate.add(6);
  const RecordAccount read = account();
  EXPECT_EQ(read.abandoned, 4U);
  EXPECT_EQ(read.duplicate, 6U);
  EXPECT_EQ(read.queued, 0);
}

TEST_F(RecordAccountTest, LanesAtTheirEndWithoutTheirRowsAreAFault) {
  take(10);
  make_durable(10);
  commit(7);
  EXPECT_EQ(read_account(node_).unaccounted, 3);
  shard_->rows_committed.add(4);
  EXPECT_EQ(read_account(node_).unaccounted, -1);
}

TEST_F(RecordAccountTest, AReadingBetweenTwoUpdatesIsRepeatedUntilItIsWhole) {
  IntakeStats stats;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop.load()) {
      stats.records_received.add(3);
      stats.records_pending.add(3);
      stats.records_pending.add(-3);
      stats.records_accepted.add(3);
      // A reactor does other things between two requests.
      for (int pause = 0; pause < 1'000 && !stop.load(); ++pause)
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  });
  int whole = 0;
  constexpr int readings = 1'000;
  for (int reading = 0; reading < readings; ++reading)
    whole += read_account(stats).unaccounted() == 0 ? 1 : 0;
  stop = true;
  writer.join();
  EXPECT_GE(whole, readings * 99 / 100);
}

}  // namespace
}  // namespace wellhead
