#include "engine/migrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace wellhead {
namespace {

constexpr const char* ledger_statement =
    "CREATE TABLE IF NOT EXISTS wellhead_migration ("
    "version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
    "applied_at timestamptz NOT NULL DEFAULT now(), edition text NOT NULL)";

// Multiranges; continuous aggregates with percentiles.
constexpr int postgresql_oldest = 140'000;
constexpr ExtensionVersion timescaledb_oldest{2, 7};

constexpr std::string_view lock_not_available = "55P03";
// For what somebody else is at; the first computation of an aggregate may take minutes.
constexpr std::chrono::minutes lock_patience{10};
constexpr std::chrono::milliseconds lock_pause{100};
constexpr int lock_attempts = 60;

constexpr const char* create_extension = "CREATE EXTENSION IF NOT EXISTS timescaledb";

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

std::expected<MigrationReport, std::string> Migrator::run_up(bool beside) {
  if (const Outcome locked = lock(); !locked) return std::unexpected(locked.error());
  if (const Outcome fits = refuse_old_server(); !fits) return std::unexpected(fits.error());
  if (const Outcome created = ensure_extension(); !created) return std::unexpected(created.error());
  const auto current = server();
  if (!current) return std::unexpected(current.error());
  const auto before = records(*current);
  if (!before) return std::unexpected(before.error());
  if (const Outcome safe = refuse_unsafe(*before); !safe) return std::unexpected(safe.error());
  auto bypassed = tables_beside(*before, beside);
  if (!bypassed) return std::unexpected(bypassed.error());
  beside_ = std::move(*bypassed);
  if (const Outcome ledger = ensure_ledger(); !ledger) return std::unexpected(ledger.error());

  int applied = 0;
  for (const Migration& migration : migrations_) {
    const auto record = std::ranges::find(*before, migration.version, &MigrationRecord::version);
    if (record->state != MigrationState::pending) continue;
    if (const Outcome done = apply(migration, describe(*current)); !done)
      return std::unexpected(done.error());
    ++applied;
  }
  auto report = status();
  if (report) report->applied_now = applied;
  unlock();
  return report;
}

Migrator::Outcome Migrator::ensure_ledger() {
  const auto ledger = database_.run(ledger_statement);
  if (ledger) return {};
  return std::unexpected(
      fmt::format("The table wellhead_migration, which records what was applied, cannot be made: {}. Nothing "
                  "was changed; the role needs the right to create tables.",
                  describe(ledger.error())));
}

std::expected<MigrationReport, std::string> Migrator::status() {
  const auto current = server();
  if (!current) return std::unexpected(current.error());
  const auto future = future_server();
  if (!future) return std::unexpected(future.error());
  auto all = records(*future);
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

Migrator::Outcome Migrator::refuse_old_server() {
  const auto found = server();
  if (!found) return std::unexpected(found.error());
  const bool old_extension =
      found->edition != Edition::plain && found->timescaledb_version < timescaledb_oldest;
  if (found->postgresql_version >= postgresql_oldest && !old_extension) return {};
  return std::unexpected(fmt::format(
      "This server is too old: it is PostgreSQL {}{}{}, and wellhead needs PostgreSQL 14, with "
      "TimescaleDB 2.7 or newer where there is one. Nothing was changed; upgrade the server.",
      found->postgresql, found->timescaledb.empty() ? "" : " with TimescaleDB ", found->timescaledb));
}

Migrator::Outcome Migrator::ensure_extension() {
  const auto found = server();
  if (!found) return std::unexpected(found.error());
  if (found->edition != Edition::plain) return {};
  if (!found->available || !found->preloaded) {
    tell_(fmt::format(
        "Warning: this server has no TimescaleDB ({}): the tables are partitioned by PostgreSQL's own means, "
        "which the node takes care of; there is no compression.",
        found->available ? "it is installed, but shared_preload_libraries does not name timescaledb"
                         : "the extension is not installed"));
    return {};
  }
  if (const auto made = database_.run(create_extension); !made)
    return std::unexpected(
        fmt::format("TimescaleDB is installed on the server, and creating its extension in this database was "
                    "refused: {}. Nothing "
                    "was changed; run CREATE EXTENSION timescaledb in this database as its owner or a "
                    "superuser, then migrate again.",
                    describe(made.error())));
  tell_("Created the extension timescaledb in this database.");
  return {};
}

std::expected<Server, std::string> Migrator::server() {
  auto found = detect_server(database_);
  if (!found) return std::unexpected("The server's version cannot be read: " + describe(found.error()) + ".");
  return std::move(*found);
}

// The edition shows only once the extension is there, so it is made and rolled back; a role that may not make
// it is told so by up().
std::expected<Server, std::string> Migrator::future_server() {
  auto now = server();
  if (!now || now->edition != Edition::plain || !now->available || !now->preloaded) return now;
  std::optional<Server> future;
  if (database_.run("BEGIN") && database_.run(create_extension)) {
    if (auto found = detect_server(database_)) future = std::move(*found);
  }
  roll_back();
  return future ? std::move(*future) : std::move(*now);
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

Migrator::Outcome Migrator::apply(const Migration& migration, const std::string& edition) {
  const std::string ledger_row = fmt::format(
      "INSERT INTO wellhead_migration (version, name, checksum, edition) VALUES ({}, {}, {}, {})",
      migration.version, sql_literal(migration.name), sql_literal(migration.checksum), sql_literal(edition));
  const Outcome done = migration.transactional ? in_transaction(migration.sql, ledger_row)
                                               : one_by_one(migration.sql, ledger_row);
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
  if (!database_.in_transaction()) return;
  [[maybe_unused]] const auto rolled_back = database_.run("ROLLBACK");
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
