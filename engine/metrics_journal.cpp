#include "engine/metrics_journal.hpp"

#include <atomic>
#include <memory>
#include <string>

namespace wellhead {
namespace {

constexpr std::array<CounterRow<JournalWriterStats>, 6> writer_counters{{
    {&JournalWriterStats::blocks, "wellhead_journal_blocks_total", "Blocks made durable."},
    {&JournalWriterStats::sections, "wellhead_journal_sections_total", "Sections of these blocks."},
    {&JournalWriterStats::rows, "wellhead_journal_rows_total", "Rows of these blocks."},
    {&JournalWriterStats::bytes, "wellhead_journal_written_bytes_total", "Bytes written, with padding."},
    {&JournalWriterStats::write_failures, "wellhead_journal_write_failures_total",
     "Writes that failed; each latches its journal."},
    {&JournalWriterStats::full_refusals, "wellhead_journal_full_refusals_total",
     "Blocks that found no room within journal.bytes_max and journal.free_bytes_min."},
}};

void add_usage(Exposition& exposition, const JournalReading& journal) {
  const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    exposition.gauge(name, help, {}, static_cast<double>(value));
  };
  gauge("wellhead_journal_epoch", "How often a node has started on this journal.", journal.epoch);
  gauge("wellhead_journal_bytes", "Bytes of all segments, spare ones included.", journal.usage.bytes);
  gauge("wellhead_journal_bytes_max", "The bound of the above, journal.bytes_max.", journal.usage.bytes_max);
  gauge("wellhead_journal_segments", "Segments, spare ones included.", journal.usage.segments);
  gauge("wellhead_journal_spare_segments", "Segments ready for use.", journal.usage.spare);
  exposition.counter("wellhead_journal_segments_trimmed_total",
                     "Segments freed since the database has their rows for good.", {},
                     journal.segments_trimmed);
}

void add_damage(Exposition& exposition, const JournalReading& journal) {
  const JournalSurvey& survey = *journal.survey;
  std::uint64_t lost_rows = 0;
  for (const LostRows& lost : journal.lost) lost_rows += lost.rows;
  exposition.counter("wellhead_journal_torn_blocks_total",
                     "Incomplete blocks found at the journal's end at the start; never acknowledged.", {},
                     survey.torn_blocks);
  exposition.counter("wellhead_journal_torn_bytes_total", "Their bytes.", {}, survey.torn_bytes);
  exposition.counter("wellhead_journal_damaged_sections_total",
                     "Sections of acknowledged blocks found damaged and set aside in quarantine.", {},
                     journal.lost.size());
  exposition.counter("wellhead_journal_lost_rows_total",
                     "Acknowledged rows in them, as far as their headers tell.", {}, lost_rows);
}

void add_ledger(Exposition& exposition, const LedgerStats& ledger) {
  const auto gauge = [&](std::string_view name, std::string_view help,
                         const std::atomic<std::int64_t>& level) {
    exposition.gauge(name, help, {}, static_cast<double>(level.load(std::memory_order_relaxed)));
  };
  const auto counter = [&](std::string_view name, std::string_view help,
                           const std::atomic<std::uint64_t>& count) {
    exposition.counter(name, help, {}, count.load(std::memory_order_relaxed));
  };
  gauge("wellhead_retries_keys", "Requests with an Idempotency-Key that are remembered.", ledger.keys);
  gauge("wellhead_retries_producers", "Producers of NDJSON lines that are remembered.", ledger.producers);
  counter("wellhead_retries_repeated_total", "Requests that were repeated, and not stored again.",
          ledger.keys_repeated);
  counter("wellhead_retries_in_flight_total",
          "Requests refused because the first with their key was on its way.", ledger.keys_refused_in_flight);
  counter("wellhead_retries_conflicts_total",
          "Requests refused because their key was used for other content.", ledger.keys_conflicting);
  counter("wellhead_retries_expired_total", "Requests and producers forgotten at the end of retries.window.",
          ledger.expired);
  counter("wellhead_retries_evicted_total", "The same, forgotten earlier because of retries.entries_max.",
          ledger.evicted);
}

void add_writer(Exposition& exposition, const JournalWriterReading& writer) {
  const MetricLabels label{{"reactor", std::to_string(writer.reactor)}};
  exposition.counters<JournalWriterStats>(writer_counters, label, *writer.stats);
  exposition.gauge("wellhead_journal_latched",
                   "1 after a failed write, until an operator sends HUP or restarts; nothing is taken.",
                   label, writer.latched ? 1 : 0);
  exposition.gauge("wellhead_journal_full", "1 while there is no room for another block; nothing is taken.",
                   label, writer.full ? 1 : 0);
}

}  // namespace

void add_journal_metrics(Exposition& exposition, const NodeView& node) {
  const std::optional<JournalReading> journal = node.journal();
  if (!journal) return;
  add_usage(exposition, *journal);
  add_damage(exposition, *journal);
  if (journal->ledger != nullptr) add_ledger(exposition, *journal->ledger);
  const auto latency = std::make_unique<Histogram>();
  for (const JournalWriterReading& writer : journal->writers) {
    add_writer(exposition, writer);
    latency->merge(writer.stats->write_us);
  }
  exposition.histogram("wellhead_journal_write_duration_seconds",
                       "From giving a block to the journal to its being durable, all reactors.", *latency,
                       latency_bounds_us, 1e6);
}

}  // namespace wellhead
