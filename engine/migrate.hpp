// Brings a database's tables to what this binary needs: `wellhead migrate up` and `status`.
//
// One runner at a time, by an advisory lock of the session; each file in one transaction with the row that
// records it, so a file is applied once or not at all, whatever dies in between.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/migrations.hpp"
#include "sink/database.hpp"

namespace wellhead {

enum class MigrationState : std::uint8_t {
  applied,
  pending,
  optional,  // not applied, and applied only where it is asked for
  edited,    // applied, and the file has changed since: refused
  unknown,   // applied by a newer wellhead
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
};

class Migrator {
 public:
  // `options` are those asked for; `tell` takes sentences for the operator, as things happen.
  Migrator(Database& database, std::span<const Migration> migrations, std::set<std::string> options,
           std::function<void(std::string_view)> tell);

  // The errors are sentences. REQUIRES a connected database.
  [[nodiscard]] std::expected<MigrationReport, std::string> up();
  // Changes nothing.
  [[nodiscard]] std::expected<MigrationReport, std::string> status();

 private:
  using Outcome = std::expected<void, std::string>;

  [[nodiscard]] Outcome lock();
  [[nodiscard]] Outcome ensure_extension();
  [[nodiscard]] std::expected<std::string, std::string> edition();
  [[nodiscard]] std::expected<std::vector<MigrationRecord>, std::string> records();
  [[nodiscard]] std::expected<DatabaseRows, std::string> applied_rows();
  [[nodiscard]] Outcome refuse_unsafe(std::span<const MigrationRecord> records) const;
  [[nodiscard]] Outcome apply(const Migration& migration, const std::string& edition);
  [[nodiscard]] Outcome apply_in_transaction(const Migration& migration, const std::string& edition);

  Database& database_;
  std::span<const Migration> migrations_;
  std::set<std::string> options_;
  std::function<void(std::string_view)> tell_;
};

// The report as a table with a line for each migration.
[[nodiscard]] std::string print_report(const MigrationReport& report);

}  // namespace wellhead
