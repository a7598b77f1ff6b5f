#include "database/conversion_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "database/conversion_sql.hpp"
#include "database/server.hpp"

namespace wellhead {
namespace {

// Beyond it, times are wrong rather than many: a chunk costs locks and memory in every query.
constexpr std::uint64_t chunks_max = 5'000;

// {0} the schema, {1} the table, {2} whether it is a hypertable.
constexpr const char* facts_question = R"sql(
SELECT c.relkind, {2}, pg_has_role(c.relowner, 'USAGE'), c.relowner::regrole,
  has_schema_privilege(c.relnamespace, 'CREATE'), has_database_privilege(current_database(), 'CREATE, TEMPORARY'),
  c.relrowsecurity, EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid OR i.inhparent = c.oid),
  (SELECT string_agg(DISTINCT f.conname || ' of ' || f.conrelid::regclass, ', ') FROM pg_constraint f
   WHERE f.confrelid = c.oid AND f.contype = 'f'),
  (SELECT string_agg(DISTINCT v.oid::regclass::text, ', ') FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
   JOIN pg_class v ON v.oid = r.ev_class
   WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND v.oid <> c.oid)
FROM pg_class c WHERE c.relnamespace = {0}::regnamespace AND c.relname = {1})sql";

constexpr const char* lifecycle_question = R"sql(
SELECT l.time_column, l.chunk_interval, trim(split_part(coalesce(l.segment_by, ''), ',', 1)), l.arrival_column
FROM wellhead_lifecycle l WHERE l.table_name = {0} AND l.table_name NOT IN (SELECT view_name FROM wellhead_aggregate))sql";

constexpr const char* names_question = R"sql(
SELECT string_agg(table_name, ', ' ORDER BY table_name) FROM wellhead_lifecycle
WHERE table_name NOT IN (SELECT view_name FROM wellhead_aggregate))sql";

constexpr const char* key_question = R"sql(
SELECT a.attname FROM pg_index x, unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute a ON a.attnum = k.number AND a.attrelid = {0}::regclass
WHERE x.indrelid = {0}::regclass AND x.indisprimary ORDER BY k.place)sql";

// A time without a zone would be taken for one in the session's, so it is left to the operator to say in
// which it was. {0} the old table, {1} the new one, {2} the one that has the name: a sequence belongs to it
// after the swap.
constexpr const char* columns_question = R"sql(
WITH old AS (SELECT a.*, pg_get_expr(d.adbin, d.adrelid) AS expression FROM pg_attribute a
             LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = {0}::regclass AND a.attnum > 0 AND NOT a.attisdropped),
new AS (SELECT a.* FROM pg_attribute a WHERE a.attrelid = {1}::regclass AND a.attnum > 0 AND NOT a.attisdropped)
SELECT coalesce(n.attname, o.attname), coalesce(format_type(o.atttypid, o.atttypmod), ''),
  coalesce(format_type(n.atttypid, n.atttypmod), format_type(o.atttypid, o.atttypmod)), n.attname IS NULL,
  CASE WHEN n.attname IS NULL THEN o.attnotnull AND o.expression IS NOT NULL ELSE n.attnotnull END,
  NOT coalesce(o.attnotnull, n.atthasdef),
  CASE WHEN n.attname IS NULL OR NOT n.atthasdef THEN o.expression END,
  o.attgenerated IS NOT NULL AND o.attgenerated <> '',
  n.attname IS NULL OR o.attname IS NULL OR o.atttypid = n.atttypid
    OR EXISTS (SELECT FROM pg_cast t WHERE t.castsource = o.atttypid AND t.casttarget = n.atttypid
               AND (t.castcontext = 'i' AND n.atttypid <> 'timestamptz'::regtype OR t.castcontext = 'a' AND n.atttypid IN ('float4'::regtype, 'jsonb'::regtype))),
  coalesce(o.attidentity <> '', false), coalesce(pg_get_serial_sequence({0}, o.attname), pg_get_serial_sequence({2}, o.attname))
FROM old o FULL JOIN new n ON n.attname = o.attname ORDER BY n.attnum NULLS LAST, o.attnum)sql";

constexpr const char* checks_question =
    "SELECT c.conname, pg_get_expr(c.conbin, c.conrelid) FROM pg_constraint c WHERE c.conrelid = "
    "{0}::regclass "
    "AND c.contype = 'c' ORDER BY 1";

