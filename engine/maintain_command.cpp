// `wellhead maintain`: what the node does for the database on schedule, once or by itself.
#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <csignal>
#include <iostream>

#include "base/log.hpp"
#include "database/maintenance.hpp"
#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/exit_codes.hpp"
#include "engine/maintenance_thread.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

constexpr std::chrono::hours once_timeout{24};

struct MaintainArguments {
  ConfigFlags config;
  bool once = false;
  bool force = false;
  bool json = false;
};

int fail(const std::string& sentence) {
  std::cerr << sentence << '\n';
  return exit_failed;
}

int run_once(PostgresOptions options, const MaintainArguments& arguments) {
  options.statement_timeout = once_timeout;
  PgDatabase database(std::move(options), "wellhead maintain");
  if (const auto connected = database.connect(); !connected)
    return fail(
        "Nothing was changed: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or the "
        "PG… variables. It said: " +
        connected.error().message);
  Maintenance maintenance(database);
  if (const auto prepared = maintenance.prepare(); !prepared) return fail(prepared.error());
  const MaintenanceReport report = maintenance.run_all(arguments.force);
  std::cout << (arguments.json ? print_json(report) : print(report));
  if (!report.failures.empty())
    return fail("Not all that was due could be done; the rest was: " + report.failures.front());
  if (report.refused() == 0) return exit_ok;
  return fail(
      "Data whose time is up were kept, since it is not safe to drop them; the reasons are above. Mostly the "
      "archive or backup job has to run and write wellhead_archive_marker. --force drops them all the same.");
}

int run_on_schedule(PostgresOptions options) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  MaintenanceThread thread(std::move(options));
  thread.start();
  log::info("wellhead cares for the database");
  int signal = 0;
  sigwait(&signals, &signal);
  thread.stop();
  return exit_ok;
}

int maintain(const MaintainArguments& arguments) {
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  PostgresOptions options = postgres_options(loaded->config);
  return arguments.once ? run_once(std::move(options), arguments) : run_on_schedule(std::move(options));
}

}  // namespace

void add_maintain_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand(
      "maintain",
      "Refreshes aggregates, makes partitions and drops what is past its time; serve does it too");
  const auto arguments = std::make_shared<MaintainArguments>();
  arguments->config.add_to(*command, false);
  CLI::Option* once = command->add_flag("--once", arguments->once,
                                        "Everything that is due, once. Default: on schedule, until TERM");
  command
      ->add_flag("--force", arguments->force,
                 "Drops also what no archive or backup marker covers; logged in wellhead_retention_log")
      ->needs(once);
  command->add_flag("--json", arguments->json, "Tells what was done as JSON")->needs(once);
  command->footer(
      "Exits 1 where a step failed, and where data past their time were kept because no marker covers them.");
  command->callback([=] { chosen([=] { return maintain(*arguments); }); });
}

}  // namespace wellhead
