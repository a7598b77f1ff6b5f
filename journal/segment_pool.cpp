#include "journal/segment_pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "journal/error.hpp"

namespace wellhead {
namespace {

constexpr std::size_t piece_bytes = 1U << 20;  // written in one call of work()
constexpr std::string_view spare_end = ".spare";
constexpr std::string_view making_end = ".making";
// Writes in a row that got nowhere before the file is given up.
constexpr unsigned stalls_max = 100;

std::string in(std::string_view directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

// Writes all of it; a short write is continued from the last place direct I/O accepts.
FileResult<void> write_whole(File& file, std::span<std::byte> bytes, std::uint64_t offset) {
  unsigned stalls = 0;
  while (!bytes.empty()) {
    const iovec piece{bytes.data(), bytes.size()};
    const auto written = file.write({&piece, 1}, offset);
    if (!written) return std::unexpected(written.error());
    const std::size_t whole = *written / journal_format::alignment * journal_format::alignment;
    if (whole == 0 && ++stalls == stalls_max) return std::unexpected(EIO);
    bytes = bytes.subspan(whole);
    offset += whole;
  }
  return {};
}

bool is_space(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

FileResult<std::uint64_t> size_of(FileSystem& files, const std::string& path) {
  const auto file = files.open(path, OpenMode::read);
  if (!file) return std::unexpected(file.error());
  return (*file)->size();
}

FileResult<bool> write_directly(FileSystem& files, const std::string& path) {
  const auto file = files.open(path, OpenMode::synchronous_direct);
  if (!file && file.error() == EINVAL) return false;
  if (!file) return std::unexpected(file.error());
  AlignedMemory page(journal_format::alignment);
  const auto written = write_whole(**file, page.bytes(), 0);
  // Some file systems open a file for direct I/O and then refuse to do it.
  if (!written && (written.error() == EINVAL || written.error() == EOPNOTSUPP)) return false;
  if (!written) return std::unexpected(written.error());
  return true;
}

}  // namespace

FileResult<bool> direct_io_works(FileSystem& files) {
  const std::string path = in(spare_directory, "direct-io-probe");
  // There may be one of a run that was killed just here.
  if (const auto removed = files.remove(path); !removed && removed.error() != ENOENT)
    return std::unexpected(removed.error());
  if (const auto made = files.open(path, OpenMode::create); !made) return std::unexpected(made.error());
  const auto works = write_directly(files, path);
  if (const auto removed = files.remove(path); !removed) return std::unexpected(removed.error());
  return works;
}

SegmentPool::SegmentPool(FileSystem& files, const Clock& clock, const SegmentPoolOptions& options)
    : files_(files),
      clock_(clock),
      options_(options),
      slots_(options.reactors),
      zeros_(std::min<std::uint64_t>(piece_bytes, options.segment_bytes)),
      header_(journal_format::segment_header_bytes) {
  WELLHEAD_ASSERT(options.reactors > 0);
  WELLHEAD_ASSERT(options.segment_bytes % journal_format::alignment == 0);
  WELLHEAD_ASSERT(options.segment_bytes > journal_format::segment_header_bytes);
}

SegmentPool::~SegmentPool() {
  for (Slot& slot : slots_) delete slot.ready.load(std::memory_order_acquire);
}

OpenMode SegmentPool::mode() const noexcept {
  return options_.direct ? OpenMode::synchronous_direct : OpenMode::update;
}

std::string SegmentPool::next_spare_path() {
  return in(spare_directory, fmt::format("{:08}-{:012}{}", options_.epoch, spare_next_++, spare_end));
}

void SegmentPool::set_spare_count() noexcept {
  spare_count_.store(static_cast<std::uint32_t>(spares_.size()), std::memory_order_relaxed);
}

FileResult<void> SegmentPool::open() {
  const std::lock_guard lock(mutex_);
  for (const char* directory : {segments_directory, spare_directory})
    if (const auto made = files_.make_directory(directory); !made) return made;
  if (const auto durable = files_.synchronize_directory(""); !durable) return durable;
  if (const auto counted = count_segments(); !counted) return counted;
  return adopt_spares();
}

FileResult<void> SegmentPool::count_segments() {
  const auto names = files_.list(segments_directory);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const auto size = size_of(files_, in(segments_directory, name));
    if (!size) return std::unexpected(size.error());
    bytes_ += *size;
  }
  return {};
}

FileResult<void> SegmentPool::adopt_spares() {
  const auto names = files_.list(spare_directory);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names)
    if (const auto adopted = adopt_spare(name); !adopted) return adopted;
  set_spare_count();
  return files_.synchronize_directory(spare_directory);
}

// A file that was still being made when its run ended has another ending and goes.
FileResult<void> SegmentPool::adopt_spare(const std::string& name) {
  const std::string path = in(spare_directory, name);
  const auto size = size_of(files_, path);
  if (!size) return std::unexpected(size.error());
  const bool fits = name.ends_with(spare_end) && *size == options_.segment_bytes;
  if (!fits || spares_.size() >= options_.spare_kept) return files_.remove(path);
  spares_.push_back(path);
  bytes_ += *size;
  return {};
}

std::unique_ptr<ReadySegment> SegmentPool::take(std::uint32_t reactor) noexcept {
  WELLHEAD_ASSERT(reactor < slots_.size());
  std::unique_ptr<ReadySegment> segment(slots_[reactor].ready.exchange(nullptr, std::memory_order_acq_rel));
  if (segment != nullptr) wanted_.release();
  return segment;
}

SegmentAvailability SegmentPool::availability(std::uint32_t reactor) const noexcept {
  WELLHEAD_ASSERT(reactor < slots_.size());
  if (slots_[reactor].ready.load(std::memory_order_acquire) != nullptr) return SegmentAvailability::ready;
  return full_.load(std::memory_order_relaxed) ? SegmentAvailability::full : SegmentAvailability::preparing;
}

void SegmentPool::wait_for_work(std::chrono::milliseconds timeout) {
  if (!wanted_.try_acquire_for(timeout)) return;
  while (wanted_.try_acquire()) {
  }
}

bool SegmentPool::work() {
  const std::lock_guard lock(mutex_);
  if (clock_.monotonic_ns() < retry_at_ns_) return false;
  Done done;
  const bool worked = fill_slots(done) || (done && make_spare(done));
  if (done) return worked;
  settle(done.error());
  return false;
}

bool SegmentPool::fill_slots(Done& done) {
  bool filled = false;
  for (std::uint32_t reactor = 0; reactor < slots_.size() && done; ++reactor) {
    if (spares_.empty()) break;
    if (slots_[reactor].ready.load(std::memory_order_acquire) != nullptr) continue;
    done = fill_slot(reactor);
    if (!done) drop_spare(reactor);
    filled = filled || done;
  }
  if (filled && done) report(false, {});
  return filled;
}

// The header is durable under the spare name first: under a segment's name there must never be another's
// header. Then both directories, so that no crash brings the file back under a name it had.
SegmentPool::Done SegmentPool::fill_slot(std::uint32_t reactor) {
  Slot& slot = slots_[reactor];
  const SegmentId id{options_.epoch, reactor, slot.segment_next};
  const std::string& spare = spares_.back();
  auto file = files_.open(spare, mode());
  if (!file) return failure("open a spare segment", file.error());
  if (const auto written = write_header(**file, id); !written)
    return failure("write the header of a segment", written.error());
  if (const auto renamed = files_.rename(spare, segment_path(id)); !renamed)
    return failure("rename a spare segment", renamed.error());
  if (const auto durable = synchronize_directories(); !durable)
    return failure("synchronize the directories of segments", durable.error());
  slot.ready.store(new ReadySegment{id, std::move(*file), options_.segment_bytes}, std::memory_order_release);
  ++slot.segment_next;
  spares_.pop_back();
  set_spare_count();
  return {};
}

FileResult<void> SegmentPool::write_header(File& file, const SegmentId& id) {
  journal_format::SegmentHeader header{};
  header.journal_id = options_.journal_id;
  header.epoch = id.epoch;
  header.reactor = id.reactor;
  header.segment = id.segment;
  header.bytes = options_.segment_bytes;
  header.created_us = clock_.wall_us();
  seal(header);
  std::memcpy(header_.data(), &header, sizeof header);
  if (const auto written = write_whole(file, header_.bytes(), 0); !written) return written;
  return file.synchronize();
}

FileResult<void> SegmentPool::synchronize_directories() {
  if (const auto durable = files_.synchronize_directory(segments_directory); !durable) return durable;
  return files_.synchronize_directory(spare_directory);
}

// Filling a slot failed somewhere: the file is under its spare name or its segment's. It goes, as nothing
// tells what is wrong with it. A segment that cannot be removed keeps its number: it has not begun, which
// every reader understands.
void SegmentPool::drop_spare(std::uint32_t reactor) {
  Slot& slot = slots_[reactor];
  const auto spare_gone = files_.remove(spares_.back());
  if (spare_gone) bytes_ -= options_.segment_bytes;
  if (!spare_gone && spare_gone.error() != ENOENT) return;  // to be tried again
  spares_.pop_back();
  set_spare_count();
  if (spare_gone) return;
  const auto segment_gone = files_.remove(segment_path({options_.epoch, reactor, slot.segment_next}));
  if (segment_gone || segment_gone.error() == ENOENT)
    bytes_ -= options_.segment_bytes;
  else
    ++slot.segment_next;
}

std::size_t SegmentPool::empty_slots() const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      slots_, [](const Slot& slot) { return slot.ready.load(std::memory_order_acquire) == nullptr; }));
}

