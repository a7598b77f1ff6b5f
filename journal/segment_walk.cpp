#include "journal/segment_walk.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "journal/section.hpp"

namespace wellhead {
namespace {

using journal_format::SectionHeader;

// Behind a passed section of this size only the next header is read, not what follows it: the next is likely
// to be as large, and either of another lane or read whole to where it is wanted. Copying what nobody asks
// for was a third of the time of a shard that is behind; below, a system call for each section would cost
// more.
constexpr std::uint64_t large_section_bytes = 16U << 10;

}  // namespace

FileResult<void> SegmentWalk::open(const SegmentEntry& entry) {
  auto file = files_.open(segment_path(entry.id), OpenMode::read);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  entry_ = entry;
  window_.open(*file_);
  at_ = journal_format::segment_header_bytes;
  ahead_ = ReadWindow::default_bytes;
  return {};
}

FileResult<SegmentWalk::HeaderResult> SegmentWalk::header_at(std::uint64_t offset) {
  const auto bytes = window_.view(offset, sizeof(SectionHeader), ahead_);
  if (!bytes) return std::unexpected(bytes.error());
  return check_section_header(*bytes, journal_, entry_.id);
}

void SegmentWalk::skip_unusable() noexcept {
  for (const Extent& extent : entry_.unusable)
    if (extent.begin <= at_ && at_ < extent.end) at_ = extent.end;
}

FileResult<SegmentWalk::Step> SegmentWalk::look() {
  WELLHEAD_ASSERT(is_open());
  skip_unusable();
  if (at_ >= entry_.end_offset) return Step::end;
  for (const bool again : {false, true}) {
    if (again) window_.forget();
    const auto header = header_at(at_);
    if (!header) return std::unexpected(header.error());
    if (!*header) continue;
    header_ = **header;
    return header_.block >= entry_.end_block ? Step::end : Step::section;
  }
  return Step::unreadable;
}

Extent SegmentWalk::extent() const noexcept {
  return {at_, at_ + journal_format::section_bytes(header_.payload_bytes)};
}

FileResult<bool> SegmentWalk::read_once(std::span<std::byte> into) {
  const auto held = window_.held(at_);
  const std::size_t copied = std::min(held.size(), into.size());
  if (copied > 0) std::memcpy(into.data(), held.data(), copied);  // held may be no memory at all
  const auto rest = window_.read(into.subspan(copied), at_ + copied);
  if (!rest) return std::unexpected(rest.error());
  return copied + *rest == into.size() && std::memcmp(into.data(), &header_, sizeof header_) == 0 &&
         payload_checksum(into.subspan(sizeof header_)) == header_.payload_checksum;
}

FileResult<bool> SegmentWalk::read(std::span<std::byte> into) {
  into = into.first(sizeof header_ + header_.payload_bytes);
  auto whole = read_once(into);
  if (!whole || *whole) return whole;
  window_.forget();
  return read_once(into);
}

void SegmentWalk::pass() noexcept {
  const Extent passed = extent();
  ahead_ = passed.end - passed.begin >= large_section_bytes ? journal_format::alignment
                                                            : ReadWindow::default_bytes;
  at_ = passed.end;
}

FileResult<Extent> SegmentWalk::unreadable() {
  ahead_ = ReadWindow::default_bytes;
  std::uint64_t end = at_ + journal_format::alignment;
  for (; end < entry_.end_offset; end += journal_format::alignment) {
    const auto header = header_at(end);
    if (!header) return std::unexpected(header.error());
    if (*header && (*header)->block < entry_.end_block) break;
  }
  return Extent{at_, std::min(end, entry_.end_offset)};
}

}  // namespace wellhead
