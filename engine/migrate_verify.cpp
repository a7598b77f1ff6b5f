// `wellhead migrate verify`: the live tables against what the migrations give.
//
// What they give is made for the purpose: in one transaction a schema of its own gets every migration, is
// read, and is rolled back. So the comparison holds for every version of the server and needs no list that
// somebody has to keep; and it needs no right but the one to create a schema. Migrations follow a rule for
// it: they name no schema, and never ask whether a table exists (which would find the live one).
#include <fmt/format.h>

#include <utility>

#include "database/snapshot.hpp"
#include "engine/migrate.hpp"

namespace wellhead {
namespace {

// The extension's functions are found where it was installed.
constexpr const char* enter_scratch_statements =
    "SET LOCAL lock_timeout = '10s'; SET LOCAL client_min_messages = warning; "
    "CREATE SCHEMA wellhead_verify; "
    "SELECT set_config('search_path', concat_ws(', ', 'wellhead_verify', (SELECT quote_ident(n.nspname) "
    "FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb')), "
    "true)";

// Where tables are partitions beside the extension, migrations are to find none, as they did when they made
// them. What comes before pg_catalog in the path is found before it. Only up to the first file that makes
// views: the tables are there by then, and views are to be of the real one.
constexpr const char* hide_extension =
    "; CREATE VIEW pg_extension AS SELECT * FROM pg_catalog.pg_extension WHERE extname <> 'timescaledb'; "
    "SET LOCAL search_path = wellhead_verify, pg_catalog";
constexpr const char* show_extension = "DROP VIEW pg_extension";

bool makes_views(const Migration& migration) {
  return migration.sql.find("CREATE VIEW") != std::string_view::npos ||
         migration.sql.find("CREATE OR REPLACE VIEW") != std::string_view::npos;
}

std::string sentence(const DatabaseError& error) {
  return fmt::format(
      "The tables cannot be compared: {}. Nothing was changed; the role needs the right to create a schema, "
      "which is rolled back.",
      describe(error));
}

// Columns of converted tables that were there before, or have a default from then: nobody's mistake.
DatabaseResult<std::vector<SnapshotKey>> kept_columns(Database& database) {
  std::vector<SnapshotKey> kept;
  const auto exists = database.query("SELECT to_regclass('wellhead_conversion') IS NOT NULL");
  if (!exists) return std::unexpected(exists.error());
  if (exists->front().front() != "t") return kept;
  const auto rows = database.query(
      "SELECT table_name, unnest(kept_columns) FROM wellhead_conversion WHERE state IN ('swapped', "
      "'finished')");
  if (!rows) return std::unexpected(rows.error());
  for (const DatabaseRow& row : *rows) kept.push_back({row[0].value_or(""), "column", row[1].value_or("")});
  return kept;
}

}  // namespace

std::expected<std::vector<std::string>, std::string> Migrator::verify() {
  const auto current = server();
  if (!current) return std::unexpected(current.error());
  const auto all = records(*current);
  if (!all) return std::unexpected(all.error());
  std::vector<std::string> differences;
  for (const MigrationRecord& record : *all) {
    const std::string name = fmt::format("{:04}_{}", record.version, record.name);
    if (record.state == MigrationState::edited)
      differences.push_back(
          fmt::format("The migration {} was applied from a file with other content.", name));
    if (record.state == MigrationState::unknown)
      differences.push_back(fmt::format("The migration {} was applied by a newer wellhead.", name));
    if (record.state == MigrationState::pending)
      differences.push_back(fmt::format("The migration {} is not applied.", name));
  }
  const auto conversions = conversions_under_way();
  if (!conversions) return std::unexpected(conversions.error());
  for (const DatabaseRow& row : *conversions)
    differences.push_back(
        fmt::format("The table {} is being converted: {}.", row[0].value_or(""), row[1].value_or("")));
  auto found = compare(wanted(*all));
  roll_back();
  if (!found) return std::unexpected(found.error());
  differences.insert(differences.end(), found->begin(), found->end());
  return differences;
}

std::vector<const Migration*> Migrator::wanted(std::span<const MigrationRecord> records) const {
  std::vector<const Migration*> wanted;
  for (const MigrationRecord& record : records) {
    const Migration* migration = find(record.version);
    const bool counts = record.state == MigrationState::applied || record.state == MigrationState::pending ||
                        record.state == MigrationState::edited;
    if (counts && migration != nullptr && migration->transactional) wanted.push_back(migration);
  }
  return wanted;
}

Migrator::Outcome Migrator::enter_scratch(std::span<const Migration* const> wanted) {
  const auto now = server();
  if (!now) return std::unexpected(now.error());
  bool hidden = now->partitioned && !now->timescaledb.empty();
  const std::string begin = database_.in_transaction() ? "" : "BEGIN; ";
  if (const auto entered = database_.query(begin + enter_scratch_statements + (hidden ? hide_extension : ""));
      !entered)
    return std::unexpected(sentence(entered.error()));
  const auto show = [&]() -> Outcome {
    if (!std::exchange(hidden, false)) return {};
    const auto shown = database_.run(show_extension);
    return shown ? Outcome() : std::unexpected(sentence(shown.error()));
  };
  for (const Migration* migration : wanted) {
    if (makes_views(*migration))
      if (Outcome shown = show(); !shown) return shown;
    if (const auto ran = database_.run(migration->sql); !ran)
      return std::unexpected(
          fmt::format("The migration {:04}_{} does not run by itself: {}. Nothing was changed.",
                      migration->version, migration->name, describe(ran.error())));
  }
  return show();
}

Migrator::Outcome Migrator::in_scratch(const std::function<Outcome()>& look) {
  const auto current = server();
  if (!current) return std::unexpected(current.error());
  const auto all = records(*current);
  if (!all) return std::unexpected(all.error());
  Outcome done = enter_scratch(wanted(*all));
  if (done) done = look();
  roll_back();
  return done;
}

std::expected<std::vector<std::string>, std::string> Migrator::compare(
    std::span<const Migration* const> wanted) {
  auto live = take_snapshot(database_);
  if (!live) return std::unexpected(sentence(live.error()));
  const auto kept = kept_columns(database_);
  if (!kept) return std::unexpected(sentence(kept.error()));
  if (const Outcome entered = enter_scratch(wanted); !entered) return std::unexpected(entered.error());
  auto expected = take_snapshot(database_);
  if (!expected) return std::unexpected(sentence(expected.error()));
  for (const SnapshotKey& column : *kept) {
    expected->erase(column);
    live->erase(column);
  }
  return differences_between(*expected, *live);
}

}  // namespace wellhead
