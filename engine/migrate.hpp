// Brings a database's tables to what this binary needs, and back: `wellhead migrate`.
//
// One runner at a time, by an advisory lock of the session; each file in one transaction with the row that
// records it, so a file is applied once or not at all, whatever dies in between. A file whose statements
// cannot run in a transaction is recorded after its last statement, and run again from its first where
// something died before that: such statements may be repeated.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "database/server.hpp"
#include "engine/migrations.hpp"
#include "sink/database.hpp"

namespace wellhead {

// The letters "wellhead" as a number: the key of the advisory lock, the same in every version.
inline constexpr std::int64_t migration_lock_key = 0x77656c6c68656164;

enum class MigrationState : std::uint8_t {
  applied,
  pending,
  optional,   // not applied, and applied only where it is asked for
  elsewhere,  // not applied, and applied only on another edition
  edited,     // applied, and the file has changed since: refused
  unknown,    // applied by a newer wellhead
};
[[nodiscard]] std::string_view to_string(MigrationState state) noexcept;

struct MigrationRecord {
  int version = 0;
  std::string name;
  MigrationState state = MigrationState::pending;
  std::string applied_at;  // as the database prints it, UTC; empty where it was not
  std::string edition;     // of the database when it was applied
};

struct MigrationReport {
  std::string edition;  // "TimescaleDB 2.19.3 (Apache edition)", "PostgreSQL 17.5 without TimescaleDB"
  std::vector<MigrationRecord> records;
  int applied_now = 0;
  int undone_now = 0;
};

class Migrator {
 public:
  // `options` are those asked for; `tell` takes sentences for the operator, as things happen.
  Migrator(Database& database, std::span<const Migration> migrations, std::set<std::string> options,
           std::function<void(std::string_view)> tell);

  // The errors are sentences. REQUIRES a connected database.
  [[nodiscard]] std::expected<MigrationReport, std::string> up();
  // The same, and where a plain table of a name that migrations make is there already, makes theirs beside
  // it, in the schema wellhead_next: the table itself is left as it is, and who uses it waits for moments
  // only.
  [[nodiscard]] std::expected<MigrationReport, std::string> up_beside();
  // Changes nothing.
  [[nodiscard]] std::expected<MigrationReport, std::string> status();
  // The SQL that up() would run, as a script with a comment before each file; whoever runs it by hand, and
  // nothing beside it, has what up() gives, and up() finds it recorded. Changes nothing.
  [[nodiscard]] std::expected<std::string, std::string> plan();
  // Undoes what was applied, the newest first, until `to` is the newest; without `to`, only the newest.
  // Where rows would go with it, nothing is done without `data_loss`.
  [[nodiscard]] std::expected<MigrationReport, std::string> down(std::optional<int> to, bool data_loss);
  // How the live tables differ from what the migrations would give, a sentence each; empty: not at all.
  // Changes nothing: what is to be compared with is made in a schema of its own and rolled back.
  [[nodiscard]] std::expected<std::vector<std::string>, std::string> verify();

  using Outcome = std::expected<void, std::string>;
  // Calls `look` while everything the migrations give lies in the schema of this name, which comes first in
  // the search path, and rolls it all back. Changes nothing.
  static constexpr const char* scratch_schema = "wellhead_verify";
  [[nodiscard]] Outcome in_scratch(const std::function<Outcome()>& look);
  // Takes the lock of the session that keeps other runners out; false where another has it after `patience`.
  [[nodiscard]] std::expected<bool, std::string> try_lock(std::chrono::milliseconds patience);

 private:
  static constexpr const char* before_scratch = "wellhead_before_scratch";
  static constexpr const char* create_extension = "CREATE EXTENSION IF NOT EXISTS timescaledb";
  static constexpr const char* make_ledger_table =
      "CREATE TABLE IF NOT EXISTS wellhead_migration ("
      "version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
      "applied_at timestamptz NOT NULL DEFAULT now(), edition text NOT NULL)";
  // The statement that records it.
  [[nodiscard]] static std::string ledger_row(const Migration& migration, const std::string& edition);

