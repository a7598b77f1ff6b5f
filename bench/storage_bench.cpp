// What the journal does with a block: its checksum, and appending it to a file that is memory, so that only
// the journal's own work counts.
//
//   build/release/bin/storage_bench        one after the other; ./dev bench micro in turn
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "bench/stage.hpp"
#include "journal/posix_file_system.hpp"
#include "journal/section.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_pool.hpp"
#include "journal/segment_writer.hpp"

namespace wellhead::bench {
namespace {

constexpr std::uint64_t segment_bytes = 64ULL << 20;
constexpr std::uint32_t tuple_bytes = 168;  // a telemetry row's

std::string block_name(std::size_t bytes) {
  return "block_" + std::to_string(bytes >> 10) + "KiB";
}

void add_checksum(std::size_t bytes) {
  const Case about{"checksum", block_name(bytes), "block", 1};
  measure(about, [bytes](benchmark::State&) {
    return [block = std::make_shared<std::vector<std::byte>>(bytes, std::byte{0x5a})] {
      benchmark::DoNotOptimize(payload_checksum(*block));
      benchmark::ClobberMemory();
    };
  });
  measure_memcpy(about, bytes);
}

// A folder in memory, gone with the last that uses it.
class MemoryFolder {
 public:
  MemoryFolder() {
    std::string name = "/dev/shm/wellhead-bench-XXXXXX";
    WELLHEAD_ASSERT(mkdtemp(name.data()) != nullptr);
    path_ = name;
    auto files = PosixFileSystem::open(path_);
    WELLHEAD_ASSERT(files.has_value());
    files_ = std::move(*files);
  }
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;

  [[nodiscard]] PosixFileSystem& files() { return *files_; }

 private:
  std::string path_;
  std::unique_ptr<PosixFileSystem> files_;
};

// A batch whose section is as large as the block.
std::unique_ptr<Batch> full_batch(std::size_t block_bytes) {
  auto batch = std::make_unique<Batch>(block_bytes, 0);
  while (batch->fits(row_bytes(tuple_bytes)))
    std::memset(batch->append(0, 0, tuple_bytes), 0x5a, row_bytes(tuple_bytes));
  WELLHEAD_ASSERT(batch->section().size() == block_bytes);
  return batch;
}

std::int64_t perform(const JournalOperation& operation) {
  if (operation.kind == JournalOperation::Kind::synchronize) {
    WELLHEAD_ASSERT(operation.file->synchronize().has_value());
    return 0;
  }
  const auto written = operation.file->write(operation.pieces, operation.offset);
  WELLHEAD_ASSERT(written.has_value());
  return static_cast<std::int64_t>(*written);
}

// The journal's writer with one batch a block, again and again.
class Append {
 public:
  Append(benchmark::State& state, std::size_t block_bytes) : state_(state), batch_(full_batch(block_bytes)) {
    options_.segment_bytes = segment_bytes;
    options_.direct = false;
    pool_ = std::make_unique<SegmentPool>(
        folder_.files(), clock_,
        SegmentPoolOptions{.segment_bytes = segment_bytes, .direct = false, .spare_made = 2});
    WELLHEAD_ASSERT(pool_->open().has_value());
    writer_ = std::make_unique<SegmentWriter>(*pool_, catalog_, clock_, options_);
    make_segments_ready();
  }

  void operator()() {
    const std::array<Batch*, 1> batches{batch_.get()};
    while (writer_->append(batches, {}, 0) != AppendStatus::planned) {
      // Other threads do this beside a reactor, so it is not in the time.
      state_.PauseTiming();
      make_segments_ready();
      state_.ResumeTiming();
    }
    CompleteResult result = CompleteResult::more;
    while (result == CompleteResult::more) result = writer_->complete(perform(writer_->operation()));
    WELLHEAD_ASSERT(result == CompleteResult::durable);
  }

 private:
  void make_segments_ready() {
    for (const SegmentEntry& segment : catalog_.segments()) {
      if (segment.active) continue;
      catalog_.remove(segment.id);
      WELLHEAD_ASSERT(pool_->recycle(segment_name(segment.id)).has_value());
    }
    while (pool_->work()) {
    }
  }

  benchmark::State& state_;
  std::unique_ptr<Batch> batch_;
  MemoryFolder folder_;
  SystemClock clock_;
  SegmentCatalog catalog_;
  SegmentWriterOptions options_;
  std::unique_ptr<SegmentPool> pool_;
  std::unique_ptr<SegmentWriter> writer_;
};

// The same bytes into a file that is there already, from its start again when it is full.
class BareWrite {
 public:
  explicit BareWrite(std::size_t block_bytes) : batch_(full_batch(block_bytes)) {
    auto file = folder_.files().open("bare", OpenMode::create);
    WELLHEAD_ASSERT(file.has_value());
    file_ = std::move(*file);
    for (std::uint64_t written = 0; written < segment_bytes; written += block_bytes) (*this)();
  }

  void operator()() {
    const auto section = batch_->section();
    if (offset_ + section.size() > segment_bytes) offset_ = 0;
    const ssize_t written =
        pwrite(file_->descriptor(), section.data(), section.size(), static_cast<off_t>(offset_));
    WELLHEAD_ASSERT(written == static_cast<ssize_t>(section.size()));
    offset_ += section.size();
  }

 private:
  std::unique_ptr<Batch> batch_;
  MemoryFolder folder_;
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
};

void add_append(std::size_t block_bytes) {
  const Case about{"append", block_name(block_bytes), "block", 1};
  measure(about, [block_bytes](benchmark::State& state) {
    return [append = std::make_shared<Append>(state, block_bytes)] { (*append)(); };
  });
  measure_reference(about, "pwrite", [block_bytes](benchmark::State&) {
    return [write = std::make_shared<BareWrite>(block_bytes)] { (*write)(); };
  });
}

}  // namespace

void enlist() {
  for (const std::size_t bytes : {std::size_t{64} << 10, std::size_t{1} << 20}) {
    add_checksum(bytes);
    add_append(bytes);
  }
}

}  // namespace wellhead::bench
