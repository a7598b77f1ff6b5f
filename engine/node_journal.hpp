// The journal of a running node: opened before anything else, closed after everything else.
//
// Opening tells the operator in one line what earlier runs left, and in a warning each what was torn or
// damaged. Then it holds what the other parts need of it: the lanes, the streams of earlier runs, and the
// trimmer.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/clock.hpp"
#include "engine/config.hpp"
#include "engine/config_check.hpp"
#include "engine/journal_trimmer.hpp"
#include "engine/node_view.hpp"
#include "engine/stream_history.hpp"
#include "journal/journal.hpp"
#include "journal/ledger_store.hpp"
#include "journal/posix_file_system.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// Why a node does not start.
struct StartError {
  int exit_code;  // of exit_codes.hpp
  std::string sentence;
};

// exit_config for what a restart will not mend: another node's journal, another version, rights, no O_DIRECT.
[[nodiscard]] int exit_code_of(JournalErrorCode code) noexcept;

// The directory of a journal, made if only its last part is missing.
[[nodiscard]] std::expected<std::unique_ptr<PosixFileSystem>, StartError> open_journal_directory(
    const std::string& directory);
// The same, of one that must be there.
[[nodiscard]] std::expected<std::unique_ptr<PosixFileSystem>, StartError> find_journal_directory(
    const std::string& directory);

class NodeJournal {
 public:
  // `today` are the streams of this run. `clock` outlives the journal.
  [[nodiscard]] static std::expected<std::unique_ptr<NodeJournal>, StartError> open(
      const Config& config, std::span<const SchemaPointer> today, const ThreadCounts& threads,
      const Clock& clock);

  // Prepares segments and trims, each on a thread of its own, until stop(). `lanes` outlives that.
  void start(LaneBoard& lanes);
  // After the last batch was written and the last progress was made. Writes down what is remembered of
  // requests.
  void stop();

  [[nodiscard]] Journal& journal() noexcept { return *journal_; }
  [[nodiscard]] LedgerTable& ledger() noexcept { return ledger_; }
  [[nodiscard]] const StreamHistory& streams() const noexcept { return streams_; }
  [[nodiscard]] std::uint32_t epoch_oldest() const noexcept;
  [[nodiscard]] JournalReading read() const;  // any thread

 private:
  NodeJournal(std::unique_ptr<PosixFileSystem> files, std::unique_ptr<Journal> journal, StreamHistory streams,
              std::uint32_t reactors, const LedgerOptions& retries, const Clock& clock);

  std::unique_ptr<PosixFileSystem> files_;
  LedgerTable ledger_;
  std::optional<LedgerStore> ledger_store_;  // outlives the journal, which calls it
  std::unique_ptr<Journal> journal_;
  StreamHistory streams_;
  std::uint32_t reactors_;
  std::optional<JournalTrimmer> trimmer_;
};

}  // namespace wellhead
