// `wellhead migrate up` where tables that no migration made are in the way: refused, or, for a conversion,
// bypassed.
//
// A table that is bypassed lies in another schema for the length of a migration's transaction, so nobody ever
// sees it anywhere else; what the migrations make under its name lies in wellhead_next from then on.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <thread>

#include "engine/migrate.hpp"

namespace wellhead {
namespace {

constexpr std::chrono::milliseconds lock_poll{200};

// Everything that takes a name of the schema's, by the kind of names it is among: tables, indexes, sequences
// and partitions are one, types (of which each table has one) the second, functions with their arguments the
// third. Types of arrays give way by themselves.
constexpr const char* made_question = R"sql(
WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
SELECT 'relation ' || c.relname FROM pg_class c, here WHERE c.relnamespace = here.oid
UNION ALL
SELECT 'type ' || t.typname FROM pg_type t, here WHERE t.typnamespace = here.oid AND t.typcategory <> 'A'
UNION ALL
SELECT format('function %s(%s)', p.proname, oidvectortypes(p.proargtypes)) FROM pg_proc p, here
WHERE p.pronamespace = here.oid)sql";
// Tables that are kept by time, and hold what came from outside.
constexpr const char* convertible_question =
    "SELECT table_name FROM wellhead_lifecycle WHERE table_name NOT IN (SELECT view_name FROM "
    "wellhead_aggregate)";

// The same of what is there, with the table whose part it is: that goes, or stays, with its table, so tables
// come first. What an extension made is nobody's obstacle but the extension's.
constexpr const char* live_question = R"sql(
WITH here AS (SELECT oid FROM pg_namespace WHERE nspname = current_schema()),
named AS (
  SELECT c.oid, 'relation ' AS among, c.relname::text AS name,
         CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                        WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
                        WHEN 'c' THEN 'type' ELSE 'index' END AS kind,
         coalesce((SELECT x.indrelid FROM pg_index x WHERE x.indexrelid = c.oid),
                  (SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                     AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND c.relkind = 'S'),
                  (SELECT i.inhparent FROM pg_inherits i WHERE c.relispartition AND i.inhrelid = c.oid)) AS owner
  FROM pg_class c, here WHERE c.relnamespace = here.oid
  UNION ALL
  SELECT t.oid, 'type ', t.typname, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, NULL
  FROM pg_type t, here WHERE t.typnamespace = here.oid AND t.typtype <> 'c' AND t.typcategory <> 'A'
  UNION ALL
  SELECT p.oid, 'function ', format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)),
         CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, NULL
  FROM pg_proc p, here WHERE p.pronamespace = here.oid)
SELECT among || name, name, kind, coalesce(t.relname, '') FROM named LEFT JOIN pg_class t ON t.oid = owner
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = named.oid AND d.deptype = 'e')
ORDER BY owner IS NOT NULL, among <> 'relation ', name)sql";

constexpr const char* staged_question = R"sql(
SELECT n.relname FROM pg_class n JOIN pg_class l ON l.relname = n.relname
WHERE n.relnamespace = to_regnamespace('wellhead_next') AND n.relkind IN ('r', 'p')
  AND l.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND l.relkind = 'r' ORDER BY 1)sql";

// Of what PostgreSQL says where a name is taken: a relation, a type or another thing, a function.
constexpr std::array<std::string_view, 3> name_is_taken{"42P07", "42710", "42723"};

std::expected<std::set<std::string>, std::string> names_from(Database& database, const char* question) {
  const auto rows = database.query(question);
  if (!rows) return std::unexpected(describe(rows.error()));
  std::set<std::string> names;
  for (const DatabaseRow& row : *rows) names.insert(row[0].value_or(""));
  return names;
}

bool pending_any(std::span<const MigrationRecord> records) {
  return std::ranges::find(records, MigrationState::pending, &MigrationRecord::state) != records.end();
}

std::string array_of(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + sql_literal(name);
  return fmt::format("ARRAY[{}]::text[]", text);
}

// As ALTER names it.
std::string keyword_of(std::string_view kind) {
  if (kind == "partitioned table") return "TABLE";
  std::string keyword(kind);
  std::ranges::transform(keyword, keyword.begin(), [](unsigned char letter) { return std::toupper(letter); });
  return keyword;
}

std::string sentence_of(const std::string& name, const std::string& kind, bool convertible) {
  if (convertible)
    return fmt::format(
        "A table named {0} is there already, and no migration made it. No table was changed; `wellhead "
        "migrate "
        "convert {0}` makes it what the migrations give while it goes on being written to, or rename it "
        "(ALTER "
        "TABLE {0} RENAME TO …) and migrate again.",
        name);
  return fmt::format(
      "{1} {2} named {0} is in the way of what the migrations make under that name. No table was changed; "
      "rename it (ALTER {3} {0} RENAME TO …) or drop it, then migrate again.",
      name, kind == "index" || kind == "aggregate" ? "An" : "A", kind, keyword_of(kind));
}

}  // namespace

