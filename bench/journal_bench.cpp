// How long a 64 KiB block takes to be durable, by the way it is written:
//
//   bare        pwritev, O_DIRECT | O_DSYNC, of bytes that are there: what the disk takes
//   in place    the journal's writer, pwritev on the same thread: for comparison, a reactor must not wait so
//   ring        the journal's writer through an io_uring with the reactor's flags, submit and wait
//   worker      the same with IOSQE_ASYNC: a worker of the kernel's makes the blocking call
//   thread      the journal's writer, with a thread of its own that is woken by an eventfd and wakes the ring
//               by another
//
//   build/release/bin/journal_bench [DIRECTORY [BLOCKS]]
//
// The ways take turns, block by block, in one run, each in a segment of its own made before. Compare them
// with each other; another disk or another minute gives other numbers. DIRECTORY is best on the disk the
// journal is to be on; a new directory in it is used and removed.
#include <fmt/format.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/histogram.hpp"
#include "journal/operation_thread.hpp"
#include "journal/posix_file_system.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_pool.hpp"
#include "journal/segment_writer.hpp"

namespace wellhead {
namespace {

constexpr std::size_t block_bytes = 64 << 10;
constexpr std::uint64_t blocks_default = 1000;
constexpr std::uint64_t warm_up_blocks = 50;

// A batch whose section is exactly one block.
std::unique_ptr<Batch> make_batch() {
  auto batch = std::make_unique<Batch>(block_bytes, 0);
  constexpr std::uint32_t tuple_bytes = 288;
  while (batch->fits(row_bytes(tuple_bytes))) {
    std::byte* row = batch->append(0, 0, tuple_bytes);
    std::memset(row, 0x5a, row_bytes(tuple_bytes));
  }
  WELLHEAD_ASSERT(batch->section().size() == block_bytes);
  return batch;
}

std::int64_t perform(const JournalOperation& operation) {
  if (operation.kind == JournalOperation::Kind::synchronize) {
    const auto synchronized = operation.file->synchronize();
    return synchronized ? 0 : -synchronized.error();
  }
  const auto written = operation.file->write(operation.pieces, operation.offset);
  return written ? static_cast<std::int64_t>(*written) : -written.error();
}

// One way to write; its time is from before the block is made to when it is known to be durable.
class Way {
 public:
  Way(std::string name) : name_(std::move(name)) {}
  virtual ~Way() = default;
  Way(const Way&) = delete;
  Way& operator=(const Way&) = delete;

  virtual void write_block() = 0;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Histogram& taken_us() noexcept { return *taken_us_; }

 private:
  std::string name_;
  std::unique_ptr<Histogram> taken_us_ = std::make_unique<Histogram>();
};

class Bare final : public Way {
 public:
  explicit Bare(std::unique_ptr<ReadySegment> segment) : Way("bare"), segment_(std::move(segment)) {}

  void write_block() override {
    const auto section = batch_->section();
    const iovec piece{section.data(), section.size()};
    WELLHEAD_ASSERT(segment_->file->write({&piece, 1}, offset_) == section.size());
    offset_ += section.size();
  }

 private:
  std::unique_ptr<ReadySegment> segment_;
  std::unique_ptr<Batch> batch_ = make_batch();
  std::uint64_t offset_ = journal_format::segment_header_bytes;
};

// What the three ways of the writer share.
class Written : public Way {
 public:
  Written(std::string name, SegmentWriter& writer) : Way(std::move(name)), writer_(writer) {}

  void write_block() override {
    const std::array<Batch*, 1> batches{batch_.get()};
    WELLHEAD_ASSERT(writer_.append(batches, {}, 0) == AppendStatus::planned);
    while (true) {
      const CompleteResult result = writer_.complete(run(writer_.operation()));
      if (result == CompleteResult::durable) return;
      WELLHEAD_ASSERT(result == CompleteResult::more);
    }
  }

 private:
  virtual std::int64_t run(const JournalOperation& operation) = 0;

  SegmentWriter& writer_;
  std::unique_ptr<Batch> batch_ = make_batch();
};

class InPlace final : public Written {
 public:
  explicit InPlace(SegmentWriter& writer) : Written("in place", writer) {}

 private:
  std::int64_t run(const JournalOperation& operation) override { return perform(operation); }
};

// A ring as the reactor's.
class BenchRing {
 public:
  BenchRing() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    WELLHEAD_ASSERT(io_uring_queue_init_params(8, &ring_, &parameters) == 0);
  }
  ~BenchRing() { io_uring_queue_exit(&ring_); }
  BenchRing(const BenchRing&) = delete;
  BenchRing& operator=(const BenchRing&) = delete;

  [[nodiscard]] io_uring_sqe& entry() { return *io_uring_get_sqe(&ring_); }
  // Submits the one entry and blocks for its result.
  [[nodiscard]] std::int64_t wait() {
    WELLHEAD_ASSERT(io_uring_submit_and_wait(&ring_, 1) >= 0);
    io_uring_cqe* completion = nullptr;
    WELLHEAD_ASSERT(io_uring_peek_cqe(&ring_, &completion) == 0);
    const std::int64_t result = completion->res;
    io_uring_cqe_seen(&ring_, completion);
    return result;
  }

 private:
  io_uring ring_{};
};

class ThroughRing final : public Written {
 public:
  ThroughRing(std::string name, SegmentWriter& writer, unsigned entry_flags)
      : Written(std::move(name), writer), entry_flags_(entry_flags) {}

