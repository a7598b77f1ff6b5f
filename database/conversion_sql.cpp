#include "database/conversion_sql.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace wellhead {

std::string sql_identifier(std::string_view name) {
  std::string text = "\"";
  for (const char character : name) {
    if (character == '"') text += '"';
    text += character;
  }
  return text + "\"";
}

namespace conversion_sql {
namespace {

std::string qualified(std::string_view schema, std::string_view name) {
  return sql_identifier(schema) + "." + sql_identifier(name);
}

std::string in_next(const ConversionTable& table, std::string_view suffix) {
  return qualified("wellhead_next", table.name + std::string(suffix));
}

std::string literals(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ", ") + sql_literal(value);
  return text;
}

// Columns that both tables have, as the target has them, read from the source by `alias`.
struct CopyLists {
  std::string columns;
  std::string values;
};

CopyLists copy_lists(const ConversionTable& table, Direction direction, std::string_view alias) {
  CopyLists lists;
  const auto add = [&](const std::string& column, const std::string& value) {
    lists.columns += (lists.columns.empty() ? "" : ", ") + column;
    lists.values += (lists.values.empty() ? "" : ", ") + value;
  };
  for (const ConversionColumn& column : table.columns) {
    const std::string name = sql_identifier(column.name);
    if (column.generated && direction == Direction::back) continue;
    if (!column.old_type.empty())
      add(name, fmt::format("CAST({}.{} AS {})", alias, name,
                            direction == Direction::forward ? column.new_type : column.old_type));
    else if (direction == Direction::forward && column.name == table.arrival_column)
      add(name, "NULL");
  }
  return lists;
}

std::string equal(const std::vector<std::string>& columns, std::string_view left, std::string_view right) {
  std::string text;
  for (const std::string& column : columns)
    text += fmt::format("{}{}.{} = {}.{}", text.empty() ? "" : " AND ", left, sql_identifier(column), right,
                        sql_identifier(column));
  return text;
}

// A number of a row's content: of the values as the new table holds them. A kept column may have any type,
// and not every type has a hash.
std::string content_hash(const ConversionTable& table, std::string_view alias) {
  std::string values;
  for (const ConversionColumn& column : table.columns) {
    if (column.old_type.empty()) continue;
    values += fmt::format("{}CAST({}.{} AS {})", values.empty() ? "" : ", ", alias,
                          sql_identifier(column.name), column.kept ? "text" : column.new_type);
  }
  return fmt::format("hash_record_extended(ROW({}), 0)", values);
}

std::string day_of(const ConversionTable& table, std::string_view alias) {
  return fmt::format("date_bin(INTERVAL '1 day', {}.{}, TIMESTAMPTZ '2000-01-03 00:00:00+00')", alias,
                     sql_identifier(table.time_column));
}

std::string triggers_off(std::string_view watched) {
  return fmt::format(
      "DROP TRIGGER IF EXISTS wellhead_conversion ON {0}; DROP TRIGGER IF EXISTS "
      "wellhead_conversion_truncate ON {0}; ",
      watched);
}

// Which index of the old table had which name. That may be as long as the server allows, so it is written
// down: nothing can be put behind it and taken off again.
std::string index_names(const ConversionTable& table) {
  return in_next(table, "_index_names");
}

std::string set_indexes_aside(const ConversionTable& table) {
  return fmt::format(R"sql(
CREATE TABLE {0} AS SELECT i.relname AS was, {1} || i.oid AS aside FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
  WHERE x.indrelid = {2}::regclass;
DO $wellhead$
DECLARE part record;
BEGIN
  FOR part IN SELECT n.was, n.aside FROM {0} AS n LOOP
    EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', {3}, part.was, part.aside);
  END LOOP;
END
$wellhead$;)sql",
                     index_names(table), sql_literal(table.name + "_before_"), sql_literal(old_table(table)),
                     sql_literal(table.schema));
}

// Those of them that are still there.
std::string name_indexes_again(const ConversionTable& table) {
  return fmt::format(R"sql(
DO $wellhead$
DECLARE part record;
BEGIN
  FOR part IN SELECT i.oid::regclass AS name, n.was FROM {0} AS n JOIN pg_class i ON i.relname = n.aside
              JOIN pg_index x ON x.indexrelid = i.oid WHERE x.indrelid = {1}::regclass LOOP
    EXECUTE format('ALTER INDEX %s RENAME TO %I', part.name, part.was);
  END LOOP;
END
$wellhead$;
DROP TABLE {0};)sql",
                     index_names(table), sql_literal(old_table(table)));
}

