#include "journal/segment_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "journal/error.hpp"
#include "journal/section.hpp"

namespace wellhead {
namespace {

using journal_format::section_bytes;
using journal_format::SectionHeader;
using journal_format::SectionKind;

// As the kernel takes them in one call (uapi/linux/uio.h, UIO_MAXIOV).
constexpr std::size_t pieces_max = 1024;
constexpr unsigned stalls_max = 100;
constexpr std::size_t pieces_reserved = 64;

}  // namespace

SegmentWriter::SegmentWriter(SegmentPool& pool, SegmentCatalog& catalog, const Clock& clock,
                             const SegmentWriterOptions& options)
    : pool_(pool),
      catalog_(catalog),
      clock_(clock),
      options_(options),
      next_sequences_(options.shards, 1),
      sequences_before_(options.shards, 1),
      header_(journal_format::segment_header_bytes) {
  WELLHEAD_ASSERT(options.epoch > 0 && options.shards > 0);
  WELLHEAD_ASSERT(options.block_bytes_max <= options.segment_bytes - journal_format::segment_header_bytes);
  pieces_.reserve(pieces_reserved);
}

SegmentWriter::~SegmentWriter() = default;

AppendStatus SegmentWriter::append(std::span<Batch* const> batches, std::span<const std::byte> ledger,
                                   std::uint32_t ledger_entries) {
  check_invariants();
  if (state_ == State::latched) return AppendStatus::latched;
  if (state_ != State::idle) return AppendStatus::busy;
  const bool has_ledger = !ledger.empty() || batches.empty();
  const std::uint64_t bytes = bytes_of(batches) + (has_ledger ? section_bytes(ledger.size()) : 0);
  WELLHEAD_ASSERT(bytes <= options_.block_bytes_max);
  if (const AppendStatus room = find_room(bytes); room != AppendStatus::planned) return room;
  begin_block(bytes, batches.size() + (has_ledger ? 1 : 0));
  for (Batch* batch : batches) add_rows(*batch);
  if (has_ledger) add_ledger(ledger, ledger_entries);
  WELLHEAD_ASSERT(block_.sections_added == block_.section_count);
  state_ = State::writing;
  in_flight_.store(true, std::memory_order_release);
  check_invariants();
  return AppendStatus::planned;
}

std::uint64_t SegmentWriter::bytes_of(std::span<Batch* const> batches) const {
  std::uint64_t bytes = 0;
  for (const Batch* batch : batches) {
    WELLHEAD_ASSERT(!batch->empty() && batch->shard() < options_.shards);
    bytes += section_bytes(batch->bytes());
  }
  return bytes;
}

AppendStatus SegmentWriter::find_room(std::uint64_t block_bytes) {
  if (segment_ == nullptr || segment_->end + block_bytes > segment_->bytes) {
    const auto ready = pool_.take(options_.reactor);
    if (ready == nullptr) return refuse();
    turn_to(*ready);
  }
  refused_.store(false, std::memory_order_relaxed);
  return AppendStatus::planned;
}

AppendStatus SegmentWriter::refuse() {
  refused_.store(true, std::memory_order_relaxed);
  if (pool_.availability(options_.reactor) != SegmentAvailability::full) return AppendStatus::not_ready;
  stats_.full_refusals.add();
  return AppendStatus::full;
}

void SegmentWriter::turn_to(ReadySegment& ready) {
  WELLHEAD_ASSERT(ready.bytes == options_.segment_bytes);
  WELLHEAD_ASSERT(segment_ == nullptr || segment_->id < ready.id);
  catalog_.begin({.id = ready.id,
                  .bytes = ready.bytes,
                  .first_block = block_next_,
                  .next_sequences = next_sequences_,
                  .ledger_sections_before = ledger_sections_,
                  .now_us = clock_.wall_us()});
  ledger_sections_ = 0;
  segment_ = std::make_unique<Segment>(ready.id, std::move(ready.file), ready.bytes);
}

void SegmentWriter::begin_block(std::uint64_t bytes, std::size_t section_count) {
  const std::uint64_t begin = segment_->end == 0 ? journal_format::segment_header_bytes : segment_->end;
  block_ = {.bytes = bytes,
            .section_count = static_cast<std::uint32_t>(section_count),
            .at = segment_->end,
            .end = begin + bytes,
            .started_ns = clock_.monotonic_ns(),
            .written_us = clock_.wall_us()};
  sequences_before_ = next_sequences_;
  pieces_.clear();
  piece_ = 0;
  stalls_ = 0;
  if (segment_->end == 0) add_segment_header();
}

void SegmentWriter::add_segment_header() {
  journal_format::SegmentHeader header{};
  header.journal_id = options_.journal_id;
  header.epoch = segment_->id.epoch;
  header.reactor = segment_->id.reactor;
  header.segment = segment_->id.segment;
  header.first_block = block_next_;
  header.bytes = segment_->bytes;
  header.created_us = block_.written_us;
  seal(header);
  std::memcpy(header_.data(), &header, sizeof header);
  pieces_.push_back({header_.data(), header_.size()});
}

void SegmentWriter::add_rows(Batch& batch) {
  const std::uint32_t shard = batch.shard();
  batch.set_lane({options_.epoch, options_.reactor, shard}, next_sequences_[shard]++);
  SectionHeader header{};
  header.kind = SectionKind::rows;
  header.shard = shard;
  header.lane_sequence = batch.lane_sequence();
  header.row_count = batch.row_count();
  add_section(batch.section(), header, batch.rows());
  block_.row_count += batch.row_count();
}

void SegmentWriter::add_ledger(std::span<const std::byte> ledger, std::uint32_t entries) {
  const std::size_t bytes = section_bytes(ledger.size());
  if (ledger_ == nullptr || ledger_->size() < bytes)
    ledger_ = std::make_unique<AlignedMemory>(std::bit_ceil(bytes));
  const auto section = ledger_->bytes().first(bytes);
  const auto behind_header = section.subspan(sizeof(SectionHeader));
  if (!ledger.empty()) std::memcpy(behind_header.data(), ledger.data(), ledger.size());
  std::memset(behind_header.data() + ledger.size(), 0, behind_header.size() - ledger.size());
  SectionHeader header{};
  header.kind = SectionKind::ledger;
  header.row_count = entries;
  add_section(section, header, behind_header.first(ledger.size()));
  block_.has_ledger = true;
}

void SegmentWriter::add_section(std::span<std::byte> section, SectionHeader header,
                                std::span<const std::byte> payload) {
  header.journal_id = options_.journal_id;
  header.epoch = segment_->id.epoch;
  header.reactor = segment_->id.reactor;
  header.segment = segment_->id.segment;
  header.block = block_next_;
  header.section_index = block_.sections_added++;
  header.section_count = block_.section_count;
  header.block_bytes = block_.bytes;
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.written_us = block_.written_us;
  seal(header, payload);
  std::memcpy(section.data(), &header, sizeof header);
  WELLHEAD_ASSERT(section.size() == section_bytes(payload.size()));
  WELLHEAD_ASSERT(check_section_header(section, options_.journal_id, segment_->id).has_value());
  pieces_.push_back({section.data(), section.size()});
}

JournalOperation SegmentWriter::operation() const {
  WELLHEAD_ASSERT(state_ == State::writing || state_ == State::synchronizing);
  File* file = segment_->file.get();
  if (state_ == State::synchronizing)
    return {.kind = JournalOperation::Kind::synchronize, .file = file, .pieces = {}};
  const auto left = std::span(pieces_).subspan(piece_);
  return {.kind = JournalOperation::Kind::write,
          .file = file,
          .pieces = left.first(std::min(left.size(), pieces_max)),
          .offset = block_.at};
}

CompleteResult SegmentWriter::complete(std::int64_t result) {
  check_invariants();
  WELLHEAD_ASSERT(state_ == State::writing || state_ == State::synchronizing);
  if (result == -EINTR || result == -EAGAIN) return stall(static_cast<int>(-result));
  if (result < 0) return latch(static_cast<int>(-result));
  if (state_ == State::writing) return advance(static_cast<std::uint64_t>(result));
  WELLHEAD_ASSERT(result == 0);
  return finish();
}

CompleteResult SegmentWriter::advance(std::uint64_t bytes) {
  WELLHEAD_ASSERT(bytes <= block_.end - block_.at);
  const std::uint64_t whole = bytes / journal_format::alignment * journal_format::alignment;
  if (whole == 0) return stall(EIO);
  stalls_ = 0;
  skip_pieces(whole);
  block_.at += whole;
  if (block_.at < block_.end) return CompleteResult::more;
  WELLHEAD_ASSERT(piece_ == pieces_.size());
  if (options_.direct) return finish();
  state_ = State::synchronizing;
  return CompleteResult::more;
}

void SegmentWriter::skip_pieces(std::uint64_t bytes) {
  while (bytes > 0) {
    iovec& piece = pieces_[piece_];
    const std::uint64_t taken = std::min<std::uint64_t>(bytes, piece.iov_len);
    piece.iov_base = static_cast<std::byte*>(piece.iov_base) + taken;
    piece.iov_len -= taken;
    bytes -= taken;
    if (piece.iov_len == 0) ++piece_;
  }
}

// The same again, but not for ever: a file that takes nothing is as bad as one that says no.
CompleteResult SegmentWriter::stall(int error) {
  return ++stalls_ < stalls_max ? CompleteResult::more : latch(error);
}

CompleteResult SegmentWriter::finish() {
  segment_->end = block_.end;
  ledger_sections_ += block_.has_ledger ? 1 : 0;
  ++block_next_;
  stats_.blocks.add();
  stats_.sections.add(block_.section_count);
  stats_.rows.add(block_.row_count);
  stats_.bytes.add(block_.bytes);
  const std::int64_t taken_ns = clock_.monotonic_ns() - block_.started_ns;
  stats_.write_us.record(static_cast<std::uint64_t>(std::max<std::int64_t>(taken_ns, 0)) / 1000);
  state_ = State::idle;
  in_flight_.store(false, std::memory_order_release);
  check_invariants();
  return CompleteResult::durable;
}

CompleteResult SegmentWriter::latch(int error) {
  stats_.write_failures.add();
  set_problem(fmt::format(
      "Cannot {} {} of the journal: {}. What was acknowledged is safe; nothing more is taken or "
      "acknowledged. "
      "Look at dmesg and the health of the disk, then send SIGHUP, and the journal goes on in a fresh "
      "segment.",
      state_ == State::writing ? "write" : "synchronize", segment_path(segment_->id), errno_text(error)));
  next_sequences_ = sequences_before_;
  state_ = State::latched;
  latched_.store(true, std::memory_order_release);
  in_flight_.store(false, std::memory_order_release);
  check_invariants();
  return CompleteResult::failed;
}

void SegmentWriter::reopen() {
  if (state_ != State::latched) return;
  segment_.reset();
  state_ = State::idle;
  set_problem({});
  latched_.store(false, std::memory_order_release);
  check_invariants();
}

bool SegmentWriter::writable() const noexcept {
  if (latched() || in_flight_.load(std::memory_order_acquire)) return false;
  return !refused_.load(std::memory_order_relaxed) ||
         pool_.availability(options_.reactor) == SegmentAvailability::ready;
}

bool SegmentWriter::full() const noexcept {
  return refused_.load(std::memory_order_relaxed) &&
         pool_.availability(options_.reactor) == SegmentAvailability::full;
}

std::string SegmentWriter::problem() const {
  {
    const std::lock_guard lock(problem_mutex_);
    if (!problem_.empty()) return problem_;
  }
  if (!refused_.load(std::memory_order_relaxed) || writable()) return {};
  std::string reason = pool_.problem();
  return reason.empty()
             ? "No segment of the journal is ready; one is being made, and nothing is lost meanwhile."
             : reason;
}

void SegmentWriter::set_problem(std::string sentence) {
  const std::lock_guard lock(problem_mutex_);
  problem_ = std::move(sentence);
}

void SegmentWriter::check_invariants() const {
  const bool in_flight = state_ == State::writing || state_ == State::synchronizing;
  WELLHEAD_ASSERT(in_flight_.load(std::memory_order_relaxed) == in_flight);
  WELLHEAD_ASSERT(latched_.load(std::memory_order_relaxed) == (state_ == State::latched));
  WELLHEAD_ASSERT(block_next_ > 0);
  if (segment_ == nullptr) {
    WELLHEAD_ASSERT(!in_flight && state_ == State::idle);
    return;
  }
  WELLHEAD_ASSERT(segment_->end % journal_format::alignment == 0 && segment_->end <= segment_->bytes);
  if (!in_flight) return;
  WELLHEAD_ASSERT(block_.at % journal_format::alignment == 0 && segment_->end <= block_.at);
  WELLHEAD_ASSERT(block_.at <= block_.end && block_.end <= segment_->bytes);
  WELLHEAD_ASSERT((state_ == State::writing) == (block_.at < block_.end));
}

}  // namespace wellhead
