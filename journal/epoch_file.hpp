// What ran in an epoch: DIR/epochs/NNNNNNNN, written before the epoch writes anything else and removed when
// none of its segments is left. Without it nobody knows what the rows of the epoch mean.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>

#include "journal/file_system.hpp"
#include "journal/journal.hpp"

namespace wellhead {

inline constexpr const char* epochs_directory = "epochs";

[[nodiscard]] std::string epoch_path(std::uint32_t epoch);
// All epochs told of in the directory. A damaged file is an error: its rows must not be read with a guess.
[[nodiscard]] std::expected<std::map<std::uint32_t, JournalSurvey::Epoch>, JournalError> read_epochs(
    FileSystem& files);
// Durable when it returns.
[[nodiscard]] std::expected<void, JournalError> write_epoch(FileSystem& files,
                                                            const JournalSurvey::Epoch& epoch);
[[nodiscard]] std::expected<void, JournalError> remove_epoch(FileSystem& files, std::uint32_t epoch);

}  // namespace wellhead