// Partitions do not follow their table into its schema by themselves; chunks have a schema of their own.
std::string bring_partitions(const ConversionTable& table) {
  if (!table.partitioned) return "";
  return fmt::format(R"sql(
DO $wellhead$
DECLARE part regclass;
BEGIN
  FOR part IN SELECT c.oid FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = {0}::regclass AND c.relnamespace <> {1}::regnamespace LOOP
    EXECUTE format('ALTER TABLE %s SET SCHEMA %s', part, {1});
  END LOOP;
END
$wellhead$;)sql",
                     sql_literal(old_table(table)), sql_literal(sql_identifier(table.schema)));
}

// Who may use the old table may use the new one.
std::string copy_rights(const ConversionTable& table) {
  return fmt::format(R"sql(
DO $wellhead$
DECLARE part record;
BEGIN
  FOR part IN SELECT c.relowner::regrole AS owner FROM pg_class c JOIN pg_class n ON n.oid = {1}::regclass
              WHERE c.oid = {0}::regclass AND c.relowner <> n.relowner LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO %s', {1}, part.owner);
  END LOOP;
  FOR part IN SELECT g.privilege_type AS privilege, g.is_grantable,
                     CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS grantee
              FROM pg_class c, aclexplode(c.relacl) g WHERE c.oid = {0}::regclass AND g.grantee <> c.relowner LOOP
    EXECUTE format('GRANT %s ON %s TO %s%s', part.privilege, {1}, part.grantee,
                   CASE WHEN part.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
END
$wellhead$;)sql",
                     sql_literal(before_table(table)), sql_literal(old_table(table)));
}

std::string successor_name(const ConversionTable& table, const ConversionTable::Sequence& identity) {
  return fmt::format("{}_{}_sequence", table.name, identity.column);
}

// It counts as the identity did, and whoever may insert may use it: an identity needs no right of its own.
std::string make_successor(const ConversionTable& table, const ConversionTable::Sequence& identity,
                           const std::string& successor) {
  return fmt::format(R"sql(
DO $wellhead$
DECLARE part record;
BEGIN
  FOR part IN SELECT s.* FROM pg_sequence s WHERE s.seqrelid = {2}::regclass LOOP
    EXECUTE format('CREATE SEQUENCE %s AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', {1},
                   part.seqtypid::regtype, part.seqincrement, part.seqmin, part.seqmax, part.seqstart, part.seqcache,
                   CASE WHEN part.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END);
  END LOOP;
  PERFORM setval({1}, last_value, is_called) FROM {3};
  FOR part IN SELECT DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END AS grantee
              FROM pg_class c, aclexplode(c.relacl) g
              WHERE c.oid = {0}::regclass AND g.grantee <> c.relowner AND g.privilege_type = 'INSERT' LOOP
    EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %s', {1}, part.grantee);
  END LOOP;
  FOR part IN SELECT c.relowner::regrole AS owner FROM pg_class c JOIN pg_class s ON s.oid = {1}::regclass
              WHERE c.oid = {0}::regclass AND c.relowner <> s.relowner LOOP
    EXECUTE format('ALTER SEQUENCE %s OWNER TO %s', {1}, part.owner);
  END LOOP;
END
$wellhead$; )sql",
                     sql_literal(old_table(table)), sql_literal(successor), sql_literal(identity.name),
                     identity.name);
}

// The counter behind a column goes on counting: a sequence changes its owner, an identity hands its count to
// one.
std::string bring_sequence(const ConversionTable& table, const ConversionTable::Sequence& sequence) {
  const std::string column = sql_identifier(sequence.column);
  const std::string successor =
      sequence.identity ? qualified(table.schema, successor_name(table, sequence)) : sequence.name;
  std::string text;
  if (sequence.identity) text = make_successor(table, sequence, successor);
  text += fmt::format("ALTER TABLE {0} ALTER COLUMN {1} SET DEFAULT nextval({2}::regclass); ",
                      old_table(table), column, sql_literal(successor));
  // One owner has both, or the server refuses.
  return text + fmt::format("ALTER SEQUENCE {} OWNED BY NONE; ALTER SEQUENCE {} OWNED BY {}.{}; ", successor,
                            successor, old_table(table), column);
}

