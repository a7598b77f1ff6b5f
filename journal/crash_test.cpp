// A journal on a disk that loses power at every step of its life: what was durable is there afterwards, what
// was on its way is there whole or not at all, and nothing else is.
#include <gtest/gtest.h>

#include <array>

#include "journal/journal.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t reactors = 2;
constexpr std::uint32_t shards = 3;

JournalOptions small_journal(DirectIo direct) {
  JournalOptions options;
  options.node_id = "crash-test";
  options.reactors = reactors;
  options.shards = shards;
  options.batch_bytes = JournalDriver::batch_bytes;
  options.catalog = "streams\n of the crash test";
  options.segment_bytes = 32U << 10;
  options.block_bytes_max = 28U << 10;
  options.bytes_max = 1U << 20;
  options.free_bytes_min = 0;
  options.keep_bytes = 0;
  options.keep_time = std::chrono::milliseconds(0);
  options.direct = direct;
  return options;
}

// One disk through several runs.
class Life {
 public:
  Life(std::uint64_t seed, DirectIo direct)
      : disk_({.seed = seed}), random_(seed * 7919), options_(small_journal(direct)) {}

  SimulatedFileSystem& disk() { return disk_; }

  // Opens, checks what is there, writes until the power goes or `blocks` are written. Whether it came to the
  // end.
  bool run(unsigned blocks) {
    auto opened = Journal::open(disk_, clock_, options_);
    if (!opened) {
      EXPECT_EQ(opened.error().code, JournalErrorCode::io) << opened.error().sentence;
      return false;
    }
    Journal& journal = **opened;
    check(journal);
    JournalDriver driver(journal, rows_);
    for (unsigned block = 0; block < blocks && disk_.powered(); ++block) {
      clock_.now_ns += 1'000'000;
      driver.prepare();
      write_block(journal, driver);
      if (random_.below(6) == 0) trim(journal);
    }
    return disk_.powered();
  }

  void lose_power() { disk_.crash(); }

 private:
  void write_block(Journal& journal, JournalDriver& driver) {
    std::vector<std::uint32_t> block_shards;
    for (std::uint32_t shard = 0; shard < shards; ++shard)
      if (random_.below(2) == 0) block_shards.push_back(shard);
    const auto reactor = static_cast<std::uint32_t>(random_.below(reactors));
    const auto row_count = static_cast<std::uint32_t>(1 + random_.below(20));
    const auto ledger = static_cast<std::uint32_t>(random_.below(3));
    if (block_shards.empty() && ledger == 0) return;
    const auto result = driver.append(reactor, block_shards, row_count, 200, ledger);
    if (result == CompleteResult::failed) journal.writer(reactor).reopen();
  }

  // Trims what is durable up to a random place, and remembers that it may be gone.
  void trim(Journal& journal) {
    std::map<LaneId, std::uint64_t> flushed;
    for (const auto& [place, payload] : rows_.durable())
      if (random_.below(3) != 0) flushed[place.first] = std::max(flushed[place.first], place.second);
    for (const auto& [lane, sequence] : flushed) flushed_[lane] = std::max(flushed_[lane], sequence);
    const std::vector<std::pair<LaneId, std::uint64_t>> lanes(flushed.begin(), flushed.end());
    std::ignore = journal.trim(lanes);
  }

  void check(Journal& journal) {
    EXPECT_TRUE(journal.survey().lost.empty());
    std::map<Place, Payload> found;
    for (const OldLane& lane : journal.survey().lanes) {
      const auto reader = journal.reader(lane.lane, lane.first);
      ReadBack back = read_lane(*reader, lane.lane, lane.last);
      EXPECT_EQ(back.status, JournalReader::Status::end) << back.problem;
      EXPECT_EQ(back.payloads.size(), lane.last - lane.first + 1);
      found.merge(back.payloads);
    }
    std::size_t explained = 0;
    for (std::size_t block = 0; block < rows_.blocks.size(); ++block) explained += check_block(block, found);
    EXPECT_EQ(explained, found.size()) << "something is there that nobody wrote";
  }

