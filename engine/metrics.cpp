#include "engine/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.hpp"
#include "engine/process_stats.hpp"

namespace wellhead {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr int account_attempts_max = 16;

// Upper bounds of the histograms' buckets, in the unit they are recorded in.
constexpr std::array<std::uint64_t, 18> latency_bounds_us{
    100,     250,     500,     1'000,     2'500,     5'000,     10'000,     25'000,     50'000,
    100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000, 30'000'000, 60'000'000};
constexpr std::array<std::uint64_t, 12> rows_bounds{1,     10,     50,     100,    500,     1'000,
                                                    5'000, 10'000, 25'000, 50'000, 100'000, 200'000};

// Gathers families in the order they are first named.
class Exposition {
 public:
  void add(std::string_view name, std::string_view help, MetricType type, Labels labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (type == MetricType::Counter)
      metric.counter.value = value;
    else
      metric.gauge.value = value;
    family(name, help, type).metric.push_back(std::move(metric));
  }

  void counter(std::string_view name, std::string_view help, Labels labels, std::uint64_t value) {
    add(name, help, MetricType::Counter, std::move(labels), static_cast<double>(value));
  }

  void gauge(std::string_view name, std::string_view help, Labels labels, double value) {
    add(name, help, MetricType::Gauge, std::move(labels), value);
  }

  // `per_unit` recorded units make an exported one: dividing by it gives bounds that print as they are meant.
  void histogram(std::string_view name, std::string_view help, const Histogram& values,
                 std::span<const std::uint64_t> bounds, double per_unit) {
    prometheus::ClientMetric metric;
    // The total is counted from the same buckets, in the same pass: a record() in between must not show as a
    // bucket above the total.
    std::uint64_t cumulative = 0;
    std::size_t bucket = 0;
    for (const std::uint64_t bound : bounds) {
      for (const std::size_t last = Histogram::bucket_of(bound); bucket <= last; ++bucket)
        cumulative += values.count_in(bucket);
      metric.histogram.bucket.push_back({cumulative, static_cast<double>(bound) / per_unit});
    }
    for (; bucket < Histogram::bucket_count; ++bucket) cumulative += values.count_in(bucket);
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum = static_cast<double>(values.sum()) / per_unit;
    family(name, help, MetricType::Histogram).metric.push_back(std::move(metric));
  }

  [[nodiscard]] std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  MetricFamily& family(std::string_view name, std::string_view help, MetricType type) {
    const auto [position, added] = positions_.try_emplace(std::string(name), families_.size());
    if (added) families_.push_back({std::string(name), std::string(help), type, {}});
    return families_[position->second];
  }