std::string bring_sequences(const ConversionTable& table) {
  std::string text;
  for (const ConversionTable::Sequence& sequence : table.sequences) text += bring_sequence(table, sequence);
  return text;
}

std::string return_sequence(const ConversionTable& table, const ConversionTable::Sequence& sequence) {
  const std::string column = sql_identifier(sequence.column);
  const std::string drop =
      fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT; ", old_table(table), column);
  if (!sequence.identity)
    return fmt::format("{} ALTER SEQUENCE {} OWNED BY {}.{}; ", drop, sequence.name, before_table(table),
                       column);
  const std::string successor = qualified(table.schema, successor_name(table, sequence));
  return fmt::format("SELECT setval({}, last_value, is_called) FROM {}; {} DROP SEQUENCE {}; ",
                     sql_literal(sequence.name), successor, drop, successor);
}

std::string return_sequences(const ConversionTable& table) {
  std::string text;
  for (const ConversionTable::Sequence& sequence : table.sequences) text += return_sequence(table, sequence);
  return text;
}

std::string defaults(const ConversionTable& table) {
  std::string text;
  for (const ConversionColumn& column : table.columns)
    if (!column.default_expression.empty())
      text += fmt::format("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}; ", old_table(table),
                          sql_identifier(column.name), column.default_expression);
  return text;
}

// Aggregates of the node's computed of the table know nothing of the rows that came all at once. The bounds
// are those of chunks: to look for the first and the last row takes too long while everybody waits.
std::string tell_aggregates(const ConversionTable& table) {
  const std::string waiting =
      table.partitioned
          ? fmt::format(" UNION ALL SELECT min({0}), max({0}) + INTERVAL '1 microsecond' FROM {1}",
                        sql_identifier(table.time_column), qualified(table.schema, table.name + "_default"))
          : "";
  return fmt::format(R"sql(
DO $wellhead$
BEGIN
  IF to_regclass('wellhead_invalidation') IS NOT NULL AND EXISTS (SELECT FROM wellhead_aggregate WHERE source = {0}) THEN
    INSERT INTO wellhead_invalidation (source, range_from, range_until)
      SELECT {0}, min(b.range_from), max(b.range_until)
      FROM (SELECT c.range_from, c.range_until FROM wellhead_chunks({0}) AS c{1}) AS b
      WHERE isfinite(b.range_from) AND isfinite(b.range_until) HAVING count(*) > 0;
  END IF;
END
$wellhead$;)sql",
                     sql_literal(table.name), waiting);
}

}  // namespace

std::string list_of(const std::vector<std::string>& names, std::string_view prefix) {
  std::string text;
  for (const std::string& name : names)
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", prefix, sql_identifier(name));
  return text;
}

std::string old_table(const ConversionTable& table) {
  return qualified(table.schema, table.name);
}
std::string before_table(const ConversionTable& table) {
  return qualified(table.schema, table.name + "_before");
}
std::string next_table(const ConversionTable& table) {
  return in_next(table, "");
}
std::string noted_table(const ConversionTable& table) {
  return in_next(table, "_noted");
}

std::string as_new_rows(const ConversionTable& table) {
  std::string values;
  for (const ConversionColumn& column : table.columns) {
    const std::string name = sql_identifier(column.name);
    values += fmt::format("{}CAST({} AS {}) AS {}", values.empty() ? "" : ", ",
                          column.old_type.empty() ? "NULL" : "o." + name, column.new_type, name);
  }
  return fmt::format("(SELECT {} FROM {} AS o) AS t", values, old_table(table));
}

std::string chunk_of(const ConversionTable& table, std::string_view time) {
  return fmt::format(
      "CASE WHEN isfinite({1}) THEN date_bin({0}::interval, {1}, TIMESTAMPTZ '2000-01-03 00:00:00+00') END",
      sql_literal(table.chunk_interval), time);
}

