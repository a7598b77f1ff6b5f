#include "engine/node_journal.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "engine/exit_codes.hpp"

namespace wellhead {
namespace {

std::unexpected<StartError> directory_error(const std::string& directory, int error) {
  const bool not_there = error == ENOENT || error == ENOTDIR;
  return std::unexpected(StartError{
      exit_config,
      fmt::format("journal.dir = \"{}\" cannot be {}: {}. No record was taken; {}.", directory,
                  not_there ? "made" : "opened", std::strerror(error),
                  not_there ? "make the directory above it, or name another one"
                            : "give the directory to the user wellhead runs as, or name another one")});
}

std::unexpected<StartError> failed(const std::string& directory, const JournalError& error) {
  return std::unexpected(
      StartError{exit_code_of(error.code), fmt::format("{}: {}", directory, error.sentence)});
}

// What a survey found, for the operator.
void tell(const Journal& journal, const Config& config, std::chrono::milliseconds took) {
  const JournalSurvey& survey = journal.survey();
  log::info("The journal is open", {{"dir", config.journal.directory},
                                    {"journal", journal.id_text()},
                                    {"epoch", journal.epoch()},
                                    {"segments", survey.segments},
                                    {"bytes", survey.bytes},
                                    {"lanes_of_earlier_runs", survey.lanes.size()},
                                    {"torn_blocks", survey.torn_blocks},
                                    {"damaged_sections", survey.lost.size()},
                                    {"open_ms", took.count()}});
  for (const std::string& finding : survey.findings) log::warning(finding);
  if (config.journal.direct == "preferred" && !survey.direct)
    log::warning(
        "The journal's file system cannot write around the page cache (O_DIRECT): each block is written and "
        "then "
        "synchronized, which is as safe and slower. Move the journal to a local ext4 or XFS file system, or "
        "set "
        "journal.direct to \"off\" to have it so without this warning.",
        {{"dir", config.journal.directory}});
}

}  // namespace

int exit_code_of(JournalErrorCode code) noexcept {
  switch (code) {
    case JournalErrorCode::wrong_node:
    case JournalErrorCode::wrong_version:
    case JournalErrorCode::permissions:
    case JournalErrorCode::no_direct_io:
      return exit_config;
    case JournalErrorCode::in_use:
    case JournalErrorCode::damaged:
    case JournalErrorCode::io:
      break;
  }
  return exit_failed;
}

std::expected<std::unique_ptr<PosixFileSystem>, StartError> open_journal_directory(
    const std::string& directory) {
  auto files = PosixFileSystem::open(directory);
  if (!files) return directory_error(directory, files.error());
  return std::move(*files);
}

std::expected<std::unique_ptr<PosixFileSystem>, StartError> find_journal_directory(
    const std::string& directory) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0)
    return std::unexpected(StartError{
        exit_failed, fmt::format("There is no journal in {}: {}.", directory, std::strerror(errno))});
  return open_journal_directory(directory);
}

NodeJournal::NodeJournal(std::unique_ptr<PosixFileSystem> files, std::unique_ptr<Journal> journal,
                         StreamHistory streams, std::uint32_t reactors, const LedgerOptions& retries,
                         const Clock& clock)
    : files_(std::move(files)),
      ledger_(retries),
      journal_(std::move(journal)),
      streams_(std::move(streams)),
      reactors_(reactors) {
  ledger_store_.emplace(*files_, clock, journal_->id(), ledger_);
}

std::expected<std::unique_ptr<NodeJournal>, StartError> NodeJournal::open(
    const Config& config, std::span<const SchemaPointer> today, const ThreadCounts& threads,
    const Clock& clock) {
  const auto begun = std::chrono::steady_clock::now();
  const std::string& directory = config.journal.directory;
  auto files = open_journal_directory(directory);
  if (!files) return std::unexpected(std::move(files.error()));
  JournalOptions options = journal_options(config, threads);
  options.catalog = print_catalog(today);
  auto journal = Journal::open(**files, clock, options);
  if (!journal) return failed(directory, journal.error());
  tell(**journal, config,
       std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun));
  auto streams = read_stream_history(today, (*journal)->survey().epochs);
  if (!streams)
    return std::unexpected(StartError{exit_config, fmt::format("{}: {}", directory, streams.error())});
  std::unique_ptr<NodeJournal> node(new NodeJournal(
      std::move(*files), std::move(*journal), std::move(*streams), threads.reactors, config.retries, clock));
  const auto loaded = open_ledger(*node->ledger_store_, *node->journal_, options.accept_damage);
  if (!loaded) return failed(directory, loaded.error());
  if (!loaded->empty()) log::warning(*loaded);
  return node;
}

void NodeJournal::start(LaneBoard& lanes) {
  journal_->start();
  trimmer_.emplace(*journal_, lanes).start();
}

void NodeJournal::stop() {
  if (trimmer_) trimmer_->stop();
  journal_->stop();
  // The journal has it all as well; the next start only has less to read.
  if (const auto saved = ledger_store_->save(); !saved) log::warning(saved.error().sentence);
}

std::uint32_t NodeJournal::epoch_oldest() const noexcept {
  const auto& epochs = journal_->survey().epochs;
  return epochs.empty() ? journal_->epoch() : epochs.begin()->first;
}

JournalReading NodeJournal::read() const {
  JournalReading reading{.epoch = journal_->epoch(),
                         .usage = journal_->usage(),
                         .survey = &journal_->survey(),
                         .lost = journal_->lost_rows(),
                         .segments_trimmed = trimmer_ ? trimmer_->segments_trimmed() : 0,
                         .writers = {},
                         .ledger = &ledger_.stats};
  for (std::uint32_t reactor = 0; reactor < reactors_; ++reactor) {
    const JournalWriter& writer = journal_->writer(reactor);
    reading.writers.push_back({reactor, writer.latched(), writer.full(), writer.problem(), &writer.stats()});
  }
  return reading;
}

}  // namespace wellhead
