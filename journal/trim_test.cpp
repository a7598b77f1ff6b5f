#include "journal/trim.hpp"

#include <gtest/gtest.h>

#include "journal/journal.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {
namespace {

using Flushed = std::vector<std::pair<LaneId, std::uint64_t>>;

constexpr std::int64_t minute_us = 60'000'000;

SegmentEntry entry(SegmentId id, std::vector<LaneRange> lanes, std::int64_t last_written_us) {
  SegmentEntry segment;
  segment.id = id;
  segment.bytes = 100;
  segment.lanes = std::move(lanes);
  segment.last_written_us = last_written_us;
  return segment;
}

std::vector<std::uint64_t> numbers(const std::vector<SegmentEntry>& going) {
  std::vector<std::uint64_t> segments;
  for (const SegmentEntry& segment : going) segments.push_back(segment.id.segment);
  return segments;
}

// Three segments of one lane with ten batches each.
std::vector<SegmentEntry> three_segments() {
  return {entry({1, 0, 1}, {{0, 1, 10}}, 1 * minute_us), entry({1, 0, 2}, {{0, 11, 20}}, 2 * minute_us),
          entry({1, 0, 3}, {{0, 21, 30}}, 3 * minute_us)};
}

TEST(TrimPlan, TakesOnlyWhatIsFlushedToItsLastBatch) {
  const KeepBounds keep_nothing{0, 0};
  const LaneId lane{1, 0, 0};
  const auto plan = [&](std::uint64_t sequence) {
    return numbers(plan_trim(three_segments(), Flushed{{lane, sequence}}, keep_nothing, 4 * minute_us));
  };
  EXPECT_EQ(plan(9), (std::vector<std::uint64_t>{}));
  EXPECT_EQ(plan(10), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(plan(29), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(plan(30), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST(TrimPlan, ALaneNobodyToldOfIsNotFlushed) {
  auto segments = three_segments();
  segments[0].lanes.push_back({1, 1, 4});
  EXPECT_TRUE(plan_trim(segments, Flushed{{{1, 0, 0}, 30}}, {0, 0}, 4 * minute_us).empty());
  EXPECT_TRUE(plan_trim(segments, Flushed{}, {0, 0}, 4 * minute_us).empty());
}

TEST(TrimPlan, NeverTakesTheSegmentThatIsWritten) {
  auto segments = three_segments();
  segments[2].active = true;
  EXPECT_EQ(numbers(plan_trim(segments, Flushed{{{1, 0, 0}, UINT64_MAX}}, {0, 0}, 4 * minute_us)),
            (std::vector<std::uint64_t>{1, 2}));
}

TEST(TrimPlan, KeepsTheNewestWithinBothBounds) {
  const Flushed all{{{1, 0, 0}, 30}};
  const std::int64_t now = 4 * minute_us;
  const auto plan = [&](const KeepBounds& keep) {
    return numbers(plan_trim(three_segments(), all, keep, now));
  };
  EXPECT_EQ(plan({300, 60 * minute_us}), (std::vector<std::uint64_t>{}));
  EXPECT_EQ(plan({299, 60 * minute_us}), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(plan({1000, 2 * minute_us}), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(plan({1000, 0}), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST(TrimPlan, GoesByTheOrderOfSegmentsWhenTheClockWentBack) {
  auto segments = three_segments();
  std::swap(segments[0].last_written_us, segments[2].last_written_us);
  const auto going = plan_trim(segments, Flushed{{{1, 0, 0}, 30}}, {200, 60 * minute_us}, 4 * minute_us);
  EXPECT_EQ(numbers(going), (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST(TrimPlan, HoldsSegmentsWithLedgersAndThoseBehindThem) {
  auto going = three_segments();
  going[1].ledger_sections = 1;
  going.push_back(entry({1, 1, 7}, {}, 0));
  hold_ledger(going);
  EXPECT_EQ(numbers(going), (std::vector<std::uint64_t>{1, 7}));
}

JournalOptions small_journal() {
  JournalOptions options;
  options.node_id = "trim-test";
  options.reactors = 2;
  options.shards = 2;
  options.batch_bytes = JournalDriver::batch_bytes;
  options.segment_bytes = 32U << 10;
  options.block_bytes_max = 28U << 10;
  options.free_bytes_min = 0;
  options.keep_bytes = 0;
  options.keep_time = std::chrono::milliseconds(0);
  return options;
}

// Every batch above what was told to be flushed stays readable, whatever is trimmed when.
TEST(JournalTrim, NeverTakesABatchThatIsNotFlushed) {
  constexpr std::uint64_t seeds = 100;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimulatedFileSystem disk({.seed = seed});
    SimulatedRandom random(seed);
    ManualClock clock;
    const auto journal = Journal::open(disk, clock, small_journal());
    ASSERT_TRUE(journal.has_value());
    WrittenRows rows;
    JournalDriver driver(**journal, rows);
    std::map<LaneId, std::uint64_t> flushed;
    for (unsigned block = 0; block < 60; ++block) {
      driver.prepare();
      clock.now_ns += 1'000'000;
      const std::vector<std::uint32_t> shards =
          random.below(2) == 0 ? std::vector<std::uint32_t>{0, 1} : std::vector<std::uint32_t>{1};
      ASSERT_TRUE(driver.append(static_cast<std::uint32_t>(random.below(2)), shards, 30, 100).has_value());
      if (random.below(5) != 0) continue;
      for (const auto& [place, payload] : rows.durable())
        if (random.below(4) == 0) flushed[place.first] = std::max(flushed[place.first], place.second);
      ASSERT_TRUE((*journal)->trim(Flushed(flushed.begin(), flushed.end())).has_value());
    }
    const std::map<Place, Payload> durable = rows.durable();
    std::map<LaneId, std::uint64_t> last;
    for (const auto& [place, payload] : durable) last[place.first] = place.second;
    for (const auto& [lane, until] : last) {
      const auto reader = (*journal)->reader(lane, flushed[lane] + 1);
      const ReadBack back = read_lane(*reader, lane, until);
      EXPECT_EQ(back.status, JournalReader::Status::end) << back.problem;
      EXPECT_EQ(back.payloads.size(), until - flushed[lane]);
      EXPECT_LE((*journal)->first_sequence(lane), flushed[lane] + 1);
      for (const auto& [place, payload] : back.payloads) EXPECT_EQ(payload, durable.at(place));
    }
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

class JournalTrimTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Journal::open(disk_, clock_, small_journal());
    ASSERT_TRUE(opened.has_value());
    journal_ = std::move(*opened);
    JournalDriver driver(*journal_, rows_);
    for (unsigned block = 0; block < 30; ++block) {
      driver.prepare();
      ASSERT_EQ(driver.append(0, std::vector<std::uint32_t>{0}, 30, 100, block == 0 ? 1 : 0),
                CompleteResult::durable);
    }
  }

  SimulatedFileSystem disk_{{.seed = 1}};
  ManualClock clock_;
  std::unique_ptr<Journal> journal_;
  WrittenRows rows_;
  const Flushed all_{{{1, 0, 0}, 30}};
};

TEST_F(JournalTrimTest, ASequenceThatWasTrimmedIsMissing) {
  const auto reader = journal_->reader({1, 0, 0}, 1);
  Batch batch(JournalDriver::batch_bytes, Batch::no_reactor);
  EXPECT_EQ(reader->next(batch, 30), JournalReader::Status::read);
  clock_.now_ns += 1'000'000;
  EXPECT_GT(journal_->trim(all_).value(), 0U);
  const std::uint64_t first = journal_->first_sequence({1, 0, 0});
  EXPECT_GT(first, 2U);
  JournalDriver(*journal_, rows_).prepare();  // the file is used anew
  EXPECT_EQ(journal_->reader({1, 0, 0}, 1)->next(batch, 30), JournalReader::Status::missing);
  reader->seek(first);
  EXPECT_EQ(reader->next(batch, 30), JournalReader::Status::read);
  EXPECT_EQ(batch.lane_sequence(), first);
}

TEST_F(JournalTrimTest, AReaderInASegmentThatIsUsedAnewReadsTheOldRowsOrNone) {
  const auto reader = journal_->reader({1, 0, 0}, 1);
  Batch batch(JournalDriver::batch_bytes, Batch::no_reactor);
  ASSERT_EQ(reader->next(batch, 30), JournalReader::Status::read);
  clock_.now_ns += 1'000'000;
  ASSERT_GT(journal_->trim(all_).value(), 0U);
  JournalDriver driver(*journal_, rows_);
  for (unsigned block = 0; block < 60; ++block) {
    driver.prepare();
    ASSERT_EQ(driver.append(0, std::vector<std::uint32_t>{0}, 30, 100), CompleteResult::durable);
  }
  const std::map<Place, Payload> durable = rows_.durable();
  JournalReader::Status status{};
  while ((status = reader->next(batch, 90)) == JournalReader::Status::read) {
    const auto& payload = durable.at({{1, 0, 0}, batch.lane_sequence()});
    ASSERT_TRUE(std::ranges::equal(batch.rows(), payload));
  }
  EXPECT_EQ(status, JournalReader::Status::missing);
  EXPECT_TRUE(journal_->lost_rows().empty());
}

TEST_F(JournalTrimTest, AsksBeforeALedgerGoesAndTakesNoForAnAnswer) {
  unsigned asked = 0;
  bool answer = false;
  journal_->on_ledger_trim([&] {
    ++asked;
    return answer;
  });
  clock_.now_ns += 1'000'000;
  EXPECT_EQ(journal_->trim(all_).value(), 0U);
  EXPECT_EQ(asked, 1U);
  answer = true;
  EXPECT_GT(journal_->trim(all_).value(), 0U);
  EXPECT_EQ(asked, 2U);
  EXPECT_EQ(journal_->trim(all_).value(), 0U);
  EXPECT_EQ(asked, 2U);  // there is no ledger any more
}

TEST_F(JournalTrimTest, AnEpochGoesWithItsLastSegment) {
  journal_.reset();
  auto opened = Journal::open(disk_, clock_, small_journal());
  ASSERT_TRUE(opened.has_value());
  clock_.now_ns += 1'000'000;
  EXPECT_EQ(disk_.list("epochs").value().size(), 2U);
  EXPECT_GT((*opened)->trim(all_).value(), 0U);
  EXPECT_EQ(disk_.list("epochs").value(), std::vector<std::string>{"00000002"});
  opened->reset();
  opened = Journal::open(disk_, clock_, small_journal());
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ((*opened)->epoch(), 3U);
}

}  // namespace
}  // namespace wellhead
