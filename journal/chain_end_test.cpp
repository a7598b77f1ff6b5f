// What a start keeps of where earlier runs end: it spares reading, and is never believed where it should not.
#include "journal/chain_end.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "journal/identity.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {
namespace {

constexpr LaneId lane{1, 0, 0};
const SegmentId first_segment{1, 0, 1};
constexpr std::size_t block_bytes = journal_format::alignment;

JournalOptions small_journal() {
  JournalOptions options;
  options.node_id = "well-1";
  options.batch_bytes = JournalDriver::batch_bytes;
  options.segment_bytes = 64U << 10;
  options.block_bytes_max = 16U << 10;
  options.free_bytes_min = 0;
  options.keep_bytes = 0;
  options.keep_time = std::chrono::milliseconds(0);
  return options;
}

class ChainEndTest : public testing::Test {
 protected:
  // A run that leaves `blocks` blocks of one section behind, 4 KiB each.
  void write_run(unsigned blocks) {
    clock_.now_ns += 1'000'000;
    const auto journal = Journal::open(disk_, clock_, small_journal());
    ASSERT_TRUE(journal.has_value()) << journal.error().sentence;
    id_ = (*journal)->id();
    JournalDriver driver(**journal, rows_);
    for (unsigned block = 0; block < blocks; ++block) {
      driver.prepare();
      ASSERT_EQ(driver.append(0, std::vector<std::uint32_t>{0}, 5, 100), CompleteResult::durable);
    }
  }

  std::expected<JournalSurvey, JournalError> open(bool accept_damage = false) {
    JournalOptions options = small_journal();
    options.accept_damage = accept_damage;
    const auto journal = Journal::open(disk_, clock_, options);
    if (!journal) return std::unexpected(journal.error());
    return (*journal)->survey();
  }

  std::span<std::byte> block(unsigned number) {
    return disk_.contents(segment_path(first_segment))
        .subspan(journal_format::segment_header_bytes + (number - 1) * block_bytes, block_bytes);
  }

  std::vector<ChainEnd> ends() { return read_chain_ends(disk_, id_); }

  ManualClock clock_;
  SimulatedFileSystem disk_{{.seed = 1}};
  WrittenRows rows_;
  journal_format::JournalId id_{};
};

TEST_F(ChainEndTest, AStartKeepsWhereEarlierRunsEnd) {
  write_run(3);
  EXPECT_TRUE(ends().empty());
  write_run(2);
  ASSERT_EQ(ends().size(), 1U);
  EXPECT_EQ(ends()[0].segment, first_segment);
  EXPECT_EQ(ends()[0].end_block, 4U);
  ASSERT_TRUE(open().has_value());
  ASSERT_EQ(ends().size(), 2U);
  EXPECT_EQ(ends()[1].segment, (SegmentId{2, 0, 1}));
  EXPECT_EQ(ends()[1].end_block, 3U);
}

TEST_F(ChainEndTest, NothingBehindAKnownEndIsRead) {
  write_run(3);
  ASSERT_TRUE(open().has_value());
  // A block that would count, had it not been found out that there is none.
  const auto from = block(3);
  const auto to = block(4);
  std::ranges::copy(from, to.begin());
  journal_format::SectionHeader header;
  std::memcpy(&header, to.data(), sizeof header);
  header.block = 4;
  header.lane_sequence = 4;
  seal(header, to.subspan(sizeof header, header.payload_bytes));
  std::memcpy(to.data(), &header, sizeof header);
  EXPECT_EQ(open()->lanes.at(0).last, 3U);
  ASSERT_TRUE(disk_.remove(chain_ends_path).has_value());
  EXPECT_EQ(open()->lanes.at(0).last, 4U);
}

TEST_F(ChainEndTest, ATornTailIsToldOnceAndStaysCutOff) {
  write_run(3);
  block(3)[sizeof(journal_format::SectionHeader) + 7] ^= std::byte{1};
  const auto torn = open();
  ASSERT_TRUE(torn.has_value());
  EXPECT_EQ(torn->torn_blocks, 1U);
  EXPECT_EQ(torn->lanes.at(0).last, 2U);
  // Whole again, it would have been given to the database after its senders were told that it is not there.
  block(3)[sizeof(journal_format::SectionHeader) + 7] ^= std::byte{1};
  const auto again = open();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->torn_blocks, 0U);
  EXPECT_EQ(again->lanes.at(0).last, 2U);
}