constexpr const char* unique_question = R"sql(
SELECT (SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[]))
FROM pg_index x WHERE x.indrelid = {0}::regclass AND x.indisunique)sql";

constexpr const char* left_question = R"sql(
SELECT 'the primary key (' || (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
                               WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[]))
  || '), so writers that say ON CONFLICT with it fail after the change of names' FROM pg_index x
WHERE x.indrelid = {0}::regclass AND x.indisprimary
UNION ALL
SELECT CASE WHEN x.indisunique THEN 'the unique index ' ELSE 'the index ' END || i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = {0}::regclass AND NOT x.indisprimary
UNION ALL
SELECT CASE contype WHEN 'f' THEN 'the foreign key ' WHEN 'c' THEN 'the check ' ELSE 'the constraint ' END || conname
FROM pg_constraint WHERE conrelid = {0}::regclass AND contype IN ('c', 'f', 'x')
UNION ALL
SELECT 'the trigger ' || tgname FROM pg_trigger
WHERE tgrelid = {0}::regclass AND NOT tgisinternal AND tgname NOT LIKE 'wellhead_conversion%'
UNION ALL
SELECT 'the rule ' || rulename FROM pg_rewrite WHERE ev_class = {0}::regclass
UNION ALL
SELECT 'its place in the publication ' || p.pubname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
WHERE r.prrelid = {0}::regclass
UNION ALL
SELECT 'rights on the column ' || attname FROM pg_attribute WHERE attrelid = {0}::regclass AND attacl IS NOT NULL
UNION ALL
SELECT CASE objsubid WHEN 0 THEN 'the comment' ELSE 'the comment on the column ' || a.attname END FROM pg_description
LEFT JOIN pg_attribute a ON a.attrelid = objoid AND a.attnum = objsubid AND objsubid > 0
WHERE objoid = {0}::regclass AND classoid = 'pg_class'::regclass
UNION ALL
SELECT 'the replica identity' FROM pg_class WHERE oid = {0}::regclass AND relreplident <> 'd'
UNION ALL
SELECT 'the statistics ' || stxname FROM pg_statistic_ext WHERE stxrelid = {0}::regclass)sql";

// {0} the new table. Chunks are not asked for: they have a schema of their own.
constexpr const char* brought_question = R"sql(
WITH parts AS (SELECT {0}::regclass::oid AS oid UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = {0}::regclass)
SELECT c.relname FROM pg_class c JOIN pg_class t ON t.oid = {0}::regclass AND t.relnamespace = c.relnamespace
WHERE c.oid <> t.oid AND (c.oid IN (SELECT oid FROM parts)
  OR c.oid IN (SELECT x.indexrelid FROM pg_index x JOIN parts ON parts.oid = x.indrelid)) ORDER BY 1)sql";

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : std::string(between)) + part;
  return text;
}

std::vector<std::string> first_of(const DatabaseRows& rows) {
  std::vector<std::string> values;
  for (const DatabaseRow& row : rows) values.push_back(row[0].value_or(""));
  return values;
}

