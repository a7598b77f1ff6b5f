// What a journal refuses to open, and that it leaves everything as it was then.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "journal/journal.hpp"
#include "journal/posix_file_system.hpp"
#include "journal/section.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"
#include "journal/testing/temporary_directory.hpp"

namespace wellhead {
namespace {

using Snapshot = std::map<std::string, std::vector<std::byte>>;

JournalOptions small_journal() {
  JournalOptions options;
  options.node_id = "well-1";
  options.shards = 2;
  options.batch_bytes = JournalDriver::batch_bytes;
  options.catalog = "a catalog\nof two lines";
  options.segment_bytes = 32U << 10;
  options.block_bytes_max = 28U << 10;
  options.free_bytes_min = 0;
  options.keep_bytes = 0;
  options.keep_time = std::chrono::milliseconds(0);
  return options;
}

void collect(SimulatedFileSystem& disk, const std::string& directory, Snapshot& into) {
  const auto names = disk.list(directory);
  for (const std::string& name : *names) {
    const std::string path = directory.empty() ? name : directory + "/" + name;
    const auto bytes = disk.contents(path);
    into[path].assign(bytes.begin(), bytes.end());
    if (disk.list(path)) collect(disk, path, into);
  }
}

Snapshot snapshot(SimulatedFileSystem& disk) {
  Snapshot all;
  collect(disk, "", all);
  return all;
}

class JournalOpenTest : public testing::Test {
 protected:
  // A run that leaves `blocks` blocks of both lanes behind.
  void write_run(unsigned blocks) {
    const auto journal = Journal::open(disk_, clock_, small_journal());
    ASSERT_TRUE(journal.has_value()) << journal.error().sentence;
    JournalDriver driver(**journal, rows_);
    for (unsigned block = 0; block < blocks; ++block) {
      driver.prepare();
      ASSERT_EQ(driver.append(0, std::vector<std::uint32_t>{0, 1}, 20, 100, 1), CompleteResult::durable);
    }
  }

  void expect_refused(const JournalOptions& options, JournalErrorCode code, const std::string& words) {
    const Snapshot before = snapshot(disk_);
    const auto journal = Journal::open(disk_, clock_, options);
    ASSERT_FALSE(journal.has_value());
    EXPECT_EQ(journal.error().code, code);
    EXPECT_NE(journal.error().sentence.find(words), std::string::npos) << journal.error().sentence;
    EXPECT_EQ(snapshot(disk_), before);
  }

  std::string first_segment() {
    return std::string(segments_directory) + "/" + disk_.list(segments_directory).value().front();
  }

