// The writer on the real file system: with the pool on a thread of its own, the operations on another, and
// what recovery then finds.
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "journal/epoch_file.hpp"
#include "journal/operation_thread.hpp"
#include "journal/posix_file_system.hpp"
#include "journal/recovery.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_pool.hpp"
#include "journal/segment_writer.hpp"
#include "journal/testing/temporary_directory.hpp"

namespace wellhead {
namespace {

constexpr journal_format::JournalId journal_id{4, 5, 6};
constexpr std::uint64_t segment_bytes = 256 << 10;
constexpr std::uint64_t block_count = 60;

class PoolThread {
 public:
  explicit PoolThread(SegmentPool& pool)
      : thread_([this, &pool] {
          while (!stopping_.load())
            if (!pool.work()) pool.wait_for_work(std::chrono::milliseconds(5));
        }) {}
  ~PoolThread() {
    stopping_.store(true);
    thread_.join();
  }
  PoolThread(const PoolThread&) = delete;
  PoolThread& operator=(const PoolThread&) = delete;

 private:
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

std::unique_ptr<Batch> make_batch(std::uint32_t shard, std::uint32_t tuple_bytes) {
  auto batch = std::make_unique<Batch>(64 << 10, 0);
  batch->set_shard(shard);
  std::byte* row = batch->append(0, 0, tuple_bytes);
  std::memset(row, 0, row_bytes(tuple_bytes));
  const RowHeader header{
      .device_hash = 1, .time_us = 2, .tuple_bytes = tuple_bytes, .record_index = 0, .stream = 0};
  std::memcpy(row, &header, sizeof header);
  return batch;
}

// Appends until it is planned, and does what is to be done on the thread.
CompleteResult write_block(SegmentWriter& writer, OperationThread& thread, std::span<Batch* const> batches) {
  while (writer.append(batches, {}, 0) != AppendStatus::planned)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CompleteResult result = CompleteResult::more;
  while (result == CompleteResult::more) {
    thread.begin(writer.operation());
    pollfd waiting{.fd = thread.done_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&waiting, 1, 60'000), 1);
    result = writer.complete(thread.take_result().value());
  }
  return result;
}

void write_blocks_and_recover(bool direct_wanted) {
  TemporaryDirectory directory;
  const auto files = PosixFileSystem::open(directory.path()).value();
  const SystemClock clock;
  SegmentCatalog catalog;
  SegmentPoolOptions options{.journal_id = journal_id, .segment_bytes = segment_bytes, .free_bytes_min = 0};
  for (const char* folder : {spare_directory, epochs_directory})
    ASSERT_TRUE(files->make_directory(folder).has_value());
  ASSERT_TRUE(
      write_epoch(*files,
                  {.epoch = 1, .reactors = 1, .shards = 2, .batch_bytes = 64 << 10, .catalog = "none"})
          .has_value());
  options.direct = direct_wanted && direct_io_works(*files).value();
  if (direct_wanted && !options.direct)
    GTEST_SKIP() << "the file system of " << directory.path() << " has no O_DIRECT";
  SegmentPool pool(*files, clock, options);
  ASSERT_TRUE(pool.open().has_value());
  {
    const PoolThread pool_thread(pool);
    SegmentWriter writer(pool, catalog, clock,
                         {.journal_id = journal_id,
                          .shards = 2,
                          .segment_bytes = segment_bytes,
                          .block_bytes_max = segment_bytes / 2,
                          .direct = options.direct});
    OperationThread thread;
    for (std::uint64_t block = 0; block < block_count; ++block) {
      const auto first = make_batch(0, static_cast<std::uint32_t>(100 + 500 * block));
      const auto second = make_batch(1, 10);
      const std::array<Batch*, 2> batches{first.get(), second.get()};
      ASSERT_EQ(write_block(writer, thread, batches), CompleteResult::durable);
    }
    EXPECT_EQ(writer.stats().rows.value(), 2 * block_count);
  }
  const auto recovered = recover(*files, journal_id, UINT64_MAX);
  ASSERT_TRUE(recovered.has_value()) << recovered.error().sentence;
  EXPECT_TRUE(recovered->faults.empty());
  EXPECT_EQ(recovered->survey.torn_blocks, 0U);
  EXPECT_EQ(recovered->entries.size(), catalog.segments().size());
  EXPECT_GT(recovered->entries.size(), 3U);
  EXPECT_LE(recovered->unused.size(), 1U) << "the one that was ready";
  ASSERT_EQ(recovered->survey.lanes.size(), 2U);
  for (const OldLane& lane : recovered->survey.lanes) {
    EXPECT_EQ(lane.first, 1U);
    EXPECT_EQ(lane.last, block_count);
  }
}

TEST(SegmentWriterOnPosix, WritesAroundThePageCacheWhatRecoveryFinds) {
  write_blocks_and_recover(true);
}

TEST(SegmentWriterOnPosix, WritesThroughThePageCacheWhatRecoveryFinds) {
  write_blocks_and_recover(false);
}

}  // namespace
}  // namespace wellhead
