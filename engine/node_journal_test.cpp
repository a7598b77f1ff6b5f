#include "engine/node_journal.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "engine/exit_codes.hpp"
#include "engine/temporary_directory.hpp"

namespace wellhead {
namespace {

// A node that starts and stops on one directory. Small segments, so that nothing waits for the disk.
class NodeJournalTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.node_id = "north-7";
    config_.journal.directory = directory_ / "journal";
    config_.journal.limits.segment_bytes = 256U << 10;
    config_.journal.limits.block_bytes_max = 128U << 10;
    config_.journal.limits.free_bytes_min = 0;
    for (StreamConfig& stream : builtin_streams())
      streams_.push_back(Schema::compile(stream, static_cast<std::uint16_t>(streams_.size())).value());
  }

  auto open() { return NodeJournal::open(config_, streams_, {1, 2}, clock_); }
  // The exit code and sentence of a start that fails.
  StartError refusal() {
    auto opened = open();
    if (!opened) return opened.error();
    ADD_FAILURE() << "the journal was opened";
    return {exit_ok, ""};
  }
  // Makes one batch with a row of stream `stream` durable.
  static void write_row(NodeJournal& journal, std::uint16_t stream) {
    Batch batch(8'192, 0);
    batch.set_shard(1);
    auto* header = new (batch.append(0, 0, 8)) RowHeader{};
    header->tuple_bytes = 8;
    header->stream = stream;
    Batch* const batches[] = {&batch};
    JournalWriter& writer = journal.journal().writer(0);
    AppendStatus status = writer.append(batches);
    while (status == AppendStatus::not_ready) {
      static_cast<void>(journal.journal().work());
      status = writer.append(batches);
    }
    ASSERT_EQ(status, AppendStatus::planned) << writer.problem();
    while (true) {
      const JournalOperation operation = writer.operation();
      const bool synchronize = operation.kind == JournalOperation::Kind::synchronize;
      std::int64_t result = 0;
      if (synchronize)
        ASSERT_TRUE(operation.file->synchronize());
      else
        result = static_cast<std::int64_t>(operation.file->write(operation.pieces, operation.offset).value());
      const CompleteResult complete = writer.complete(result);
      ASSERT_NE(complete, CompleteResult::failed);
      if (complete == CompleteResult::durable) return;
    }
  }

  TemporaryDirectory directory_;
  SystemClock clock_;
  Config config_;
  std::vector<SchemaPointer> streams_;
};

TEST_F(NodeJournalTest, EachStartIsANewEpochThatKnowsWhatTheLastOneLeft) {
  {
    auto first = open();
    ASSERT_TRUE(first) << first.error().sentence;
    EXPECT_EQ((*first)->journal().epoch(), 1U);
    EXPECT_EQ((*first)->epoch_oldest(), 1U);
    write_row(**first, 2);
  }
  std::swap(streams_[0], streams_[2]);
  for (std::size_t index = 0; index < streams_.size(); ++index)
    streams_[index] = Schema::compile(streams_[index]->config(), static_cast<std::uint16_t>(index)).value();
  auto second = open();
  ASSERT_TRUE(second) << second.error().sentence;
  EXPECT_EQ((*second)->journal().epoch(), 2U);
  EXPECT_EQ((*second)->epoch_oldest(), 1U);
  ASSERT_EQ((*second)->journal().survey().lanes.size(), 1U);
  EXPECT_EQ((*second)->journal().survey().lanes[0].lane, (LaneId{1, 0, 1}));
  EXPECT_EQ((*second)->streams().maps.at(1), (std::vector<std::uint16_t>{2, 1, 0}));
}

TEST_F(NodeJournalTest, AJournalInUseIsRefusedAsSomethingThatPasses) {
  const auto running = open();
  ASSERT_TRUE(running) << running.error().sentence;
  const StartError error = refusal();
  EXPECT_EQ(error.exit_code, exit_failed);
  EXPECT_TRUE(error.sentence.starts_with(config_.journal.directory + ": Another process")) << error.sentence;
}

TEST_F(NodeJournalTest, AnotherNodesJournalIsAMistakeOfTheConfiguration) {
  ASSERT_TRUE(open());
  config_.node_id = "south-1";
  const StartError error = refusal();
  EXPECT_EQ(error.exit_code, exit_config);
  EXPECT_NE(error.sentence.find("north-7"), std::string::npos) << error.sentence;
}

TEST_F(NodeJournalTest, ADirectoryOthersMayWriteToIsAMistakeOfTheConfiguration) {
  ASSERT_TRUE(open());
  std::filesystem::permissions(config_.journal.directory, std::filesystem::perms::all);
  EXPECT_EQ(refusal().exit_code, exit_config);
}

TEST_F(NodeJournalTest, ADirectoryThatCannotBeMadeSaysWhatToDo) {
  config_.journal.directory = directory_ / "missing/journal";
  const StartError error = refusal();
  EXPECT_EQ(error.exit_code, exit_config);
  EXPECT_EQ(error.sentence, "journal.dir = \"" + config_.journal.directory +
                                "\" cannot be made: No such file or directory. No record was taken; make the "
                                "directory above it, or name another one.");
}

TEST_F(NodeJournalTest, WhatIsFlushedIsTrimmedWhileTheNodeRuns) {
  config_.journal.limits.keep_bytes = 0;
  config_.journal.limits.keep_time = std::chrono::milliseconds(0);
  {
    auto first = open();
    ASSERT_TRUE(first) << first.error().sentence;
    write_row(**first, 0);
  }
  auto second = open();
  ASSERT_TRUE(second) << second.error().sentence;
  NodeJournal& journal = **second;
  LaneBoard lanes(2, 1, 2, journal.journal().survey().lanes);
  journal.start(lanes);
  journal.stop();
  EXPECT_EQ(journal.read().segments_trimmed, 0U);
  LaneState& old = *lanes.find({1, 0, 1});
  old.committed = 1;
  old.flushed = 1;
  journal.start(lanes);
  journal.stop();
  EXPECT_EQ(journal.read().segments_trimmed, 1U);
}

}  // namespace
}  // namespace wellhead
