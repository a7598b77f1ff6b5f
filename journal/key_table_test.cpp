#include "journal/key_table.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace wellhead {
namespace {

constexpr Fingerprint content{100, 200};
constexpr Fingerprint other_content{101, 200};
constexpr std::int64_t second_us = 1'000'000;

Fingerprint key_of(std::uint64_t number) {
  return {.low = number, .high = number * 0x9E3779B97F4A7C15U};
}

RequestEntry entry_of(std::uint64_t number, std::int64_t time_us) {
  return {.key = key_of(number),
          .content = content,
          .time_us = time_us,
          .answer = {.accepted = static_cast<std::uint32_t>(number),
                     .rejected = 1,
                     .duplicate = 0,
                     .receipt = "receipt " + std::to_string(number)}};
}

struct Table {
  explicit Table(std::size_t entries_max = 100, std::chrono::seconds window = std::chrono::seconds(10))
      : keys({.window = window, .entries_max = entries_max}, stats) {}

  KeyStatus begin(std::uint64_t number, std::int64_t now_us = 0) {
    return keys.begin(key_of(number), content, now_us).status;
  }
  void store(std::uint64_t number, std::int64_t now_us = 0) {
    ASSERT_EQ(begin(number, now_us), KeyStatus::fresh);
    keys.finish(entry_of(number, now_us));
  }

