// The care of the database, where the server does not take it itself: aggregates, partitions, retention.
//
// In:  facts and logs in the database (migrations 0010 to 0012). Out: statements, each step in a transaction
// of its own, so that an end at any moment leaves steps that are done and steps that are not. Any number of
// nodes may run it at once: the database's maintenance lock puts their steps in a row. One thread per
// Maintenance.
//
// Locks are taken in this order: the maintenance lock, the invalidation log, aggregates, chunks. Writers of
// data take none of them but the log's row lock on what they insert.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "database/server.hpp"
#include "sink/database.hpp"

namespace wellhead {

// One row of wellhead_aggregate.
struct AggregateFacts {
  std::string view;
  std::string source;
  std::chrono::seconds every{0};
  std::chrono::seconds late_every{0};
};

struct RefreshReport {
  std::string view;
  std::uint64_t slices = 0;  // transactions
  std::uint64_t rows = 0;    // computed
};

struct ChunkReport {
  std::string table;
  std::string chunk;
  std::string until;  // as the database prints it: data before this
  bool dropped = false;
  std::string reason;
};

struct PartitionReport {
  std::string table;
  std::string partition;
  std::uint64_t rows_moved = 0;  // from the default partition
  bool chunk = false;            // of TimescaleDB's, and made ahead: no row waited for it
};

// What became of a step. Postponed is not done: it could not get its locks and is to be tried again.
enum class StepResult : std::uint8_t { done, postponed };

struct MaintenanceReport {
  std::vector<RefreshReport> refreshes;
  std::vector<PartitionReport> partitions;
  std::vector<ChunkReport> chunks;     // past their time
  std::vector<std::string> postponed;  // sentences: what could not get its locks, and is tried again
  std::vector<std::string> failures;   // sentences: what failed, of run_all()

  // Chunks that stay although their time is up, since it is not safe to drop them.
  [[nodiscard]] std::uint64_t refused() const noexcept;
};

class Maintenance {
 public:
  // `database` outlives it.
  explicit Maintenance(Database& database) : database_(database) {}

  // Looks what there is to care for. An error where the migrations are missing. REQUIRES a connected
  // database; and to be called first, and after each new connection.
  [[nodiscard]] std::expected<void, std::string> prepare();
  [[nodiscard]] const Server& server() const noexcept { return server_; }
  [[nodiscard]] const std::vector<AggregateFacts>& aggregates() const noexcept { return aggregates_; }

  // Each appends to the report. The errors are sentences; what was done before stays done.
  using Outcome = std::expected<StepResult, std::string>;
  // Whether buckets in the aggregate's window or, with `late`, also those before it are computed.
  [[nodiscard]] Outcome refresh(const AggregateFacts& aggregate, bool late, MaintenanceReport& report);
  // Ahead of time: partitions, or chunks where TimescaleDB would leave making them to the writers. A table of
  // which it fails does not keep it from the others; the error is of the first.
  [[nodiscard]] Outcome make_partitions(MaintenanceReport& report);
  // With `force`, also what no marker covers; that is logged in wellhead_retention_log. Of the `uncomputed`,
  // which are sources of aggregates that are yet to be computed, nothing is dropped, and the result is that
  // it was postponed: what is dropped cannot be computed any more.
  [[nodiscard]] Outcome drop_expired(bool force, MaintenanceReport& report,
                                     const std::set<std::string>& uncomputed = {});
  // All of it, once. What fails is in the report, and keeps nothing else from being done but dropping where
  // an aggregate failed; where one was postponed, that of its source.
  [[nodiscard]] MaintenanceReport run_all(bool force);

 private:
  [[nodiscard]] Outcome refresh_table(const AggregateFacts& aggregate, bool late, MaintenanceReport& report);
  [[nodiscard]] Outcome refresh_view(const AggregateFacts& aggregate, MaintenanceReport& report);
  // Rows of one step; nothing, and a sentence in the report, where its locks were not to be had.
  [[nodiscard]] std::expected<std::optional<DatabaseRows>, std::string> step(const std::string& statement,
                                                                             std::string_view what,
                                                                             MaintenanceReport& report);
  [[nodiscard]] Outcome drop_expired_of(const std::string& table, bool force, MaintenanceReport& report);
  [[nodiscard]] Outcome make_partitions_of(const std::string& table, MaintenanceReport& report);

  Database& database_;
  Server server_;
  std::vector<AggregateFacts> aggregates_;
  std::vector<std::string> tables_;
};

// For people, and as one line of JSON.
[[nodiscard]] std::string print(const MaintenanceReport& report);
[[nodiscard]] std::string print_json(const MaintenanceReport& report);

}  // namespace wellhead
