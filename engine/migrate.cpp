#include "engine/migrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace wellhead {
namespace {

// Multiranges; continuous aggregates with percentiles.
constexpr int postgresql_oldest = 140'000;
constexpr ExtensionVersion timescaledb_oldest{2, 7};

constexpr std::string_view lock_not_available = "55P03";
// For what somebody else is at; the first computation of an aggregate may take minutes.
constexpr std::chrono::minutes lock_patience{10};
constexpr std::chrono::milliseconds lock_pause{100};
constexpr int lock_attempts = 60;

std::string first_value(const DatabaseRows& rows) {
  return rows.empty() || rows.front().empty() ? std::string() : rows.front().front().value_or("");
}

int to_version(const std::string& text) {
  return static_cast<int>(std::strtol(text.c_str(), nullptr, 10));
}

// Of one that is not applied.
MigrationState state_of(const Migration& migration, const std::set<std::string>& options,
                        const Server& server) {
  if (!migration.edition.holds(server)) return MigrationState::elsewhere;
  const bool wanted = migration.option.empty() || options.contains(migration.option);
  return wanted ? MigrationState::pending : MigrationState::optional;
}

std::expected<void, std::string> refuse_old(const Server& server) {
  const bool old_extension = !server.timescaledb.empty() && server.timescaledb_version < timescaledb_oldest;
  if (server.postgresql_version >= postgresql_oldest && !old_extension) return {};
  return std::unexpected(fmt::format(
      "This server is too old: it is PostgreSQL {}{}{}, and wellhead needs PostgreSQL 14, with "
      "TimescaleDB 2.7 or newer where there is one. Nothing was changed; upgrade the server.",
      server.postgresql, server.timescaledb.empty() ? "" : " with TimescaleDB ", server.timescaledb));
}

std::optional<DatabaseError> run_in_new_transaction(Database& database, std::string_view statements) {
  auto ran = database.run(fmt::format("BEGIN; {}", statements));
  return ran ? std::nullopt : std::optional(std::move(ran.error()));
}

}  // namespace

std::string_view to_string(MigrationState state) noexcept {
  switch (state) {
    case MigrationState::applied:
      return "applied";
    case MigrationState::pending:
      return "pending";
    case MigrationState::optional:
      return "optional";
    case MigrationState::elsewhere:
      return "elsewhere";
    case MigrationState::edited:
      return "edited";
    case MigrationState::unknown:
      return "unknown";
  }
  return "";
}

Migrator::Migrator(Database& database, std::span<const Migration> migrations, std::set<std::string> options,
                   std::function<void(std::string_view)> tell)
    : database_(database), migrations_(migrations), options_(std::move(options)), tell_(std::move(tell)) {}

std::expected<MigrationReport, std::string> Migrator::up() {
  return run_up(false);
}

std::expected<MigrationReport, std::string> Migrator::up_beside() {
  return run_up(true);
}

// Where the extension is to be made, all of the looking is in its transaction: what refuses takes it back.
std::expected<Migrator::Prepared, std::string> Migrator::prepare(bool beside) {
  auto current = future_server();
  if (!current) return std::unexpected(current.error());
  auto before = records(*current);
  if (!before) return std::unexpected(before.error());
  if (const Outcome safe = refuse_unsafe(*before); !safe) return std::unexpected(safe.error());
  auto bypassed = tables_beside(*before, beside);
  if (!bypassed) return std::unexpected(bypassed.error());
  beside_ = std::move(*bypassed);
  if (const Outcome ledger = make_ledger(); !ledger) return std::unexpected(ledger.error());
  if (const Outcome kept = keep_extension(); !kept) return std::unexpected(kept.error());
  tell_of_edition(*current);
  return Prepared{std::move(*current), std::move(*before)};
}

std::expected<MigrationReport, std::string> Migrator::run_up(bool beside) {
  if (const Outcome locked = lock(); !locked) return std::unexpected(locked.error());
  const auto prepared = prepare(beside);
  if (!prepared) {
    roll_back();
    return std::unexpected(prepared.error());
  }

  int applied = 0;
  for (const Migration& migration : migrations_) {
    const auto record = std::ranges::find(prepared->records, migration.version, &MigrationRecord::version);
    if (record->state != MigrationState::pending) continue;
    if (const Outcome done = apply(migration, describe(prepared->server)); !done)
      return std::unexpected(done.error());
    ++applied;
  }
  auto report = status();
  if (report) report->applied_now = applied;
  unlock();
  return report;
}