std::uint64_t number(const std::optional<std::string>& text) {
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

// Reads one table; every problem is one sentence, and nothing is read of a table that is none.
class Reader {
 public:
  Reader(Database& database, std::string_view old_name, std::string_view definitions)
      : database_(database), old_name_(old_name), definitions_(definitions) {}

  std::expected<ConversionTable, std::string> read(std::string_view name, std::string_view schema) {
    table_.name = name;
    table_.schema = schema;
    old_ = sql_literal(sql_identifier(schema) + "." + sql_identifier(old_name_));
    new_ = sql_literal(sql_identifier(definitions_) + "." + sql_identifier(name));
    if (read_lifecycle() && read_facts()) read_parts();
    if (!problems_.empty()) return std::unexpected(join(problems_, "\n"));
    return std::move(table_);
  }

 private:
  template <typename... Arguments>
  DatabaseRows ask(const char* question, const Arguments&... arguments) {
    auto rows = database_.query(fmt::format(fmt::runtime(question), arguments...));
    if (rows) return std::move(*rows);
    problem("The table {} cannot be looked at: {}. Nothing was changed.", table_.name,
            describe(rows.error()));
    return {};
  }
  template <typename... Arguments>
  bool problem(const char* sentence, const Arguments&... arguments) {
    problems_.push_back(fmt::format(fmt::runtime(sentence), arguments...));
    return false;
  }

  bool read_lifecycle() {
    const DatabaseRows rows = ask(lifecycle_question, sql_literal(table_.name));
    if (rows.empty() && problems_.empty()) {
      const DatabaseRows names = ask(names_question);
      return problem(
          "The migrations make no table named {} that is kept by time. Nothing was changed; those that "
          "can be converted are {}.",
          table_.name, names.empty() ? "" : names.front()[0].value_or(""));
    }
    if (!problems_.empty()) return false;
    table_.time_column = rows.front()[0].value_or("");
    table_.chunk_interval = rows.front()[1].value_or("");
    table_.device_column = rows.front()[2].value_or("");
    table_.arrival_column = rows.front()[3].value_or("");
    return true;
  }

  bool read_facts() {
    const auto server = detect_server(database_);
    if (!server) return problem("The server's version cannot be read: {}.", describe(server.error()));
    const bool plain = server->edition == Edition::plain;
    // Where the extension can be made, the migrations make it first.
    table_.partitioned = plain && (server->partitioned || !(server->available && server->preloaded));
    const std::string schema = sql_literal(sql_identifier(table_.schema));
    const std::string hypertable = plain ? "false"
                                         : "EXISTS (SELECT FROM timescaledb_information.hypertables h WHERE "
                                           "quote_ident(h.hypertable_schema)::regnamespace = c.relnamespace "
                                           "AND h.hypertable_name = c.relname)";
    const DatabaseRows rows = ask(facts_question, schema, sql_literal(old_name_), hypertable);
    if (!problems_.empty()) return false;
    if (rows.empty())
      return problem(
          "There is no table named {} in the schema {}. Nothing was changed; `wellhead migrate up` makes a "
          "new one, or set search_path to the schema that has it.",
          old_name_, table_.schema);
    return judge(rows.front());
  }

  bool judge(const DatabaseRow& facts) {
    const std::string& name = table_.name;
    const std::string kind = facts[0].value_or("");
    if (kind == "v" || kind == "m")
      return problem(
          "{0} is a view, not a table. Nothing was changed; name the table it reads {0} (after ALTER VIEW "
          "{0} RENAME TO …), then convert that.",
          name);
    if (facts[1] == "t")
      return problem(
          "{} is a hypertable already. Nothing was changed; there is nothing to convert, `wellhead migrate "
          "verify` tells how it differs from what the migrations give.",
          name);
    if (kind == "p")
      return problem(
          "{} is partitioned already. Nothing was changed; there is nothing to convert, `wellhead migrate "
          "verify` tells how it differs from what the migrations give.",
          name);
    if (kind != "r")
      return problem("{} is no plain table. Nothing was changed; copy it into one first.", name);
    if (facts[2] != "t")
      problem(
          "{0} belongs to the role {1}, which this role is not a member of. Nothing was changed; connect as "
          "{1}, or "
          "GRANT {1} TO this role.",
          name, facts[3].value_or(""));
    if (facts[4] != "t" || facts[5] != "t")
      problem("This role may not create {}. Nothing was changed; GRANT CREATE ON {} TO it.",
              facts[4] != "t" ? "tables in the schema " + table_.schema
                              : "schemas and temporary tables in this database",
              facts[4] != "t" ? "SCHEMA " + table_.schema : "DATABASE … and GRANT TEMPORARY ON DATABASE …");
    if (facts[6] == "t")
      problem(
          "{0} has row security, which the new table would not have. Nothing was changed; ALTER TABLE {0} "
          "DISABLE "
          "ROW LEVEL SECURITY, and give the policies again afterwards.",
          name);
    if (facts[7] == "t")
      problem(
          "{0} inherits from another table or is inherited from. Nothing was changed; ALTER TABLE … NO "
          "INHERIT "
          "first.",
          name);
    if (facts[8])
      problem(
          "Foreign keys point at {}, which a table kept by time cannot serve: {}. Nothing was changed; drop "
          "them "
          "(ALTER TABLE … DROP CONSTRAINT …).",
          name, *facts[8]);
    if (facts[9])
      problem(
          "Views read {}, and would go on reading the old table: {}. Nothing was changed; note their "
          "definitions "
          "(pg_get_viewdef), drop them, and make them again afterwards.",
          name, *facts[9]);
    return problems_.empty();
  }

  void read_parts() {
    table_.key = first_of(ask(key_question, old_));
    if (table_.key.empty() && problems_.empty())
      problem(
          "{0} has no primary key, by which rows that change meanwhile are found again. Nothing was changed; "
          "give it "
          "one (ALTER TABLE {0} ADD PRIMARY KEY …).",
          table_.name);
    const std::string named = sql_literal(sql_identifier(table_.schema) + "." + sql_identifier(table_.name));
    for (const DatabaseRow& row : ask(columns_question, old_, new_, named)) add_column(row);
    for (const DatabaseRow& row : ask(checks_question, new_))
      table_.checks.push_back({row[0].value_or(""), row[1].value_or("")});
    for (const std::string& columns : first_of(ask(unique_question, new_))) add_unique_key(columns);
    table_.left_behind = first_of(ask(left_question, old_));
    table_.brought_names = first_of(ask(brought_question, new_));
    const auto device = std::ranges::find(table_.columns, table_.device_column, &ConversionColumn::name);
    if (device == table_.columns.end() || device->old_type.empty()) table_.device_column.clear();
  }

  void add_column(const DatabaseRow& row) {
    ConversionColumn column{row[0].value_or(""), row[1].value_or(""), row[2].value_or(""), row[3] == "t",
                            row[4] == "t",       row[5] == "t",       row[6].value_or("")};
    const bool missing = column.old_type.empty();
    if (missing && column.name == table_.time_column)
      problem(
          "{0} has no column named {1}, which the new table is partitioned by. Nothing was changed; rename "
          "the one "
          "that holds the time (ALTER TABLE {0} RENAME COLUMN … TO {1}).",
          table_.name, column.name);
    else if (missing && column.required && column.nullable_before)
      problem(
          "{0} has no column named {1}, which the new table cannot do without. Nothing was changed; rename "
          "the one "
          "that holds it (ALTER TABLE {0} RENAME COLUMN … TO {1}), or add it.",
          table_.name, column.name);
    if (row[8] != "t")
      problem(
          "The column {1} of {0} is {2}, and is to be {3}. Nothing was changed; ALTER TABLE {0} ALTER COLUMN "
          "{1} TYPE "
          "{3} USING …, or rename it.",
          table_.name, column.name, column.old_type, column.new_type);
    if (column.kept && row[7] == "t")
      problem(
          "The column {1} of {0} is generated, and no migration makes it. Nothing was changed; ALTER TABLE "
          "{0} ALTER "
          "COLUMN {1} DROP EXPRESSION, or drop it.",
          table_.name, column.name);
    column.generated = row[7] == "t";
    const bool identity = row[9] == "t";
    if (!missing && row[10]) table_.sequences.push_back({column.name, row[10].value_or(""), identity});
    if (column.kept && identity) column.required = true;
    table_.columns.push_back(std::move(column));
  }

  // The rows are different in it already where they are different in a part of it.
  void add_unique_key(const std::string& columns) {
    std::vector<std::string> names;
    for (std::size_t from = 0; from < columns.size();) {
      const std::size_t until = std::min(columns.find(' ', from), columns.size());
      names.push_back(columns.substr(from, until - from));
      from = until + 1;
    }
    const bool sure = std::ranges::all_of(
        table_.key, [&](const std::string& part) { return std::ranges::find(names, part) != names.end(); });
    if (!sure) table_.unique_keys.push_back(std::move(names));
  }

  Database& database_;
  std::string old_name_;
  std::string definitions_;
  std::string old_;
  std::string new_;
  ConversionTable table_;
  std::vector<std::string> problems_;
};

bool wants_value(const ConversionColumn& column) {
  return column.required && !column.old_type.empty();
}

// Counts what does not fit, a column of the answer for each: required ones, checks, times without end.
std::string fitting_question(const ConversionTable& table) {
  const std::string time = "t." + sql_identifier(table.time_column);
  std::string counts = fmt::format("count(*) FILTER (WHERE NOT isfinite({}))", time);
  for (const ConversionColumn& column : table.columns)
    if (wants_value(column))
      counts += fmt::format(", count(*) FILTER (WHERE {} IS NULL)", sql_identifier(column.name));
  for (const ConversionCheck& check : table.checks)
    counts += fmt::format(", count(*) FILTER (WHERE NOT ({}))", check.expression);
  return fmt::format(
      "SELECT count(*), min({0}), max({0}), pg_total_relation_size({1}), count(DISTINCT {2}), {3} FROM {4}",
      time, sql_literal(conversion_sql::old_table(table)), conversion_sql::chunk_of(table, time), counts,
      conversion_sql::as_new_rows(table));
}

// A row whose locator became null while it is copied would be found in neither table.
void tell_nullable(const ConversionTable& table, std::vector<std::string>& problems) {
  for (const std::string& name : table.locator()) {
    const auto column = std::ranges::find(table.columns, name, &ConversionColumn::name);
    if (column != table.columns.end() && column->nullable_before)
      problems.push_back(fmt::format(
          "The column {1} of {0} may be null, and rows that change meanwhile are found by it. Nothing was "
          "changed; ALTER TABLE {0} ALTER COLUMN {1} SET NOT NULL, which reads the table while nobody else "
          "can "
          "(not where a valid CHECK ({1} IS NOT NULL) is there before).",
          table.name, sql_identifier(name)));
  }
}

void tell_misfits(const ConversionTable& table, const DatabaseRow& counts,
                  std::vector<std::string>& problems) {
  std::size_t next = 5;
  const auto tell = [&](const char* what, const std::string& condition, const std::string& column) {
    if (const std::uint64_t rows = number(counts[next++]); rows != 0)
      problems.push_back(fmt::format(
          "{0} rows of {1} {2}. Nothing was changed; look at them (SELECT * FROM {1} WHERE {3}) and set them "
          "right, for "
          "example {4}.",
          rows, table.name, what, condition,
          column.empty() ? fmt::format("DELETE FROM {} WHERE {}", table.name, condition)
                         : fmt::format("UPDATE {} SET {} = … WHERE {}", table.name, column, condition)));
  };
  const std::string time = sql_identifier(table.time_column);
  tell("have a time without end", fmt::format("NOT isfinite({})", time), time);
  for (const ConversionColumn& column : table.columns)
    if (wants_value(column))
      tell("have no value where the new table wants one", sql_identifier(column.name) + " IS NULL",
           sql_identifier(column.name));
  for (const ConversionCheck& check : table.checks)
    tell("break a check of the new table", "NOT " + check.expression, "…");
}

}  // namespace

