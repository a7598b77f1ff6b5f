// Reads DIR/ledger (docs/ledger-format.md), trusting nothing in it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>

#include "journal/file_system.hpp"
#include "journal/journal.hpp"
#include "journal/ledger.hpp"
#include "journal/ledger_store.hpp"

namespace wellhead {

using LedgerEntryVisitor = std::function<void(const LedgerEntry&)>;

[[nodiscard]] std::uint64_t ledger_header_checksum(ledger_format::FileHeader header);

// Visits every entry of the file, frame by frame: those before a damaged frame were visited when it is
// found. Returns the file's header, nothing where there is no file. Refuses another journal's and another
// version.
[[nodiscard]] std::expected<std::optional<ledger_format::FileHeader>, JournalError> read_ledger_file(
    FileSystem& files, const journal_format::JournalId& journal, const LedgerEntryVisitor& visit);

// Visits all entries of a payload that announces `entries` of them, or none.
[[nodiscard]] std::expected<void, JournalError> visit_ledger_payload(std::span<const std::byte> payload,
                                                                     std::uint32_t entries,
                                                                     const LedgerEntryVisitor& visit);

}  // namespace wellhead