  ManualClock clock_;
  SimulatedFileSystem disk_{{.seed = 1}};
  WrittenRows rows_;
};

TEST_F(JournalOpenTest, KeepsItsIdAndCountsItsRuns) {
  std::string id;
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
    const auto journal = Journal::open(disk_, clock_, small_journal());
    ASSERT_TRUE(journal.has_value());
    EXPECT_EQ((*journal)->epoch(), epoch);
    EXPECT_EQ((*journal)->id_text().size(), 32U);
    EXPECT_TRUE(epoch == 1 || (*journal)->id_text() == id);
    id = (*journal)->id_text();
  }
}

TEST_F(JournalOpenTest, TellsWhatEarlierRunsWere) {
  write_run(3);
  JournalOptions options = small_journal();
  options.shards = 5;
  options.catalog = "another";
  const auto journal = Journal::open(disk_, clock_, options);
  ASSERT_TRUE(journal.has_value());
  const JournalSurvey& survey = (*journal)->survey();
  ASSERT_EQ(survey.epochs.size(), 1U);
  EXPECT_EQ(survey.epochs.at(1).shards, 2U);
  EXPECT_EQ(survey.epochs.at(1).catalog, small_journal().catalog);
  EXPECT_EQ(survey.epochs.at(1).batch_bytes, JournalDriver::batch_bytes);
  ASSERT_EQ(survey.lanes.size(), 2U);
  EXPECT_EQ(survey.lanes[1].lane, (LaneId{1, 0, 1}));
  EXPECT_EQ(survey.lanes[1].first, 1U);
  EXPECT_EQ(survey.lanes[1].last, 3U);
}

TEST_F(JournalOpenTest, GivesTheLedgerBackInOrder) {
  write_run(4);
  const auto journal = Journal::open(disk_, clock_, small_journal());
  ASSERT_TRUE(journal.has_value());
  std::vector<std::uint64_t> blocks;
  const auto read = (*journal)->read_ledger(
      [&](std::span<const std::byte> payload, std::uint32_t entries, LaneId reactor, std::uint64_t block) {
        EXPECT_EQ(payload.size(), 40U);
        EXPECT_EQ(entries, 1U);
        EXPECT_EQ(reactor, (LaneId{1, 0, 0}));
        blocks.push_back(block);
      });
  EXPECT_TRUE(read.has_value());
  EXPECT_EQ(blocks, (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

TEST_F(JournalOpenTest, RefusesTheJournalOfAnotherNode) {
  write_run(2);
  JournalOptions options = small_journal();
  options.node_id = "well-2";
  expect_refused(options, JournalErrorCode::wrong_node, "\"well-1\"");
}

TEST_F(JournalOpenTest, RefusesAnotherVersion) {
  write_run(2);
  const auto bytes = disk_.contents("identity");
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  bytes[text.find(" 1\n") + 1] = std::byte('7');
  expect_refused(small_journal(), JournalErrorCode::wrong_version, "format 7");
}

TEST_F(JournalOpenTest, RefusesAnIdentityWithAnyByteDamaged) {
  write_run(1);
  for (std::size_t at = 0; at < disk_.contents("identity").size(); ++at) {
    const auto disk = disk_.fork();
    disk->contents("identity")[at] ^= std::byte{4};
    const auto journal = Journal::open(*disk, clock_, small_journal());
    ASSERT_FALSE(journal.has_value()) << at;
    EXPECT_TRUE(journal.error().code == JournalErrorCode::damaged ||
                journal.error().code == JournalErrorCode::wrong_version);
  }
}

TEST_F(JournalOpenTest, RefusesSegmentsWithoutAnIdentity) {
  write_run(1);
  ASSERT_TRUE(disk_.remove("identity").has_value());
  expect_refused(small_journal(), JournalErrorCode::damaged, "no file identity");
}

TEST_F(JournalOpenTest, RefusesSegmentsWhoseEpochIsDamagedOrGone) {
  write_run(1);
  disk_.contents("epochs/00000001")[3] ^= std::byte{1};
  expect_refused(small_journal(), JournalErrorCode::damaged, "epochs/00000001 is damaged");
  ASSERT_TRUE(disk_.remove("epochs/00000001").has_value());
  expect_refused(small_journal(), JournalErrorCode::damaged, "no file epochs/00000001");
}

TEST_F(JournalOpenTest, RefusesADirectoryThatOthersMayWrite) {
  write_run(1);
  disk_.set_permission_problem("its group may write to it");
  expect_refused(small_journal(), JournalErrorCode::permissions, "its group may write to it");
}

TEST_F(JournalOpenTest, RefusesAJournalThatIsInUse) {
  write_run(1);
  disk_.set_locked_elsewhere(true);
  expect_refused(small_journal(), JournalErrorCode::in_use, "Another process");
}

TEST_F(JournalOpenTest, RefusesAFileSystemThatCannotWriteDirectly) {
  JournalOptions options = small_journal();
  options.direct = DirectIo::required;
  write_run(1);
  disk_.set_direct(false);
  expect_refused(options, JournalErrorCode::no_direct_io, "O_DIRECT");
  options.direct = DirectIo::preferred;
  EXPECT_TRUE(Journal::open(disk_, clock_, options).has_value());
}

TEST_F(JournalOpenTest, RefusesAReadOnlyFileSystemWithAWord) {
  write_run(1);
  disk_.set_read_only(true);
  expect_refused(small_journal(), JournalErrorCode::io, "Read-only file system");
}

TEST_F(JournalOpenTest, StopsAtDamageUntilToldToCarryOn) {
  write_run(4);
  const std::size_t damaged_at = journal_format::segment_header_bytes + 200;  // in the payload of block 1
  disk_.contents(first_segment())[damaged_at] ^= std::byte{1};
  expect_refused(small_journal(), JournalErrorCode::damaged, "20 rows");
  JournalOptions options = small_journal();
  options.accept_damage = true;
  {
    const auto journal = Journal::open(disk_, clock_, options);
    ASSERT_TRUE(journal.has_value()) << journal.error().sentence;
    ASSERT_EQ((*journal)->survey().lost.size(), 1U);
    EXPECT_EQ((*journal)->survey().lost[0].rows, 20U);
    EXPECT_EQ((*journal)->survey().lost[0].sequence, 1U);
    const auto reader = (*journal)->reader({1, 0, 0}, 1);
    const ReadBack back = read_lane(*reader, {1, 0, 0}, 4);
    EXPECT_EQ(back.status, JournalReader::Status::end);
    EXPECT_EQ(back.payloads.size(), 3U);
  }
  const auto aside = disk_.list(quarantine_directory).value();
  ASSERT_EQ(aside.size(), 1U);
  const auto bytes = disk_.contents(std::string(quarantine_directory) + "/" + aside.front());
  const auto segment = disk_.contents(first_segment());
  EXPECT_TRUE(std::ranges::equal(bytes, segment.subspan(journal_format::segment_header_bytes, bytes.size())));
  // What is set aside is known, and told again.
  const auto again = Journal::open(disk_, clock_, small_journal());
  ASSERT_TRUE(again.has_value()) << again.error().sentence;
  EXPECT_EQ((*again)->survey().lost.size(), 1U);
}

TEST_F(JournalOpenTest, DamageFoundByAReaderStopsTheLaneUntilItIsAccepted) {
  for (const bool accepted : {false, true}) {
    SCOPED_TRACE(accepted);
    disk_.crash();
    JournalOptions options = small_journal();
    options.accept_damage = accepted;
    const auto journal = Journal::open(disk_, clock_, options);
    ASSERT_TRUE(journal.has_value());
    JournalDriver driver(**journal, rows_);
    for (unsigned block = 0; block < 3; ++block) {
      driver.prepare();
      ASSERT_EQ(driver.append(0, std::vector<std::uint32_t>{1}, 5, 100), CompleteResult::durable);
    }
    const LaneId lane{(*journal)->epoch(), 0, 1};
    const std::string segment = segment_path({lane.epoch, 0, 1});
    // The first byte of the second section's payload.
    disk_.contents(segment)[2 * journal_format::segment_header_bytes + 128] ^= std::byte{1};
    const auto reader = (*journal)->reader(lane, 1);
    const ReadBack back = read_lane(*reader, lane, 3);
    EXPECT_EQ(back.payloads.size(), accepted ? 2U : 1U);
    EXPECT_EQ(back.status, accepted ? JournalReader::Status::end : JournalReader::Status::failed);
    EXPECT_EQ(back.problem.empty(), accepted);
    EXPECT_EQ((*journal)->lost_rows().size(), accepted ? 1U : 0U);
    for (const LostRows& lost : (*journal)->lost_rows()) EXPECT_EQ(lost.rows, 5U);
    disk_.contents(segment)[2 * journal_format::segment_header_bytes + 128] ^= std::byte{1};
  }
}

TEST_F(JournalOpenTest, ASecondProcessOnARealDirectoryIsRefused) {
  const TemporaryDirectory directory;
  const auto files = PosixFileSystem::open(directory.path());
  const auto others = PosixFileSystem::open(directory.path());
  ASSERT_TRUE(files && others);
  JournalOptions options = small_journal();
  options.direct = DirectIo::off;
  const auto journal = Journal::open(**files, clock_, options);
  ASSERT_TRUE(journal.has_value()) << journal.error().sentence;
  const auto second = Journal::open(**others, clock_, options);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, JournalErrorCode::in_use);
}

}  // namespace
}  // namespace wellhead
