#include "journal/journal.hpp"

#include "base/assert.hpp"
#include "journal/file_journal.hpp"
#include "journal/journal_opening.hpp"

namespace wellhead {

std::expected<std::unique_ptr<Journal>, JournalError> Journal::open(FileSystem& files, const Clock& clock,
                                                                    const JournalOptions& options) {
  WELLHEAD_ASSERT(!options.node_id.empty() && options.node_id.find('\n') == std::string::npos);
  WELLHEAD_ASSERT(options.reactors > 0 && options.shards > 0);
  auto opened = open_directory(files, options);
  if (!opened) return std::unexpected(opened.error());
  auto journal = std::make_unique<FileJournal>(files, clock, options, std::move(*opened));
  if (const auto begun = journal->begin(); !begun) return std::unexpected(begun.error());
  return journal;
}

}  // namespace wellhead
