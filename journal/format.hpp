// The journal's format on disk: the one place that says where each byte lies. docs/journal-format.md tells it
// in words and examples.
//
//   segment = segment header (4 KiB), block, block, …, free space
//   block   = section, section, …                    all sections of one group commit, contiguous, written by
//   one vectored write section = section header (128 bytes), payload, zeros up to a multiple of 4 KiB
//
// A segment is made ready ahead of its use with first_block 0. The first block in it and the header that has
// the block's number are one write, so a segment with first_block 0 holds nothing.
//
// The blocks of a segment are those from its first_block to before the first_block of the reactor's next
// segment that is begun. After a failed write the writer goes on in a fresh segment with the number of the
// failed block, and whatever of that block reached the old segment is thereby cut off. So of two blocks of
// one number never more than one counts, and it is the newer one, which alone may have been acknowledged.
//
// A block is the unit of atomicity: it counts only when every one of its sections is whole. A section holds
// the rows of one lane (queue/lane.hpp) or what requests said of themselves (ledger). Numbers are
// little-endian; the journal is for the machine that wrote it and its like, and other byte orders are refused
// at compile time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "queue/batch.hpp"

namespace wellhead::journal_format {

static_assert(std::endian::native == std::endian::little, "the journal is written as it lies in memory");

inline constexpr std::uint32_t version = 1;
// What direct I/O wants offsets, sizes and memory to be multiples of; every section begins at such a place.
inline constexpr std::size_t alignment = Batch::alignment;

inline constexpr std::uint64_t segment_magic = 0x31474553'4A4C4857;  // "WHLJSEG1"
inline constexpr std::uint64_t section_magic = 0x31434553'4A4C4857;  // "WHLJSEC1"

using JournalId = std::array<std::uint8_t, 16>;

// The first 4 KiB of a segment; the rest of them are zeros.
struct SegmentHeader {
  std::uint64_t magic;
  std::uint64_t checksum;  // XXH3-64 of this structure with this field 0
  std::uint32_t version;
  std::uint32_t reserved0;
  JournalId journal_id;
  std::uint32_t epoch;
  std::uint32_t reactor;
  std::uint64_t segment;      // counts the segments of this epoch and reactor, from 1
  std::uint64_t first_block;  // the number of the first block in it; 0: ready and not begun
  std::uint64_t bytes;        // of the file, header included
  std::int64_t created_us;    // wall time, microseconds since 2000-01-01 UTC
};
static_assert(sizeof(SegmentHeader) == 80);
inline constexpr std::size_t segment_header_bytes = alignment;

enum class SectionKind : std::uint32_t {
  rows = 1,    // payload: rows (codec/row.hpp) of one lane
  ledger = 2,  // payload: entries of journal/ledger.hpp; `shard` and `lane_sequence` are 0
};

struct SectionHeader {
  std::uint64_t magic;
  std::uint64_t header_checksum;   // XXH3-64 of this structure with this field 0
  std::uint64_t payload_checksum;  // XXH3-64 of the payload
  JournalId journal_id;
  std::uint32_t epoch;
  std::uint32_t reactor;
  std::uint64_t
      segment;  // of the file it was written to: what a recycled file still holds is not taken for new
  std::uint64_t block;  // counts the blocks of this epoch and reactor, from 1
  std::uint32_t section_index;
  std::uint32_t section_count;  // of the block
  std::uint64_t block_bytes;    // all sections of the block with their padding
  SectionKind kind;
  std::uint32_t shard;
  std::uint64_t lane_sequence;
  std::uint32_t row_count;  // or entries of the ledger
  std::uint32_t payload_bytes;
  std::int64_t written_us;  // wall time, microseconds since 2000-01-01 UTC
  std::array<std::uint64_t, 2> reserved;
};
static_assert(sizeof(SectionHeader) == Batch::header_room_bytes);

// Disks write sectors of this size whole or not at all. Headers lie within one, so a crash leaves the old one
// or the new one and never a mixture.
inline constexpr std::size_t sector_bytes = 512;
static_assert(sizeof(SegmentHeader) <= sector_bytes && sizeof(SectionHeader) <= sector_bytes &&
              alignment % sector_bytes == 0);

[[nodiscard]] constexpr std::size_t section_bytes(std::size_t payload_bytes) noexcept {
  return (sizeof(SectionHeader) + payload_bytes + alignment - 1) / alignment * alignment;
}

}  // namespace wellhead::journal_format
