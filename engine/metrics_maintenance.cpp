#include "engine/metrics_maintenance.hpp"

#include <array>

#include "engine/maintenance_thread.hpp"
#include "engine/metrics_database.hpp"

namespace wellhead {
namespace {

constexpr std::array<CounterRow<MaintenanceStats>, 7> counters{{
    {&MaintenanceStats::transactions, "wellhead_aggregate_transactions_total",
     "Transactions that computed buckets of aggregates."},
    {&MaintenanceStats::rows, "wellhead_aggregate_rows_total", "Rows of aggregates they computed."},
    {&MaintenanceStats::chunks_dropped, "wellhead_retention_chunks_dropped_total",
     "Chunks dropped since their time was up."},
    {&MaintenanceStats::partitions_made, "wellhead_partitions_made_total",
     "Partitions made ahead of time, or for rows that had none."},
    {&MaintenanceStats::postponed, "wellhead_maintenance_postponed_total",
     "Steps put off since somebody else held a lock they need."},
    {&MaintenanceStats::failures, "wellhead_maintenance_failures_total",
     "Turns that ended in an error; the log says which."},
    {&MaintenanceStats::report_failures, "wellhead_database_report_failures_total",
     "Times the database did not tell all that is shown of it; the log says why."},
}};

}  // namespace

void add_maintenance_metrics(Exposition& exposition, const NodeView& node) {
  const MaintenanceStats* stats = node.maintenance();
  if (stats == nullptr) return;
  exposition.counters<MaintenanceStats>(counters, {}, *stats);
  exposition.gauge("wellhead_retention_chunks_refused",
                   "Chunks kept although their time is up, since no archive or backup marker covers them.",
                   {}, static_cast<double>(stats->chunks_refused.load(std::memory_order_relaxed)));
  if (const auto report = stats->report.get()) add_database_metrics(exposition, *report);
}

}  // namespace wellhead
