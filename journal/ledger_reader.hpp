// Reads the ledger sections of segments back, in order.
#pragma once

#include <span>

#include "journal/lane_reader.hpp"

namespace wellhead {

// Visits every ledger section of `segments`, which are in order. Damage goes to `damage`, and is an error
// where that does not carry on.
[[nodiscard]] std::expected<void, JournalError> read_ledger_sections(FileSystem& files,
                                                                     const journal_format::JournalId& journal,
                                                                     std::span<const SegmentEntry> segments,
                                                                     DamageWatch& damage,
                                                                     const Journal::LedgerVisitor& visit);

}  // namespace wellhead