bool SegmentPool::make_spare(Done& done) {
  const std::size_t needed = empty_slots();
  if (!making_ && spares_.size() >= needed + options_.spare_made) return false;
  if (!making_ && !within_bounds(spares_.size() < needed)) return false;
  done = !making_                                    ? begin_spare()
         : making_->written < options_.segment_bytes ? continue_spare()
                                                     : finish_spare();
  if (!done) give_up_spare();
  return true;
}

// Reaching a bound is told of only if a writer is left without a segment by it.
bool SegmentPool::within_bounds(bool needed) {
  std::string sentence;
  const auto free = files_.free_bytes();
  if (bytes() + options_.segment_bytes > options_.bytes_max)
    sentence = fmt::format(
        "The journal has reached its limit: it holds {} of at most {} bytes. What was acknowledged is safe; "
        "new "
        "records are refused until the database has taken older ones. See that the database is up, or raise "
        "the limit.",
        bytes(), options_.bytes_max);
  else if (free && *free < options_.free_bytes_min + options_.segment_bytes)
    sentence = fmt::format(
        "The journal's file system has {} bytes free and {} of them are left to others. What was "
        "acknowledged is "
        "safe; new records are refused until there is more space. Free some, or see that the database takes "
        "what the journal holds.",
        *free, options_.free_bytes_min);
  if (sentence.empty()) return true;
  if (needed) {
    report(true, std::move(sentence));
    pause();
  }
  return false;
}

