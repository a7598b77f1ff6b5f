#include "database/server_facts.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace wellhead {
namespace {

constexpr const char* settings_question = R"sql(
SELECT name, current_setting(name),
       CASE WHEN vartype IN ('integer', 'real') THEN setting::numeric *
         CASE WHEN unit = 'kB' THEN 1024 WHEN unit = 'MB' THEN 1048576 WHEN unit = '8kB' THEN 8192
              WHEN unit LIKE '%kB' THEN 1024 * substring(unit FROM '^\d+')::numeric
              WHEN unit = 'ms' THEN 0.001 WHEN unit = 'min' THEN 60 ELSE 1 END ELSE 0 END
FROM pg_settings WHERE name IN ('shared_buffers', 'max_wal_size', 'synchronous_commit', 'checkpoint_timeout', 'wal_compression',
  'max_locks_per_transaction', 'max_connections', 'max_prepared_transactions', 'superuser_reserved_connections', 'autovacuum',
  'track_counts', 'fsync', 'full_page_writes', 'max_worker_processes', 'max_parallel_workers', 'timescaledb.max_background_workers',
  'synchronous_standby_names'))sql";

// 127.0.0.1, ::1, a socket, or an address both ends have.
constexpr const char* server_question = R"sql(
SELECT coalesce(inet_server_addr() = inet_client_addr(), true), current_user, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
       current_setting('pg_stat_statements.max', true) IS NOT NULL AND EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'),
       (SELECT sum(numbackends) FROM pg_stat_database), (SELECT count(*) FROM pg_database WHERE NOT datistemplate AND datallowconn))sql";

constexpr int own_view_of_checkpoints_since = 170'000;

std::uint64_t number(const std::optional<std::string>& text) {
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

// The table as a regclass, null where there is none; `name` may have a schema.
std::string place_of(const std::string& name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string::npos) return fmt::format("to_regclass(quote_ident({}))", sql_literal(name));
  return fmt::format("to_regclass(format('%I.%I', {}, {}))", sql_literal(name.substr(0, dot)),
                     sql_literal(name.substr(dot + 1)));
}

// A field for each list, its members separated by newlines. Of triggers those FOR EACH ROW (1) that an INSERT
// (4) fires: an insert passes by the others.
std::string table_question(const std::string& name) {
  return fmt::format(R"sql(
WITH t AS (SELECT {} AS oid)
SELECT t.oid IS NOT NULL,
  (SELECT string_agg(i.indexrelid::regclass::text, E'\n' ORDER BY 1) FROM pg_index i WHERE i.indrelid = t.oid AND i.indisunique
     AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u'))),
  (SELECT string_agg(g.tgname, E'\n' ORDER BY 1) FROM pg_trigger g WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgtype & 5 = 5
     AND g.tgenabled <> 'D' AND g.tgname <> 'ts_insert_blocker' AND NOT EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       WHERE p.oid = g.tgfoid AND n.nspname LIKE '\_timescaledb\_%')),
  (SELECT string_agg(c.conname, E'\n' ORDER BY 1) FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'x'),
  (SELECT string_agg(c.conname, E'\n' ORDER BY 1) FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'f'),
  (SELECT string_agg(c.conname, E'\n' ORDER BY 1) FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype IN ('p', 'u')),
  (SELECT count(*) FROM pg_inherits h WHERE h.inhparent = t.oid),
  (SELECT count(*) FROM pg_index i WHERE i.indrelid = t.oid),
  (SELECT r.relkind = 'p' FROM pg_class r WHERE r.oid = t.oid),
  (SELECT max(pg_indexes_size(h.inhrelid)) FROM (
     SELECT h.inhrelid FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid WHERE h.inhparent = t.oid
       AND pg_get_expr(c.relpartbound, c.oid) IS DISTINCT FROM 'DEFAULT' AND pg_indexes_size(h.inhrelid) IS NOT NULL
     ORDER BY h.inhrelid DESC LIMIT 3) h),
  t.oid::oid::text
FROM t)sql",
                     place_of(name));
}

// By numbers of rows the server noted when it compressed; rows that were written compressed are not known
// there.
std::string hypertable_question(const std::string& oid) {
  return fmt::format(R"sql(
SELECT (SELECT extract(epoch FROM d.time_interval) FROM timescaledb_information.dimensions d
        WHERE d.hypertable_schema = n.nspname AND d.hypertable_name = r.relname AND d.dimension_number = 1),
       (SELECT sum(s.numrows_pre_compression)::float8 / nullif(sum(s.numrows_post_compression), 0)
        FROM _timescaledb_catalog.compression_chunk_size s JOIN _timescaledb_catalog.chunk c ON c.id = s.chunk_id
        JOIN _timescaledb_catalog.hypertable h ON h.id = c.hypertable_id
        WHERE h.schema_name = n.nspname AND h.table_name = r.relname AND s.numrows_pre_compression > 0),
       EXISTS (SELECT FROM timescaledb_information.hypertables h WHERE h.hypertable_schema = n.nspname AND h.hypertable_name = r.relname)
FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace WHERE r.oid = {})sql",
                     oid);
}

