#include "engine/metrics_quality.hpp"

namespace wellhead {
namespace {

constexpr double millionths = 1e6;

constexpr std::array<CounterRow<StreamScores>, 5> reasons{{
    {&StreamScores::anomalous, "wellhead_quality_anomalies_total",
     "Rows with a value that is an anomaly of its device."},
    {&StreamScores::inconsistent, "wellhead_quality_inconsistent_total",
     "Rows with a value far from its device's recent average."},
    {&StreamScores::stuck, "wellhead_quality_stuck_total",
     "Rows with a value that has not changed for longer than it used to."},
    {&StreamScores::late, "wellhead_quality_late_total", "Rows that were old when they arrived."},
    {&StreamScores::repaired, "wellhead_quality_repaired_total",
     "Rows in which a value out of range was replaced by NULL; dead_letter has the record."},
}};

std::uint64_t sum(const QualityReading& stream, Counter StreamScores::* member) {
  std::uint64_t total = 0;
  for (const StreamScores* scores : stream.scores) total += (scores->*member).value();
  return total;
}

constexpr std::array<CounterRow<ShardStats>, 3> baseline_counters{{
    {&ShardStats::baselines_restored, "wellhead_baselines_restored_total",
     "Devices whose baseline was read from the database."},
    {&ShardStats::baselines_unreadable, "wellhead_baselines_unreadable_total",
     "Devices whose baseline in the database is of another version or of other fields; they are learned "
     "anew."},
    {&ShardStats::baselines_evicted, "wellhead_baselines_evicted_total",
     "Devices that made room for others in memory (scoring.devices_max); the database keeps their "
     "baselines."},
}};

void add_baselines(Exposition& exposition, const ShardReading& shard) {
  const MetricLabels label{{"shard", std::to_string(shard.index)}};
  exposition.gauge("wellhead_baseline_devices", "Devices whose baselines are in memory.", label,
                   static_cast<double>(shard.stats->baselines.value()));
  exposition.gauge("wellhead_baseline_bytes", "Memory of these.", label,
                   static_cast<double>(shard.stats->baseline_bytes.value()));
  exposition.counters<ShardStats>(baseline_counters, label, *shard.stats);
}

// Only what happened: streams times codes would be hundreds of zeros.
void add_rejects(Exposition& exposition, const NodeView& node) {
  const std::vector<std::string> streams = node.stream_names();
  const std::vector<ReactorReading> reactors = node.reactors();
  for (std::size_t stream = 0; stream < streams.size(); ++stream) {
    for (std::size_t code = 0; code < record_error_code_count; ++code) {
      std::uint64_t count = 0;
      for (const ReactorReading& reactor : reactors)
        if (reactor.intake != nullptr && stream < reactor.intake->rejected_by_stream.size())
          count += reactor.intake->rejected_by_stream[stream][code].value();
      if (count == 0) continue;
      const auto name = to_string(static_cast<RecordErrorCode>(code));
      exposition.counter("wellhead_quality_rejects_total",
                         "Records of the stream that were refused, by the code the client was told.",
                         {{"stream", streams[stream]}, {"code", std::string(name)}}, count);
    }
  }
}

}  // namespace

void add_quality_metrics(Exposition& exposition, const NodeView& node) {
  add_rejects(exposition, node);
  const std::vector<QualityReading> streams = node.quality();
  if (streams.empty()) return;
  for (const QualityReading& stream : streams) {
    const MetricLabels label{{"stream", stream.stream}};
    exposition.counter("wellhead_quality_score_count", "Rows scored.", label,
                       sum(stream, &StreamScores::rows));
    exposition.counter_of_fractions(
        "wellhead_quality_score_sum",
        "Sum of their scores: divided by wellhead_quality_score_count, the mean score.", label,
        static_cast<double>(sum(stream, &StreamScores::score_millionths)) / millionths);
    for (const CounterRow<StreamScores>& reason : reasons)
      exposition.counter(reason.name, reason.help, label, sum(stream, reason.member));
  }
  for (const ShardReading& shard : node.shards()) add_baselines(exposition, shard);
}

}  // namespace wellhead
