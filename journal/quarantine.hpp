// DIR/quarantine: the bytes of damaged places, set aside before anything goes on without them. A place that
// was set aside once is known: it is told of again, and does not stop the next start.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <vector>

#include "journal/chain_survey.hpp"
#include "journal/file_system.hpp"
#include "journal/journal.hpp"

namespace wellhead {

// The file for a fault: <segment's name>.<offset>-<end>.
[[nodiscard]] std::string quarantine_path(const JournalFault& fault);
// Those of `faults` that were not set aside yet.
[[nodiscard]] std::expected<std::vector<JournalFault>, JournalError> new_faults(
    FileSystem& files, std::span<const JournalFault> faults);
// Copies the damaged bytes; durable when it returns. A file that is missing leaves an empty one behind.
[[nodiscard]] std::expected<void, JournalError> set_aside(FileSystem& files, const JournalFault& fault);

}  // namespace wellhead
