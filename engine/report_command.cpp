// `wellhead report`: what the database says of the data in it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "database/database_report.hpp"
#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/database_report_print.hpp"
#include "engine/exit_codes.hpp"
#include "engine/quality_report.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

// Hours of a large table are read as a whole.
constexpr std::chrono::hours report_timeout{1};
constexpr double hours_max = 24 * 366 * 100;

struct ReportArguments {
  ConfigFlags config;
  std::string stream = "telemetry";
  std::string by;
  double hours = 24;
  std::uint64_t limit = 20;
  bool json = false;
};

int fail(const std::string& sentence) {
  std::cerr << sentence << '\n';
  return exit_failed;
}

// Calls `report` with the connected database and the configuration.
template <typename Report>
int with_database(const ConfigFlags& config, Report report) {
  const std::optional<LoadedConfig> loaded = config.load();
  if (!loaded) return exit_config;
  PostgresOptions options = postgres_options(loaded->config);
  options.statement_timeout = report_timeout;
  PgDatabase database(std::move(options), "wellhead report");
  if (const auto connected = database.connect(); !connected)
    return fail(
        "There is no report: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or the "
        "PG… variables. It said: " +
        connected.error().message);
  return report(database, loaded->config);
}

int quality(const ReportArguments& arguments, Database& database) {
  const auto report = read_quality_report(database, arguments.stream, arguments.hours,
                                          arguments.by == "device" ? arguments.limit : 0);
  if (!report) return fail(report.error());
  std::cout << (arguments.json ? print_quality_json(*report) : print_quality(*report));
  return exit_ok;
}

int tell_of_database(bool json, Database& database, const Config& config) {
  const auto report = read_database_report(database, ReportScope::everything, report_timeout);
  if (!report) return fail(report.error());
  const NodeLag node = read_node_lag(config.admin);
  std::cout << (json ? print_database_json(*report, node) : print_database(*report, node));
  return exit_ok;
}

void add_database_report(CLI::App& report, const CommandChosen& chosen) {
  CLI::App* action = report.add_subcommand(
      "database", "Sizes, bloat, compression, indexes, what is behind, jobs, and slow statements");
  const auto arguments = std::make_shared<ReportArguments>();
  arguments->config.add_to(*action, false);
  action->add_flag("--json", arguments->json, "Prints JSON");
  action->footer(
      "The same is in the views database_overview, database_tables, database_indexes, database_chunks, "
      "database_aggregates, database_jobs, database_lanes, database_statements, database_retention and "
      "database_notes. Exits 0 also where a part could not be read, and says which and why.");
  action->callback([=] {
    chosen([=] {
      return with_database(arguments->config, [&](Database& database, const Config& config) {
        return tell_of_database(arguments->json, database, config);
      });
    });
  });
}

}  // namespace

void add_report_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand("report", "Reports on the database and on the data in it");
  command->require_subcommand(1);
  CLI::App* action = command->add_subcommand(
      "quality", "How complete, valid, consistent and timely the readings of the last hours are");
  const auto arguments = std::make_shared<ReportArguments>();
  arguments->config.add_to(*action, false);
  action->add_option("--hours", arguments->hours, "Readings with a time of so many hours ago or later")
      ->capture_default_str()
      ->check(CLI::Range(0.0, hours_max));
  action->add_option("--stream", arguments->stream, "Of which stream")
      ->capture_default_str()
      ->check(CLI::IsMember({"telemetry", "esp_telemetry"}));
  action->add_option("--by", arguments->by, "Also each device, the worst first")
      ->check(CLI::IsMember({"device"}));
  action->add_option("--limit", arguments->limit, "At most so many devices")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  action->add_flag("--json", arguments->json, "Prints JSON");
  action->footer(
      "completeness: rows with a value in every primary field; validity: the mean score; consistency: rows "
      "that "
      "are no anomaly; timeliness: rows received within 300 s; overall: 0.30, 0.30, 0.25 and 0.15 of them.");
  action->callback([=] {
    chosen([=] {
      return with_database(arguments->config,
                           [&](Database& database, const Config&) { return quality(*arguments, database); });
    });
  });
  add_database_report(*command, chosen);
}

}  // namespace wellhead
