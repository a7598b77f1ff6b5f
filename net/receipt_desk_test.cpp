#include "net/receipt_desk.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace wellhead {
namespace {

using State = ReceiptStatus::State;

class ReceiptDeskTest : public testing::Test {
 protected:
  static constexpr std::uint32_t digest = 0xC0FFEE;
  static constexpr std::array<OldLane, 1> old_lanes{
      {{.lane = {.epoch = 2, .reactor = 0, .shard = 1}, .first = 10, .last = 20}}};

  [[nodiscard]] ReceiptStatus ask(std::uint32_t epoch, const std::vector<ReceiptPart>& parts,
                                  std::uint32_t journal_digest = digest, std::uint32_t reactor = 0) const {
    std::string text;
    append_receipt(text,
                   {.journal_digest = journal_digest, .epoch = epoch, .reactor = reactor, .parts = parts});
    return desk_.look_up(text);
  }
  [[nodiscard]] State state_of(std::uint32_t epoch, std::uint32_t shard, std::uint64_t sequence) const {
    return ask(epoch, {{shard, sequence, 0, 5}}).state;
  }

  LaneBoard board_{4, 1, 2, old_lanes};
  RefusedRows refused_;
  ReceiptDesk desk_{digest, board_, refused_};
};

TEST_F(ReceiptDeskTest, IsQueuedUntilTheLastOfItsBatchesIsCommitted) {
  board_.at(0, 0).durable = 7;
  board_.at(0, 1).durable = 3;
  const std::vector<ReceiptPart> parts{{0, 7, 0, 40}, {1, 3, 8, 2}};
  EXPECT_EQ(ask(4, parts).state, State::queued);
  board_.at(0, 0).committed = 7;
  EXPECT_EQ(ask(4, parts).state, State::queued);
  board_.at(0, 1).committed = 2;
  EXPECT_EQ(ask(4, parts).state, State::queued);
  board_.at(0, 1).committed = 3;
  const ReceiptStatus status = ask(4, parts);
  EXPECT_EQ(status.state, State::committed);
  EXPECT_EQ(status.accepted, 42U);
  EXPECT_EQ(status.quarantined, 0U);
}

TEST_F(ReceiptDeskTest, RowsTheDatabaseRefusedAreQuarantined) {
  board_.at(0, 0).durable = 7;
  board_.at(0, 0).committed = 7;
  const LaneId lane{.epoch = 4, .reactor = 0, .shard = 0};
  refused_.add(lane, 7, 12);
  refused_.add(lane, 7, 13);
  refused_.add(lane, 7, 99);
  const ReceiptStatus status = ask(4, {{0, 7, 10, 3}});
  EXPECT_EQ(status.state, State::quarantined);
  EXPECT_EQ(status.accepted, 3U);
  EXPECT_EQ(status.quarantined, 1U) << "row 12; the others are another request's";
  EXPECT_EQ(ask(4, {{0, 7, 0, 10}}).state, State::committed);
}

TEST_F(ReceiptDeskTest, WhatNeverWasDurableDoesNotExist) {
  board_.at(0, 0).durable = 7;
  EXPECT_EQ(state_of(4, 0, 7), State::queued);
  EXPECT_EQ(state_of(4, 0, 8), State::unknown);
  EXPECT_EQ(state_of(4, 0, 0), State::unknown);
  EXPECT_EQ(state_of(4, 2, 1), State::unknown) << "there is no such shard";
  EXPECT_EQ(ask(4, {{0, 1, 0, 1}}, digest, 1).state, State::unknown) << "there is no such reactor";
  EXPECT_EQ(ask(4, {}).state, State::unknown) << "of no rows";
}

TEST_F(ReceiptDeskTest, EpochsThatHaveNotBeenDoNotExist) {
  EXPECT_EQ(state_of(5, 0, 1), State::unknown);
  EXPECT_EQ(state_of(0, 0, 1), State::unknown);
}

TEST_F(ReceiptDeskTest, AnotherJournalsReceiptDoesNotExist) {
  board_.at(0, 0).durable = 7;
  EXPECT_EQ(ask(4, {{0, 7, 0, 1}}, digest + 1).state, State::unknown);
  EXPECT_EQ(desk_.look_up("").state, State::unknown);
  EXPECT_EQ(desk_.look_up("not-a-receipt").state, State::unknown);
}

TEST_F(ReceiptDeskTest, EarlierEpochsAreQueuedUntilTheyAreReplayed) {
  EXPECT_EQ(state_of(2, 1, 20), State::queued);
  EXPECT_EQ(state_of(2, 1, 21), State::unknown) << "it was never durable";
  board_.find(old_lanes[0].lane)->committed = 15;
  EXPECT_EQ(state_of(2, 1, 15), State::committed);
  EXPECT_EQ(state_of(2, 1, 16), State::queued);
}

TEST_F(ReceiptDeskTest, WhatTheJournalHoldsNoMoreIsCommitted) {
  EXPECT_EQ(state_of(2, 1, 9), State::committed) << "before the first that is held";
  EXPECT_EQ(state_of(2, 0, 300), State::committed) << "nothing of this lane is held";
  EXPECT_EQ(state_of(1, 0, 1), State::committed) << "nothing of this epoch is held";
}

}  // namespace
}  // namespace wellhead