std::vector<std::string> ConversionTable::locator() const {
  std::vector<std::string> names = key;
  for (const std::string& column : {device_column, time_column})
    if (!column.empty() && std::ranges::find(names, column) == names.end()) names.push_back(column);
  return names;
}

std::expected<ConversionTable, std::string> read_conversion_table(Database& database, std::string_view name,
                                                                  std::string_view schema,
                                                                  std::string_view old_name,
                                                                  std::string_view definitions) {
  return Reader(database, old_name, definitions).read(name, schema);
}

std::expected<ConversionSize, std::string> measure_conversion(Database& database,
                                                              const ConversionTable& table) {
  const auto rows = database.query(fitting_question(table));
  if (!rows)
    return std::unexpected(
        fmt::format("The rows of {} cannot be read as what the new table holds: {}. Nothing was "
                    "changed; set right what the server names.",
                    table.name, describe(rows.error())));
  const DatabaseRow& row = rows->front();
  std::vector<std::string> problems;
  tell_nullable(table, problems);
  tell_misfits(table, row, problems);
  ConversionSize size{number(row[0]), number(row[3]), number(row[4]), row[1].value_or(""),
                      row[2].value_or("")};
  if (size.chunks > chunks_max)
    problems.push_back(
        fmt::format("The times of {} lie in {} chunks of {}, from {} to {}, and more than {} are too many. "
                    "Nothing was changed; look for rows with a wrong time.",
                    table.name, size.chunks, table.chunk_interval, size.first, size.last, chunks_max));
  for (const std::vector<std::string>& key : table.unique_keys) {
    const std::string columns = conversion_sql::list_of(key);
    const auto twice = database.query(fmt::format("SELECT FROM {} GROUP BY {} HAVING count(*) > 1 LIMIT 1",
                                                  conversion_sql::as_new_rows(table), columns));
    if (!twice) return std::unexpected(describe(twice.error()));
    if (!twice->empty())
      problems.push_back(
          fmt::format("Rows of {0} are equal in {1}, which the new table has once. Nothing was changed; "
                      "find them (SELECT {1} FROM {0} GROUP BY {1} HAVING count(*) > 1) and remove one of "
                      "each.",
                      table.name, columns));
  }
  if (!problems.empty()) return std::unexpected(join(problems, "\n"));
  return size;
}

}  // namespace wellhead
