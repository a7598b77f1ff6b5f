// `wellhead audit`: proves for what the journal holds that everything is in the database once.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.hpp"
#include "engine/audit.hpp"
#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/config_values.hpp"
#include "engine/exit_codes.hpp"
#include "engine/node_journal.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

// Comparing a journal of many gigabytes takes its time.
constexpr std::chrono::hours audit_timeout{24};

struct AuditArguments {
  ConfigFlags config;
  std::optional<std::string> directory;
  std::optional<std::string> since;
  std::optional<std::string> until;
  bool exclusive = false;
  bool json = false;
};

int fail(const std::string& sentence, int exit_code = exit_failed) {
  std::cerr << sentence << '\n';
  return exit_code;
}

std::optional<WrittenRange> range_of(const AuditArguments& arguments) {
  WrittenRange range;
  const auto read = [](const std::optional<std::string>& text, std::int64_t& into) {
    if (!text) return true;
    const auto moment = parse_moment(*text, SystemClock().wall_us());
    if (moment) into = *moment;
    return moment.has_value();
  };
  if (!read(arguments.since, range.since_us) || !read(arguments.until, range.until_us)) return std::nullopt;
  return range;
}

int audit(const AuditArguments& arguments) {
  const auto range = range_of(arguments);
  if (!range)
    return fail(
        "--since and --until take a time with its offset (2026-03-01T12:00:00Z) or how long ago it was (90s, "
        "1h).",
        exit_usage);
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  const std::string directory = arguments.directory.value_or(loaded->config.journal.directory);
  const auto files = find_journal_directory(directory);
  if (!files) return fail(files.error().sentence);

  PostgresOptions postgres = postgres_options(loaded->config);
  postgres.statement_timeout = audit_timeout;
  PgDatabase database(std::move(postgres), "wellhead audit");
  if (const auto connected = database.connect(); !connected)
    return fail(
        "Nothing was found out: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or "
        "the PG… "
        "variables. It said: " +
        connected.error().message);
  const auto report = Audit(**files, database, loaded->schemas, {*range, arguments.exclusive}).run();
  if (!report) return fail(directory + ": " + report.error());
  std::cout << (arguments.json ? print_audit_json(*report) : print_audit(*report));
  return report->faults().empty() ? exit_ok : exit_failed;
}

}  // namespace

void add_audit_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command =
      app.add_subcommand("audit", "Compares the journal with the database: is everything there, and once?");
  const auto arguments = std::make_shared<AuditArguments>();
  arguments->config.add_to(*command, false);
  command
      ->add_option("--dir", arguments->directory,
                   "The journal's directory. Default: journal.dir of the configuration")
      ->type_name("DIR");
  command
      ->add_option("--since", arguments->since,
                   "Only what was written to the journal from then on: a time, or how long ago (1h). "
                   "Default: all that "
                   "the journal holds")
      ->type_name("TIME");
  command->add_option("--until", arguments->until, "Only what was written up to then. Default: all")
      ->type_name("TIME");
  command->add_flag(
      "--exclusive", arguments->exclusive,
      "Rows of the same receive times that are not in the journal are a fault: for a table that only this "
      "node writes");
  command->add_flag("--json", arguments->json, "Prints JSON");
  command->footer(
      "Works beside a running node and on the journal of a dead one; changes nothing. The rows to compare "
      "are copied to a "
      "temporary table of the database: it needs room for as much as the journal holds of the range.\n"
      "Exit codes: 0 nothing is missing and nothing is there twice; 1 something is, or it could not be found "
      "out.");
  command->callback([=] { chosen([=] { return audit(*arguments); }); });
}

}  // namespace wellhead