  // How many sections of the block are there: none or all, and all if it was durable and may not be gone.
  // What one recovery said of a block, the next says too: its rows went to the database meanwhile, or its
  // senders were told that it is not there.
  std::size_t check_block(std::size_t number, const std::map<Place, Payload>& found) {
    const WrittenBlock& block = rows_.blocks[number];
    std::size_t there = 0;
    bool may_be_gone = true;
    for (const auto& [place, payload] : block.sections) {
      const auto at = found.find(place);
      if (at != found.end() && at->second == payload) ++there;
      may_be_gone = may_be_gone && place.second <= flushed_[place.first];
    }
    const bool whole = there == block.sections.size();
    const bool was_whole = recovered_.try_emplace(number, whole).first->second;
    EXPECT_TRUE(there == 0 || whole);
    EXPECT_TRUE(whole || !block.durable || may_be_gone) << "a durable block is lost";
    EXPECT_TRUE(whole || !was_whole || may_be_gone) << "a block that was recovered is lost";
    EXPECT_TRUE(!whole || was_whole || block.sections.empty()) << "a block that was given up comes back";
    return there;
  }

  SimulatedFileSystem disk_;
  SimulatedRandom random_;
  ManualClock clock_;
  JournalOptions options_;
  WrittenRows rows_;
  std::map<LaneId, std::uint64_t> flushed_;
  std::map<std::size_t, bool> recovered_;  // by number of the block: whether the first recovery found it
};

class CrashTest : public testing::TestWithParam<DirectIo> {};

TEST_P(CrashTest, APowerLossAtEveryStepLosesNothingDurable) {
  constexpr unsigned blocks = 40;
  Life whole(1, GetParam());
  ASSERT_TRUE(whole.run(blocks));
  const std::uint64_t steps = whole.disk().changes();
  ASSERT_GT(steps, 100U);
  for (std::uint64_t step = 1; step <= steps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    Life life(step, GetParam());
    life.disk().lose_power_in(step);
    std::ignore = life.run(blocks);
    life.lose_power();
    ASSERT_TRUE(life.run(3));
    life.lose_power();
    ASSERT_TRUE(life.run(0));
    if (HasFailure()) return;
  }
}

TEST_P(CrashTest, NoRandomLifeOfPowerLossesAndFailuresLosesAnythingDurable) {
  constexpr std::uint64_t seeds = 1500;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Life life(seed, GetParam());
    SimulatedRandom random(seed);
    for (unsigned run = 0; run < 4; ++run) {
      if (random.chance(0.8)) life.disk().lose_power_in(1 + random.below(400));
      if (random.chance(0.5)) life.disk().arm({.call = SimulatedCall::write, .probability = 0.1});
      if (random.chance(0.3)) life.disk().arm({.call = SimulatedCall::synchronize, .probability = 0.1});
      if (random.chance(0.5))
        life.disk().arm(
            {.call = SimulatedCall::write, .error = SimulatedFault::shortened, .probability = 0.1});
      std::ignore = life.run(20);
      if (!life.disk().powered() || random.chance(0.6))
        life.lose_power();
      else
        life.disk().disarm();  // only the process died
    }
    life.disk().disarm();
    ASSERT_TRUE(life.run(0));
    life.lose_power();
    ASSERT_TRUE(life.run(0));
    if (HasFailure()) return;
  }
}

// The failed block is whole in the old segment, and what cuts it off there is the new segment's header, which
// a killed process left in the page cache only.
TEST(CrashTest, ABlockThatRecoveryGaveUpDoesNotComeBackWhenThePowerGoes) {
  const std::vector<std::uint32_t> lane{0};
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    ManualClock clock;
    WrittenRows rows;
    auto journal = Journal::open(disk, clock, small_journal(DirectIo::off));
    ASSERT_TRUE(journal.has_value());
    JournalDriver driver(**journal, rows);
    driver.prepare();
    ASSERT_EQ(driver.append(0, lane, 5, 100), CompleteResult::durable);
    driver.prepare();
    disk.arm({.call = SimulatedCall::synchronize, .in = 1});
    ASSERT_EQ(driver.append(0, lane, 5, 100), CompleteResult::failed);
    (*journal)->writer(0).reopen();
    disk.arm({.call = SimulatedCall::write, .error = SimulatedFault::shortened, .in = 1});
    disk.arm({.call = SimulatedCall::write, .in = 1});
    ASSERT_EQ(driver.append(0, lane, 5, 100), CompleteResult::failed);
    journal->reset();
    const auto last_found = [&] {
      const auto again = Journal::open(disk, clock, small_journal(DirectIo::off));
      EXPECT_TRUE(again.has_value());
      return (*again)->survey().lanes.at(0).last;
    };
    const std::uint64_t found = last_found();
    disk.crash();
    ASSERT_EQ(last_found(), found) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(ThroughBothPaths, CrashTest, testing::Values(DirectIo::required, DirectIo::off),
                         [](const auto& direct) {
                           return direct.param == DirectIo::required ? "AroundThePageCache"
                                                                     : "ThroughThePageCache";
                         });

}  // namespace
}  // namespace wellhead