Migrator::Outcome Migrator::keep_extension() {
  if (!extension_to_come_) return {};
  if (const auto committed = database_.run("COMMIT"); !committed)
    return std::unexpected(describe(committed.error()) + ". Nothing was changed.");
  extension_to_come_ = false;
  tell_("Created the extension timescaledb in this database.");
  return {};
}

Migrator::Outcome Migrator::make_ledger() {
  const auto ledger = database_.run(make_ledger_table);
  if (ledger) return {};
  return std::unexpected(
      fmt::format("The table wellhead_migration, which records what was applied, cannot be made: {}. Nothing "
                  "was changed; the role needs the right to create tables.",
                  describe(ledger.error())));
}

std::expected<MigrationReport, std::string> Migrator::status() {
  const auto current = server();
  if (!current) return std::unexpected(current.error());
  // Where up() would refuse, there is still what was applied to be told.
  const Server future = future_server().value_or(*current);
  roll_back();
  auto all = records(future);
  if (!all) return std::unexpected(all.error());
  return MigrationReport{.edition = describe(*current), .records = std::move(*all)};
}

Migrator::Outcome Migrator::lock() {
  const auto tried = database_.query(fmt::format("SELECT pg_try_advisory_lock({})", migration_lock_key));
  if (!tried)
    return std::unexpected("The migration lock cannot be taken: " + describe(tried.error()) +
                           ". Nothing was changed.");
  if (first_value(*tried) == "t") return {};
  tell_("Another runner is migrating this database; waiting until it is done.");
  if (const auto waited = database_.query(fmt::format("SELECT pg_advisory_lock({})", migration_lock_key));
      !waited)
    return std::unexpected("Waiting for the other runner failed: " + describe(waited.error()) +
                           ". Nothing was changed.");
  return {};
}

void Migrator::unlock() {
  // The lock goes with the session in any case; giving it back at once lets a waiting runner look sooner.
  [[maybe_unused]] const auto unlocked =
      database_.query(fmt::format("SELECT pg_advisory_unlock({})", migration_lock_key));
}

void Migrator::tell_of_edition(const Server& server) {
  if (server.edition != Edition::plain) return;
  const bool there = !server.timescaledb.empty();
  if (there || (server.available && server.preloaded))
    return tell_(fmt::format(
        "TimescaleDB is on this server, and {}: this database was migrated without it, so its tables are "
        "partitioned by PostgreSQL's own means and stay so. To change over, migrate a new database and copy "
        "the data into it.",
        there ? "its extension is not used" : "its extension is not created"));
  tell_(fmt::format(
      "Warning: this server has no TimescaleDB ({}): the tables are partitioned by PostgreSQL's own means, "
      "which the node takes care of; there is no compression.",
      server.available ? "it is installed, but shared_preload_libraries does not name timescaledb"
                       : "the extension is not installed"));
}

std::expected<Server, std::string> Migrator::server() {
  auto found = detect_server(database_);
  if (!found) return std::unexpected("The server's version cannot be read: " + describe(found.error()) + ".");
  if (found->timescaledb.empty() || found->preloaded) return std::move(*found);
  return std::unexpected(fmt::format(
      "TimescaleDB {} is in this database, and the server does not load its library, so that no table can be "
      "changed. Nothing was changed; add timescaledb to shared_preload_libraries, restart the server, and "
      "call this again.",
      found->timescaledb));
}

// The edition shows only once the extension is there, so it is made, and a session can make it only once.
// Tables that were made without it stay without: none of them is a hypertable, and no later migration makes
// them one.
std::expected<Server, std::string> Migrator::future_server() {
  auto now = server();
  if (!now) return now;
  if (const Outcome fits = refuse_old(*now); !fits) return std::unexpected(fits.error());
  if (const Outcome fits = refuse_odd_schema(); !fits) return std::unexpected(fits.error());
  if (!now->timescaledb.empty() || !now->available || !now->preloaded) return now;
  const auto applied = applied_rows();
  if (!applied) return std::unexpected(applied.error());
  if (!applied->empty() || now->partitioned) return now;
  if (const Outcome made = begin_with_extension(); !made) return std::unexpected(made.error());
  auto future = server();
  if (!future) return future;
  if (const Outcome fits = refuse_old(*future); !fits) return std::unexpected(fits.error());
  return future;
}

