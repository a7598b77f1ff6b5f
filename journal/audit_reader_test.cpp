#include "journal/audit_reader.hpp"

#include <gtest/gtest.h>

#include <map>

#include "journal/section.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {
namespace {

class AuditReaderTest : public testing::Test {
 protected:
  std::unique_ptr<Journal> start() {
    JournalOptions options;
    options.node_id = "well-1";
    options.reactors = 2;
    options.shards = 2;
    options.batch_bytes = JournalDriver::batch_bytes;
    options.catalog = "a catalog";
    options.segment_bytes = 32U << 10;
    options.block_bytes_max = 28U << 10;
    options.free_bytes_min = 0;
    options.keep_bytes = 0;
    options.keep_time = std::chrono::milliseconds(0);
    auto journal = Journal::open(disk_, clock_, options);
    EXPECT_TRUE(journal.has_value());
    return std::move(*journal);
  }
  void write(Journal& journal, unsigned blocks) {
    JournalDriver driver(journal, rows_);
    for (unsigned block = 0; block < blocks; ++block) {
      driver.prepare();
      clock_.now_ns += 1'000'000'000;
      ASSERT_EQ(driver.append(block % 2, std::vector<std::uint32_t>{0, 1}, 10, 100, 1),
                CompleteResult::durable);
    }
  }
  AuditReader open() {
    auto reader = AuditReader::open(disk_);
    EXPECT_TRUE(reader.has_value()) << reader.error().sentence;
    return std::move(*reader);
  }
  static std::map<Place, Payload> read(AuditReader& reader, const WrittenRange& range = {}) {
    std::map<Place, Payload> all;
    const auto done = reader.read(range, [&](const AuditSection& section) {
      EXPECT_EQ(section.row_count, 10U);
      all.emplace(Place{section.lane, section.sequence}, Payload(section.rows.begin(), section.rows.end()));
      return true;
    });
    EXPECT_TRUE(done.has_value());
    return all;
  }

  ManualClock clock_;
  SimulatedFileSystem disk_{{.seed = 1}};
  WrittenRows rows_;
};

TEST_F(AuditReaderTest, ReadsEverySectionOfAllRunsWithItsRows) {
  write(*start(), 12);
  write(*start(), 5);
  AuditReader reader = open();
  EXPECT_EQ(read(reader), rows_.durable());
  EXPECT_EQ(reader.lanes().size(), 8U);
  EXPECT_EQ(reader.epochs().at(2).catalog, "a catalog");
  EXPECT_TRUE(reader.lost().empty());
}

TEST_F(AuditReaderTest, ReadsTheJournalOfARunningNodeAndChangesNothing) {
  const auto journal = start();
  write(*journal, 7);
  disk_.set_locked_elsewhere(true);
  disk_.set_read_only(true);
  AuditReader reader = open();
  EXPECT_EQ(read(reader), rows_.durable());
  disk_.set_read_only(false);
  write(*journal, 1);
  AuditReader later = open();
  EXPECT_EQ(read(later), rows_.durable());
}

TEST_F(AuditReaderTest, LeavesOutWhatIsWrittenAfterItLooked) {
  const auto journal = start();
  write(*journal, 3);
  const auto before = rows_.durable();
  AuditReader reader = open();
  write(*journal, 20);
  EXPECT_EQ(read(reader), before);
  EXPECT_TRUE(reader.lost().empty());
}

TEST_F(AuditReaderTest, PassesOverSegmentsThatAreTrimmedMeanwhile) {
  const auto journal = start();
  write(*journal, 30);
  AuditReader reader = open();
  std::vector<std::pair<LaneId, std::uint64_t>> flushed;
  for (const OldLane& lane : reader.lanes()) flushed.emplace_back(lane.lane, lane.last);
  const auto trimmed = journal->trim(flushed);
  ASSERT_TRUE(trimmed.has_value());
  ASSERT_GT(*trimmed, 0U);
  const auto left = read(reader);
  EXPECT_LT(left.size(), rows_.durable().size());
  EXPECT_FALSE(left.empty());
  EXPECT_EQ(reader.segments_trimmed(), *trimmed);
  EXPECT_TRUE(reader.lost().empty());
}

TEST_F(AuditReaderTest, GivesOnlyWhatWasWrittenWithinTheRange) {
  write(*start(), 10);
  AuditReader reader = open();
  const std::int64_t last_us = clock_.wall_us();
  const auto some = read(reader, {last_us - 2'500'000, last_us - 500'000});
  EXPECT_EQ(some.size(), 4U);  // two blocks of two sections
  EXPECT_TRUE(read(reader, {last_us + 1, last_us + 2}).empty());
  EXPECT_TRUE(reader.lost().empty());
}

TEST_F(AuditReaderTest, SaysWhichRowsAreLostInADamagedSection) {
  write(*start(), 8);
  disk_.contents(segment_path({1, 0, 1}))[journal_format::segment_header_bytes + 150] ^= std::byte{1};
  AuditReader reader = open();
  EXPECT_EQ(read(reader).size(), rows_.durable().size() - 1);
  ASSERT_EQ(reader.lost().size(), 1U);
  EXPECT_EQ(reader.lost().front().lane, (LaneId{1, 0, 0}));
  EXPECT_EQ(reader.lost().front().sequence, 1U);
  EXPECT_EQ(reader.lost().front().rows, 10U);
}

TEST_F(AuditReaderTest, ADamagedHeaderLosesItsBatchAndNoOther) {
  write(*start(), 8);
  disk_.contents(segment_path({1, 1, 1}))[journal_format::segment_header_bytes + 20] ^= std::byte{1};
  AuditReader reader = open();
  EXPECT_EQ(read(reader).size(), rows_.durable().size() - 1);
  ASSERT_EQ(reader.lost().size(), 2U);  // the place, and what the lane shows of it
  EXPECT_EQ(reader.lost().front().lane.shard, LostRows::unknown_shard);
  EXPECT_EQ(reader.lost().back().lane, (LaneId{1, 1, 0}));
  EXPECT_EQ(reader.lost().back().sequence, 1U);
}

TEST_F(AuditReaderTest, EndsWhenTheVisitorHasEnough) {
  write(*start(), 4);
  AuditReader reader = open();
  unsigned visits = 0;
  ASSERT_TRUE(reader.read({}, [&](const AuditSection&) { return ++visits < 3; }).has_value());
  EXPECT_EQ(visits, 3U);
}

TEST_F(AuditReaderTest, RefusesADirectoryWithoutAJournal) {
  const auto reader = AuditReader::open(disk_);
  ASSERT_FALSE(reader.has_value());
  EXPECT_NE(reader.error().sentence.find("There is no journal in this directory"), std::string::npos);
}

}  // namespace
}  // namespace wellhead
