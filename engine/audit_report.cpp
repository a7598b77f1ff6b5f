#include "engine/audit_report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "base/clock.hpp"
#include "base/json_text.hpp"
#include "codec/dead_letter.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t us_per_second = 1'000'000;

std::string or_null(const std::optional<std::uint64_t>& number) {
  return number ? std::to_string(*number) : "null";
}

std::string json_of(const LaneAudit& lane) {
  return fmt::format(
      R"({{"epoch":{},"reactor":{},"shard":{},"first":{},"last":{},"progress":{},"rows":{},"rows_queued":{},"batches_trimmed_too_early":{}}})",
      lane.lane.epoch, lane.lane.reactor, lane.lane.shard, lane.first, lane.last, or_null(lane.progress),
      lane.rows, lane.rows_queued, lane.batches_trimmed_too_early());
}

std::string json_of(const MissingRow& row) {
  return fmt::format(R"({{"device":{},"time":{},"copies":{}}})", json_string(row.device),
                     json_string(row.time), row.copies);
}

std::string json_of(const StreamAudit& stream) {
  return fmt::format(
      R"({{"stream":{},"table":{},"journaled":{},"committed":{},"queued":{},"quarantined":{},"found":{},"missing":{},"duplicated":{},"others":{},"examples":{}}})",
      json_string(stream.name), json_string(stream.table), stream.journaled, stream.committed(),
      stream.queued, stream.quarantined, stream.found, stream.missing, stream.duplicated,
      or_null(stream.others),
      json_array(stream.examples, [](const MissingRow& row) { return json_of(row); }));
}

std::string json_of(const AuditReport::Totals& totals) {
  return fmt::format(
      R"({{"journaled":{},"committed":{},"queued":{},"quarantined":{},"lost":{},"found":{},"missing":{},"duplicated":{}}})",
      totals.journaled, totals.committed, totals.queued, totals.quarantined, totals.lost, totals.found,
      totals.missing, totals.duplicated);
}

void print_lanes(const AuditReport& report, std::string& text) {
  auto out = std::back_inserter(text);
  fmt::format_to(out, "{:>5} {:>7} {:>5} {:>12} {:>12} {:>12} {:>14} {:>12}\n", "epoch", "reactor", "shard",
                 "first", "last", "progress", "rows", "queued");
  for (const LaneAudit& lane : report.lanes)
    fmt::format_to(out, "{:>5} {:>7} {:>5} {:>12} {:>12} {:>12} {:>14} {:>12}\n", lane.lane.epoch,
                   lane.lane.reactor, lane.lane.shard, lane.first, lane.last,
                   lane.progress ? std::to_string(*lane.progress) : "none", lane.rows, lane.rows_queued);
}

void print_streams(const AuditReport& report, std::string& text) {
  auto out = std::back_inserter(text);
  const auto line = [&](const auto&... cells) {
    fmt::format_to(out, "{:<24} {:>12} {:>12} {:>10} {:>11} {:>12} {:>9} {:>10} {:>10}\n", cells...);
  };
  line("stream", "journaled", "committed", "queued", "quarantined", "found", "missing", "duplicated",
       "others");
  for (const StreamAudit& stream : report.streams)
    line(stream.name, stream.journaled, stream.committed(), stream.queued, stream.quarantined, stream.found,
         stream.missing, stream.duplicated, stream.others ? std::to_string(*stream.others) : "-");
}

void print_missing(const AuditReport& report, std::string& text) {
  for (const StreamAudit& stream : report.streams)
    for (const MissingRow& row : stream.examples)
      fmt::format_to(std::back_inserter(text), "not in {}: device {}, time {}, {} times\n", stream.table,
                     row.device, row.time, row.copies);
}

}  // namespace

std::uint64_t LaneAudit::batches_trimmed_too_early() const noexcept {
  const std::uint64_t next = progress.value_or(0) + 1;
  return first > next ? first - next : 0;
}

AuditReport::Totals AuditReport::totals() const noexcept {
  Totals totals;
  for (const StreamAudit& stream : streams) {
    totals.journaled += stream.journaled;
    totals.committed += stream.committed();
    totals.queued += stream.queued;
    totals.quarantined += stream.quarantined;
    totals.found += stream.found;
    totals.missing += stream.missing;
    totals.duplicated += stream.duplicated;
  }
  totals.lost = lost_rows;
  totals.journaled += lost_rows;
  return totals;
}

