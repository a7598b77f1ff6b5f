#include "journal/producer_table.hpp"

#include <gtest/gtest.h>

namespace wellhead {
namespace {

constexpr std::int64_t second_us = 1'000'000;
constexpr Fingerprint pump{1, 2};

Fingerprint producer_of(std::uint64_t number) {
  return {.low = number, .high = number};
}

struct Table {
  explicit Table(std::size_t entries_max = 100)
      : producers({.window = std::chrono::seconds(10), .entries_max = entries_max}, stats) {}

  // A connection that sends lines up to `last`, which become durable, and goes.
  void send(const Fingerprint& producer, std::uint64_t last, std::int64_t now_us) {
    const std::uint64_t claim = producers.claim(producer, now_us);
    ASSERT_TRUE(producers.begin(producer, claim));
    producers.finish({.producer = producer, .last_sequence = last, .time_us = now_us});
    producers.leave(producer, claim);
  }
  std::uint64_t last_sequence(const Fingerprint& producer, std::int64_t now_us = 0) {
    const std::uint64_t claim = producers.claim(producer, now_us);
    const ProducerStanding standing = producers.standing(producer, claim);
    EXPECT_EQ(standing.status, ProducerStatus::ready);
    producers.leave(producer, claim);
    return standing.last_sequence;
  }

  LedgerStats stats;
  ProducerTable producers;
};

TEST(ProducerTable, AProducerIsToldTheLastLineThatIsDurable) {
  Table table;
  EXPECT_EQ(table.last_sequence(pump), 0U);
  table.send(pump, 40, 0);
  EXPECT_EQ(table.last_sequence(pump), 40U);
  table.send(pump, 90, 0);
  EXPECT_EQ(table.last_sequence(pump), 90U);
  EXPECT_EQ(table.last_sequence(producer_of(5)), 0U);
}

TEST(ProducerTable, ALaterConnectionWaitsUntilTheLinesOfTheEarlierAreSettled) {
  Table table;
  const std::uint64_t earlier = table.producers.claim(pump, 0);
  ASSERT_TRUE(table.producers.begin(pump, earlier));
  ASSERT_TRUE(table.producers.begin(pump, earlier));

  const std::uint64_t later = table.producers.claim(pump, 0);
  EXPECT_EQ(table.producers.standing(pump, later).status, ProducerStatus::settling);
  EXPECT_EQ(table.producers.standing(pump, earlier).status, ProducerStatus::taken_over);
  EXPECT_FALSE(table.producers.begin(pump, earlier));

  table.producers.finish({.producer = pump, .last_sequence = 10, .time_us = 0});
  EXPECT_EQ(table.producers.standing(pump, later).status, ProducerStatus::settling);
  table.producers.leave(pump, earlier);  // gone before its last lines are settled
  table.producers.finish({.producer = pump, .last_sequence = 20, .time_us = 0});
  const ProducerStanding standing = table.producers.standing(pump, later);
  EXPECT_EQ(standing.status, ProducerStatus::ready);
  EXPECT_EQ(standing.last_sequence, 20U);
  EXPECT_TRUE(table.producers.begin(pump, later));
}

TEST(ProducerTable, NoLineIsTakenBehindOneThatWasLost) {
  Table table;
  const std::uint64_t claim = table.producers.claim(pump, 0);
  ASSERT_TRUE(table.producers.begin(pump, claim));
  table.producers.finish({.producer = pump, .last_sequence = 10, .time_us = 0});
  ASSERT_TRUE(table.producers.begin(pump, claim));
  table.producers.abandon(pump);
  EXPECT_FALSE(table.producers.begin(pump, claim));
  EXPECT_EQ(table.last_sequence(pump), 10U);
}

TEST(ProducerTable, LinesTakenBackLeaveTheClaimAsItWas) {
  Table table;
  const std::uint64_t claim = table.producers.claim(pump, 0);
  ASSERT_TRUE(table.producers.begin(pump, claim));
  table.producers.take_back(pump);
  EXPECT_EQ(table.producers.standing(pump, claim).status, ProducerStatus::ready);
  EXPECT_TRUE(table.producers.begin(pump, claim));
}

TEST(ProducerTable, AProducerOfWhichNothingIsStoredLeavesNothing) {
  Table table;
  EXPECT_EQ(table.last_sequence(pump), 0U);
  EXPECT_EQ(table.stats.producers, 0);
  const std::uint64_t claim = table.producers.claim(pump, 0);
  ASSERT_TRUE(table.producers.begin(pump, claim));
  table.producers.leave(pump, claim);
  EXPECT_EQ(table.stats.producers, 1);
  table.producers.abandon(pump);
  EXPECT_EQ(table.stats.producers, 0);
}

TEST(ProducerTable, TheOneSilentLongestGoesFirstAndNeverOneThatSpeaks) {
  Table table(2);
  table.send(producer_of(1), 1, 1);
  const std::uint64_t claim = table.producers.claim(producer_of(1), 1);
  table.send(producer_of(2), 2, 2);
  table.send(producer_of(3), 3, 3);
  EXPECT_EQ(table.stats.evicted, 1U);
  EXPECT_EQ(table.producers.standing(producer_of(1), claim).last_sequence, 1U);
  EXPECT_EQ(table.last_sequence(producer_of(3)), 3U);
  table.producers.leave(producer_of(1), claim);
  EXPECT_EQ(table.last_sequence(producer_of(2)), 0U);
}

TEST(ProducerTable, AProducerIsForgottenWhenItWasSilentForTheWindow) {
  Table table;
  table.send(pump, 40, 0);
  EXPECT_EQ(table.last_sequence(pump, 10 * second_us), 40U);
  EXPECT_EQ(table.last_sequence(pump, 10 * second_us + 1), 0U);
  EXPECT_EQ(table.stats.expired, 1U);
}

TEST(ProducerTable, WhatIsRestoredIsTheFurthestOfEachProducer) {
  Table table(2);
  table.producers.restore({.producer = producer_of(1), .last_sequence = 20, .time_us = 20});
  table.producers.restore({.producer = producer_of(1), .last_sequence = 10, .time_us = 10});
  table.producers.restore({.producer = producer_of(2), .last_sequence = 5, .time_us = 5});
  table.producers.restore({.producer = producer_of(3), .last_sequence = 7, .time_us = 7});
  table.producers.finish_restore(30);
  EXPECT_EQ(table.stats.producers, 2);
  EXPECT_EQ(table.last_sequence(producer_of(1)), 20U);
  EXPECT_EQ(table.last_sequence(producer_of(3)), 7U);
  EXPECT_EQ(table.last_sequence(producer_of(2)), 0U);
}

TEST(ProducerTable, AVisitSeesWhoHasStoredSomething) {
  Table table;
  table.send(pump, 40, 3);
  const std::uint64_t claim = table.producers.claim(producer_of(9), 3);
  std::vector<ProducerEntry> seen;
  table.producers.visit([&](const ProducerEntry& entry) { seen.push_back(entry); }, [] {});
  EXPECT_EQ(seen, (std::vector{ProducerEntry{.producer = pump, .last_sequence = 40, .time_us = 3}}));
  table.producers.leave(producer_of(9), claim);
}

}  // namespace
}  // namespace wellhead
