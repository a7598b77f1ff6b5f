#include "database/report_layout.hpp"

#include <array>

namespace wellhead {
namespace {

using enum FigureKind;

constexpr std::array overview{
    ReportColumn{"database_name", "database"},
    ReportColumn{"postgresql", "PostgreSQL"},
    ReportColumn{"timescaledb", "TimescaleDB"},
    ReportColumn{"edition", "edition"},
    ReportColumn{"database_bytes", "size", bytes, "wellhead_database_bytes", "Size of the database on disk."},
    ReportColumn{"cache_hit_percent", "cache hits", percent, "wellhead_database_cache_hit_ratio",
                 "Share of the pages asked for that were in shared buffers, since the counts began."},
    ReportColumn{"connections", "connections", count, "wellhead_database_connections",
                 "Connections to this database."},
    ReportColumn{"connections_max", "at most", count, "wellhead_database_connections_max",
                 "max_connections, of all databases of the server together."},
    ReportColumn{"commits", "commits", count, "wellhead_database_commits_total", "Transactions committed."},
    ReportColumn{"rollbacks", "rollbacks", count, "wellhead_database_rollbacks_total",
                 "Transactions rolled back."},
    ReportColumn{"deadlocks", "deadlocks", count, "wellhead_database_deadlocks_total", "Deadlocks found."},
    ReportColumn{"temporary_bytes", "temporary files", bytes, "wellhead_database_temporary_bytes_total",
                 "Bytes of temporary files, by queries that did not fit work_mem."},
    ReportColumn{"oldest_transaction_seconds", "oldest transaction", seconds,
                 "wellhead_database_oldest_transaction_seconds",
                 "Age of the oldest open transaction: vacuum removes nothing younger."},
    ReportColumn{"counted_since", "counted since", time},
};

constexpr std::array tables{
    ReportColumn{"table_name", "table", text, "table", {}, true},
    ReportColumn{"kind", "kind"},
    ReportColumn{"chunks", "chunks", count, "wellhead_database_table_chunks", "Chunks or partitions."},
    ReportColumn{"compressed_chunks", "compressed", count, "wellhead_database_table_chunks_compressed",
                 "Chunks that are compressed; none on editions that do not compress."},
    ReportColumn{"range_from", "", time},
    ReportColumn{"range_until", "", time},
    ReportColumn{"total_bytes", "size", bytes, "wellhead_database_table_bytes",
                 "Size of the table on disk, with all its chunks, indexes and what is compressed."},
    ReportColumn{"heap_bytes", "", bytes},
    ReportColumn{"index_bytes", "indexes", bytes, "wellhead_database_table_index_bytes",
                 "Size of its indexes."},
    ReportColumn{"toast_bytes", "", bytes},
    ReportColumn{"live_rows", "rows, about", count, "wellhead_database_table_rows",
                 "Rows, estimated by the server; those in compressed chunks are not among them."},
    ReportColumn{"dead_rows", "dead", count, "wellhead_database_table_dead_rows",
                 "Rows that are deleted or old versions, and take space until a vacuum."},
    ReportColumn{"dead_percent", "", percent},
    ReportColumn{"bloat_bytes", "bloat, about", bytes, "wellhead_database_table_bloat_bytes",
                 "Estimate of the space that neither rows nor padding take."},
    ReportColumn{"bloat_percent", "", percent},
    ReportColumn{"before_compression_bytes", "", bytes, "wellhead_database_table_compression_before_bytes",
                 "What the compressed chunks took before they were compressed."},
    ReportColumn{"after_compression_bytes", "", bytes, "wellhead_database_table_compression_after_bytes",
                 "What the compressed chunks take."},
    ReportColumn{"compression_percent", "saved", percent},
    ReportColumn{"cache_hit_percent", "cache hits", percent, "wellhead_database_table_cache_hit_ratio",
                 "Share of the table's pages asked for that were in shared buffers."},
    ReportColumn{"sequential_scans", "", count, "wellhead_database_table_sequential_scans_total",
                 "Sequential scans of the table's chunks."},
    ReportColumn{"index_scans", "", count, "wellhead_database_table_index_scans_total",
                 "Index scans of the table's chunks."},
    ReportColumn{"last_vacuum", "", time},
    ReportColumn{"last_analyze", "", time},
};

constexpr std::array indexes{
    ReportColumn{"table_name", "table", text, "table", {}, true},
    ReportColumn{"index_name", "index", text, "index", {}, true},
    ReportColumn{"is_unique", "unique", flag},
    ReportColumn{"is_valid", "", flag},
    ReportColumn{"definition", ""},
    ReportColumn{"index_bytes", "size", bytes, "wellhead_database_index_bytes",
                 "Size of the index, on all chunks together."},
    ReportColumn{"scans", "scans", count, "wellhead_database_index_scans_total",
                 "Scans of the index; one without any only costs."},
    ReportColumn{"rows_read", "rows read", count},
    ReportColumn{"cache_hit_percent", "cache hits", percent},
};

constexpr std::array aggregates{
    ReportColumn{"view_name", "aggregate", text, "aggregate", {}, true},
    ReportColumn{"kind", "kind"},
    ReportColumn{"refresh_every", "every"},
    ReportColumn{"complete_until", "complete until", time},
    ReportColumn{"lag_seconds", "behind", seconds, "wellhead_aggregate_lag_seconds",
                 "Age of the newest time up to which everything written is in the aggregate, within the "
                 "window its refreshes look at."},
    ReportColumn{"due_seconds", "to compute", seconds, "wellhead_aggregate_due_seconds",
                 "Time of data that is due to be computed again."},
    ReportColumn{"late_seconds", "late", seconds, "wellhead_aggregate_late_seconds",
                 "Time of data older than the window that is to be computed again."},
    ReportColumn{"pending_ranges", "stretches", count, "wellhead_aggregate_pending_ranges",
                 "Stretches of time that are to be computed again, also those not due yet."},
    ReportColumn{"log_rows", "log", count, "wellhead_aggregate_log_rows",
                 "Rows of the log of what was written, not yet taken by a refresh."},
};

constexpr std::array jobs{
    ReportColumn{"job_id", "job", count, "job", {}, true},
    ReportColumn{"job_name", "does", text, "name", {}, true},
    ReportColumn{"table_name", "table", text, "table", {}, true},
    ReportColumn{"scheduled", "scheduled", flag},
    ReportColumn{"every", "every"},
    ReportColumn{"last_status", "last run"},
    ReportColumn{"last_start", "at", time},
    ReportColumn{"next_start", "", time},
    ReportColumn{"runs", "runs", count, "wellhead_database_job_runs_total", "Runs of the server's job."},
    ReportColumn{"failures", "failed", count, "wellhead_database_job_failures_total",
                 "Runs of the server's job that failed."},
    ReportColumn{"last_error", "last error"},
};

constexpr std::array lanes{
    ReportColumn{"node_id", "node", text, "node", {}, true},
    ReportColumn{"journal_id", ""},
    ReportColumn{"epoch", "epoch", count},
    ReportColumn{"reactor", "reactor", count, "reactor", {}, true},
    ReportColumn{"shard", "shard", count, "shard", {}, true},
    ReportColumn{"sequence", "batch", count},
    ReportColumn{"updated_at", "committed", time},
    ReportColumn{"idle_seconds", "ago", seconds, "wellhead_database_lane_idle_seconds",
                 "Time since the lane of the node's newest run last committed, as the database knows it; an "
                 "idle lane has nothing to commit."},
};

constexpr std::array statements{
    ReportColumn{"query_id", "", count},
    ReportColumn{"total_seconds", "in all", seconds},
    ReportColumn{"calls", "calls", count},
    ReportColumn{"mean_ms", "mean", milliseconds},
    ReportColumn{"max_ms", "longest", milliseconds},
    ReportColumn{"rows_affected", "rows", count},
    ReportColumn{"cache_hit_percent", "cache hits", percent},
    ReportColumn{"statement", "statement"},
};

constexpr std::array retention{
    ReportColumn{"table_name", "table"},
    ReportColumn{"keep", "keep"},
    ReportColumn{"chunks_expired", "past their time", count},
    ReportColumn{"chunks_refused", "refused", count},
    ReportColumn{"refused_until", "", time},
    ReportColumn{"dropped_before", "dropped before", time},
    ReportColumn{"reason", "why kept"},
};

constexpr std::array notes{
    ReportColumn{"topic", "about"},
    ReportColumn{"note", "note"},
};

// The bounds hold for metrics too: a scrape has at most some hundred series of the database. Retention is not
// watched, since it looks into chunks; the node tells what it refused by itself. Nor are statements: which of
// them take the most changes with the load, and each would leave a series behind.
constexpr std::array<ReportLayout, 9> layouts{{
    {"overview", "Database", "database_overview", "", 1, true, overview},
    {"tables", "Tables, the largest first", "database_tables",
     "WHERE total_bytes > 0 ORDER BY total_bytes DESC, table_name", 40, true, tables},
    {"indexes", "Indexes, the largest first", "database_indexes",
     "ORDER BY index_bytes DESC, table_name, index_name", 60, true, indexes},
    {"aggregates", "Aggregates", "database_aggregates", "", 40, true, aggregates},
    {"jobs", "Jobs of the server", "database_jobs", "ORDER BY failures DESC, job_id", 60, true, jobs},
    {"lanes", "Lanes: a reactor's rows for a shard", "database_lanes",
     "WHERE newest_epoch ORDER BY updated_at DESC, shard, reactor", 128, true, lanes},
    {"statements", "Statements that took the most time", "database_statements", "ORDER BY total_seconds DESC",
     10, false, statements},
    {"retention", "Retention", "database_retention", "ORDER BY chunks_refused DESC, table_name", 100, false,
     retention},
    {"notes", "Notes", "database_notes", "", 20, false, notes},
}};

}  // namespace

std::span<const ReportLayout> report_layouts() {
  return layouts;
}

}  // namespace wellhead