std::vector<std::string> AuditReport::faults() const {
  std::vector<std::string> faults;
  for (const StreamAudit& stream : streams) {
    if (stream.missing > 0)
      faults.push_back(
          fmt::format("{} rows of {} are in the journal and committed, and neither in the table nor in "
                      "dead_letter. Unless they were deleted on purpose, keep a copy of the journal.",
                      stream.missing, stream.table));
    if (stream.duplicated > 0)
      faults.push_back(fmt::format("{} rows of {} are in the table more often than in the journal.",
                                   stream.duplicated, stream.table));
    // Letters of refused rows are written without going through the journal.
    const bool only_journaled = stream.name != dead_letter_stream_name;
    if (exclusive && only_journaled && stream.others.value_or(0) > 0)
      faults.push_back(fmt::format("{} rows of {} are in the table and not in the journal.", *stream.others,
                                   stream.table));
  }
  for (const LaneAudit& lane : lanes)
    if (const std::uint64_t batches = lane.batches_trimmed_too_early(); batches > 0)
      faults.push_back(fmt::format(
          "The database stands at batch {} of epoch {}, reactor {}, shard {}, and the journal begins at {}: "
          "{} "
          "batches are in neither. A database that fell back further than journal.keep reaches loses them.",
          lane.progress.value_or(0), lane.lane.epoch, lane.lane.reactor, lane.lane.shard, lane.first,
          batches));
  if (lost_batches > 0 || damaged_places > 0)
    faults.push_back(fmt::format(
        "The journal is damaged: {} batches with {} rows for certain cannot be read, and {} places of which "
        "nobody knows what was there; `wellhead journal verify` names them. They were not compared.",
        lost_batches, lost_rows, damaged_places));
  return faults;
}

std::string print_audit(const AuditReport& report) {
  std::string text = fmt::format("journal {} of node \"{}\"", report.journal_id, report.node_id);
  if (!report.lanes.empty())
    text += fmt::format(", written {} to {}", wall_time_text(report.first_written_us),
                        wall_time_text(report.last_written_us));
  text += "\n\n";
  print_lanes(report, text);
  text += '\n';
  print_streams(report, text);
  text += '\n';
  print_missing(report, text);
  for (const std::string& note : report.notes) text += note + '\n';
  const std::vector<std::string> faults = report.faults();
  for (const std::string& fault : faults) text += fault + '\n';
  const AuditReport::Totals totals = report.totals();
  text += fmt::format(
      "journaled {} = committed {} + queued {} + quarantined {} + lost {}; of the committed, {} are in "
      "their tables: {}.\n",
      totals.journaled, totals.committed, totals.queued, totals.quarantined, totals.lost, totals.found,
      faults.empty() ? "conserved" : "NOT conserved");
  return text;
}

std::string print_audit_json(const AuditReport& report) {
  const auto one = [](const auto& value) { return json_of(value); };
  const std::vector<std::string> faults = report.faults();
  return fmt::format(
      R"({{"journal":"{}","node":{},"first_written":"{}","last_written":"{}","lanes":{},"streams":{},"identity":{},"lost_batches":{},"damaged_places":{},"segments_trimmed":{},"notes":{},"faults":{},"holds":{}}})"
      "\n",
      report.journal_id, json_string(report.node_id), wall_time_text(report.first_written_us),
      wall_time_text(report.last_written_us), json_array(report.lanes, one), json_array(report.streams, one),
      json_of(report.totals()), report.lost_batches, report.damaged_places, report.segments_trimmed,
      json_array(report.notes, json_string), json_array(faults, json_string), faults.empty());
}

std::string wall_time_text(std::int64_t wall_us) {
  const std::int64_t unix_us = wall_us + postgres_epoch_unix_us;
  const std::int64_t part_us = (unix_us % us_per_second + us_per_second) % us_per_second;
  const auto seconds = static_cast<std::time_t>((unix_us - part_us) / us_per_second);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(seconds), part_us);
}

}  // namespace wellhead
