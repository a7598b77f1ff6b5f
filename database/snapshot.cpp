#include "database/snapshot.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "database/server.hpp"

namespace wellhead {
namespace {

// Partitions and chunks are data, not design, and are left out; so is what belongs to an extension. Names of
// the schema are taken out of what the server prints with them; numbers of materialized hypertables too.
constexpr const char* relations_question = R"sql(
WITH here AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = current_schema()),
relation AS (
  SELECT c.oid, c.relname, c.relkind FROM pg_class c, here
  WHERE c.relnamespace = here.oid AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')),
part AS (
  SELECT relname AS owner, 'table' AS kind, '' AS name,
         CASE relkind WHEN 'r' THEN 'a table' WHEN 'p' THEN 'a partitioned table ' || pg_get_partkeydef(oid)
                      ELSE 'a view' END AS definition FROM relation
  UNION ALL
  SELECT r.relname, 'column', a.attname,
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                   'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  UNION ALL
  SELECT r.relname, 'constraint', c.conname, pg_get_constraintdef(c.oid)
  FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid WHERE c.contype <> 'n'
  UNION ALL
  SELECT r.relname, 'index', i.relname, pg_get_indexdef(i.oid)
  FROM relation r JOIN pg_index x ON x.indrelid = r.oid JOIN pg_class i ON i.oid = x.indexrelid
  UNION ALL
  SELECT r.relname, 'view definition', '', pg_get_viewdef(r.oid) FROM relation r WHERE r.relkind IN ('v', 'm')
  UNION ALL
  SELECT r.relname, 'trigger', t.tgname, pg_get_triggerdef(t.oid)
  FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal AND t.tgname <> 'ts_insert_blocker'
  UNION ALL
  SELECT p.proname, 'function', pg_get_function_identity_arguments(p.oid), md5(p.prosrc)
  FROM pg_proc p, here WHERE p.pronamespace = here.oid AND p.prokind IN ('f', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e'))
SELECT owner, kind, name, regexp_replace(replace(replace(definition, quote_ident(nspname) || '.', ''), '''' || nspname || '''', ''),
                                         '_materialized_hypertable_[0-9]+', '_materialized_hypertable', 'g')
FROM part, here)sql";

constexpr const char* hypertables_question = R"sql(
SELECT hypertable_name, 'chunk interval', column_name, coalesce(time_interval::text, integer_interval::text)
FROM timescaledb_information.dimensions WHERE hypertable_schema = current_schema()
UNION ALL
SELECT coalesce(a.view_name, j.hypertable_name, j.proc_name), 'policy', j.proc_name,
       format('%severy %s with %s', CASE WHEN NOT j.scheduled THEN 'paused, ' END, j.schedule_interval,
              j.config - 'hypertable_id' - 'mat_hypertable_id')
FROM timescaledb_information.jobs j LEFT JOIN timescaledb_information.continuous_aggregates a
  ON a.materialization_hypertable_schema = j.hypertable_schema AND a.materialization_hypertable_name = j.hypertable_name
WHERE coalesce(a.view_schema, j.hypertable_schema) = current_schema())sql";

// A view that later versions may do without.
constexpr const char* compression_view = "timescaledb_information.compression_settings";
constexpr const char* compression_question = R"sql(
SELECT hypertable_name, 'compression of', attname,
       concat_ws(' ', 'segment by ' || segmentby_column_index, 'order by ' || orderby_column_index,
                 CASE WHEN orderby_asc THEN 'ascending' WHEN NOT orderby_asc THEN 'descending' END)
FROM timescaledb_information.compression_settings WHERE hypertable_schema = current_schema())sql";

DatabaseResult<void> add_parts(Database& database, std::string_view question, Snapshot& snapshot) {
  auto rows = database.query(question);
  if (!rows) return std::unexpected(rows.error());
  for (DatabaseRow& row : *rows)
    snapshot[{row[0].value_or(""), row[1].value_or(""), row[2].value_or("")}] = row[3].value_or("");
  return {};
}

std::string part_of(const SnapshotKey& key) {
  if (key.kind == "function") return fmt::format("The function {}({})", key.table, key.name);
  if (key.kind == "table") return fmt::format("{}", key.table);
  return fmt::format("{}: the {} {}", key.table, key.kind, key.name);
}

bool made_of_the_same(const Snapshot& expected, const SnapshotKey& key) {
  return key.kind != "function" && expected.contains({key.table, "table", ""});
}

std::string with_dot(std::string sentence) {
  return sentence + ".";
}

}  // namespace

DatabaseResult<Snapshot> take_snapshot(Database& database) {
  Snapshot snapshot;
  if (auto added = add_parts(database, relations_question, snapshot); !added)
    return std::unexpected(added.error());
  const auto server = detect_server(database);
  if (!server) return std::unexpected(server.error());
  if (server->edition == Edition::plain) return snapshot;
  if (auto added = add_parts(database, hypertables_question, snapshot); !added)
    return std::unexpected(added.error());
  const auto view =
      database.query(fmt::format("SELECT to_regclass({}) IS NOT NULL", sql_literal(compression_view)));
  if (!view) return std::unexpected(view.error());
  if (view->front().front() != "t") return snapshot;
  if (auto added = add_parts(database, compression_question, snapshot); !added)
    return std::unexpected(added.error());
  return snapshot;
}

std::vector<std::string> differences_between(const Snapshot& expected, const Snapshot& live) {
  std::vector<std::string> sentences;
  for (const auto& [key, definition] : expected) {
    const auto found = live.find(key);
    const bool table_missing =
        key.kind != "table" && key.kind != "function" && !live.contains({key.table, "table", ""});
    if (table_missing) continue;  // told once, for the table
    if (found == live.end())
      sentences.push_back(key.kind == "function" || key.kind == "table"
                              ? with_dot(part_of(key) + " is missing")
                              : with_dot(part_of(key) + " is missing; it is to be: " + definition));
    else if (found->second != definition && key.kind == "function")
      sentences.push_back(part_of(key) + " has another body.");
    else if (found->second != definition)
      sentences.push_back(
          with_dot(fmt::format("{} is {}; it is to be {}", part_of(key), found->second, definition)));
  }
  for (const auto& [key, definition] : live) {
    if (!expected.contains(key) && made_of_the_same(expected, key))
      sentences.push_back(
          with_dot(fmt::format("{} is there, and no migration makes it: {}", part_of(key), definition)));
  }
  return sentences;
}

}  // namespace wellhead
