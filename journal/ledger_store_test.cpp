#include "journal/ledger_store.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "journal/simulated_file_system.hpp"

namespace wellhead {
namespace {

constexpr journal_format::JournalId journal_id{1, 2, 3};
constexpr Fingerprint content{1, 1};

class StillClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override { return 1'000'000; }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return 0; }
};

RequestEntry entry_of(std::uint64_t number) {
  return {.key = {number, number},
          .content = content,
          .time_us = 1'000'000,
          .answer = {.accepted = 3, .rejected = 2, .duplicate = 1, .receipt = std::string(40, 'r')}};
}

// A node's ledger from one start to the next crash.
struct LedgerRun {
  explicit LedgerRun(FileSystem& files, journal_format::JournalId id = journal_id)
      : table(LedgerOptions{}), store(files, clock, id, table) {}

  std::expected<std::string, JournalError> start(bool accept_damage = false) {
    auto loaded = store.load(accept_damage);
    store.finish_load();
    return loaded;
  }
  void remember(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t number = first; number <= last; ++number) {
      ASSERT_EQ(table.keys.begin({number, number}, content, 0).status, KeyStatus::fresh);
      table.keys.finish(entry_of(number));
    }
  }
  bool knows(std::uint64_t number) {
    const KeyVerdict verdict = table.keys.begin({number, number}, content, 0);
    if (verdict.status == KeyStatus::fresh) table.keys.abandon({number, number});
    return verdict.status == KeyStatus::repeated && verdict.answer == entry_of(number).answer;
  }
  std::uint64_t knows_up_to() {
    std::uint64_t number = 0;
    while (knows(number + 1)) ++number;
    return number;
  }

  StillClock clock;
  LedgerTable table;
  LedgerStore store;
};

TEST(LedgerStore, AFirstStartFindsNothing) {
  SimulatedFileSystem files({});
  LedgerRun run(files);
  const auto loaded = run.start();
  ASSERT_TRUE(loaded);
  EXPECT_EQ(*loaded, "");
}

TEST(LedgerStore, WhatWasSavedIsKnownAfterPowerLoss) {
  SimulatedFileSystem files({});
  {
    LedgerRun run(files);
    ASSERT_TRUE(run.start());
    run.remember(1, 20'000);  // several frames
    const std::uint64_t claim = run.table.producers.claim({5, 5}, 0);
    ASSERT_TRUE(run.table.producers.begin({5, 5}, claim));
    run.table.producers.finish({.producer = {5, 5}, .last_sequence = 77, .time_us = 1'000'000});
    ASSERT_TRUE(run.store.save());
  }
  files.crash();
  LedgerRun run(files);
  ASSERT_TRUE(run.start());
  EXPECT_EQ(run.knows_up_to(), 20'000U);
  const std::uint64_t claim = run.table.producers.claim({5, 5}, 0);
  EXPECT_EQ(run.table.producers.standing({5, 5}, claim).last_sequence, 77U);
}

TEST(LedgerStore, ALedgerSectionOfTheJournalAddsToTheFile) {
  SimulatedFileSystem files({});
  {
    LedgerRun run(files);
    ASSERT_TRUE(run.start());
    run.remember(1, 2);
    ASSERT_TRUE(run.store.save());
  }
  std::vector<std::byte> payload;
  append_entry(payload, entry_of(2));
  append_entry(payload, entry_of(3));
  LedgerRun run(files);
  ASSERT_TRUE(run.store.load(false));
  ASSERT_TRUE(run.store.restore_section(payload, 2));
  const auto wrong = run.store.restore_section(payload, 3);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, JournalErrorCode::damaged);
  run.store.finish_load();
  EXPECT_EQ(run.knows_up_to(), 3U);
}

// Whatever call the power goes in, the file is the old one or the new one.
TEST(LedgerStore, ASaveIsWholeOrNotAtAllWhereverThePowerGoes) {
  SimulatedFileSystem disk({});
  {
    LedgerRun run(disk);
    ASSERT_TRUE(run.start());
    run.remember(1, 10);
    ASSERT_TRUE(run.store.save());
  }
  bool saved = false;
  int changes = 0;
  for (std::uint64_t change = 1; !saved; ++change, ++changes) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      const auto files = disk.fork();
      files->reseed(seed);
      {
        LedgerRun run(*files);
        ASSERT_TRUE(run.start());
        run.remember(11, 15);
        files->lose_power_in(change);
        saved = run.store.save().has_value();
      }
      files->crash();
      LedgerRun run(*files);
      ASSERT_TRUE(run.start()) << "change " << change << " seed " << seed;
      const std::uint64_t known = run.knows_up_to();
      ASSERT_TRUE(saved ? known == 15 : known == 10 || known == 15)
          << known << " change " << change << " seed " << seed;
      // And what a crash left behind is in nobody's way.
      ASSERT_TRUE(run.store.save());
    }
  }
  EXPECT_GE(changes, 5);
}