TEST_F(ChainEndTest, ALastBlockThatWasFoundWholeIsDamagedWhenItIsNotAnyMore) {
  write_run(3);
  ASSERT_TRUE(open().has_value());
  std::ranges::fill(block(3), std::byte{0});
  ASSERT_FALSE(open().has_value());
  EXPECT_EQ(open().error().code, JournalErrorCode::damaged);
  EXPECT_NE(open().error().sentence.find("blocks up to number 3 should be there"), std::string::npos)
      << open().error().sentence;
  for (unsigned run = 0; run < 3; ++run) {  // accepted once, and told each time
    const auto accepted = open(run == 0);
    ASSERT_TRUE(accepted.has_value()) << accepted.error().sentence;
    EXPECT_EQ(accepted->lost.size(), 1U);
    EXPECT_EQ(accepted->torn_blocks, 0U);
    EXPECT_EQ(ends()[0].end_block, 4U);
  }
}

TEST_F(ChainEndTest, DamageOfTheFileMakesAStartReadEverything) {
  write_run(3);
  ASSERT_TRUE(open().has_value());
  const std::size_t size = disk_.contents(chain_ends_path).size();
  for (std::size_t offset = 0; offset < size; ++offset) {
    disk_.contents(chain_ends_path)[offset] ^= std::byte{1};
    EXPECT_TRUE(ends().empty()) << "at " << offset;
    const auto survey = open();  // which writes it anew
    ASSERT_TRUE(survey.has_value());
    ASSERT_EQ(survey->lanes.at(0).last, 3U);
    ASSERT_EQ(ends().size(), 1U) << "at " << offset;
  }
}

TEST_F(ChainEndTest, AFileThatCannotBeWrittenDoesNotStopAStart) {
  write_run(3);
  ASSERT_TRUE(disk_.make_directory(chain_ends_path).has_value());  // in its way
  const auto survey = open();
  ASSERT_TRUE(survey.has_value()) << survey.error().sentence;
  EXPECT_EQ(survey->lanes.at(0).last, 3U);
}

// Segments and epochs moved away by hand make the next run the first again.
TEST_F(ChainEndTest, AnEndIsNotTakenForASegmentOfTheSameNameThatIsAnother) {
  write_run(2);
  ASSERT_TRUE(open().has_value());
  const std::vector<ChainEnd> old = ends();
  for (const std::string directory : {"segments", "epochs"}) {
    const auto names = disk_.list(directory);
    ASSERT_TRUE(names.has_value());
    for (const std::string& name : *names) ASSERT_TRUE(disk_.remove(directory + "/" + name).has_value());
  }
  write_run(5);
  ASSERT_TRUE(write_chain_ends(disk_, id_, old).has_value());
  const auto survey = open();
  ASSERT_TRUE(survey.has_value()) << survey.error().sentence;
  EXPECT_EQ(survey->lanes.at(0).last, 5U);
}

TEST_F(ChainEndTest, AnotherJournalsEndsAreNone) {
  write_run(3);
  ASSERT_TRUE(open().has_value());
  auto other = id_;
  other[3] ^= 1;
  EXPECT_TRUE(read_chain_ends(disk_, other).empty());
  EXPECT_FALSE(read_chain_ends(disk_, id_).empty());
}

TEST_F(ChainEndTest, TheEndGoesWithTheSegments) {
  write_run(3);
  {
    const auto journal = Journal::open(disk_, clock_, small_journal());
    ASSERT_TRUE(journal.has_value());
    clock_.now_ns += 1'000'000'000;
    ASSERT_EQ((*journal)->trim(std::vector<std::pair<LaneId, std::uint64_t>>{{lane, 3}}), 1U);
  }
  ASSERT_TRUE(open().has_value());
  EXPECT_TRUE(ends().empty());
}

}  // namespace
}  // namespace wellhead
