// Cares for the database on schedule, beside the records' way: a thread with a connection of its own.
//
// In:  what is due (wellhead_aggregate, wellhead_lifecycle). Out: Maintenance's steps. A database that is
// away, or not migrated, is told once and tried again; the node's records do not wait for any of it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "base/counter.hpp"
#include "database/database_report.hpp"
#include "database/maintenance.hpp"
#include "database/schedule.hpp"
#include "sink/pg_database.hpp"
#include "sink/postgres_options.hpp"

namespace wellhead {

// Written by the thread, read by any.
struct MaintenanceStats {
  Counter transactions;  // of refreshes
  Counter rows;          // they computed
  Counter chunks_dropped;
  Counter partitions_made;
  Counter postponed;                             // steps that did not get their locks
  Counter failures;                              // turns that ended in an error
  std::atomic<std::uint64_t> chunks_refused{0};  // past their time and kept, since no marker covers them
  Counter report_failures;                       // times the database did not tell of itself
  PublishedReport report;                        // what it told last, where that is asked for
};

class MaintenanceThread {
 public:
  // Tables come under its care while it runs: one that is converted does when it has its name.
  static constexpr std::chrono::seconds look_every_default{60};

  // With `watch` it also asks the database for what metrics show of it, once a minute. Every `look_every` it
  // looks anew what there is to care for.
  explicit MaintenanceThread(PostgresOptions options, bool watch = false,
                             std::chrono::seconds look_every = look_every_default);
  ~MaintenanceThread() { stop(); }

  void start();
  // Interrupts what is running, which the server rolls back, and waits for the thread.
  void stop();
  [[nodiscard]] const MaintenanceStats& stats() const noexcept { return stats_; }

 private:
  void run(const std::stop_token& stopping);
  // Does what is due. The error is a sentence for each step that failed, and the connection is then made
  // anew.
  [[nodiscard]] std::expected<void, std::string> turn();
  [[nodiscard]] std::expected<void, std::string> run_due(MaintenanceReport& report);
  using Time = std::chrono::steady_clock::time_point;
  // Computes what is due, of all times where `late`. Whether nothing failed; what was put off has its source
  // in `uncomputed`.
  [[nodiscard]] bool refresh_due(Time now, bool late, MaintenanceReport& report,
                                 std::set<std::string>& uncomputed);
  void drop_expired(Time now, const std::set<std::string>& uncomputed, MaintenanceReport& report);
  // Nothing where it failed.
  std::optional<StepResult> result_of(const Maintenance::Outcome& outcome,
                                      std::initializer_list<std::string> tasks);
  void account(const MaintenanceReport& report);
  // Of all tables, or of all but those that were put off.
  void account_refused(const MaintenanceReport& report, bool of_all);
  void read_report();
  void tell_problem(std::string problem);

  PgDatabase database_;
  Maintenance maintenance_;
  Schedule schedule_;
  MaintenanceStats stats_;
  const bool watch_;
  const std::chrono::seconds look_every_;
  std::string report_problem_;  // told last
  std::string problems_;        // of this turn
  bool step_failed_ = false;    // in the last turn, on a connection that held
  std::string problem_;         // told last, empty if the last turn went well
  std::atomic<bool> interrupted_{false};
  std::jthread thread_;
};

}  // namespace wellhead
