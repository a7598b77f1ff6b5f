#include "engine/maintenance_thread.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "base/log.hpp"

namespace wellhead {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds turn_interval{1};
constexpr seconds after_failure{15};
// A turn that took long is followed by so much rest: at most a tenth of one backend's time goes into this,
// however large the tables are. Aggregates then lag instead, and the metrics tell.
constexpr int rest_factor = 9;
constexpr seconds partitions_every{600};
constexpr seconds retention_every{3'600};
// Who waits for a table of its own keeps everybody waiting behind it. So where it was not to be had, as
// behind a dump, it is not asked for at every turn.
constexpr seconds after_lock{300};
constexpr seconds report_every{60};
constexpr seconds report_section_timeout{30};
// One slice of an aggregate over a busy table; it is a bound for what hangs, not a goal.
constexpr std::chrono::minutes statement_timeout{30};

constexpr const char* look_task = "look";
constexpr const char* partitions_task = "partitions";
constexpr const char* retention_task = "retention";
constexpr const char* report_task = "report";

PostgresOptions with_own_limits(PostgresOptions options) {
  options.statement_timeout = statement_timeout;
  // What is done twice after a crash of the database gives the same, so nobody has to wait for its disk. A
  // dropped chunk comes back with the mark that it was dropped, or both are gone.
  options.synchronous_commit = "off";
  return options;
}

}  // namespace

MaintenanceThread::MaintenanceThread(PostgresOptions options, bool watch, seconds look_every)
    : database_(with_own_limits(std::move(options)), "wellhead maintenance"),
      maintenance_(database_),
      watch_(watch),
      look_every_(look_every) {
  database_.interrupt_with(&interrupted_);
}

void MaintenanceThread::start() {
  thread_ = std::jthread([this](const std::stop_token& stopping) { run(stopping); });
}

void MaintenanceThread::stop() {
  if (!thread_.joinable()) return;
  interrupted_.store(true, std::memory_order_release);
  thread_.request_stop();
  thread_.join();
}

void MaintenanceThread::run(const std::stop_token& stopping) {
  std::mutex mutex;
  std::condition_variable_any never;  // only the stop ends the wait early
  std::unique_lock lock(mutex);
  seconds wait{0};
  while (!never.wait_for(lock, stopping, wait, [&] { return stopping.stop_requested(); })) {
    const auto begun = steady_clock::now();
    const auto done = turn();
    if (stopping.stop_requested()) return;
    if (!done) {
      stats_.failures.add(1);
      database_.disconnect();
    }
    tell_problem(done ? "" : done.error());
    const auto rest = std::chrono::duration_cast<seconds>((steady_clock::now() - begun) * rest_factor);
    wait = std::max(done ? turn_interval : after_failure, rest);
  }
}

std::expected<void, std::string> MaintenanceThread::turn() {
  if (!database_.connected()) {
    if (const auto connected = database_.connect(); !connected)
      return std::unexpected("the database cannot be reached: " + describe(connected.error()));
    // After a step that failed, all but that one are due when they were.
    if (!step_failed_) schedule_.reset();
    schedule_.again(look_task);
  }
  if (schedule_.due(look_task, look_every_, steady_clock::now()))
    if (auto prepared = maintenance_.prepare(); !prepared) return prepared;
  MaintenanceReport report;
  const auto done = run_due(report);
  step_failed_ = !done && database_.connected();
  return done;
}

// What fails or is put off is due at the next turn, and keeps nothing else from being done.
std::optional<StepResult> MaintenanceThread::result_of(const Maintenance::Outcome& outcome,
                                                       std::initializer_list<std::string> tasks) {
  if (outcome == StepResult::done) return StepResult::done;
  for (const std::string& task : tasks) schedule_.again(task);
  if (outcome) return *outcome;
  problems_ += (problems_.empty() ? "" : " ") + outcome.error();
  return std::nullopt;
}

bool MaintenanceThread::refresh_due(Time now, bool late, MaintenanceReport& report,
                                    std::set<std::string>& uncomputed) {
  bool failed = false;
  for (const AggregateFacts& aggregate : maintenance_.aggregates()) {
    if (!database_.connected()) return false;
    const std::string late_task = aggregate.view + " late";
    const bool late_too = schedule_.due(late_task, aggregate.late_every, now) || late;
    if (!schedule_.due(aggregate.view, aggregate.every, now) && !late_too) continue;
    const Maintenance::Outcome done = maintenance_.refresh(aggregate, late_too, report);
    const auto result =
        late_too ? result_of(done, {aggregate.view, late_task}) : result_of(done, {aggregate.view});
    failed = failed || !result;
    if (result == StepResult::postponed) uncomputed.insert(aggregate.source);
  }
  return !failed;
}

void MaintenanceThread::drop_expired(Time now, const std::set<std::string>& uncomputed,
                                     MaintenanceReport& report) {
  const auto result = result_of(maintenance_.drop_expired(false, report, uncomputed), {retention_task});
  if (result == StepResult::postponed && uncomputed.empty())
    schedule_.put_off(retention_task, now + after_lock);
  if (result) account_refused(report, result == StepResult::done);
}

std::expected<void, std::string> MaintenanceThread::run_due(MaintenanceReport& report) {
  const auto now = steady_clock::now();
  problems_.clear();
  if (schedule_.due(partitions_task, partitions_every, now) &&
      result_of(maintenance_.make_partitions(report), {partitions_task}) == StepResult::postponed)
    schedule_.put_off(partitions_task, now + after_lock);
  // What is dropped cannot be computed any more: so all is computed before, however late it came.
  const bool retention = schedule_.due(retention_task, retention_every, now);
  std::set<std::string> uncomputed;
  const bool computed = refresh_due(now, retention, report, uncomputed);
  if (retention && computed && database_.connected())
    drop_expired(now, uncomputed, report);
  else if (retention)
    schedule_.again(retention_task);
  account(report);
  if (database_.connected() && watch_ && schedule_.due(report_task, report_every, now)) read_report();
  if (!problems_.empty()) return std::unexpected(problems_);
  return {};
}

// A database that does not tell of itself is cared for all the same.
void MaintenanceThread::read_report() {
  auto report = read_database_report(database_, ReportScope::watched, report_section_timeout);
  std::string problem = report ? "" : report.error();
  if (report) {
    for (const ReportSection& section : report->sections)
      if (problem.empty()) problem = section.problem;
    stats_.report.set(std::move(*report));
  }
  if (!problem.empty()) stats_.report_failures.add(1);
  if (problem == report_problem_) return;
  report_problem_ = std::move(problem);
  if (!report_problem_.empty())
    log::warning("Metrics of the database are missing or old; records and aggregates are not concerned",
                 {{"problem", report_problem_}});
}

void MaintenanceThread::account(const MaintenanceReport& report) {
  for (const RefreshReport& refresh : report.refreshes) {
    stats_.transactions.add(refresh.slices);
    stats_.rows.add(refresh.rows);
  }
  stats_.partitions_made.add(report.partitions.size());
  stats_.postponed.add(report.postponed.size());
  for (const ChunkReport& chunk : report.chunks) {
    if (!chunk.dropped) continue;
    stats_.chunks_dropped.add(1);
    log::info(
        "Dropped a chunk whose time is up",
        {{"table", chunk.table}, {"chunk", chunk.chunk}, {"before", chunk.until}, {"reason", chunk.reason}});
  }
}

void MaintenanceThread::account_refused(const MaintenanceReport& report, bool of_all) {
  const std::uint64_t before = stats_.chunks_refused.load(std::memory_order_relaxed);
  // What was refused of a table that was put off is not known to be gone.
  const std::uint64_t refused = of_all ? report.refused() : std::max(before, report.refused());
  stats_.chunks_refused.store(refused, std::memory_order_relaxed);
  const auto first =
      std::ranges::find_if(report.chunks, [](const ChunkReport& chunk) { return !chunk.dropped; });
  if (refused == before || first == report.chunks.end()) return;
  log::error(
      "Data whose time is up are kept, since it is not safe to drop them: the disk fills. The reason says "
      "what "
      "is missing: mostly that the archive or backup job has to run and write wellhead_archive_marker. "
      "`wellhead maintain --once --force` drops them all the same.",
      {{"chunks", refused}, {"table", first->table}, {"chunk", first->chunk}, {"reason", first->reason}});
}

// Once, not at every turn: the sentence is the same until somebody acts.
void MaintenanceThread::tell_problem(std::string problem) {
  if (problem == problem_) return;
  problem_ = std::move(problem);
  if (problem_.empty())
    log::info("The database is cared for again");
  else
    log::warning("Some of the care of the database failed and is tried again; records do not wait for it",
                 {{"problem", problem_}});
}

}  // namespace wellhead
