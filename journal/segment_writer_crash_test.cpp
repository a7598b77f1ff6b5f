// Blocks, failures of the disk, reopening and a power loss, all from a seed: what was durable is there, once
// and in order; of the blocks tried since at most one, as a whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "journal/recovery.hpp"
#include "journal/testing/writer_rig.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t shard_count = WriterRig::shard_count;
using RowCounts = std::array<std::uint64_t, shard_count>;
using RowsByShard = std::array<std::vector<std::string>, shard_count>;

class CrashRun {
 public:
  explicit CrashRun(std::uint64_t seed)
      : random_(seed), rig_({.direct = random_.chance(0.5), .seed = seed}) {}

  void run() {
    arm_faults();
    for (unsigned turn = 0; turn < 60 && rig_.disk().powered(); ++turn) take_turn();
    rig_.disk().crash();
    check();
  }
  [[nodiscard]] std::uint64_t blocks() { return rig_.writer().stats().blocks.value(); }
  [[nodiscard]] std::uint64_t failures() { return rig_.writer().stats().write_failures.value(); }

 private:
  void arm_faults() {
    SimulatedFileSystem& disk = rig_.disk();
    const double often = random_.chance(0.3) ? 0.0 : 0.1;
    disk.arm({.call = SimulatedCall::write, .error = EIO, .probability = often});
    disk.arm({.call = SimulatedCall::write, .error = SimulatedFault::shortened, .probability = 0.2});
    disk.arm({.call = SimulatedCall::synchronize, .error = EIO, .probability = often});
    if (random_.chance(0.7)) disk.lose_power_in(1 + random_.below(150));
  }

  void take_turn() {
    if (rig_.writer().latched()) {
      rig_.writer().reopen();
      // The caller's two ways: again, or given up.
      if (random_.chance(0.5)) batches_.clear();
    }
    if (batches_.empty()) plan_block();
    const AppendStatus status = rig_.writer().append(batches_, {}, 0);
    if (status == AppendStatus::not_ready || status == AppendStatus::full) return rig_.work();
    ASSERT_EQ(status, AppendStatus::planned);
    tried_.push_back(rows_);
    if (rig_.finish() == CompleteResult::durable) count_block();
  }

  void plan_block() {
    rows_ = {};
    for (std::uint64_t left = 1 + random_.below(4); left > 0; --left) {
      const auto shard = static_cast<std::uint32_t>(random_.below(shard_count));
      const std::string text = std::to_string(++last_row_) + std::string(random_.below(9000), '.');
      batches_.push_back(&rig_.batch(shard, {text}));
      rows_[shard].push_back(text);
    }
  }

  static void append(RowsByShard& rows, const RowsByShard& more) {
    for (std::uint32_t shard = 0; shard < shard_count; ++shard)
      rows[shard].insert(rows[shard].end(), more[shard].begin(), more[shard].end());
  }

  void count_block() {
    append(durable_, rows_);
    batches_.clear();
    tried_.clear();
  }

  void check() {
    RowsByShard found;
    for (std::uint32_t shard = 0; shard < shard_count; ++shard) found[shard] = rig_.rows_on_disk(shard);
    const bool one_more = std::ranges::any_of(tried_, [&](const RowsByShard& block) {
      RowsByShard rows = durable_;
      append(rows, block);
      return found == rows;
    });
    EXPECT_TRUE(found == durable_ || one_more)
        << found[0].size() << '/' << found[1].size() << '/' << found[2].size() << " rows instead of "
        << durable_[0].size() << '/' << durable_[1].size() << '/' << durable_[2].size();
    check_recovery(found);
  }

  // Every batch has one row, so a lane's last sequence is its number of rows.
  void check_recovery(const RowsByShard& found) {
    const auto recovered = recover(rig_.disk(), WriterRig::journal_id, UINT64_MAX);
    ASSERT_TRUE(recovered.has_value()) << recovered.error().sentence;
    EXPECT_TRUE(recovered->faults.empty()) << recovered->faults.front().sentence;
    EXPECT_TRUE(recovered->survey.lost.empty());
    RowCounts counts{};
    for (const OldLane& lane : recovered->survey.lanes) {
      EXPECT_EQ(lane.first, 1U);
      counts[lane.lane.shard] = lane.last;
    }
    EXPECT_EQ(counts, (RowCounts{found[0].size(), found[1].size(), found[2].size()}));
  }

  SimulatedRandom random_;
  WriterRig rig_;
  std::vector<Batch*> batches_;  // of the block to be written
  RowsByShard rows_;             // in them
  std::uint64_t last_row_ = 0;
  std::vector<RowsByShard> tried_;  // since the last durable block
  RowsByShard durable_;
};

TEST(SegmentWriterCrash, KeepsWhatWasDurableOnceAndInOrder) {
  std::uint64_t blocks = 0;
  std::uint64_t failures = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    CrashRun run(seed);
    run.run();
    blocks += run.blocks();
    failures += run.failures();
    if (HasFailure()) break;
  }
  EXPECT_GT(blocks, 5000U) << "the seeds show too little";
  EXPECT_GT(failures, 500U);
}

}  // namespace
}  // namespace wellhead