 private:
  std::int64_t run(const JournalOperation& operation) override {
    io_uring_sqe& entry = ring_.entry();
    if (operation.kind == JournalOperation::Kind::write)
      io_uring_prep_writev(&entry, operation.file->descriptor(), operation.pieces.data(),
                           static_cast<unsigned>(operation.pieces.size()), operation.offset);
    else
      io_uring_prep_fsync(&entry, operation.file->descriptor(), IORING_FSYNC_DATASYNC);
    io_uring_sqe_set_flags(&entry, entry_flags_);
    return ring_.wait();
  }

  unsigned entry_flags_;
  BenchRing ring_;
};

class OnThread final : public Written {
 public:
  explicit OnThread(SegmentWriter& writer) : Written("thread", writer) {}

 private:
  std::int64_t run(const JournalOperation& operation) override {
    thread_.begin(operation);
    io_uring_prep_poll_add(&ring_.entry(), thread_.done_fd(), POLLIN);
    WELLHEAD_ASSERT(ring_.wait() > 0);
    return thread_.take_result().value();
  }

  BenchRing ring_;
  OperationThread thread_;
};

class Bench {
 public:
  Bench(FileSystem& files, std::uint64_t blocks) : files_(files), blocks_(blocks) {}

  void run() {
    make_ways();
    for (std::uint64_t block = 0; block < warm_up_blocks + blocks_; ++block)
      for (const auto& way : ways_) measure(*way, block >= warm_up_blocks);
    print();
  }

 private:
  static constexpr std::uint32_t writer_count = 4;

  void make_ways() {
    SegmentPoolOptions pool_options;
    pool_options.reactors = writer_count + 1;
    pool_options.segment_bytes =
        journal_format::segment_header_bytes + (warm_up_blocks + blocks_) * block_bytes;
    pool_options.bytes_max = UINT64_MAX;
    pool_options.spare_made = 0;
    pool_ = std::make_unique<SegmentPool>(files_, clock_, pool_options);
    WELLHEAD_ASSERT(pool_->open().has_value());
    pool_options.direct = direct_io_works(files_).value_or(false);
    if (!pool_options.direct) fmt::print("No O_DIRECT here: through the page cache, bare is not durable.\n");
    pool_ = std::make_unique<SegmentPool>(files_, clock_, pool_options);
    WELLHEAD_ASSERT(pool_->open().has_value());
    while (pool_->work()) {
    }
    ways_.push_back(std::make_unique<Bare>(pool_->take(0)));
    SegmentWriterOptions options;
    options.segment_bytes = pool_options.segment_bytes;
    options.block_bytes_max = block_bytes;
    options.direct = pool_options.direct;
    for (options.reactor = 1; options.reactor <= writer_count; ++options.reactor)
      writers_.push_back(std::make_unique<SegmentWriter>(*pool_, catalog_, clock_, options));
    ways_.push_back(std::make_unique<InPlace>(*writers_[0]));
    ways_.push_back(std::make_unique<ThroughRing>("ring", *writers_[1], 0U));
    ways_.push_back(std::make_unique<ThroughRing>("worker", *writers_[2], IOSQE_ASYNC));
    ways_.push_back(std::make_unique<OnThread>(*writers_[3]));
  }

  void measure(Way& way, bool counted) {
    const std::int64_t begin_ns = clock_.monotonic_ns();
    way.write_block();
    const std::int64_t taken_ns = clock_.monotonic_ns() - begin_ns;
    if (counted) way.taken_us().record(static_cast<std::uint64_t>(taken_ns) / 1000);
  }

  void print() {
    fmt::print("{} blocks of {} bytes each way, microseconds\n", blocks_, block_bytes);
    fmt::print("{:<10}{:>10}{:>10}{:>10}{:>10}\n", "way", "p50", "p90", "p99", "max");
    for (const auto& way : ways_) {
      const Histogram& taken = way->taken_us();
      fmt::print("{:<10}{:>10}{:>10}{:>10}{:>10}\n", way->name(), taken.value_at_percentile(50),
                 taken.value_at_percentile(90), taken.value_at_percentile(99), taken.max());
    }
  }

  FileSystem& files_;
  std::uint64_t blocks_;
  SystemClock clock_;
  SegmentCatalog catalog_;
  std::unique_ptr<SegmentPool> pool_;
  std::vector<std::unique_ptr<SegmentWriter>> writers_;
  std::vector<std::unique_ptr<Way>> ways_;
};

int run(int argument_count, char** arguments) {
  const std::filesystem::path parent =
      argument_count > 1 ? std::filesystem::path(arguments[1]) : std::filesystem::current_path();
  std::uint64_t blocks = blocks_default;
  if (argument_count > 2) {
    const std::string_view text = arguments[2];
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), blocks);
    if (parsed.ec != std::errc() || blocks == 0) {
      fmt::print(stderr, "BLOCKS must be a number above 0\n");
      return 64;
    }
  }
  const std::string directory = parent / fmt::format("journal-bench-{}", ::getpid());
  const auto files = PosixFileSystem::open(directory);
  if (!files) {
    fmt::print(stderr, "Cannot make {}: {}\n", directory, std::strerror(files.error()));
    return 74;
  }
  Bench(**files, blocks).run();
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace wellhead

int main(int argument_count, char** arguments) {
  return wellhead::run(argument_count, arguments);
}