// What is applied already is made first: what is there under its names is its own.
std::expected<std::vector<Migrator::InTheWay>, std::string> Migrator::relations_in_the_way(
    std::span<const MigrationRecord> records) {
  std::vector<const Migration*> applied = wanted(records);
  std::vector<const Migration*> pending = applied;
  const auto is_pending = [&](const Migration* migration) {
    return std::ranges::find(records, migration->version, &MigrationRecord::version)->state ==
           MigrationState::pending;
  };
  std::erase_if(applied, is_pending);
  std::erase_if(pending, [&](const Migration* migration) { return !is_pending(migration); });

  const auto live = database_.query(live_question);
  if (!live) return std::unexpected(describe(live.error()));
  const auto may = database_.query("SELECT has_database_privilege(current_database(), 'CREATE')");
  if (!may) return std::unexpected(describe(may.error()));
  if (live->empty()) return std::vector<InTheWay>{};
  if (may->front().front() != "t") {
    if (const Outcome rehearsed = rehearse(pending); !rehearsed) return std::unexpected(rehearsed.error());
    return std::vector<InTheWay>{};
  }
  if (const Outcome entered = enter_scratch(applied); !entered) return std::unexpected(entered.error());
  const auto own = names_from(database_, made_question);
  if (!own) return std::unexpected(own.error());
  for (const Migration* migration : pending) {
    if (const auto ran = database_.run(migration->sql); !ran)
      return std::unexpected(fmt::format("The migration {:04}_{} does not run: {}. No table was changed.",
                                         migration->version, migration->name, describe(ran.error())));
  }
  const auto made = names_from(database_, made_question);
  if (!made) return std::unexpected(made.error());
  std::set<std::string> convertible;
  if (made->contains("relation wellhead_lifecycle")) {
    auto found = names_from(database_, convertible_question);
    if (!found) return std::unexpected(found.error());
    convertible = std::move(*found);
  }
  std::vector<InTheWay> found;
  for (const DatabaseRow& row : *live) {
    const std::string named = row[0].value_or("");
    const std::string name = row[1].value_or("");
    const std::string kind = row[2].value_or("");
    if (made->contains(named) && !own->contains(named))
      found.push_back({name, kind, row[3].value_or(""), kind == "table" && convertible.contains(name)});
  }
  return found;
}

// Without the right to make a scratch schema, where everything is to be in the end, and back. Not what is
// applied only where it is asked for: an index over a large table is not made twice.
Migrator::Outcome Migrator::rehearse(std::span<const Migration* const> pending) {
  const auto begun =
      database_.run("BEGIN; SET LOCAL lock_timeout = '10s'; SET LOCAL client_min_messages = warning");
  if (!begun) return std::unexpected(describe(begun.error()));
  if (const Outcome ledger = make_ledger(); !ledger) return ledger;
  for (const Migration* migration : pending) {
    if (!migration->option.empty()) continue;
    const auto ran = database_.run(migration->sql);
    if (ran) continue;
    const bool taken = std::ranges::find(name_is_taken, ran.error().sqlstate) != name_is_taken.end();
    return std::unexpected(fmt::format(
        "The migration {:04}_{} would fail: {}. Nothing was changed{}", migration->version, migration->name,
        describe(ran.error()),
        taken ? "; rename what has that name, or drop it, then migrate again. To convert a table, the role "
                "needs the right to create schemas (GRANT CREATE ON DATABASE …)."
              : "."));
  }
  return {};
}

std::expected<std::vector<std::string>, std::string> Migrator::tables_beside(
    std::span<const MigrationRecord> records, bool beside) {
  std::vector<std::string> tables;
  if (!pending_any(records)) return tables;
  const auto conversions = conversions_under_way();
  if (!conversions) return std::unexpected(conversions.error());
  for (const DatabaseRow& row : *conversions) {
    if (row[1] == "copying" || row[1] == "copied")
      return std::unexpected(fmt::format(
          "There are migrations to apply, and the table {0} is being converted. Nothing was changed; let "
          "`wellhead migrate convert {0} --yes` of the release that began it come to its end, or take it "
          "back "
          "with --rollback.",
          row[0].value_or("")));
  }
  auto in_the_way = relations_in_the_way(records);
  leave_scratch();
  if (!in_the_way) return std::unexpected(in_the_way.error());
  const auto staged = database_.query(staged_question);
  if (!staged) return std::unexpected(describe(staged.error()));
  for (const DatabaseRow& row : *staged) tables.push_back(row[0].value_or(""));
  for (const InTheWay& relation : *in_the_way) {
    const std::string& table = relation.owner.empty() ? relation.name : relation.owner;
    if (std::ranges::find(tables, table) != tables.end()) continue;
    if (!beside || !relation.convertible)
      return std::unexpected(sentence_of(relation.name, relation.kind, relation.convertible));
    tables.push_back(relation.name);
  }
  return tables;
}

