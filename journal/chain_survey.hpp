// Judges what the segments of one epoch and reactor hold: what counts, what was never finished (a torn tail)
// and what was finished and is damaged since.
//
// The one question is whether something came behind it: the writer begins a block only when the one before is
// durable. So whatever is missing before a later block, or before a later segment that was begun, had been
// acknowledged and is damage. What is missing at the very end may as well be a write the crash cut off, which
// nobody acknowledged; it does not count and is no damage.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "journal/chain_end.hpp"
#include "journal/journal.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_scan.hpp"

namespace wellhead {

// A place in a segment that is damaged. Empty where bytes are missing rather than wrong.
struct JournalFault {
  SegmentId segment;
  Extent extent;
  std::string sentence;
};

struct ChainFindings {
  std::vector<SegmentEntry> entries;  // of the segments that hold something, in order
  std::vector<SegmentId> unused;      // segments that were never begun
  std::vector<JournalFault> faults;
  std::vector<LostRows> lost;
  std::vector<std::string> torn;  // a sentence for each
  std::uint64_t torn_blocks = 0;
  std::uint64_t torn_bytes = 0;
  std::vector<OldLane> lanes;  // with the rows that are lost, as far as they are known
  // What is to be kept for the next survey: the one that was known, or what was found if nothing is damaged,
  // for damage may hide what came behind it.
  std::optional<ChainEnd> end;
};

// `scans` are all segments of the epoch and reactor, in order; sections found in them. `end` is what an
// earlier survey found, of one of them: then nothing at the end can be torn, and what is missing there is
// damage. Payloads of the last block must have been verified where there is none.
[[nodiscard]] ChainFindings survey_chain(std::span<const SegmentScan> scans,
                                         const std::optional<ChainEnd>& end = std::nullopt);

// The number of the block with which the segment ends for it begins the next one that was begun; no_end where
// there is none. `later` are the segments behind it, scanned.
[[nodiscard]] std::uint64_t end_block_before(std::span<const SegmentScan> later);

}  // namespace wellhead
