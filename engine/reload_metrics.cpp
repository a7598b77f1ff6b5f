#include "engine/reload_metrics.hpp"

namespace wellhead {
namespace {

void add_reloads(Exposition& exposition, const ReloadStats& stats) {
  const auto count = [&](const char* outcome, const Counter& counter) {
    exposition.counter(
        "wellhead_reloads_total",
        "Times HUP had the configuration read again, by outcome: done; refused, since it has a "
        "mistake; needs_restart, since it changes what only a restart can change. Only done changes "
        "the rules in force.",
        {{"outcome", outcome}}, counter.value());
  };
  count("done", stats.done);
  count("refused", stats.refused);
  count("needs_restart", stats.needs_restart);
  exposition.gauge("wellhead_reload_last_good_timestamp_seconds",
                   "When the configuration in force was read, in seconds since 1970.", {},
                   static_cast<double>(stats.last_good_unix_s.value()));
}

void add_attributes(Exposition& exposition, const AttributesReading& stream) {
  const MetricLabels label{{"stream", stream.stream}};
  exposition.gauge("wellhead_attributes_devices", "Devices whose attributes are known.", label,
                   static_cast<double>(stream.devices));
  exposition.gauge("wellhead_attributes_bytes", "Memory of their table.", label,
                   static_cast<double>(stream.memory_bytes));
  exposition.gauge(
      "wellhead_attributes_loaded_timestamp_seconds",
      "When the table was read from its file or the database, in seconds since 1970; 0: only what was "
      "saved of an earlier run, or nothing.",
      label, static_cast<double>(stream.loaded_unix_s));
  exposition.counter("wellhead_attributes_failures_total", "Times the attributes' query failed.", label,
                     stream.failures);
}

}  // namespace

void add_reload_metrics(Exposition& exposition, const NodeView& node) {
  if (const ReloadStats* const stats = node.reloads(); stats != nullptr) add_reloads(exposition, *stats);
  for (const AttributesReading& stream : node.attributes()) add_attributes(exposition, stream);
}

}  // namespace wellhead