// Functions of the migrations make the schema's name to its number as it stands, which PostgreSQL reads as if
// somebody had written it: in small letters, up to a dot or space. Files that were released are not mended.
Migrator::Outcome Migrator::refuse_odd_schema() {
  const auto odd = database_.query(
      "SELECT quote_ident(current_schema()) WHERE current_schema() ~ '[A-Z.\"[:space:]]|^[0-9]+$|^-$'");
  if (!odd) return std::unexpected("The schema's name cannot be read: " + describe(odd.error()) + ".");
  if (odd->empty()) return {};
  return std::unexpected(fmt::format(
      "The tables would come into the schema {0}, whose name has to be quoted, and wellhead's functions do "
      "not work in such a schema. Nothing was changed; set search_path to a schema whose name needs no "
      "quotes, or rename this one (ALTER SCHEMA {0} RENAME TO …).",
      first_value(*odd)));
}

Migrator::Outcome Migrator::begin_with_extension() {
  extension_to_come_ = true;
  const auto made = database_.run(fmt::format("BEGIN; {}; SAVEPOINT {}", create_extension, before_scratch));
  if (made) return {};
  return std::unexpected(
      fmt::format("TimescaleDB is installed on the server, and creating its extension in this database was "
                  "refused: {}. Nothing was changed; run CREATE EXTENSION timescaledb in this database as "
                  "its owner or a superuser, then migrate again.",
                  describe(made.error())));
}

std::expected<DatabaseRows, std::string> Migrator::applied_rows() {
  const auto refuse = [](const DatabaseError& error) {
    return std::unexpected("The table wellhead_migration cannot be read: " + describe(error) + ".");
  };
  const auto exists = database_.query("SELECT to_regclass('wellhead_migration') IS NOT NULL");
  if (!exists) return refuse(exists.error());
  if (first_value(*exists) != "t") return DatabaseRows{};
  auto rows = database_.query(
      "SELECT version, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS\"Z\"'), "
      "edition "
      "FROM wellhead_migration ORDER BY version");
  if (!rows) return refuse(rows.error());
  return std::move(*rows);
}

std::expected<std::vector<MigrationRecord>, std::string> Migrator::records(const Server& server) {
  const auto rows = applied_rows();
  if (!rows) return std::unexpected(rows.error());
  std::vector<MigrationRecord> all;
  for (const Migration& migration : migrations_)
    all.push_back({migration.version, migration.name, state_of(migration, options_, server), "", ""});
  for (const DatabaseRow& row : *rows) {
    const int version = to_version(row[0].value_or(""));
    const auto record = std::ranges::find(all, version, &MigrationRecord::version);
    if (record == all.end()) {
      all.push_back(
          {version, row[1].value_or(""), MigrationState::unknown, row[3].value_or(""), row[4].value_or("")});
      continue;
    }
    const Migration& migration = migrations_[static_cast<std::size_t>(record - all.begin())];
    record->state = row[2] == migration.checksum ? MigrationState::applied : MigrationState::edited;
    record->applied_at = row[3].value_or("");
    record->edition = row[4].value_or("");
  }
  return all;
}

Migrator::Outcome Migrator::refuse_unsafe(std::span<const MigrationRecord> records) const {
  const auto edited = std::ranges::find(records, MigrationState::edited, &MigrationRecord::state);
  if (edited != records.end())
    return std::unexpected(
        fmt::format("The migration {:04}_{} was applied on {} from a file with other content than this "
                    "binary's, so what the "
                    "database holds is not known. Nothing was changed; use the wellhead release it was "
                    "applied with, and make "
                    "changes in a new migration.",
                    edited->version, edited->name, edited->applied_at));
  const auto unknown = std::ranges::find(records, MigrationState::unknown, &MigrationRecord::state);
  if (unknown == records.end()) return {};
  tell_(fmt::format(
      "Warning: the database holds the migration {:04}_{}, which this binary does not know: a newer "
      "wellhead made it.",
      unknown->version, unknown->name));
  if (std::ranges::find(records, MigrationState::pending, &MigrationRecord::state) == records.end())
    return {};
  return std::unexpected(
      "There are migrations to apply, but a newer wellhead has changed this database. Nothing was changed; "
      "migrate with "
      "the newest release in use.");
}

const Migration* Migrator::find(int version) const {
  const auto found = std::ranges::find(migrations_, version, &Migration::version);
  return found == migrations_.end() ? nullptr : &*found;
}