  [[nodiscard]] std::expected<MigrationReport, std::string> run_up(bool beside);
  [[nodiscard]] Outcome lock();
  void unlock();
  void tell_of_edition(const Server& server);
  // An error where nothing can be done with it, and nothing learned.
  [[nodiscard]] std::expected<Server, std::string> server();
  // What the server will be once up() has made the extension, where it makes it; an error where it cannot.
  // Where it does, it is made in a transaction, which is then the caller's to end.
  [[nodiscard]] std::expected<Server, std::string> future_server();
  [[nodiscard]] Outcome refuse_odd_schema();
  [[nodiscard]] Outcome begin_with_extension();
  [[nodiscard]] Outcome keep_extension();
  struct Prepared {
    Server server;
    std::vector<MigrationRecord> records;
  };
  // Looks for all that up() refuses, and makes what comes before the first migration.
  [[nodiscard]] std::expected<Prepared, std::string> prepare(bool beside);
  [[nodiscard]] std::expected<std::vector<MigrationRecord>, std::string> records(const Server& server);
  [[nodiscard]] std::expected<DatabaseRows, std::string> applied_rows();
  [[nodiscard]] Outcome refuse_unsafe(std::span<const MigrationRecord> records) const;
  [[nodiscard]] const Migration* find(int version) const;
  // What is there under a name that a migration yet to be applied makes.
  struct InTheWay {
    std::string name;   // of a function with the types of its arguments
    std::string kind;   // "table", "view", "index", …
    std::string owner;  // the table whose part it is; empty where it is none's
    bool convertible = false;
  };
  [[nodiscard]] std::expected<std::vector<InTheWay>, std::string> relations_in_the_way(
      std::span<const MigrationRecord> records);
  [[nodiscard]] Outcome rehearse(std::span<const Migration* const> pending);
  // Where all of them may be bypassed, which tables are; else a sentence.
  [[nodiscard]] std::expected<std::vector<std::string>, std::string> tables_beside(
      std::span<const MigrationRecord> records, bool beside);
  [[nodiscard]] std::expected<DatabaseRows, std::string> conversions_under_way();
  [[nodiscard]] Outcome enter_scratch(std::span<const Migration* const> wanted);
  [[nodiscard]] std::vector<const Migration*> wanted(std::span<const MigrationRecord> records) const;
  [[nodiscard]] Outcome make_ledger();
  [[nodiscard]] Outcome apply(const Migration& migration, const std::string& edition);
  [[nodiscard]] Outcome in_transaction(std::string_view sql, std::string_view ledger_statement);
  [[nodiscard]] Outcome begin(std::string_view statements);
  // Takes the tables that are in the way out of it, within a transaction, and brings theirs there; and back.
  [[nodiscard]] std::string set_aside() const;
  [[nodiscard]] std::string put_back() const;
  [[nodiscard]] Outcome one_by_one(std::string_view sql, std::string_view ledger_statement);
  [[nodiscard]] Outcome run_patiently(const std::string& statement);
  void roll_back();
  // Only what was done since the extension was made, where it is to come.
  void leave_scratch();
  [[nodiscard]] std::expected<std::vector<const Migration*>, std::string> to_undo(
      std::span<const MigrationRecord> records, std::optional<int> to) const;
  // Going down would undo what a conversion builds on. Where one is only prepared, or was taken back, the
  // table is somebody else's and stays: what goes is the one beside it.
  [[nodiscard]] Outcome refuse_conversions();
  [[nodiscard]] Outcome refuse_loss(std::span<const Migration* const> undone);
  [[nodiscard]] Outcome undo(const Migration& migration);
  [[nodiscard]] std::expected<std::vector<std::string>, std::string> compare(
      std::span<const Migration* const> wanted);

  Database& database_;
  std::span<const Migration> migrations_;
  std::set<std::string> options_;
  std::function<void(std::string_view)> tell_;
  std::vector<std::string> beside_;  // tables whose namesakes are made beside them
  bool extension_to_come_ = false;   // it is made, in a transaction that has not ended
};

// The report as a table with a line for each migration.
[[nodiscard]] std::string print_report(const MigrationReport& report);

}  // namespace wellhead