constexpr const char* jobs_question = R"sql(
SELECT (SELECT count(*) FROM timescaledb_information.jobs WHERE scheduled),
       (SELECT string_agg(format('%s %s of %s', j.job_id, j.proc_name, coalesce(j.hypertable_name, 'no table')), E'\n' ORDER BY j.job_id)
        FROM timescaledb_information.jobs j JOIN timescaledb_information.job_stats s ON s.job_id = j.job_id
        WHERE j.job_id >= 1000 AND s.last_run_status = 'Failed'))sql";

std::vector<std::string> lines_of(const std::optional<std::string>& text) {
  std::vector<std::string> lines;
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    lines.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

std::optional<double> optional_number(const std::optional<std::string>& text) {
  return text ? std::optional(std::strtod(text->c_str(), nullptr)) : std::nullopt;
}

DatabaseResult<DatabaseRow> one_row(Database& database, std::string_view question) {
  auto rows = database.query(question);
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::unexpected(DatabaseError{"", "the server answered with no row", ""});
  return std::move(rows->front());
}

DatabaseResult<void> gather_settings(Database& database, ServerFacts& facts) {
  const auto rows = database.query(settings_question);
  if (!rows) return std::unexpected(rows.error());
  for (const DatabaseRow& row : *rows)
    facts.settings[row[0].value_or("")] = {row[1].value_or(""), optional_number(row[2]).value_or(0)};
  const auto row = one_row(database, server_question);
  if (!row) return std::unexpected(row.error());
  facts.local = (*row)[0] == "t";
  facts.role = (*row)[1].value_or("");
  facts.reads_statistics = (*row)[2] == "t";
  facts.statements = (*row)[3] == "t";
  facts.connections = number((*row)[4]);
  facts.databases = number((*row)[5]);
  return {};
}

DatabaseResult<void> gather_checkpoints(Database& database, ServerFacts& facts) {
  const bool own_view = facts.server.postgresql_version >= own_view_of_checkpoints_since;
  const auto row =
      one_row(database, own_view ? "SELECT num_timed, num_requested FROM pg_stat_checkpointer"
                                 : "SELECT checkpoints_timed, checkpoints_req FROM pg_stat_bgwriter");
  if (!row) return std::unexpected(row.error());
  facts.checkpoints_timed = number((*row)[0]);
  facts.checkpoints_requested = number((*row)[1]);
  return {};
}

DatabaseResult<TableFacts> gather_table(Database& database, const Server& server, const std::string& name) {
  const auto found = one_row(database, table_question(name));
  if (!found) return std::unexpected(found.error());
  const DatabaseRow& row = *found;
  TableFacts table;
  table.table = name;
  table.there = row[0] == "t";
  if (!table.there) return table;
  table.unique_indexes = lines_of(row[1]);
  table.row_triggers = lines_of(row[2]);
  table.exclusions = lines_of(row[3]);
  table.foreign_keys = lines_of(row[4]);
  table.unique_constraints = lines_of(row[5]);
  table.chunks = number(row[6]);
  table.indexes = number(row[7]);
  table.divided = row[8] == "t";
  table.recent_index_bytes = number(row[9]);
  if (server.edition == Edition::plain) return table;
  const auto hypertable = one_row(database, hypertable_question(row[10].value_or("0")));
  if (!hypertable) return std::unexpected(hypertable.error());
  table.chunk_interval_seconds = optional_number((*hypertable)[0]);
  table.rows_per_segment = optional_number((*hypertable)[1]);
  table.divided = table.divided || (*hypertable)[2] == "t";
  return table;
}

}  // namespace

double ServerFacts::setting(const std::string& name) const {
  const auto found = settings.find(name);
  return found == settings.end() ? 0 : found->second.value;
}

std::string ServerFacts::text(const std::string& name) const {
  const auto found = settings.find(name);
  return found == settings.end() ? "" : found->second.text;
}

DatabaseResult<ServerFacts> gather_server(Database& database, std::span<const std::string> tables) {
  ServerFacts facts;
  auto server = detect_server(database);
  if (!server) return std::unexpected(server.error());
  facts.server = std::move(*server);
  if (const auto done = gather_settings(database, facts); !done) return std::unexpected(done.error());
  if (const auto done = gather_checkpoints(database, facts); !done) return std::unexpected(done.error());
  for (const std::string& name : tables) {
    auto table = gather_table(database, facts.server, name);
    if (!table) return std::unexpected(table.error());
    facts.tables.push_back(std::move(*table));
  }
  if (facts.server.edition == Edition::plain) return facts;
  const auto jobs = one_row(database, jobs_question);
  if (!jobs) return std::unexpected(jobs.error());
  facts.jobs = {number((*jobs)[0]), lines_of((*jobs)[1])};
  return facts;
}

}  // namespace wellhead
