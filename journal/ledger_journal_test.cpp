// The ledger and the real journal together, on a disk that tears and fails: a key is remembered when its rows
// are there, and forgotten when they are not.
#include <gtest/gtest.h>

#include <memory>

#include "journal/ledger_store.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {
namespace {

constexpr Fingerprint content{1, 1};

JournalOptions small_journal(DirectIo direct) {
  JournalOptions options;
  options.node_id = "well-1";
  options.batch_bytes = JournalDriver::batch_bytes;
  options.segment_bytes = 64U << 10;
  options.block_bytes_max = 48U << 10;
  options.free_bytes_min = 0;
  options.keep_bytes = 0;
  options.keep_time = std::chrono::milliseconds(0);
  options.direct = direct;
  return options;
}

// A node's journal and ledger from one start to the next crash.
class LedgerRun {
 public:
  LedgerRun(FileSystem& disk, const Clock& clock, DirectIo direct = DirectIo::preferred) : clock_(clock) {
    auto opened = Journal::open(disk, clock, small_journal(direct));
    EXPECT_TRUE(opened.has_value()) << opened.error().sentence;
    journal_ = std::move(*opened);
    store_ = std::make_unique<LedgerStore>(disk, clock, journal_->id(), table_);
    const auto loaded = open_ledger(*store_, *journal_, false);
    EXPECT_TRUE(loaded.has_value()) << loaded.error().sentence;
  }

  Journal& journal() { return *journal_; }
  LedgerStore& store() { return *store_; }

  void prepare() {
    while (journal_->work()) {
    }
  }
  // A block of one row and its key.
  CompleteResult write(std::uint64_t key) {
    prepare();
    Batch batch(JournalDriver::batch_bytes, 0);
    fill_batch(batch, 0, 1, 100, key);
    const RequestEntry entry = entry_of(key);
    EXPECT_EQ(table_.keys.begin(entry.key, content, clock_.wall_us()).status, KeyStatus::fresh);
    std::vector<std::byte> payload;
    append_entry(payload, entry);
    Batch* const batches[] = {&batch};
    EXPECT_EQ(journal_->writer(0).append(batches, payload, 1), AppendStatus::planned);
    const CompleteResult result = carry_out(journal_->writer(0));
    if (result == CompleteResult::durable)
      table_.keys.finish(entry);
    else
      table_.keys.abandon(entry.key);
    return result;
  }

  bool knows(std::uint64_t key) {
    const KeyVerdict verdict = table_.keys.begin({key, key}, content, clock_.wall_us());
    if (verdict.status == KeyStatus::fresh) table_.keys.abandon({key, key});
    return verdict.status == KeyStatus::repeated;
  }
  // Batches of earlier runs that a shard would replay.
  std::uint64_t batches_before() const {
    std::uint64_t batches = 0;
    for (const OldLane& lane : journal_->survey().lanes) batches += lane.last - lane.first + 1;
    return batches;
  }

 private:
  RequestEntry entry_of(std::uint64_t key) const {
    return {.key = {key, key},
            .content = content,
            .time_us = clock_.wall_us(),
            .answer = {.accepted = 1, .receipt = {}}};
  }

  const Clock& clock_;
  LedgerTable table_{LedgerOptions{}};
  std::unique_ptr<LedgerStore> store_;  // outlives the journal, which calls it
  std::unique_ptr<Journal> journal_;
};

TEST(LedgerJournal, AKeyIsKnownAfterACrashWhenItsRowsAreThere) {
  ManualClock clock;
  SimulatedFileSystem disk({.seed = 1});
  for (std::uint64_t run = 0; run < 3; ++run) {
    LedgerRun node(disk, clock);
    for (std::uint64_t key = 1; key <= run * 5; ++key) EXPECT_TRUE(node.knows(key)) << key;
    for (std::uint64_t key = run * 5 + 1; key <= run * 5 + 5; ++key)
      ASSERT_EQ(node.write(key), CompleteResult::durable);
    disk.crash();
  }
}

// What a block that failed left on the disk may be all of it, some or nothing. Whatever it is, and whether
// the node went on or not, its key is remembered exactly when its rows are replayed.
TEST(LedgerJournal, AKeyOfABlockThatFailedIsKnownOnlyWithItsRows) {
  int survived = 0;
  for (const bool direct : {true, false}) {
    for (const bool goes_on : {true, false}) {
      for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE("direct " + std::to_string(direct) + " goes on " + std::to_string(goes_on) + " seed " +
                     std::to_string(seed));
        ManualClock clock;
        SimulatedFileSystem disk({.seed = seed});
        {
          LedgerRun node(disk, clock, direct ? DirectIo::required : DirectIo::off);
          ASSERT_EQ(node.write(1), CompleteResult::durable);
          node.prepare();
          disk.arm({.call = direct ? SimulatedCall::write : SimulatedCall::synchronize, .in = 1});
          ASSERT_EQ(node.write(2), CompleteResult::failed);
          EXPECT_FALSE(node.knows(2));
          if (goes_on) {
            node.journal().writer(0).reopen();
            ASSERT_EQ(node.write(3), CompleteResult::durable);
          }
          disk.crash();
        }
        LedgerRun node(disk, clock);
        EXPECT_TRUE(node.knows(1));
        EXPECT_EQ(node.knows(3), goes_on);
        const std::uint64_t others = goes_on ? 2 : 1;
        EXPECT_EQ(node.knows(2), node.batches_before() > others);
        EXPECT_FALSE(goes_on && node.knows(2)) << "another block has its place";
        survived += node.knows(2) ? 1 : 0;
        ASSERT_FALSE(testing::Test::HasFailure());
      }
    }
  }
  EXPECT_GT(survived, 0) << "no failed block ever reached the disk: the test shows too little";
}

TEST(LedgerJournal, KeysOutliveTheSegmentsTheyWereWrittenIn) {
  constexpr std::uint64_t keys = 60;
  ManualClock clock;
  SimulatedFileSystem disk({.seed = 3});
  {
    LedgerRun node(disk, clock);
    for (std::uint64_t key = 1; key <= keys; ++key) ASSERT_EQ(node.write(key), CompleteResult::durable);
    clock.now_ns += 1'000'000;
    const std::pair<LaneId, std::uint64_t> flushed[] = {{{1, 0, 0}, keys}};

    disk.arm({.call = SimulatedCall::rename, .error = ENOSPC, .in = 1});
    ASSERT_EQ(node.journal().trim(flushed), 0U) << "the keys have no other place yet";
    ASSERT_GT(node.journal().trim(flushed).value(), 0U);
    EXPECT_GT(node.journal().first_sequence({1, 0, 0}), 1U);
    ASSERT_EQ(node.write(keys + 1), CompleteResult::durable);
  }
  disk.crash();
  LedgerRun node(disk, clock);
  for (std::uint64_t key = 1; key <= keys + 1; ++key) EXPECT_TRUE(node.knows(key)) << key;
}

}  // namespace
}  // namespace wellhead
