// What is to be found in one segment, without judging it: every section whose header is whole, and the places
// where a section should be and none can be read. journal/recovery.hpp judges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "journal/file_system.hpp"
#include "journal/format.hpp"
#include "journal/read_window.hpp"
#include "journal/section.hpp"

namespace wellhead {

// Bytes [begin, end) of a file.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  auto operator<=>(const Extent&) const = default;
};

enum class PayloadState : std::uint8_t {
  unread,   // to be checked when it is read
  whole,    // its checksum is right
  damaged,  // its checksum is wrong, or the file ends before it does
};

// A section whose header is whole.
struct FoundSection {
  std::uint64_t offset;
  std::uint64_t block;
  std::uint64_t block_bytes;
  std::uint64_t lane_sequence;
  std::uint64_t payload_checksum;
  std::int64_t written_us;
  std::uint32_t section_index;
  std::uint32_t section_count;
  std::uint32_t shard;
  std::uint32_t row_count;
  std::uint32_t payload_bytes;
  journal_format::SectionKind kind;
  PayloadState payload = PayloadState::unread;

  [[nodiscard]] Extent extent() const noexcept {
    return {offset, offset + journal_format::section_bytes(payload_bytes)};
  }
  [[nodiscard]] std::uint64_t payload_end() const noexcept {
    return offset + sizeof(journal_format::SectionHeader) + payload_bytes;
  }
};

struct SegmentScan {
  SegmentId id;
  std::uint64_t file_bytes = 0;
  std::expected<journal_format::SegmentHeader, HeaderFault> header = std::unexpected(HeaderFault::cut_off);
  std::vector<FoundSection> sections;  // as they lie in the file, which is the order of blocks and indices
  std::vector<Extent> unreadable;      // between sections, before the first, but not behind the last
  std::uint64_t end = 0;               // where the last section ends
  bool begun = false;  // behind the last section something was begun as a section of this segment

  // Ready and never begun. Sections may be there all the same: the header is written with the first block, so
  // without it the write was not finished and the block does not count.
  [[nodiscard]] bool unbegun() const noexcept { return header && header->first_block == 0; }
  // Whether the file is shorter than it was made.
  [[nodiscard]] bool shortened() const noexcept { return header && file_bytes < header->bytes; }
};

// One thread. The errors are of the system; whatever the bytes are, they are no error here.
class SegmentScanner {
 public:
  static constexpr std::uint64_t no_end = UINT64_MAX;

  // `files` outlives the scanner.
  SegmentScanner(FileSystem& files, const journal_format::JournalId& journal);

  // Opens a segment and reads its header.
  [[nodiscard]] FileResult<SegmentScan> open(const SegmentId& id);
  // Finds the sections of blocks before `end_block`, the first block of the next segment: what is there from
  // that number on was never acknowledged and written again there. With `verify` reads all payloads. In a
  // segment that was never begun looks only where its first block would lie, as none in it counts.
  // REQUIRES that `scan` is the one open() gave last.
  [[nodiscard]] FileResult<void> find_sections(SegmentScan& scan, std::uint64_t end_block, bool verify);
  // Reads and checks the payload of a section found in the segment that is open.
  [[nodiscard]] FileResult<void> verify(FoundSection& section);
  // Makes durable what was read from the segment that is open.
  [[nodiscard]] FileResult<void> synchronize() { return file_->synchronize(); }

 private:
  using HeaderResult = std::expected<journal_format::SectionHeader, HeaderFault>;

  [[nodiscard]] FileResult<HeaderResult> header_at(std::uint64_t offset);
  // The next place in (offset, until) with a header that continues `scan`; `until` where there is none.
  [[nodiscard]] FileResult<std::uint64_t> resume_at(const SegmentScan& scan, std::uint64_t offset,
                                                    std::uint64_t until, std::uint64_t end_block);
  [[nodiscard]] FileResult<bool> begun_at(std::uint64_t offset);

  FileSystem& files_;
  journal_format::JournalId journal_;
  std::unique_ptr<File> file_;
  SegmentId id_;
  ReadWindow window_;
  std::size_t ahead_ = 0;  // to read when looking for a header
};

}  // namespace wellhead
