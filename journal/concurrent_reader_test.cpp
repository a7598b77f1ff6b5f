// Readers while the reactor writes, segments roll over and the trimmer follows, on a real file system with
// threads.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "base/clock.hpp"
#include "journal/journal.hpp"
#include "journal/posix_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/temporary_directory.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t shards = 3;
constexpr std::uint64_t blocks = 1500;

JournalOptions small_journal() {
  JournalOptions options;
  options.node_id = "reader-test";
  options.shards = shards;
  options.batch_bytes = JournalDriver::batch_bytes;
  options.segment_bytes = 128U << 10;
  options.block_bytes_max = 64U << 10;
  options.bytes_max = 8U << 20;
  options.free_bytes_min = 0;
  options.keep_bytes = 256U << 10;
  options.keep_time = std::chrono::milliseconds(60'000);
  return options;
}

// What the batch of a lane holds follows from its place, so a reader can tell without asking the writer.
std::uint64_t number_of(std::uint32_t shard, std::uint64_t sequence) {
  return sequence * shards + shard;
}

std::uint32_t rows_of(std::uint64_t sequence) {
  return static_cast<std::uint32_t>(1 + sequence % 50);
}

bool is_right(const Batch& batch) {
  Batch wanted(JournalDriver::batch_bytes, 0);
  fill_batch(wanted, batch.lane().shard, rows_of(batch.lane_sequence()), 100,
             number_of(batch.lane().shard, batch.lane_sequence()));
  return batch.row_count() == wanted.row_count() && std::ranges::equal(batch.rows(), wanted.rows());
}

class ConcurrentReaderTest : public testing::TestWithParam<DirectIo> {
 protected:
  void SetUp() override {
    auto files = PosixFileSystem::open(directory_.path());
    ASSERT_TRUE(files.has_value());
    files_ = std::move(*files);
    JournalOptions options = small_journal();
    options.direct = GetParam();
    auto opened = Journal::open(*files_, clock_, options);
    ASSERT_TRUE(opened.has_value()) << opened.error().sentence;
    journal_ = std::move(*opened);
    journal_->start();
  }

  void write() {
    std::vector<Batch> batches;
    for (std::uint32_t shard = 0; shard < shards; ++shard)
      batches.emplace_back(JournalDriver::batch_bytes, 0);
    for (std::uint64_t sequence = 1; sequence <= blocks; ++sequence) {
      std::vector<Batch*> pointers;
      for (std::uint32_t shard = 0; shard < shards; ++shard) {
        batches[shard].reset();
        fill_batch(batches[shard], shard, rows_of(sequence), 100, number_of(shard, sequence));
        pointers.push_back(&batches[shard]);
      }
      AppendStatus status{};
      while ((status = journal_->writer(0).append(pointers)) != AppendStatus::planned) {
        ASSERT_TRUE(status == AppendStatus::not_ready || status == AppendStatus::full);
        std::this_thread::yield();
      }
      ASSERT_EQ(carry_out(journal_->writer(0)), CompleteResult::durable);
      durable_.store(sequence, std::memory_order_release);
    }
  }

  // As a shard that lives from the journal alone.
  void read(std::uint32_t shard) {
    const LaneId lane{1, 0, shard};
    const auto reader = journal_->reader(lane, 1);
    Batch batch(JournalDriver::batch_bytes, Batch::no_reactor);
    for (std::uint64_t wanted = 1; wanted <= blocks;) {
      const auto status = reader->next(batch, durable_.load(std::memory_order_acquire));
      if (status == JournalReader::Status::end) {
        std::this_thread::yield();
        continue;
      }
      ASSERT_EQ(status, JournalReader::Status::read) << reader->problem();
      ASSERT_EQ(batch.lane_sequence(), wanted);
      ASSERT_TRUE(is_right(batch)) << "shard " << shard << " batch " << wanted;
      read_[shard].store(wanted++, std::memory_order_release);
    }
  }

  // One that nobody waits for: the trimmer may take the ground from under it.
  void lag() {
    const LaneId lane{1, 0, 0};
    Batch batch(JournalDriver::batch_bytes, Batch::no_reactor);
    const auto reader = journal_->reader(lane, 1);
    while (reader->position() <= blocks) {
      const auto status = reader->next(batch, durable_.load(std::memory_order_acquire));
      ASSERT_TRUE(status != JournalReader::Status::read || is_right(batch));
      if (status == JournalReader::Status::missing) {
        ++missed_;
        reader->seek(journal_->first_sequence(lane));
      }
      ASSERT_NE(status, JournalReader::Status::failed) << reader->problem();
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  void trim() {
    while (read_[0].load() < blocks || read_[1].load() < blocks || read_[2].load() < blocks) {
      std::vector<std::pair<LaneId, std::uint64_t>> flushed;
      for (std::uint32_t shard = 0; shard < shards; ++shard)
        flushed.emplace_back(LaneId{1, 0, shard}, read_[shard].load(std::memory_order_acquire));
      const auto trimmed = journal_->trim(flushed);
      ASSERT_TRUE(trimmed.has_value()) << trimmed.error().sentence;
      trimmed_ += *trimmed;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  TemporaryDirectory directory_;
  SystemClock clock_;
  std::unique_ptr<PosixFileSystem> files_;
  std::unique_ptr<Journal> journal_;
  std::atomic<std::uint64_t> durable_{0};
  std::array<std::atomic<std::uint64_t>, shards> read_{};
  std::uint64_t missed_ = 0;
  std::uint64_t trimmed_ = 0;
};

TEST_P(ConcurrentReaderTest, EveryReaderSeesEveryBatchInOrderWhileItsLaneIsWrittenAndTrimmed) {
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t shard = 0; shard < shards; ++shard)
      threads.emplace_back([this, shard] { read(shard); });
    threads.emplace_back([this] { trim(); });
    threads.emplace_back([this] { lag(); });
    write();
  }
  EXPECT_GT(trimmed_, 10U);
  EXPECT_TRUE(journal_->lost_rows().empty());
  const Journal::Usage usage = journal_->usage();
  EXPECT_LE(usage.bytes, usage.bytes_max);
  EXPECT_GT(usage.segments, 0U);
  journal_->stop();
}

INSTANTIATE_TEST_SUITE_P(ThroughBothPaths, ConcurrentReaderTest,
                         testing::Values(DirectIo::preferred, DirectIo::off), [](const auto& direct) {
                           return direct.param == DirectIo::off ? "ThroughThePageCache"
                                                                : "AroundThePageCache";
                         });

}  // namespace
}  // namespace wellhead