std::string start_noting(const ConversionTable& table, std::string_view watched) {
  const std::vector<std::string> locator = table.locator();
  const std::string columns = list_of(locator);
  return stop_noting(table, watched) + fmt::format(R"sql(
CREATE TABLE {0} AS SELECT {1} FROM {2} LIMIT 0;
CREATE FUNCTION {3}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $wellhead$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO {0} DEFAULT VALUES;
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO {0} ({1}) VALUES ({4});
  END IF;
  IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' AND ROW({4}) IS DISTINCT FROM ROW({5}) THEN
    INSERT INTO {0} ({1}) VALUES ({5});
  END IF;
  RETURN NULL;
END
$wellhead$;
CREATE TRIGGER wellhead_conversion AFTER INSERT OR UPDATE OR DELETE ON {2} FOR EACH ROW EXECUTE FUNCTION {3}();
CREATE TRIGGER wellhead_conversion_truncate AFTER TRUNCATE ON {2} FOR EACH STATEMENT EXECUTE FUNCTION {3}();
DO $wellhead$
BEGIN
  ALTER TABLE {2} ENABLE ALWAYS TRIGGER wellhead_conversion;
  ALTER TABLE {2} ENABLE ALWAYS TRIGGER wellhead_conversion_truncate;
EXCEPTION WHEN feature_not_supported THEN
  NULL;  -- an older TimescaleDB's hypertable; a plain table always can
END
$wellhead$;
)sql",
                                                   noted_table(table), columns, watched,
                                                   in_next(table, "_note"), list_of(locator, "OLD."),
                                                   list_of(locator, "NEW."));
}

std::string stop_noting(const ConversionTable& table, std::string_view watched) {
  return triggers_off(watched) + fmt::format("DROP FUNCTION IF EXISTS {}(); DROP TABLE IF EXISTS {}; ",
                                             in_next(table, "_note"), noted_table(table));
}

std::string add_kept_columns(const ConversionTable& table) {
  std::string text;
  for (const ConversionColumn& column : table.columns)
    if (column.kept)
      text += fmt::format("ALTER TABLE {} ADD COLUMN {} {}; ", next_table(table), sql_identifier(column.name),
                          column.old_type);
  return text;
}

// A table that is compressed takes no column that must have a value and has no default, but may be told so of
// one it has.
std::vector<std::string> require_kept_columns(const ConversionTable& table) {
  std::vector<std::string> statements;
  for (const ConversionColumn& column : table.columns)
    if (column.kept && column.required)
      statements.push_back(fmt::format("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", next_table(table),
                                       sql_identifier(column.name)));
  return statements;
}

std::string run_jobs(const ConversionTable& table, std::string_view schema, bool run) {
  return fmt::format(R"sql(
DO $wellhead$
BEGIN
  IF to_regclass('timescaledb_information.jobs') IS NOT NULL THEN
    EXECUTE format('SELECT alter_job(job_id, scheduled => {}) FROM timescaledb_information.jobs
                    WHERE hypertable_schema = %L AND hypertable_name = %L', {}, {});
  END IF;
END
$wellhead$;)sql",
                     run, sql_literal(schema), sql_literal(table.name));
}

std::string drop_kept_columns(const ConversionTable& table, std::string_view from) {
  std::string text;
  for (const ConversionColumn& column : table.columns) {
    const std::string name = sql_identifier(column.name);
    if (column.kept)
      text += fmt::format("ALTER TABLE {} DROP COLUMN IF EXISTS {}; ", from, name);
    else if (!column.default_expression.empty())
      text += fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT; ", from, name);
  }
  return text;
}

// The functions of the migrations make them where the search path points first.
std::string make_partitions(const ConversionTable& table) {
  return fmt::format(
      "BEGIN; SET LOCAL search_path = wellhead_next, {0}; SELECT count(*) FROM (SELECT DISTINCT {1} AS start "
      "FROM {2}) AS "
      "w, LATERAL wellhead_make_partitions({3}, w.start, 0, 1) AS made; COMMIT",
      sql_identifier(table.schema), chunk_of(table, sql_identifier(table.time_column)), old_table(table),
      sql_literal(table.name));
}

// The key is named with its table everywhere: a plain name after ORDER BY is that of the text it is told as.
std::string batch_end(const ConversionTable& table, const std::vector<std::string>& position,
                      const std::vector<std::string>& last, std::uint64_t rows) {
  const std::string key = list_of(table.key, "o.");
  std::string texts;
  for (const std::string& part : table.key)
    texts += fmt::format("{}o.{}::text", texts.empty() ? "" : ", ", sql_identifier(part));
  const std::string beyond = position.empty() ? "" : fmt::format("({}) > ({}) AND ", key, literals(position));
  return fmt::format("SELECT {} FROM {} AS o WHERE {}({}) <= ({}) ORDER BY {} OFFSET {} LIMIT 1", texts,
                     old_table(table), beyond, key, literals(last), key, rows - 1);
}

