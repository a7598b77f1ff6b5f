#include "engine/metrics.hpp"

#include <memory>
#include <string_view>

#include "engine/exposition.hpp"
#include "engine/metrics_journal.hpp"
#include "engine/metrics_maintenance.hpp"
#include "engine/metrics_quality.hpp"
#include "engine/process_stats.hpp"
#include "engine/record_account.hpp"
#include "engine/reload_metrics.hpp"

namespace wellhead {
namespace {

constexpr std::array<CounterRow<ReactorStats>, 7> reactor_counters{{
    {&ReactorStats::connections_accepted, "wellhead_connections_accepted_total", "Connections taken."},
    {&ReactorStats::requests, "wellhead_requests_total", "HTTP requests answered and NDJSON chunks taken."},
    {&ReactorStats::bytes_received, "wellhead_received_bytes_total", "Bytes received from clients."},
    {&ReactorStats::bytes_sent, "wellhead_sent_bytes_total", "Bytes sent to clients."},
    {&ReactorStats::disconnects_early, "wellhead_disconnects_early_total",
     "Connections whose client left before its request was whole or answered."},
    {&ReactorStats::stale_completions, "wellhead_stale_completions_total",
     "Completions that arrived for a connection that was gone."},
    {&ReactorStats::loop_turns, "wellhead_reactor_turns_total", "Turns of the reactors' loops."},
}};

// Every bound that can be hit, as one family: an operator alerts on any of them and reads which.
struct LimitRow {
  Counter ReactorStats::* member;
  std::string_view limit;  // the key in the configuration, or what was malformed
};
constexpr std::array<LimitRow, 13> limit_counters{{
    {&ReactorStats::connections_refused, "connections_max"},
    {&ReactorStats::header_overflows, "header_bytes_max"},
    {&ReactorStats::body_overflows, "body_bytes_max"},
    {&ReactorStats::inflate_overflows, "inflated_bytes_max"},
    {&ReactorStats::body_memory_overflows, "body_memory_max"},
    {&ReactorStats::line_overflows, "line_bytes_max"},
    {&ReactorStats::header_timeouts, "header_timeout"},
    {&ReactorStats::body_timeouts, "body_timeout"},
    {&ReactorStats::idle_timeouts, "idle_timeout"},
    {&ReactorStats::send_timeouts, "send_timeout"},
    {&ReactorStats::commit_timeouts, "commit_timeout"},
    {&ReactorStats::admission_timeouts, "admission_timeout"},
    {&ReactorStats::receive_buffer_exhaustions, "receive_buffers"},
}};

constexpr std::array<CounterRow<ShardStats>, 15> shard_counters{{
    {&ShardStats::rows_committed, "wellhead_shard_rows_committed_total", "Rows committed."},
    {&ShardStats::rows_refused, "wellhead_shard_rows_refused_total",
     "Rows the database refused for their data."},
    {&ShardStats::rows_abandoned, "wellhead_shard_rows_abandoned_total",
     "Rows that were not committed when the node stopped and that no journal holds; never acknowledged."},
    {&ShardStats::rows_recovered, "wellhead_shard_rows_recovered_total",
     "Of the rows committed and refused, those that earlier runs left in the journal."},
    {&ShardStats::rows_replayed, "wellhead_shard_rows_replayed_total", "Rows read back from the journal."},
    {&ShardStats::rows_rewound, "wellhead_shard_rows_rewound_total",
     "Rows read back because the database forgot their commit (a crash, or a failover)."},
    {&ShardStats::synchronous_flushes, "wellhead_shard_synchronous_flushes_total",
     "Commits that the database cannot forget, nor any before them."},
    {&ShardStats::bytes_committed, "wellhead_shard_committed_bytes_total", "COPY bytes committed."},
    {&ShardStats::flushes, "wellhead_shard_flushes_total", "Flushes committed."},
    {&ShardStats::flushes_retried, "wellhead_shard_flushes_retried_total", "Flushes that were tried again."},
    {&ShardStats::connects, "wellhead_shard_connects_total", "Database connections made."},
    {&ShardStats::disconnects, "wellhead_shard_disconnects_total", "Database connections lost."},
    {&ShardStats::server_warnings, "wellhead_shard_server_warnings_total",
     "NOTICE and WARNING messages from the database; the log has their text."},
    {&ShardStats::rows_compressed, "wellhead_shard_rows_compressed_total",
     "Of the rows committed, those that were compressed on the way in (sink.direct_compress)."},
    {&ShardStats::direct_compress_skipped, "wellhead_shard_direct_compress_skipped_total",
     "Writes into a table that the database was asked to compress on the way in and did not; the log says "
     "why."},
}};

void add_account(Exposition& exposition, const NodeView& node) {
  const RecordAccount account = read_account(node);
  exposition.counter("wellhead_records_received_total", "Records taken from clients' requests.", {},
                     account.received);
  exposition.counter("wellhead_records_recovered_total",
                     "Records of earlier runs that were in the journal and not in the database.", {},
                     account.recovered);
  exposition.counter("wellhead_records_committed_total", "Records committed in the database.", {},
                     account.committed);
  exposition.gauge("wellhead_records_queued",
                   "Records taken that are not in the database yet: on their way, or in the journal.", {},
                   static_cast<double>(account.queued));
  for (std::size_t code = 0; code < record_error_code_count; ++code)
    exposition.counter("wellhead_records_rejected_total", "Records refused, by the code the client was told.",
                       {{"code", std::string(to_string(static_cast<RecordErrorCode>(code)))}},
                       account.rejected[code]);
  exposition.counter("wellhead_records_quarantined_total",
                     "Records acknowledged and then refused by the database for their data.", {},
                     account.quarantined);
  exposition.counter("wellhead_records_duplicate_total", "Records recognized as repeated.", {},
                     account.duplicate);
  exposition.counter(
      "wellhead_records_abandoned_total",
      "Records neither durable nor committed when the journal failed or the node stopped; never "
      "acknowledged.",
      {}, account.abandoned);
  exposition.gauge("wellhead_records_unaccounted",
                   "Received and recovered less all the others. Anything but 0 is a fault of the node.", {},
                   static_cast<double>(account.unaccounted));
}

void add_intake(Exposition& exposition, const ReactorReading& reactor) {
  if (reactor.intake == nullptr) return;
  exposition.counter("wellhead_pipeline_exhaustions_total",
                     "Requests that found no free memory in the pipeline (pipeline.memory) and had to wait.",
                     {{"reactor", reactor.name}}, reactor.intake->batch_exhaustions.value());
  exposition.counter("wellhead_records_durable_total", "Records made durable in the journal.",
                     {{"reactor", reactor.name}}, reactor.intake->records_durable.value());
  exposition.counter("wellhead_batches_spilled_total",
                     "Batches left to the journal, since their shard is behind; it reads them back.",
                     {{"reactor", reactor.name}}, reactor.intake->batches_spilled.value());
}

void add_dead_letters(Exposition& exposition, const NodeView& node) {
  std::uint64_t taken = 0, dropped = 0, committed = 0;
  for (const ReactorReading& reactor : node.reactors()) {
    if (reactor.intake == nullptr) continue;
    taken += reactor.intake->dead_letter_rows.value();
    dropped += reactor.intake->dead_letter_rows_dropped.value();
  }
  for (const ShardReading& shard : node.shards()) committed += shard.stats->dead_letters.value();
  exposition.counter("wellhead_dead_letters_total",
                     "Rows made for dead_letter of records that were rejected or repaired.", {}, taken);
  exposition.counter("wellhead_dead_letters_committed_total", "Those that are committed in the database.", {},
                     committed);
  exposition.counter(
      "wellhead_dead_letters_dropped_total",
      "Rejected or repaired records without a row in dead_letter: too many in their request, or no "
      "memory to spare. Of a repaired one, the value that was replaced is gone.",
      {}, dropped);
}

void add_replies(Exposition& exposition, const ReactorReading& reactor) {
  for (std::size_t status = 0; status < reactor.stats->replies.size(); ++status) {
    const std::uint64_t count = reactor.stats->replies[status].value();
    // A status that never happened would be a line without a use, 600 times a reactor.
    if (count != 0)
      exposition.counter("wellhead_http_replies_total", "HTTP replies by status.",
                         {{"reactor", reactor.name}, {"status", std::to_string(status)}}, count);
  }
}

void add_reactors(Exposition& exposition, const NodeView& node) {
  const auto latency = std::make_unique<Histogram>();
  for (const ReactorReading& reactor : node.reactors()) {
    const MetricLabels label{{"reactor", reactor.name}};
    exposition.gauge("wellhead_connections_open", "Connections open now.", label,
                     static_cast<double>(reactor.stats->connections_open.value()));
    exposition.counters<ReactorStats>(reactor_counters, label, *reactor.stats);
    for (const LimitRow& row : limit_counters)
      exposition.counter("wellhead_limit_hits_total",
                         "How often a configured limit was hit, by its key in [limits].",
                         {{"reactor", reactor.name}, {"limit", std::string(row.limit)}},
                         (reactor.stats->*row.member).value());
    exposition.counter("wellhead_malformed_requests_total",
                       "Requests that were not HTTP, or whose body was not JSON.",
                       {{"reactor", reactor.name}, {"part", "http"}}, reactor.stats->malformed_http.value());
    exposition.counter("wellhead_malformed_requests_total", "", {{"reactor", reactor.name}, {"part", "body"}},
                       reactor.stats->malformed_bodies.value());
    add_replies(exposition, reactor);
    add_intake(exposition, reactor);
    latency->merge(reactor.stats->request_us);
  }
  exposition.histogram("wellhead_request_duration_seconds",
                       "From the last byte of a request to its outcome, all reactors.", *latency,
                       latency_bounds_us, 1e6);
}

void add_shard_state(Exposition& exposition, const ShardReading& shard) {
  for (const ShardState state : {ShardState::starting, ShardState::ready, ShardState::disconnected,
                                 ShardState::blocked, ShardState::stopped})
    exposition.gauge("wellhead_shard_state", "1 for the state a shard is in, 0 for the others.",
                     {{"shard", std::to_string(shard.index)}, {"state", to_string(state)}},
                     state == shard.state ? 1 : 0);
}

void add_shards(Exposition& exposition, const NodeView& node) {
  const auto latency = std::make_unique<Histogram>();
  const auto rows = std::make_unique<Histogram>();
  for (const ShardReading& shard : node.shards()) {
    const MetricLabels label{{"shard", std::to_string(shard.index)}};
    exposition.counters<ShardStats>(shard_counters, label, *shard.stats);
    exposition.gauge("wellhead_shard_lag_batches", "Batches durable in the journal and not committed.", label,
                     static_cast<double>(shard.lag_batches));
    exposition.gauge(
        "wellhead_shard_unflushed_batches",
        "Batches committed that a crash of the database could make it forget; the journal keeps them.", label,
        static_cast<double>(shard.unflushed_batches));
    add_shard_state(exposition, shard);
    latency->merge(shard.stats->flush_us);
    rows->merge(shard.stats->flush_rows);
  }
  exposition.histogram("wellhead_flush_duration_seconds", "From gathering a flush to its commit, all shards.",
                       *latency, latency_bounds_us, 1e6);
  exposition.histogram("wellhead_flush_rows", "Rows of a flush, all shards.", *rows, rows_bounds, 1.0);
}

// Names as Prometheus' own client libraries use them, so that existing dashboards work.
void add_process(Exposition& exposition, const std::string& version) {
  const ProcessStats process = read_process_stats();
  exposition.counter_of_fractions("process_cpu_seconds_total", "User and system time in seconds.", {},
                                  process.cpu_seconds);
  exposition.gauge("process_resident_memory_bytes", "Resident memory.", {},
                   static_cast<double>(process.resident_bytes));
  exposition.gauge("process_virtual_memory_bytes", "Virtual memory.", {},
                   static_cast<double>(process.virtual_bytes));
  exposition.gauge("process_open_fds", "Open file descriptors.", {},
                   static_cast<double>(process.descriptors_open));
  exposition.gauge("process_max_fds", "Most file descriptors allowed.", {},
                   static_cast<double>(process.descriptors_max));
  exposition.gauge("process_threads", "Threads.", {}, static_cast<double>(process.threads));
  exposition.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", {},
                   process.start_time_seconds);
  exposition.gauge("wellhead_build_info", "Always 1; its labels say what is running.",
                   {{"version", version}, {"compiler", "gcc " __VERSION__}}, 1);
}

}  // namespace

std::string render_metrics(const NodeView& node, const std::string& version) {
  Exposition exposition;
  add_account(exposition, node);
  add_dead_letters(exposition, node);
  add_reactors(exposition, node);
  add_shards(exposition, node);
  add_quality_metrics(exposition, node);
  add_journal_metrics(exposition, node);
  add_reload_metrics(exposition, node);
  add_maintenance_metrics(exposition, node);
  exposition.gauge("wellhead_stopping", "1 from the first TERM on.", {}, node.stopping() ? 1 : 0);
  add_process(exposition, version);
  return exposition.text();
}

}  // namespace wellhead
