// `wellhead report`: what the database says of the data in it.
#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "engine/commands.hpp"
#include "engine/config_check.hpp"
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

int quality(const ReportArguments& arguments) {
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  PostgresOptions options = postgres_options(loaded->config);
  options.statement_timeout = report_timeout;
  PgDatabase database(std::move(options), "wellhead report");
  if (const auto connected = database.connect(); !connected)
    return fail(
        "There is no report: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or the "
        "PG… variables. It said: " +
        connected.error().message);
  const auto report = read_quality_report(database, arguments.stream, arguments.hours,
                                          arguments.by == "device" ? arguments.limit : 0);
  if (!report) return fail(report.error());
  std::cout << (arguments.json ? print_quality_json(*report) : print_quality(*report));
  return exit_ok;
}

}  // namespace

void add_report_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand("report", "Reports on the data in the database");
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
  action->callback([=] { chosen([=] { return quality(*arguments); }); });
}

}  // namespace wellhead
