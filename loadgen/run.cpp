#include "loadgen/run.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <thread>

#include "loadgen/cpu_meter.hpp"
#include "loadgen/database_rows.hpp"
#include "loadgen/generated_workload.hpp"
#include "loadgen/node_drain.hpp"
#include "loadgen/progress.hpp"
#include "loadgen/replay_workload.hpp"
#include "loadgen/status_file.hpp"
#include "loadgen/target.hpp"
#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {
namespace {

using Workers = std::vector<std::unique_ptr<Worker>>;

constexpr std::chrono::milliseconds tick{20};
constexpr std::chrono::milliseconds no_patience{0};
constexpr std::int64_t progress_interval_ns = 1'000'000'000;
constexpr std::int64_t status_interval_ns = 100'000'000;
constexpr std::chrono::milliseconds verify_interval{500};

std::unique_ptr<Schedule> steady_schedule(const Options& options) {
  SteadySchedule::Plan plan;
  plan.open_loop = options.pacing == Pacing::rate;
  plan.rate = options.rate;
  plan.batch = options.batch;
  plan.records = options.count;
  if (options.until_stopped) {
    plan.records = Schedule::unlimited;
  } else if (options.count == 0) {
    const double records = std::round(options.rate * options.duration_s);
    plan.records = plan.open_loop ? std::max<std::uint64_t>(1, static_cast<std::uint64_t>(records))
                                  : Schedule::unlimited;
    plan.duration_ns = seconds_to_ns(options.duration_s);
  }
  return std::make_unique<SteadySchedule>(plan);
}

struct Load {
  std::unique_ptr<Workload> workload;
  std::unique_ptr<Schedule> schedule;
};

std::expected<Load, RunError> make_load(const Options& options) {
  Load load;
  if (!options.is_replay()) {
    load.workload = std::make_unique<GeneratedWorkload>(options, unix_now_us());
    load.schedule = steady_schedule(options);
    return load;
  }
  auto replay = ReplayWorkload::open(options);
  if (!replay) return std::unexpected(RunError{exit_usage, std::move(replay.error())});
  load.schedule = (*replay)->make_schedule(options);
  load.workload = std::move(*replay);
  return load;
}

std::expected<Workers, RunError> make_workers(const Worker::Parts& parts) {
  Workers workers;
  const std::int64_t deadline_ns = monotonic_now_ns() + seconds_to_ns(parts.options.connect_timeout_s);
  for (std::uint32_t index = 0; index < parts.options.threads; ++index) {
    // Spread evenly; the first threads take the rest.
    const std::uint32_t rest = parts.options.connections % parts.options.threads;
    const std::uint32_t share = parts.options.connections / parts.options.threads + (index < rest ? 1 : 0);
    workers.push_back(std::make_unique<Worker>(parts, share));
    if (auto connected = workers.back()->connect(deadline_ns); !connected) {
      return std::unexpected(
          RunError{exit_no_connection,
                   fmt::format("cannot connect to {}: {}. Nothing was sent. Is the node running there?",
                               parts.target.authority, connected.error())});
    }
  }
  return workers;
}

// Sends until the schedule and all answers are done.
void drive(const Workers& workers, Schedule& schedule, const Options& options,
           const std::atomic<bool>& interrupted) {
  schedule.start(monotonic_now_ns());
  std::atomic<std::size_t> running{workers.size()};
  std::vector<std::jthread> threads;
  for (const auto& worker : workers) {
    threads.emplace_back([&running, &worker] {
      worker->run();
      running.fetch_sub(1, std::memory_order_release);
    });
  }
  Progress progress(workers, schedule.start_ns());
  ProgressPrinter printer(options.quiet);
  StatusFile status(options.status_path, workers);
  std::int64_t next_line_ns = schedule.start_ns() + progress_interval_ns;
  std::int64_t next_status_ns = schedule.start_ns();
  while (running.load(std::memory_order_acquire) != 0) {
    std::this_thread::sleep_for(tick);
    if (interrupted.load(std::memory_order_relaxed)) schedule.stop();
    const std::int64_t now_ns = monotonic_now_ns();
    if (now_ns >= next_status_ns) {
      status.write();
      next_status_ns = now_ns + status_interval_ns;
    }
    if (now_ns < next_line_ns) continue;
    printer.print(progress.line(now_ns));
    next_line_ns += progress_interval_ns;
  }
  status.write();
}

class CpuMeter {
 public:
  explicit CpuMeter(const Options& options) : options_(options), own_(own_cpu_seconds()) {
    for (const auto& [name, pid] : options.cpu_of) others_.push_back(tree_cpu_seconds(pid).value_or(0));
  }
  [[nodiscard]] std::vector<std::pair<std::string, double>> spent() const {
    std::vector<std::pair<std::string, double>> seconds{{"loadgen", own_cpu_seconds() - own_}};
    for (std::size_t index = 0; index < others_.size(); ++index) {
      const auto& [name, pid] = options_.cpu_of[index];
      seconds.emplace_back(name, std::max(0.0, tree_cpu_seconds(pid).value_or(0) - others_[index]));
    }
    return seconds;
  }

