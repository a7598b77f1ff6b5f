// Where the blocks of an earlier epoch and reactor end, kept in DIR/ends by the start that found it out, so
// that the next ones need not read what is behind: the last segment is mostly zeros, and only reading all of
// them tells that nothing comes any more.
//
// What the file says stays true: nobody writes to an earlier epoch, and what it counts was made durable
// before it was written. An end is taken only together with the very segment it was found in, known by its
// header's checksum. Nothing hangs on the file: where it is missing or damaged, or says nothing of a segment,
// all is read.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "journal/file_system.hpp"
#include "journal/format.hpp"
#include "journal/journal.hpp"
#include "journal/section.hpp"

namespace wellhead {

struct ChainEnd {
  SegmentId segment;              // the last of its epoch and reactor that was begun
  std::uint64_t header_checksum;  // of that segment
  std::uint64_t end_block;        // the blocks before this number were there, and none from it on counts

  auto operator<=>(const ChainEnd&) const = default;
};

inline constexpr const char* chain_ends_path = "ends";

// What the file says, sorted; nothing where it is missing, damaged, or another journal's.
[[nodiscard]] std::vector<ChainEnd> read_chain_ends(FileSystem& files,
                                                    const journal_format::JournalId& journal);
// Replaces the file. REQUIRES that everything the ends count is durable.
[[nodiscard]] FileResult<void> write_chain_ends(FileSystem& files, const journal_format::JournalId& journal,
                                                std::span<const ChainEnd> ends);
// The one that was found in this segment.
[[nodiscard]] std::optional<ChainEnd> find_chain_end(std::span<const ChainEnd> ends, const SegmentId& segment,
                                                     const journal_format::SegmentHeader& header);

}  // namespace wellhead
