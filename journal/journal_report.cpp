// inspect_journal() and verify_journal(): recovery's findings as text or JSON.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <variant>

#include "base/clock.hpp"
#include "base/json_text.hpp"
#include "journal/journal.hpp"
#include "journal/journal_opening.hpp"
#include "journal/ledger_file.hpp"
#include "journal/recovery.hpp"

namespace wellhead {
namespace {

using Segments = std::span<const SegmentEntry>;

// DIR/ledger, read whole.
struct LedgerFindings {
  std::uint64_t bytes = 0;  // 0: there is no file
  std::int64_t written_us = 0;
  std::uint64_t keys = 0;
  std::uint64_t producers = 0;
  std::string problem;  // what is wrong with it and what that means; then the numbers say nothing
};

struct Findings {
  JournalIdentity identity;
  Recovered recovered;
  LedgerFindings ledger;

  [[nodiscard]] bool whole() const noexcept { return recovered.faults.empty() && ledger.problem.empty(); }
};

std::expected<LedgerFindings, JournalError> find_ledger(FileSystem& files,
                                                        const journal_format::JournalId& journal) {
  LedgerFindings ledger;
  const auto header = read_ledger_file(files, journal, [&ledger](const LedgerEntry& entry) {
    ++(std::holds_alternative<RequestEntry>(entry) ? ledger.keys : ledger.producers);
  });
  if (!header && header.error().code == JournalErrorCode::io) return std::unexpected(header.error());
  if (!header) return LedgerFindings{.problem = header.error().sentence};
  if (!*header) return ledger;
  ledger.bytes = (*header)->bytes;
  ledger.written_us = (*header)->written_us;
  return ledger;
}

std::expected<Findings, JournalError> find(FileSystem& files, std::uint64_t verify_bytes_max) {
  auto identity = take_directory(files);
  if (!identity) return std::unexpected(identity.error());
  if (!*identity)
    return std::unexpected(
        JournalError{JournalErrorCode::io,
                     "There is no journal in this directory: it has no file identity. Nothing was changed; "
                     "look at the configured directory."});
  auto recovered = recover(files, (*identity)->id, verify_bytes_max);
  if (!recovered) return std::unexpected(recovered.error());
  auto ledger = find_ledger(files, (*identity)->id);
  if (!ledger) return std::unexpected(ledger.error());
  return Findings{std::move(**identity), std::move(*recovered), std::move(*ledger)};
}

// Calls visit(epoch, reactor, segments) for each epoch and reactor.
template <typename Visit>
void for_each_chain(Segments segments, Visit&& visit) {
  while (!segments.empty()) {
    const SegmentId& id = segments.front().id;
    const auto end = std::ranges::find_if(segments, [&](const SegmentEntry& segment) {
      return segment.id.epoch != id.epoch || segment.id.reactor != id.reactor;
    });
    const auto count = static_cast<std::size_t>(end - segments.begin());
    visit(id.epoch, id.reactor, segments.first(count));
    segments = segments.subspan(count);
  }
}

std::string time_text(std::int64_t wall_us) {
  const auto seconds = static_cast<std::time_t>((wall_us + postgres_epoch_unix_us) / 1'000'000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

std::uint64_t rows_lost(const JournalSurvey& survey) {
  std::uint64_t rows = 0;
  for (const LostRows& lost : survey.lost) rows += lost.rows;
  return rows;
}

class TextReport {
 public:
  [[nodiscard]] std::string text(const Findings& findings);

 private:
  template <typename... Values>
  void line(fmt::format_string<Values...> words, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), words, std::forward<Values>(values)...);
    text_ += '\n';
  }
  void chain(const JournalSurvey& survey, std::uint32_t epoch, std::uint32_t reactor, Segments segments);
  void lost(const LostRows& lost);
  void ledger(const LedgerFindings& ledger);
  void conclusion(const Findings& findings);

  std::string text_;
};

void TextReport::chain(const JournalSurvey& survey, std::uint32_t epoch, std::uint32_t reactor,
                       Segments segments) {
  line("epoch {}, reactor {}:", epoch, reactor);
  for (const OldLane& lane : survey.lanes)
    if (lane.lane.epoch == epoch && lane.lane.reactor == reactor)
      line("  shard {}: batches {} to {}", lane.lane.shard, lane.first, lane.last);
  for (const SegmentEntry& segment : segments)
    line("  {}: {} bytes, blocks {} to {}, {} sections, {} rows, last written {}", segment_path(segment.id),
         segment.bytes, segment.first_block, segment.end_block - 1, segment.sections, segment.rows,
         time_text(segment.last_written_us));
}

void TextReport::lost(const LostRows& lost) {
  const bool known = lost.lane.shard != LostRows::unknown_shard;
  line("lost: epoch {}, reactor {}, {}, {}, {}", lost.lane.epoch, lost.lane.reactor,
       known ? fmt::format("shard {}", lost.lane.shard) : "shard not known",
       lost.sequence > 0 ? fmt::format("batch {}", lost.sequence) : "batch not known",
       lost.rows > 0 ? fmt::format("{} rows", lost.rows) : "rows not known");
}

void TextReport::ledger(const LedgerFindings& ledger) {
  if (!ledger.problem.empty())
    line("found: {}", ledger.problem);
  else if (ledger.bytes == 0)
    line("{}: not there; what is remembered of requests is in the segments only", LedgerStore::file_name);
  else
    line("{}: {} bytes, {} idempotency keys, {} producers, written {}", LedgerStore::file_name, ledger.bytes,
         ledger.keys, ledger.producers, time_text(ledger.written_us));
}

void TextReport::conclusion(const Findings& findings) {
  const Recovered& recovered = findings.recovered;
  const JournalSurvey& survey = recovered.survey;
  if (survey.torn_blocks > 0)
    line("{} blocks ({} bytes) were never finished and do not count; that is what a crash leaves behind.",
         survey.torn_blocks, survey.torn_bytes);
  if (findings.whole())
    line("The journal is whole.");
  else if (recovered.faults.empty())
    line("The journal's records are whole; what it remembers of requests is not.");
  else
    line("The journal is damaged in {} places; {} rows are lost for certain, in {} sections.",
         recovered.faults.size(), rows_lost(survey), survey.lost.size());
}

std::string TextReport::text(const Findings& findings) {
  const JournalSurvey& survey = findings.recovered.survey;
  line("journal {} of node \"{}\", format {}, {} segments, {} bytes", journal_id_text(findings.identity.id),
       findings.identity.node_id, journal_format::version, survey.segments, survey.bytes);
  for (const auto& [number, epoch] : survey.epochs)
    line("epoch {}: {} reactors, {} shards, batches of at most {} bytes", number, epoch.reactors,
         epoch.shards, epoch.batch_bytes);
  for_each_chain(findings.recovered.entries,
                 [&](std::uint32_t epoch, std::uint32_t reactor, Segments segments) {
                   chain(survey, epoch, reactor, segments);
                 });
  for (const std::string& finding : survey.findings) line("found: {}", finding);
  for (const LostRows& entry : survey.lost) lost(entry);
  ledger(findings.ledger);
  conclusion(findings);
  return std::move(text_);
}

std::string json_of(const JournalSurvey::Epoch& epoch) {
  return fmt::format(R"({{"epoch":{},"reactors":{},"shards":{},"batch_bytes":{}}})", epoch.epoch,
                     epoch.reactors, epoch.shards, epoch.batch_bytes);
}

std::string json_of(const OldLane& lane) {
  return fmt::format(R"({{"epoch":{},"reactor":{},"shard":{},"first":{},"last":{}}})", lane.lane.epoch,
                     lane.lane.reactor, lane.lane.shard, lane.first, lane.last);
}

std::string json_of(const SegmentEntry& segment) {
  return fmt::format(
      R"({{"path":{},"epoch":{},"reactor":{},"bytes":{},"first_block":{},"last_block":{},"sections":{},"rows":{},"last_written":"{}"}})",
      json_string(segment_path(segment.id)), segment.id.epoch, segment.id.reactor, segment.bytes,
      segment.first_block, segment.end_block - 1, segment.sections, segment.rows,
      time_text(segment.last_written_us));
}

std::string json_of(const JournalFault& fault) {
  return fmt::format(R"({{"path":{},"offset":{},"bytes":{},"problem":{}}})",
                     json_string(segment_path(fault.segment)), fault.extent.begin,
                     fault.extent.end - fault.extent.begin, json_string(fault.sentence));
}

std::string json_of(const LostRows& lost) {
  const bool known = lost.lane.shard != LostRows::unknown_shard;
  return fmt::format(R"({{"epoch":{},"reactor":{},"shard":{},"sequence":{},"rows":{}}})", lost.lane.epoch,
                     lost.lane.reactor, known ? std::to_string(lost.lane.shard) : "null",
                     lost.sequence > 0 ? std::to_string(lost.sequence) : "null",
                     lost.rows > 0 ? std::to_string(lost.rows) : "null");
}

std::string json_of(const LedgerFindings& ledger) {
  if (!ledger.problem.empty())
    return fmt::format(R"({{"path":"{}","whole":false,"problem":{}}})", LedgerStore::file_name,
                       json_string(ledger.problem));
  if (ledger.bytes == 0) return "null";
  return fmt::format(R"({{"path":"{}","whole":true,"bytes":{},"keys":{},"producers":{},"written":"{}"}})",
                     LedgerStore::file_name, ledger.bytes, ledger.keys, ledger.producers,
                     time_text(ledger.written_us));
}

std::string json_report(const Findings& findings) {
  const JournalSurvey& survey = findings.recovered.survey;
  const auto one = [](const auto& value) { return json_of(value); };
  return fmt::format(
      R"({{"journal":"{}","node":{},"format":{},"whole":{},"bytes":{},"epochs":{},"lanes":{},"segments":{},"ledger":{},"torn_blocks":{},"torn_bytes":{},"faults":{},"rows_lost":{},"lost":{}}})"
      "\n",
      journal_id_text(findings.identity.id), json_string(findings.identity.node_id), journal_format::version,
      findings.whole(), survey.bytes,
      json_array(survey.epochs, [](const auto& epoch) { return json_of(epoch.second); }),
      json_array(survey.lanes, one), json_array(findings.recovered.entries, one), json_of(findings.ledger),
      survey.torn_blocks, survey.torn_bytes, json_array(findings.recovered.faults, one), rows_lost(survey),
      json_array(survey.lost, one));
}

std::expected<JournalReport, JournalError> report(FileSystem& files, ReportFormat format,
                                                  std::uint64_t verify_bytes_max) {
  const auto findings = find(files, verify_bytes_max);
  if (!findings) return std::unexpected(findings.error());
  return JournalReport{format == ReportFormat::json ? json_report(*findings) : TextReport().text(*findings),
                       findings->whole()};
}

}  // namespace

std::expected<JournalReport, JournalError> inspect_journal(FileSystem& files, ReportFormat format) {
  return report(files, format, 0);
}

std::expected<JournalReport, JournalError> verify_journal(FileSystem& files, ReportFormat format) {
  return report(files, format, UINT64_MAX);
}

}  // namespace wellhead
