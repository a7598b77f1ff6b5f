// The steps of opening a journal, up to where this run's own epoch begins. Everything that can be refused is
// refused before anything is changed.
#pragma once

#include <expected>

#include "journal/file_system.hpp"
#include "journal/identity.hpp"
#include "journal/journal.hpp"
#include "journal/recovery.hpp"

namespace wellhead {

struct OpenedJournal {
  JournalIdentity identity;
  Recovered recovered;
  JournalSurvey::Epoch epoch;  // of this run, durable
  bool direct;                 // segments are written around the page cache
};

// Checks the directory's permissions, takes its lock, and reads whose journal it is; nothing where there is
// none yet.
[[nodiscard]] std::expected<std::optional<JournalIdentity>, JournalError> take_directory(FileSystem& files);

// take_directory(), recovery, and the beginning of a new epoch. Damage that is new is an error unless the
// options accept it; then it is set aside.
[[nodiscard]] std::expected<OpenedJournal, JournalError> open_directory(FileSystem& files,
                                                                        const JournalOptions& options);

}  // namespace wellhead