  LedgerStats stats;
  KeyTable keys;
};

TEST(KeyTable, ARequestThatIsStoredIsAnsweredAsBefore) {
  Table table;
  table.store(7);
  const KeyVerdict verdict = table.keys.begin(key_of(7), content, second_us);
  EXPECT_EQ(verdict.status, KeyStatus::repeated);
  EXPECT_EQ(verdict.answer, entry_of(7, 0).answer);
  EXPECT_EQ(table.stats.keys_repeated, 1U);
}

TEST(KeyTable, AKeyOnItsWayIsNotTakenTwice) {
  Table table;
  EXPECT_EQ(table.begin(7), KeyStatus::fresh);
  EXPECT_EQ(table.begin(7), KeyStatus::in_flight);
  EXPECT_EQ(table.begin(8), KeyStatus::fresh);
}

TEST(KeyTable, AKeyOfAnAbandonedRequestIsFree) {
  Table table;
  EXPECT_EQ(table.begin(7), KeyStatus::fresh);
  table.keys.abandon(key_of(7));
  EXPECT_EQ(table.keys.begin(key_of(7), other_content, 0).status, KeyStatus::fresh);
  EXPECT_EQ(table.stats.keys, 0);
}

TEST(KeyTable, OtherContentUnderTheSameKeyIsAConflictBeforeAndAfterTheFirstIsStored) {
  Table table;
  EXPECT_EQ(table.begin(7), KeyStatus::fresh);
  EXPECT_EQ(table.keys.begin(key_of(7), other_content, 0).status, KeyStatus::conflict);
  table.keys.finish(entry_of(7, 0));
  EXPECT_EQ(table.keys.begin(key_of(7), other_content, 0).status, KeyStatus::conflict);
  EXPECT_EQ(table.stats.keys_conflicting, 2U);
}

TEST(KeyTable, AKeyIsForgottenAtTheEndOfItsWindowAndNotBefore) {
  Table table;
  table.store(7, 0);
  EXPECT_EQ(table.begin(7, 10 * second_us), KeyStatus::repeated);
  EXPECT_EQ(table.begin(7, 10 * second_us + 1), KeyStatus::fresh);
  EXPECT_EQ(table.stats.expired, 1U);
  EXPECT_EQ(table.stats.keys, 0);
}

TEST(KeyTable, ARequestOnItsWayOutlivesTheWindow) {
  Table table;
  EXPECT_EQ(table.begin(7, 0), KeyStatus::fresh);
  EXPECT_EQ(table.begin(7, 100 * second_us), KeyStatus::in_flight);
}

TEST(KeyTable, TheOldestGoFirstWhenThereAreTooMany) {
  Table table(3);
  for (std::uint64_t number = 1; number <= 4; ++number) table.store(number, static_cast<int>(number));
  EXPECT_EQ(table.begin(1, 5), KeyStatus::fresh);
  for (std::uint64_t number = 2; number <= 4; ++number)
    EXPECT_EQ(table.begin(number, 5), KeyStatus::repeated) << number;
  EXPECT_EQ(table.stats.evicted, 1U);
  EXPECT_EQ(table.stats.keys, 3);
}

TEST(KeyTable, ManyStripesTogetherKeepWithinTheirBound) {
  constexpr std::size_t entries_max = 64 * 4'096;
  Table table(entries_max);
  for (std::uint64_t number = 0; number < entries_max + entries_max / 4; ++number) table.store(number);
  EXPECT_LE(table.stats.keys, static_cast<std::int64_t>(entries_max));
  EXPECT_GT(table.stats.keys, static_cast<std::int64_t>(entries_max / 10 * 9));
  EXPECT_EQ(table.begin(entries_max + entries_max / 4 - 1), KeyStatus::repeated);
}

TEST(KeyTable, WhatIsRestoredIsKnownInItsOldOrder) {
  Table table(3, std::chrono::seconds(10));
  table.keys.restore(entry_of(4, 4));
  table.keys.restore(entry_of(1, 1));
  table.keys.restore(entry_of(3, 3));
  table.keys.restore(entry_of(2, 2));
  table.keys.finish_restore(5);
  EXPECT_EQ(table.begin(1, 5), KeyStatus::fresh);  // one too many: the oldest
  EXPECT_EQ(table.begin(4, 5), KeyStatus::repeated);
  EXPECT_EQ(table.begin(2, 10 * second_us + 3), KeyStatus::fresh);  // and the window counts from then
  EXPECT_EQ(table.begin(3, 10 * second_us + 3), KeyStatus::repeated);
}

TEST(KeyTable, OfTwoRestoredEntriesOfAKeyTheLaterCountsInEitherOrder) {
  RequestEntry later = entry_of(7, 20);
  later.content = other_content;
  for (const bool later_first : {true, false}) {
    Table table;
    table.keys.restore(later_first ? later : entry_of(7, 10));
    table.keys.restore(later_first ? entry_of(7, 10) : later);
    table.keys.finish_restore(30);
    EXPECT_EQ(table.keys.begin(key_of(7), other_content, 30).status, KeyStatus::repeated);
    EXPECT_EQ(table.stats.keys, 1);
  }
}

TEST(KeyTable, AVisitSeesWhatIsDoneAndNothingElse) {
  Table table;
  table.store(1, 1);
  table.store(2, 2);
  EXPECT_EQ(table.begin(3), KeyStatus::fresh);
  std::vector<RequestEntry> seen;
  int stripes = 0;
  table.keys.visit([&](const RequestEntry& entry) { seen.push_back(entry); }, [&] { ++stripes; });
  EXPECT_EQ(seen, (std::vector{entry_of(1, 1), entry_of(2, 2)}));
  EXPECT_EQ(stripes, 1);
}

TEST(KeyTable, OfManyThreadsWithTheSameKeyOneGoesAhead) {
  constexpr int threads_count = 4;
  constexpr std::uint64_t keys_count = 5'000;
  Table table(20'000);
  std::vector<std::atomic<int>> fresh(keys_count);
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < threads_count; ++thread)
      threads.emplace_back([&] {
        for (std::uint64_t number = 0; number < keys_count; ++number) {
          // Tried again until somebody's attempt is stored; every third fresh one is abandoned once.
          while (true) {
            const KeyStatus status = table.begin(number);
            if (status == KeyStatus::repeated) break;
            if (status != KeyStatus::fresh) continue;
            if (fresh[number].fetch_add(1) == 0 && number % 3 == 0)
              table.keys.abandon(key_of(number));
            else
              table.keys.finish(entry_of(number, 0));
          }
        }
      });
  }
  for (std::uint64_t number = 0; number < keys_count; ++number)
    ASSERT_EQ(fresh[number], number % 3 == 0 ? 2 : 1) << number;
}

}  // namespace
}  // namespace wellhead