SegmentPool::Done SegmentPool::begin_spare() {
  std::string path = next_spare_path();
  std::string making_path = path + std::string(making_end);
  const auto created = files_.open(making_path, OpenMode::create);
  if (!created) return failure("create a segment", created.error());
  making_.emplace(std::move(path), std::move(making_path), nullptr, 0U);
  bytes_ += options_.segment_bytes;
  const auto allocated = (*created)->allocate(options_.segment_bytes);
  if (!allocated && allocated.error() != EOPNOTSUPP)
    return failure("reserve space for a segment", allocated.error());
  auto file = files_.open(making_->making_path, mode());
  if (!file) return failure("open a segment", file.error());
  making_->file = std::move(*file);
  return {};
}

// Zeros are written although the space is reserved: the first write into reserved space changes metadata, and
// a synchronous write would have to wait for that too.
SegmentPool::Done SegmentPool::continue_spare() {
  const std::uint64_t left = options_.segment_bytes - making_->written;
  const auto piece = zeros_.bytes().first(std::min<std::uint64_t>(zeros_.size(), left));
  if (const auto written = write_whole(*making_->file, piece, making_->written); !written)
    return failure("fill a segment", written.error());
  making_->written += piece.size();
  return {};
}

SegmentPool::Done SegmentPool::finish_spare() {
  if (const auto synchronized = making_->file->synchronize(); !synchronized)
    return failure("synchronize a segment", synchronized.error());
  if (const auto renamed = files_.rename(making_->making_path, making_->path); !renamed)
    return failure("rename a segment", renamed.error());
  spares_.push_back(std::move(making_->path));
  making_.reset();
  set_spare_count();
  report(false, {});
  return {};
}