std::expected<DatabaseRows, std::string> Migrator::conversions_under_way() {
  const auto exists = database_.query("SELECT to_regclass('wellhead_conversion') IS NOT NULL");
  if (!exists) return std::unexpected(describe(exists.error()));
  if (exists->front().front() != "t") return DatabaseRows{};
  auto rows = database_.query(
      "SELECT table_name, state FROM wellhead_conversion WHERE state NOT IN ('swapped', 'finished') "
      "ORDER BY table_name");
  if (!rows)
    return std::unexpected("The table wellhead_conversion cannot be read: " + describe(rows.error()));
  return std::move(*rows);
}

Migrator::Outcome Migrator::refuse_conversions() {
  const auto exists = database_.query("SELECT to_regclass('wellhead_conversion') IS NOT NULL");
  if (!exists) return std::unexpected(describe(exists.error()));
  if (exists->front().front() != "t") return {};
  const auto rows = database_.query(
      "SELECT table_name, state FROM wellhead_conversion WHERE state <> 'finished' ORDER BY table_name");
  if (!rows)
    return std::unexpected("The table wellhead_conversion cannot be read: " + describe(rows.error()));
  for (const DatabaseRow& row : *rows) {
    if (row[1] == "prepared")
      beside_.push_back(row[0].value_or(""));
    else
      return std::unexpected(fmt::format(
          "The conversion of the table {0} is {1}. Nothing was changed; {2}, or take it back with `wellhead "
          "migrate convert {0} --rollback`.",
          row[0].value_or(""), row[1].value_or(""),
          row[1] == "swapped" ? "end it with --finish" : "let it come to its end"));
  }
  return {};
}

std::string Migrator::set_aside() const {
  if (beside_.empty()) return "";
  return fmt::format(R"sql(SET LOCAL lock_timeout = '2s';
DO $wellhead$
DECLARE
  live text := current_schema();
  name text;
BEGIN
  CREATE SCHEMA IF NOT EXISTS wellhead_next;
  CREATE SCHEMA wellhead_aside;
  FOREACH name IN ARRAY {} LOOP
    EXECUTE format('ALTER TABLE %I.%I SET SCHEMA wellhead_aside', live, name);
    IF to_regclass(format('wellhead_next.%I', name)) IS NOT NULL THEN
      EXECUTE format('ALTER TABLE wellhead_next.%I SET SCHEMA %I', name, live);
    END IF;
  END LOOP;
END
$wellhead$)sql",
                     array_of(beside_));
}

std::string Migrator::put_back() const {
  if (beside_.empty()) return "";
  return fmt::format(R"sql(
DO $wellhead$
DECLARE
  live text := current_schema();
  name text;
BEGIN
  FOREACH name IN ARRAY {0} LOOP
    IF to_regclass(format('%I.%I', live, name)) IS NOT NULL THEN
      EXECUTE format('ALTER TABLE %I.%I SET SCHEMA wellhead_next', live, name);
    END IF;
    EXECUTE format('ALTER TABLE wellhead_aside.%I SET SCHEMA %I', name, live);
  END LOOP;
  DROP SCHEMA wellhead_aside;
  IF NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'wellhead_next'::regnamespace) THEN
    DROP SCHEMA wellhead_next;
  END IF;
  IF to_regclass(format('%I.wellhead_conversion', live)) IS NOT NULL THEN
    INSERT INTO wellhead_conversion (table_name, state) SELECT t, 'prepared' FROM unnest({0}) AS t
      WHERE to_regclass(format('wellhead_next.%I', t)) IS NOT NULL
      ON CONFLICT (table_name) DO NOTHING;
  END IF;
END
$wellhead$)sql",
                     array_of(beside_));
}

std::expected<bool, std::string> Migrator::try_lock(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto tried = database_.query(fmt::format("SELECT pg_try_advisory_lock({})", migration_lock_key));
    if (!tried)
      return std::unexpected("The migration lock cannot be taken: " + describe(tried.error()) + ".");
    if (tried->front().front() == "t") return true;
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(lock_poll);
  }
}

}  // namespace wellhead