std::string Migrator::ledger_row(const Migration& migration, const std::string& edition) {
  return fmt::format(
      "INSERT INTO wellhead_migration (version, name, checksum, edition) VALUES ({}, {}, {}, {})",
      migration.version, sql_literal(migration.name), sql_literal(migration.checksum), sql_literal(edition));
}

Migrator::Outcome Migrator::apply(const Migration& migration, const std::string& edition) {
  const std::string row = ledger_row(migration, edition);
  const Outcome done =
      migration.transactional ? in_transaction(migration.sql, row) : one_by_one(migration.sql, row);
  if (done) {
    tell_(fmt::format("Applied {:04}_{}.", migration.version, migration.name));
    return {};
  }
  roll_back();
  return std::unexpected(fmt::format(
      "The migration {:04}_{} failed and {}: {}. The migrations before it stay applied; `wellhead migrate "
      "status` lists them.",
      migration.version, migration.name,
      migration.transactional
          ? "was rolled back"
          : "cannot be rolled back, but the next `wellhead migrate up` repeats it from its first statement",
      done.error()));
}

Migrator::Outcome Migrator::in_transaction(std::string_view sql, std::string_view ledger_statement) {
  const std::string aside = set_aside();
  const std::string back = put_back();
  if (const Outcome begun = begin(aside); !begun) return begun;
  for (const std::string_view statements : {sql, std::string_view(back), ledger_statement}) {
    if (statements.empty()) continue;
    if (const auto ran = database_.run(statements); !ran) return std::unexpected(describe(ran.error()));
    if (!database_.in_transaction())
      return std::unexpected("it ended its own transaction, which a migration must not");
  }
  if (const auto committed = database_.run("COMMIT"); !committed)
    return std::unexpected(describe(committed.error()));
  return {};
}

// Begins a transaction with these statements, which may need locks that others hold: again, until they are
// had.
Migrator::Outcome Migrator::begin(std::string_view statements) {
  std::optional<DatabaseError> refused;
  for (int attempt = 0; attempt < lock_attempts; ++attempt) {
    refused = run_in_new_transaction(database_, statements);
    if (!refused) return {};
    roll_back();
    if (refused->sqlstate != lock_not_available) break;
  }
  return std::unexpected(describe(*refused));
}

// One message each: several statements in one message would be one transaction.
Migrator::Outcome Migrator::one_by_one(std::string_view sql, std::string_view ledger_statement) {
  for (const std::string& statement : split_statements(sql)) {
    if (const auto ran = run_patiently(statement); !ran) return ran;
  }
  if (const auto recorded = database_.run(ledger_statement); !recorded)
    return std::unexpected(describe(recorded.error()));
  return {};
}

// A job of the server's own may be at the same thing: TimescaleDB refuses to compute an aggregate that its
// policy computes at this moment, and a policy begins the moment it is made.
Migrator::Outcome Migrator::run_patiently(const std::string& statement) {
  const auto deadline = std::chrono::steady_clock::now() + lock_patience;
  for (bool told = false;; told = true) {
    const auto ran = database_.run(statement);
    if (ran) return {};
    const bool held = ran.error().sqlstate == lock_not_available && database_.connected();
    if (!held || std::chrono::steady_clock::now() > deadline) return std::unexpected(describe(ran.error()));
    if (!told) tell_("Somebody else holds what this migration needs; trying again until it is free.");
    std::this_thread::sleep_for(lock_pause);
  }
}

// Where this fails too, the server rolls back when the connection ends.
void Migrator::roll_back() {
  extension_to_come_ = false;
  if (!database_.in_transaction()) return;
  [[maybe_unused]] const auto rolled_back = database_.run("ROLLBACK");
}

void Migrator::leave_scratch() {
  if (!extension_to_come_) return roll_back();
  [[maybe_unused]] const auto rolled_back =
      database_.run(fmt::format("ROLLBACK TO SAVEPOINT {}", before_scratch));
}

std::string print_report(const MigrationReport& report) {
  std::size_t name_width = 4;
  for (const MigrationRecord& record : report.records) name_width = std::max(name_width, record.name.size());
  std::string text = fmt::format("{}\n{:<7}  {:<{}}  {:<9}  {:<20}  {}\n", report.edition, "version", "name",
                                 name_width, "state", "applied at", "on");
  for (const MigrationRecord& record : report.records) {
    text += fmt::format("{:04}     {:<{}}  {:<9}  {:<20}  {}", record.version, record.name, name_width,
                        to_string(record.state), record.applied_at, record.edition);
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

}  // namespace wellhead
