#include "journal/segment_scan.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

using journal_format::SectionHeader;

FoundSection found(const SectionHeader& header, std::uint64_t offset) {
  return {.offset = offset,
          .block = header.block,
          .block_bytes = header.block_bytes,
          .lane_sequence = header.lane_sequence,
          .payload_checksum = header.payload_checksum,
          .written_us = header.written_us,
          .section_index = header.section_index,
          .section_count = header.section_count,
          .shard = header.shard,
          .row_count = header.row_count,
          .payload_bytes = header.payload_bytes,
          .kind = header.kind};
}

// Bytes a checksum goes on by; a window holds them wherever they begin.
constexpr std::size_t window_bytes = 2U << 20;
constexpr std::size_t verify_step = window_bytes - journal_format::alignment;
// Behind a section of this size that is not verified, only the next header is read.
constexpr std::uint64_t large_section_bytes = 256U << 10;

struct FreeState {
  void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
};

// Blocks and indices only rise; a header for which this is not true is not of the walk.
bool continues(const SegmentScan& scan, const SectionHeader& header) {
  if (scan.sections.empty()) return !scan.header || header.block >= scan.header->first_block;
  const FoundSection& last = scan.sections.back();
  return std::pair(header.block, header.section_index) > std::pair(last.block, last.section_index);
}

// Whether every block before `end_block` was found, so that nothing more is to be looked for.
bool complete(const SegmentScan& scan, std::uint64_t end_block) {
  if (scan.sections.empty()) return scan.header && scan.header->first_block == end_block;
  const FoundSection& last = scan.sections.back();
  return last.section_index + 1 == last.section_count && last.block + 1 == end_block;
}

}  // namespace

SegmentScanner::SegmentScanner(FileSystem& files, const journal_format::JournalId& journal)
    : files_(files), journal_(journal), window_(window_bytes) {}

FileResult<SegmentScan> SegmentScanner::open(const SegmentId& id) {
  // Around the page cache, which a gigabyte read once would only fill, at several times the speed.
  auto file = files_.open(segment_path(id), OpenMode::read_direct);
  if (!file) file = files_.open(segment_path(id), OpenMode::read);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  id_ = id;
  window_.open(*file_);
  SegmentScan scan;
  scan.id = id;
  const auto size = file_->size();
  if (!size) return std::unexpected(size.error());
  scan.file_bytes = *size;
  const auto bytes = window_.view(0, sizeof(journal_format::SegmentHeader), journal_format::alignment);
  if (!bytes) return std::unexpected(bytes.error());
  scan.header = check_segment_header(*bytes, journal_, id);
  scan.end = journal_format::segment_header_bytes;
  return scan;
}

FileResult<SegmentScanner::HeaderResult> SegmentScanner::header_at(std::uint64_t offset) {
  const auto bytes = window_.view(offset, sizeof(SectionHeader), ahead_);
  if (!bytes) return std::unexpected(bytes.error());
  return check_section_header(*bytes, journal_, id_);
}

FileResult<std::uint64_t> SegmentScanner::resume_at(const SegmentScan& scan, std::uint64_t offset,
                                                    std::uint64_t until, std::uint64_t end_block) {
  for (offset += journal_format::alignment; offset < until; offset += journal_format::alignment) {
    const auto header = header_at(offset);
    if (!header) return std::unexpected(header.error());
    if (*header && continues(scan, **header) && (*header)->block < end_block) return offset;
  }
  return until;
}

// What names the segment is asked beside the magic, so that a header with one damaged byte is still known as
// one; in a recycled file the names are others.
FileResult<bool> SegmentScanner::begun_at(std::uint64_t offset) {
  SectionHeader raw;
  const auto bytes = window_.view(offset, sizeof raw);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->size() < sizeof raw) return false;
  const auto whole = check_section_header(*bytes, journal_, id_);
  if (whole || whole.error() == HeaderFault::foreign) return false;
  std::memcpy(&raw, bytes->data(), sizeof raw);
  const int agreeing = (raw.magic == journal_format::section_magic) + (raw.journal_id == journal_) +
                       (raw.epoch == id_.epoch && raw.reactor == id_.reactor && raw.segment == id_.segment);
  return agreeing >= 2;
}

FileResult<void> SegmentScanner::find_sections(SegmentScan& scan, std::uint64_t end_block, bool verify) {
  WELLHEAD_ASSERT(scan.id == id_ && scan.sections.empty());
  ahead_ = window_bytes;
  const std::uint64_t until =
      scan.unbegun() ? std::min<std::uint64_t>(scan.file_bytes, window_bytes) : scan.file_bytes;
  for (std::uint64_t at = scan.end; at < until && !complete(scan, end_block);) {
    const auto header = header_at(at);
    if (!header) return std::unexpected(header.error());
    if (*header && (*header)->block >= end_block) break;
    if (*header && continues(scan, **header)) {
      scan.sections.push_back(found(**header, at));
      FoundSection& section = scan.sections.back();
      if (section.payload_end() > scan.file_bytes) section.payload = PayloadState::damaged;
      if (verify)
        if (const auto read = this->verify(section); !read) return read;
      at = scan.end = section.extent().end;
      const bool jumps = !verify && section.extent().end - section.offset >= large_section_bytes;
      ahead_ = jumps ? journal_format::alignment : window_bytes;
      continue;
    }
    ahead_ = window_bytes;
    const auto resumed = resume_at(scan, at, until, end_block);
    if (!resumed) return std::unexpected(resumed.error());
    if (*resumed == until) {
      const auto begun = begun_at(at);
      if (!begun) return std::unexpected(begun.error());
      scan.begun = *begun;
      break;
    }
    scan.unreadable.push_back({at, *resumed});
    at = *resumed;
  }
  return {};
}

FileResult<void> SegmentScanner::verify(FoundSection& section) {
  if (section.payload != PayloadState::unread) return {};
  const std::unique_ptr<XXH3_state_t, FreeState> state(XXH3_createState());
  WELLHEAD_ASSERT(state != nullptr && XXH3_64bits_reset(state.get()) == XXH_OK);
  std::uint64_t at = section.offset + sizeof(SectionHeader);
  for (std::uint64_t left = section.payload_bytes; left > 0;) {
    const auto held = window_.held(at);
    const std::size_t wanted = std::min<std::uint64_t>(left, held.empty() ? verify_step : held.size());
    const auto bytes = window_.view(at, wanted);
    if (!bytes) return std::unexpected(bytes.error());
    if (bytes->empty()) break;
    XXH3_64bits_update(state.get(), bytes->data(), bytes->size());
    at += bytes->size();
    left -= bytes->size();
  }
  const bool whole = XXH3_64bits_digest(state.get()) == section.payload_checksum;
  section.payload = whole ? PayloadState::whole : PayloadState::damaged;
  return {};
}

}  // namespace wellhead