std::string copy_batch(const ConversionTable& table, const std::vector<std::string>& position,
                       const std::vector<std::string>& until) {
  const CopyLists lists = copy_lists(table, Direction::forward, "o");
  const std::string key = list_of(table.key, "o.");
  const std::string beyond = position.empty() ? "" : fmt::format("({}) > ({}) AND ", key, literals(position));
  return fmt::format("INSERT INTO {} ({}) SELECT {} FROM {} AS o WHERE {}({}) <= ({})", next_table(table),
                     lists.columns, lists.values, old_table(table), beyond, key, literals(until));
}

std::string take_noted(const ConversionTable& table, std::uint64_t most) {
  return fmt::format(
      "CREATE TEMP TABLE wellhead_taken ON COMMIT DROP AS WITH taken AS (DELETE FROM {0} WHERE ctid = ANY "
      "(ARRAY(SELECT ctid FROM {0} LIMIT {1})) RETURNING *) SELECT {4}, count(*) AS wellhead_notes FROM "
      "taken "
      "GROUP BY {4}; ANALYZE wellhead_taken; SELECT coalesce(sum(wellhead_notes), 0), "
      "count(*) FILTER (WHERE {2} IS NULL), min({3}), max({3}) FROM wellhead_taken",
      noted_table(table), most, sql_identifier(table.key.front()), sql_identifier(table.time_column),
      list_of(table.locator()));
}

std::string take_differing(const ConversionTable& table, const std::vector<std::string>& days) {
  const std::string locator = list_of(table.locator());
  const auto side = [&](const std::string& name) {
    return fmt::format("SELECT {}, {} AS content FROM {} AS r WHERE {} IN ({})", locator,
                       content_hash(table, "r"), name, day_of(table, "r"), literals(days));
  };
  const std::string was = side(before_table(table));
  const std::string is = side(old_table(table));
  return fmt::format(
      "CREATE TEMP TABLE wellhead_taken ON COMMIT DROP AS SELECT DISTINCT {0} FROM (({1} EXCEPT ALL {2}) "
      "UNION ALL ({2} "
      "EXCEPT ALL {1})) AS d; ANALYZE wellhead_taken; SELECT count(*), 0, min({3}), max({3}) FROM "
      "wellhead_taken",
      locator, was, is, sql_identifier(table.time_column));
}

std::string bring_over(const ConversionTable& table, Direction direction, std::string_view from_time,
                       std::string_view until_time) {
  const bool forward = direction == Direction::forward;
  const std::string source = old_table(table);
  const std::string target = forward ? next_table(table) : before_table(table);
  const CopyLists lists = copy_lists(table, direction, "r");
  const std::string same = equal(table.locator(), "r", "w");
  // The join alone would not tell which chunks need no look.
  const std::string during = fmt::format("r.{0} BETWEEN {1} AND {2}", sql_identifier(table.time_column),
                                         sql_literal(from_time), sql_literal(until_time));
  return fmt::format(
      "DELETE FROM {0} AS r USING wellhead_taken AS w WHERE {1} AND {2}; INSERT INTO {0} ({3}) {6} SELECT "
      "{4} "
      "FROM {5} AS r "
      "JOIN wellhead_taken AS w ON {1} WHERE {2}",
      target, same, during, lists.columns, lists.values, source, forward ? "" : "OVERRIDING SYSTEM VALUE");
}

std::string compare_days(const ConversionTable& table, std::string_view old_name, std::string_view new_name) {
  const auto side = [&](std::string_view name) {
    return fmt::format(
        "SELECT {} AS day, count(*) AS rows, sum({}) AS sum FROM {} AS r WHERE NOT EXISTS (SELECT FROM {} AS "
        "n WHERE {}) "
        "GROUP BY 1",
        day_of(table, "r"), content_hash(table, "r"), name, noted_table(table),
        equal(table.locator(), "n", "r"));
  };
  return fmt::format(
      "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT coalesce(o.day, n.day), coalesce(o.rows, 0), "
      "coalesce(n.rows, 0) FROM ({}) AS o FULL JOIN ({}) AS n ON n.day = o.day WHERE o.rows IS DISTINCT FROM "
      "n.rows OR "
      "o.sum IS DISTINCT FROM n.sum ORDER BY 1",
      side(old_name), side(new_name));
}

