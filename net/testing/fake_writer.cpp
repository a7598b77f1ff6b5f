#include "net/testing/fake_writer.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace wellhead::testing {

class FakeWriter::DescriptorFile final : public File {
 public:
  void set(int descriptor) { descriptor_.store(descriptor); }
  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.load(); }
  [[nodiscard]] FileResult<std::uint64_t> size() const override { return std::unexpected(ENOSYS); }
  [[nodiscard]] FileResult<std::size_t> read(std::span<std::byte>, std::uint64_t) override {
    return std::unexpected(ENOSYS);
  }
  [[nodiscard]] FileResult<std::size_t> write(std::span<const iovec> pieces, std::uint64_t offset) override {
    if (descriptor() < 0) return total_bytes(pieces);
    const auto count = static_cast<int>(pieces.size());
    ssize_t written = pwritev(descriptor(), pieces.data(), count, static_cast<off_t>(offset));
    if (written < 0 && errno == ESPIPE) written = writev(descriptor(), pieces.data(), count);  // a pipe
    if (written < 0) return std::unexpected(errno);
    return static_cast<std::size_t>(written);
  }
  [[nodiscard]] FileResult<void> synchronize() override {
    if (descriptor() >= 0 && fdatasync(descriptor()) != 0) return std::unexpected(errno);
    return {};
  }
  [[nodiscard]] FileResult<void> allocate(std::uint64_t) override { return {}; }
  [[nodiscard]] FileResult<void> truncate(std::uint64_t) override { return {}; }

 private:
  static std::size_t total_bytes(std::span<const iovec> pieces) {
    std::size_t bytes = 0;
    for (const iovec& piece : pieces) bytes += piece.iov_len;
    return bytes;
  }

  std::atomic<int> descriptor_{-1};
};

FakeWriter::FakeWriter(std::uint32_t epoch, std::uint32_t reactor)
    : epoch_(epoch), reactor_(reactor), file_(std::make_unique<DescriptorFile>()) {}

FakeWriter::~FakeWriter() = default;

void FakeWriter::use_descriptor(int descriptor, bool synchronous) {
  file_->set(descriptor);
  synchronous_.store(synchronous);
}

AppendStatus FakeWriter::append(std::span<Batch* const> batches, std::span<const std::byte> ledger,
                                std::uint32_t ledger_entries) {
  WELLHEAD_ASSERT(ledger.empty() == (ledger_entries == 0));
  if (latched_.load()) return AppendStatus::latched;
  if (writing()) return AppendStatus::busy;
  if (const AppendStatus status = answer_.load(); status != AppendStatus::planned) return status;
  std::map<std::uint32_t, std::uint64_t> next = sequences_;
  block_.assign(batches.begin(), batches.end());
  pieces_.clear();
  block_bytes_ = 0;
  for (Batch* batch : block_) {
    WELLHEAD_ASSERT(!batch->empty());
    batch->set_lane({epoch_, reactor_, batch->shard()}, ++next[batch->shard()]);
    const std::span<std::byte> section = batch->section();
    pieces_.push_back({section.data(), section.size()});
    block_bytes_ += section.size();
  }
  block_ledger_ = {.payload = {ledger.begin(), ledger.end()}, .entries = ledger_entries};
  if (block_.empty()) {  // only its place counts
    pieces_.push_back({empty_section_.data(), empty_section_.size()});
    block_bytes_ = empty_section_.size();
  }
  bytes_left_ = block_bytes_;
  offset_ = 0;
  writing_ = true;
  return AppendStatus::planned;
}

JournalOperation FakeWriter::operation() const {
  WELLHEAD_ASSERT(writing());
  if (synchronizing_) return {.kind = JournalOperation::Kind::synchronize, .file = file_.get(), .pieces = {}};
  return {.kind = JournalOperation::Kind::write, .file = file_.get(), .pieces = pieces_, .offset = offset_};
}

CompleteResult FakeWriter::complete(std::int64_t result) {
  WELLHEAD_ASSERT(writing());
  if (result < 0 || (!synchronizing_ && result == 0)) {
    latched_.store(true);
    bytes_left_ = 0;
    synchronizing_ = false;
    writing_ = false;
    return CompleteResult::failed;
  }
  if (!synchronizing_) {
    auto written = static_cast<std::size_t>(result);
    WELLHEAD_ASSERT(written <= bytes_left_);
    bytes_left_ -= written;
    offset_ += written;
    while (written > 0) {
      iovec& piece = pieces_.front();
      const std::size_t taken = std::min(written, piece.iov_len);
      piece.iov_base = static_cast<std::byte*>(piece.iov_base) + taken;
      piece.iov_len -= taken;
      written -= taken;
      if (piece.iov_len == 0) pieces_.erase(pieces_.begin());
    }
    if (bytes_left_ > 0) return CompleteResult::more;
    if (synchronous_.load()) return finish_block();
    synchronizing_ = true;
    return CompleteResult::more;
  }
  synchronizing_ = false;
  return finish_block();
}

CompleteResult FakeWriter::finish_block() {
  writing_ = false;
  for (const Batch* batch : block_) {
    sequences_[batch->shard()] = batch->lane_sequence();
    rows_durable_ += batch->row_count();
  }
  if (block_ledger_.entries > 0) ledger_.push_back(std::move(block_ledger_));
  stats_.blocks.add();
  return CompleteResult::durable;
}

bool FakeWriter::writable() const noexcept {
  return !latched_.load() && !writing() && answer_.load() == AppendStatus::planned;
}

std::string FakeWriter::problem() const {
  if (latched_.load()) return "The journal's disk failed; nothing is acknowledged until it is mended.";
  if (answer_.load() == AppendStatus::full) return "The journal is full; nothing is taken until it shrinks.";
  return {};
}

void FakeWriter::reopen() {
  latched_.store(false);
  ++reopened_;
}

}  // namespace wellhead::testing