TEST(LedgerStore, AFailedSaveSaysSoAndLeavesTheOldFile) {
  for (const SimulatedCall call :
       {SimulatedCall::write, SimulatedCall::synchronize, SimulatedCall::rename, SimulatedCall::open}) {
    SimulatedFileSystem files({});
    LedgerRun run(files);
    ASSERT_TRUE(run.start());
    run.remember(1, 10);
    ASSERT_TRUE(run.store.save());
    run.remember(11, 15);
    files.arm({.call = call, .error = ENOSPC, .in = 1});
    const auto failed = run.store.save();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, JournalErrorCode::io);
    EXPECT_NE(failed.error().sentence.find("ledger"), std::string::npos);
    {
      LedgerRun next(files);
      ASSERT_TRUE(next.start());
      EXPECT_EQ(next.knows_up_to(), 10U);
    }
    ASSERT_TRUE(run.store.save());
    LedgerRun next(files);
    ASSERT_TRUE(next.start());
    EXPECT_EQ(next.knows_up_to(), 15U);
  }
}

TEST(LedgerStore, ALedgerThatTakesLongToSaveIsSavedSeldom) {
  class SlowClock final : public Clock {
   public:
    [[nodiscard]] std::int64_t wall_us() const noexcept override { return 0; }
    [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return now_ns += step_ns; }
    mutable std::int64_t now_ns = 0;
    std::int64_t step_ns = 0;
  } clock;
  SimulatedFileSystem files({});
  LedgerTable table{LedgerOptions{}};
  LedgerStore store(files, clock, journal_id, table);
  clock.step_ns = 100;  // a save looks at the clock twice
  EXPECT_TRUE(store.save_before_trim());
  clock.step_ns = 0;
  clock.now_ns += 899;
  EXPECT_FALSE(store.save_before_trim());
  clock.now_ns += 1;
  EXPECT_TRUE(store.save_before_trim());
  EXPECT_TRUE(store.save_before_trim()) << "that one took no time";
}

TEST(LedgerStore, ShortReadsAndWritesChangeNothing) {
  SimulatedFileSystem files({});
  files.arm({.call = SimulatedCall::write, .error = SimulatedFault::shortened, .probability = 0.7});
  files.arm({.call = SimulatedCall::read, .error = SimulatedFault::shortened, .probability = 0.7});
  {
    LedgerRun run(files);
    ASSERT_TRUE(run.start());
    run.remember(1, 1'000);
    ASSERT_TRUE(run.store.save());
  }
  LedgerRun run(files);
  ASSERT_TRUE(run.start());
  EXPECT_EQ(run.knows_up_to(), 1'000U);
}

TEST(LedgerStore, EveryFlippedBitAndEveryTruncationIsFound) {
  SimulatedFileSystem files({});
  {
    LedgerRun run(files);
    ASSERT_TRUE(run.start());
    run.remember(1, 2);
    ASSERT_TRUE(run.store.save());
  }
  const std::size_t bytes = files.contents("ledger").size();
  for (std::size_t bit = 0; bit < bytes * 8; ++bit) {
    const auto flip = static_cast<std::byte>(1U << bit % 8);
    files.contents("ledger")[bit / 8] ^= flip;
    ASSERT_FALSE(LedgerRun(files).start()) << bit;
    files.contents("ledger")[bit / 8] ^= flip;
  }
  for (std::size_t size = 0; size < bytes; ++size) {
    const auto copy = files.fork();
    copy->cut("ledger", size);
    ASSERT_FALSE(LedgerRun(*copy).start()) << size;
  }
  EXPECT_TRUE(LedgerRun(files).start());
}

TEST(LedgerStore, ADamagedFileIsSetAsideOnlyWhereDamageIsAccepted) {
  SimulatedFileSystem files({});
  {
    LedgerRun run(files);
    ASSERT_TRUE(run.start());
    run.remember(1, 2);
    ASSERT_TRUE(run.store.save());
  }
  files.contents("ledger").back() ^= std::byte{1};
  const auto refused = LedgerRun(files).start();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, JournalErrorCode::damaged);

  LedgerRun run(files);
  const auto accepted = run.start(true);
  ASSERT_TRUE(accepted);
  EXPECT_NE(*accepted, "");
  EXPECT_TRUE(files.contents("ledger").empty());
  EXPECT_FALSE(files.contents("quarantine/ledger").empty());
  ASSERT_TRUE(run.store.save());
  EXPECT_TRUE(LedgerRun(files).start());
}

TEST(LedgerStore, TheLedgerOfAnotherJournalIsRefusedAndLeftAlone) {
  SimulatedFileSystem files({});
  {
    LedgerRun run(files);
    ASSERT_TRUE(run.start());
    run.remember(1, 2);
    ASSERT_TRUE(run.store.save());
  }
  const auto refused = LedgerRun(files, journal_format::JournalId{9}).start(true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, JournalErrorCode::wrong_node);
  EXPECT_TRUE(LedgerRun(files).start());
}

}  // namespace
}  // namespace wellhead