std::string changed_columns(const ConversionTable& table) {
  std::string known;
  for (const ConversionColumn& column : table.columns)
    if (!column.old_type.empty())
      known += fmt::format("{}({}, {})", known.empty() ? "" : ", ", sql_literal(column.name),
                           sql_literal(column.old_type));
  return fmt::format(R"sql(
SELECT coalesce(o.attname, k.name),
  CASE WHEN o.attname IS NULL THEN 'is gone' WHEN k.name IS NULL OR n.attname IS NULL THEN 'is new'
       WHEN format_type(o.atttypid, o.atttypmod) <> k.type THEN 'has another type' ELSE 'may be null now' END
FROM (SELECT * FROM pg_attribute WHERE attrelid = {0}::regclass AND attnum > 0 AND NOT attisdropped) AS o
FULL JOIN (VALUES {2}) AS k (name, type) ON k.name = o.attname
LEFT JOIN pg_attribute n ON n.attrelid = {1}::regclass AND n.attname = o.attname AND NOT n.attisdropped
WHERE o.attname IS NULL OR k.name IS NULL OR n.attname IS NULL OR format_type(o.atttypid, o.atttypmod) <> k.type
  OR NOT o.attnotnull AND o.attname IN ({3}) ORDER BY 1)sql",
                     sql_literal(old_table(table)), sql_literal(next_table(table)), known,
                     literals(table.locator()));
}

// The old table's indexes are set aside before any name is given; partitions stay where they are when the
// names have been changed back.
std::string taken_names(const ConversionTable& table) {
  std::vector<std::string> names = table.brought_names;
  names.push_back(table.name + "_before");
  for (const ConversionTable::Sequence& sequence : table.sequences)
    if (sequence.identity) names.push_back(successor_name(table, sequence));
  return fmt::format(R"sql(
SELECT CASE WHEN x.indexrelid IS NOT NULL THEN 'an index of ' || x.indrelid::regclass
            ELSE CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'S' THEN 'a sequence'
                                WHEN 'c' THEN 'a type' ELSE 'a table' END END, c.relname
FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid
WHERE c.relnamespace = {0}::regnamespace AND c.relname IN ({1}) AND x.indrelid IS DISTINCT FROM {2}::regclass
  AND coalesce(x.indrelid, c.oid) NOT IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass({3}))
ORDER BY 2)sql",
                     sql_literal(sql_identifier(table.schema)), literals(names),
                     sql_literal(old_table(table)), sql_literal(next_table(table)));
}

std::string swap(const ConversionTable& table) {
  return stop_noting(table, old_table(table)) + set_indexes_aside(table) +
         fmt::format("ALTER TABLE {} RENAME TO {}; ALTER TABLE {} SET SCHEMA {};", old_table(table),
                     sql_identifier(table.name + "_before"), next_table(table),
                     sql_identifier(table.schema)) +
         bring_partitions(table) + run_jobs(table, table.schema, true) + copy_rights(table) +
         defaults(table) + bring_sequences(table) + tell_aggregates(table);
}

std::string swap_back(const ConversionTable& table) {
  return stop_noting(table, old_table(table)) + return_sequences(table) +
         drop_kept_columns(table, old_table(table)) +
         fmt::format("TRUNCATE {}; ALTER TABLE {} SET SCHEMA wellhead_next; ALTER TABLE {} RENAME TO {}; ",
                     old_table(table), old_table(table), before_table(table), sql_identifier(table.name)) +
         name_indexes_again(table);
}

std::string finish(const ConversionTable& table, const std::vector<std::string>& dropped) {
  std::string text = stop_noting(table, old_table(table)) +
                     fmt::format("DROP TABLE {}; DROP TABLE {}; ", before_table(table), index_names(table));
  for (const std::string& column : dropped)
    text += fmt::format("ALTER TABLE {} DROP COLUMN {}; ", old_table(table), sql_identifier(column));
  // Another table may be on its way.
  return text + R"sql(
DO $wellhead$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('wellhead_next')) THEN
    DROP SCHEMA IF EXISTS wellhead_next;
  END IF;
END
$wellhead$;)sql";
}

}  // namespace conversion_sql
}  // namespace wellhead