// What cannot be removed stays counted; the next run removes it.
void SegmentPool::give_up_spare() {
  if (!making_) return;
  making_->file.reset();
  if (files_.remove(making_->making_path)) bytes_ -= options_.segment_bytes;
  making_.reset();
}

SegmentPool::Done SegmentPool::failure(const char* doing, int error) {
  return std::unexpected(Failure{doing, error});
}

void SegmentPool::settle(const Failure& failure) {
  report(true,
         fmt::format(
             "Cannot {} of the journal: {}. What was acknowledged is safe; new records are refused as soon "
             "as no segment is left. {}; it is tried again every {} ms.",
             failure.doing, errno_text(failure.error),
             is_space(failure.error) ? "Free space on the journal's file system"
                                     : "Look at dmesg and the state of the journal's file system",
             options_.retry_pause.count()));
  pause();
}

void SegmentPool::pause() {
  retry_at_ns_ = clock_.monotonic_ns() + std::chrono::nanoseconds(options_.retry_pause).count();
}

void SegmentPool::report(bool full, std::string sentence) {
  full_.store(full, std::memory_order_relaxed);
  const std::lock_guard lock(problem_mutex_);
  problem_ = std::move(sentence);
}

std::string SegmentPool::problem() const {
  const std::lock_guard lock(problem_mutex_);
  return problem_;
}

FileResult<void> SegmentPool::recycle(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const std::string path = in(segments_directory, name);
  const auto size = size_of(files_, path);
  // Gone by an earlier call that could not make it durable.
  if (!size && size.error() == ENOENT) return synchronize_directories();
  if (!size) return std::unexpected(size.error());
  const bool keep = *size == options_.segment_bytes && spares_.size() < options_.spare_kept;
  const auto recycled = keep ? keep_as_spare(path) : remove_segment(path, *size);
  retry_at_ns_ = INT64_MIN;
  wanted_.release();
  return recycled;
}

// Only what is durable under its new name is used again: otherwise a crash could bring back the old name with
// a new header in it. Where that fails the file is left alone; the next run finds it.
FileResult<void> SegmentPool::keep_as_spare(const std::string& path) {
  std::string spare = next_spare_path();
  if (const auto renamed = files_.rename(path, spare); !renamed) return renamed;
  if (const auto durable = synchronize_directories(); !durable) return durable;
  spares_.push_back(std::move(spare));
  set_spare_count();
  return {};
}

FileResult<void> SegmentPool::remove_segment(const std::string& path, std::uint64_t size) {
  if (const auto removed = files_.remove(path); !removed) return removed;
  bytes_ -= size;
  return files_.synchronize_directory(segments_directory);
}

}  // namespace wellhead