  std::vector<MetricFamily> families_;
  std::map<std::string, std::size_t> positions_;
};

// One plain counter of a structure: its member, its name, its meaning.
template <typename Stats>
struct CounterRow {
  Counter Stats::* member;
  std::string_view name;
  std::string_view help;
};

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

constexpr std::array<CounterRow<ShardStats>, 9> shard_counters{{
    {&ShardStats::rows_committed, "wellhead_shard_rows_committed_total", "Rows committed."},
    {&ShardStats::rows_refused, "wellhead_shard_rows_refused_total",
     "Rows the database refused for their data."},
    {&ShardStats::rows_abandoned, "wellhead_shard_rows_abandoned_total",
     "Rows that were not committed when the node stopped; never acknowledged."},
    {&ShardStats::bytes_committed, "wellhead_shard_committed_bytes_total", "COPY bytes committed."},
    {&ShardStats::flushes, "wellhead_shard_flushes_total", "Flushes committed."},
    {&ShardStats::flushes_retried, "wellhead_shard_flushes_retried_total", "Flushes that were tried again."},
    {&ShardStats::connects, "wellhead_shard_connects_total", "Database connections made."},
    {&ShardStats::disconnects, "wellhead_shard_disconnects_total", "Database connections lost."},
    {&ShardStats::server_warnings, "wellhead_shard_server_warnings_total",
     "NOTICE and WARNING messages from the database; the log has their text."},
}};

void add_account(Exposition& exposition, const NodeView& node) {
  RecordAccount total;
  std::uint64_t exhaustions = 0;
  for (const ReactorReading& reactor : node.reactors()) {
    if (reactor.intake == nullptr) continue;
    total.add(read_account(*reactor.intake));
    exhaustions += reactor.intake->batch_exhaustions.value();
  }
  exposition.counter("wellhead_records_received_total", "Records taken from clients' requests.", {},
                     total.received);
  exposition.counter("wellhead_records_committed_total", "Records committed in the database.", {},
                     total.committed);
  exposition.gauge("wellhead_records_queued", "Records taken whose fate is not known yet.", {},
                   static_cast<double>(total.queued));
  for (std::size_t code = 0; code < record_error_code_count; ++code)
    exposition.counter("wellhead_records_rejected_total", "Records refused, by the code the client was told.",
                       {{"code", std::string(to_string(static_cast<RecordErrorCode>(code)))}},
                       total.rejected[code]);
  exposition.counter("wellhead_records_quarantined_total", "Records put into the dead-letter table.", {}, 0);
  exposition.counter("wellhead_records_duplicate_total", "Records recognized as repeated.", {}, 0);
  exposition.counter("wellhead_records_abandoned_total",
                     "Records not committed when the node stopped; never acknowledged.", {}, total.abandoned);
  exposition.gauge("wellhead_records_unaccounted",
                   "Received minus all the others. Anything but 0 is a fault of the node.", {},
                   static_cast<double>(total.unaccounted()));
  exposition.counter("wellhead_pipeline_exhaustions_total",
                     "Requests that found no free memory in the pipeline (pipeline.memory) and had to wait.",
                     {}, exhaustions);
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
    const Labels label{{"reactor", reactor.name}};
    exposition.gauge("wellhead_connections_open", "Connections open now.", label,
                     static_cast<double>(reactor.stats->connections_open.value()));
    for (const auto& row : reactor_counters)
      exposition.counter(row.name, row.help, label, (reactor.stats->*row.member).value());
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
    const Labels label{{"shard", std::to_string(shard.index)}};
    for (const auto& row : shard_counters)
      exposition.counter(row.name, row.help, label, (shard.stats->*row.member).value());
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
  exposition.add("process_cpu_seconds_total", "User and system time in seconds.", MetricType::Counter, {},
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

RecordAccount read_once(const IntakeStats& stats) {
  RecordAccount account;
  account.received = stats.records_received.value();
  account.committed = stats.records_accepted.value();
  account.abandoned = stats.records_abandoned.value();
  account.queued = stats.records_pending.value();
  for (std::size_t code = 0; code < record_error_code_count; ++code)
    account.rejected[code] = stats.records_rejected[code].value();
  return account;
}

}  // namespace

std::uint64_t RecordAccount::rejected_count() const noexcept {
  return std::accumulate(rejected.begin(), rejected.end(), std::uint64_t{0});
}

std::int64_t RecordAccount::unaccounted() const noexcept {
  return static_cast<std::int64_t>(received) - static_cast<std::int64_t>(committed) - queued -
         static_cast<std::int64_t>(rejected_count()) - static_cast<std::int64_t>(abandoned);
}

void RecordAccount::add(const RecordAccount& other) noexcept {
  received += other.received;
  committed += other.committed;
  abandoned += other.abandoned;
  queued += other.queued;
  for (std::size_t code = 0; code < record_error_code_count; ++code) rejected[code] += other.rejected[code];
}

RecordAccount read_account(const IntakeStats& stats) {
  RecordAccount account = read_once(stats);
  for (int attempt = 0; attempt < account_attempts_max; ++attempt) {
    const RecordAccount again = read_once(stats);
    if (again == account && again.unaccounted() == 0) break;
    account = again;
  }
  return account;
}

std::string render_metrics(const NodeView& node, const std::string& version) {
  Exposition exposition;
  add_account(exposition, node);
  add_reactors(exposition, node);
  add_shards(exposition, node);
  exposition.gauge("wellhead_stopping", "1 from the first TERM on.", {}, node.stopping() ? 1 : 0);
  add_process(exposition, version);
  return exposition.text();
}

}  // namespace wellhead
