#include "journal/read_window.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead {

ReadWindow::ReadWindow(std::size_t bytes)
    : capacity_(bytes), memory_(std::make_unique_for_overwrite<std::byte[]>(bytes)) {
  WELLHEAD_ASSERT(bytes > 0);
}

void ReadWindow::open(File& file) noexcept {
  file_ = &file;
  forget();
}

std::span<const std::byte> ReadWindow::held(std::uint64_t offset) const noexcept {
  if (offset < begin_ || offset >= begin_ + size_) return {};
  const auto skipped = static_cast<std::size_t>(offset - begin_);
  return {memory_.get() + skipped, size_ - skipped};
}

FileResult<std::span<const std::byte>> ReadWindow::view(std::uint64_t offset, std::size_t bytes,
                                                        std::size_t ahead) {
  WELLHEAD_ASSERT(file_ != nullptr && bytes <= capacity_);
  if (const auto there = held(offset); there.size() >= bytes) return there.first(bytes);
  forget();
  const auto got = read({memory_.get(), std::clamp(ahead, bytes, capacity_)}, offset);
  if (!got) return std::unexpected(got.error());
  begin_ = offset;
  size_ = *got;
  return held(offset).first(std::min(bytes, size_));
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
