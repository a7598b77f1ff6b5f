#include "journal/read_window.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead {
namespace {

std::size_t round_up(std::size_t bytes) {
  return (bytes + journal_format::alignment - 1) / journal_format::alignment * journal_format::alignment;
}

}  // namespace

ReadWindow::ReadWindow(std::size_t bytes)
    : capacity_(bytes), memory_(bytes, AlignedMemory::Content::anything) {}

void ReadWindow::open(File& file) noexcept {
  file_ = &file;
  forget();
}

std::span<const std::byte> ReadWindow::held(std::uint64_t offset) const noexcept {
  if (offset < begin_ || offset >= begin_ + size_) return {};
  const auto skipped = static_cast<std::size_t>(offset - begin_);
  return memory_.bytes().subspan(skipped, size_ - skipped);
}

FileResult<std::span<const std::byte>> ReadWindow::view(std::uint64_t offset, std::size_t bytes,
                                                        std::size_t ahead) {
  WELLHEAD_ASSERT(file_ != nullptr && bytes + journal_format::alignment <= capacity_);
  if (const auto there = held(offset); there.size() >= bytes) return there.first(bytes);
  forget();
  const std::uint64_t begin = offset / journal_format::alignment * journal_format::alignment;
  const std::size_t wanted = static_cast<std::size_t>(offset - begin) + std::max(ahead, bytes);
  const auto got = fill(memory_.bytes().first(std::min(round_up(wanted), capacity_)), begin);
  if (!got) return std::unexpected(got.error());
  begin_ = begin;
  size_ = *got;
  const auto there = held(offset);
  return there.first(std::min(bytes, there.size()));
}

// A direct read must go on where it is aligned, so the odd end of a short one is read again.
FileResult<std::size_t> ReadWindow::fill(std::span<std::byte> into, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < into.size()) {
    const auto got = file_->read(into.subspan(done), offset + done);
    if (!got) return std::unexpected(got.error());
    const std::size_t odd = *got % journal_format::alignment;
    done += *got - odd;
    if (*got == 0) break;
    if (odd == 0) continue;
    const auto size = file_->size();
    if (!size) return std::unexpected(size.error());
    if (offset + done + odd >= *size) return done + odd;
  }
  return done;
}

FileResult<std::size_t> ReadWindow::read(std::span<std::byte> into, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < into.size()) {
    const auto got = file_->read(into.subspan(done), offset + done);
    if (!got) return std::unexpected(got.error());
    if (*got == 0) break;
    done += *got;
  }
  return done;
}

}  // namespace wellhead