 private:
  const Options& options_;
  double own_;
  std::vector<double> others_;
};

class Rememberer final : public CopyRowVisitor {
 public:
  explicit Rememberer(RowMatcher& matcher) : matcher_(matcher) {}
  void on_row(const CopyRow& row) override { matcher_.remember(row); }

 private:
  RowMatcher& matcher_;
};

// Before the run: the database can be read, and what is in the table already is known where it matters.
std::expected<std::unique_ptr<RowMatcher>, RunError> prepare_verification(const Options& options,
                                                                          const Workload& workload) {
  if (auto reached = check_database(options.database_url); !reached) {
    return std::unexpected(RunError{exit_no_connection, std::move(reached.error()) + ". Nothing was sent."});
  }
  std::unique_ptr<RowMatcher> matcher = workload.make_matcher();
  if (matcher->needs_baseline()) {
    Rememberer rememberer(*matcher);
    auto read =
        read_rows(options.database_url, matcher->select_statement(options.table), rememberer, no_patience);
    if (!read) return std::unexpected(RunError{exit_failed, std::move(read.error()) + ". Nothing was sent."});
  }
  return matcher;
}

std::expected<Verification, std::string> verify_once(const Summary& summary, const Options& options,
                                                     RowMatcher& matcher, OutcomeStore& outcomes,
                                                     std::int64_t deadline_ns) {
  matcher.rewind();
  outcomes.forget_found();
  Verifier verifier(matcher, outcomes, summary.ambiguous_acknowledged);
  const std::int64_t left_ns = std::max<std::int64_t>(0, deadline_ns - monotonic_now_ns());
  auto read =
      read_rows(options.database_url, matcher.select_statement(options.table), verifier,
                std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(left_ns)));
  if (!read) return std::unexpected(std::move(read.error()));
  return verifier.verdict();
}

// A record may be acknowledged when it is durable and reach the table later: what is missing is looked for
// again. That alone would not see a second copy that comes later still, which is why the node is asked first.
void verify(Summary& summary, const Options& options, const std::optional<Target>& admin, RowMatcher& matcher,
            OutcomeStore& outcomes) {
  const std::int64_t deadline_ns = monotonic_now_ns() + seconds_to_ns(options.verify_timeout_s);
  if (admin) {
    auto drained = wait_until_drained(*admin, deadline_ns);
    if (!drained) summary.verification_problem = std::move(drained.error());
  }
  while (true) {
    auto verification = verify_once(summary, options, matcher, outcomes, deadline_ns);
    if (!verification) {
      summary.verification_problem = std::move(verification.error());
      return;
    }
    summary.verification = std::move(*verification);
    if (summary.verification->lost == 0 || monotonic_now_ns() >= deadline_ns) return;
    std::this_thread::sleep_for(verify_interval);
  }
}

}  // namespace

std::expected<Summary, RunError> run_load(const Options& options, const std::atomic<bool>& interrupted) {
  auto target = resolve_target(options.url, options.allow_remote);
  if (!target) return std::unexpected(RunError{exit_usage, std::move(target.error())});
  std::optional<Target> admin;
  if (!options.admin_url.empty()) {
    auto resolved = resolve_target(options.admin_url, options.allow_remote);
    if (!resolved) return std::unexpected(RunError{exit_usage, std::move(resolved.error())});
    admin = std::move(*resolved);
  }
  auto load = make_load(options);
  if (!load) return std::unexpected(std::move(load.error()));
  std::unique_ptr<RowMatcher> matcher;
  std::unique_ptr<OutcomeStore> outcomes;
  if (options.verify) {
    auto prepared = prepare_verification(options, *load->workload);
    if (!prepared) return std::unexpected(std::move(prepared.error()));
    matcher = std::move(*prepared);
    outcomes = std::make_unique<OutcomeStore>();
  }
  auto workers = make_workers({.options = options,
                               .target = *target,
                               .workload = *load->workload,
                               .schedule = *load->schedule,
                               .outcomes = outcomes.get()});
  if (!workers) return std::unexpected(std::move(workers.error()));
  const CpuMeter meter(options);
  drive(*workers, *load->schedule, options, interrupted);
  Summary summary = summarize(*workers, *load->schedule, interrupted.load());
  summary.cpu_seconds = meter.spent();
  if (matcher) verify(summary, options, admin, *matcher, *outcomes);
  return summary;
}

}  // namespace wellhead::loadgen
