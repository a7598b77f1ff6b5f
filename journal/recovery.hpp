// What a journal holds when it is opened: reads all segments of earlier epochs and judges them
// (journal/chain_survey.hpp). Changes nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <vector>

#include "journal/chain_survey.hpp"
#include "journal/file_system.hpp"
#include "journal/journal.hpp"
#include "journal/segment_catalog.hpp"

namespace wellhead {

struct Recovered {
  JournalSurvey survey;
  std::vector<SegmentEntry> entries;  // by epoch, reactor and number
  std::vector<SegmentId> unused;      // segments of earlier epochs that hold nothing
  std::vector<JournalFault> faults;
  std::vector<ChainEnd> ends;               // of the epochs and reactors there are, sorted
  bool ends_changed = false;                // they are not what the file says
  std::vector<std::uint32_t> empty_epochs;  // of which no segment holds anything
  std::uint32_t last_epoch = 0;             // the highest ever seen here, 0 for none
};

// What becomes of the last block, which may be whole in the page cache only.
enum class LastBlock : std::uint8_t {
  secured,   // it is made durable, since its rows go on from here
  looked_at  // nothing is asked of the disk but to read
};

// Every header is read; payloads of the newest segments, up to `verify_bytes_max` in all, and of the last
// block of each reactor are verified here, those of the others when they are read back. Where an earlier
// start found the end of a reactor's blocks (journal/chain_end.hpp), nothing behind it is read.
[[nodiscard]] std::expected<Recovered, JournalError> recover(FileSystem& files,
                                                             const journal_format::JournalId& journal,
                                                             std::uint64_t verify_bytes_max,
                                                             LastBlock last_block = LastBlock::secured);

}  // namespace wellhead
