// A walk from section to section through a segment of which the catalog knows, as readers take it: passes
// over what is known to be unusable, jumps over payloads nobody asks for, and checks everything it gives.
//
// The segment may be written meanwhile, and trimmed and used anew. What the window holds may be older than
// what is on the disk, so nothing is called damaged before it was read anew; and it is the caller who asks
// the catalog whether the segment is still there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "journal/file_system.hpp"
#include "journal/format.hpp"
#include "journal/read_window.hpp"
#include "journal/segment_catalog.hpp"

namespace wellhead {

// One thread.
class SegmentWalk {
 public:
  enum class Step : std::uint8_t {
    section,     // header() is whole
    end,         // nothing more counts in this segment
    unreadable,  // where a section should be there is none
  };

  // `files` outlives the walk.
  SegmentWalk(FileSystem& files, const journal_format::JournalId& journal)
      : files_(files), journal_(journal) {}

  [[nodiscard]] FileResult<void> open(const SegmentEntry& entry);
  void close() noexcept { file_.reset(); }
  [[nodiscard]] bool is_open() const noexcept { return file_ != nullptr; }
  [[nodiscard]] const SegmentEntry& entry() const noexcept { return entry_; }
  // What the catalog learned since.
  void set_end_block(std::uint64_t end_block) noexcept { entry_.end_block = end_block; }

  // Looks at the section at offset(). REQUIRES is_open().
  [[nodiscard]] FileResult<Step> look();
  [[nodiscard]] const journal_format::SectionHeader& header() const noexcept { return header_; }
  [[nodiscard]] std::uint64_t offset() const noexcept { return at_; }
  // The extent of the section look() found.
  [[nodiscard]] Extent extent() const noexcept;
  // Reads header and payload of the section look() found, together sizeof(SectionHeader) + payload_bytes, to
  // the front of `into`. False where the payload's checksum is wrong. REQUIRES that they fit.
  [[nodiscard]] FileResult<bool> read(std::span<std::byte> into);
  // Moves behind the section look() found.
  void pass() noexcept;
  // After look() said unreadable: the bytes up to the next section of the segment, or its end.
  [[nodiscard]] FileResult<Extent> unreadable();
  void pass(const Extent& extent) { at_ = extent.end; }

 private:
  using HeaderResult = std::expected<journal_format::SectionHeader, HeaderFault>;

  [[nodiscard]] FileResult<HeaderResult> header_at(std::uint64_t offset);
  [[nodiscard]] FileResult<bool> read_once(std::span<std::byte> into);
  void skip_unusable() noexcept;

  FileSystem& files_;
  journal_format::JournalId journal_;
  SegmentEntry entry_;
  std::unique_ptr<File> file_;
  ReadWindow window_;
  std::uint64_t at_ = 0;
  std::size_t ahead_ = ReadWindow::default_bytes;
  journal_format::SectionHeader header_{};
};

}  // namespace wellhead
