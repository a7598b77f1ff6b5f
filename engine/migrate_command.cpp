#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <set>

#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/exit_codes.hpp"
#include "engine/migrate.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

// An index on a large table takes its time, and so may waiting for another runner.
constexpr std::chrono::hours migration_timeout{24};

struct MigrateArguments {
  ConfigFlags config;
  std::set<std::string> options;
};

void print_sentence(std::string_view sentence) {
  std::cerr << sentence << '\n';
}

int fail(std::string_view sentence) {
  print_sentence(sentence);
  return exit_failed;
}

int migrate(const MigrateArguments& arguments, bool up) {
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  const auto migrations = parse_migrations(embedded_migration_files());
  if (!migrations) return fail(migrations.error());
  std::set<std::string> options = arguments.options;
  if (loaded->config.covering_index) options.insert("covering_index");

  PostgresOptions postgres = postgres_options(loaded->config);
  postgres.statement_timeout = migration_timeout;
  PgDatabase database(std::move(postgres), "wellhead migrate");
  if (const auto connected = database.connect(); !connected)
    return fail(
        "Nothing was changed: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or the "
        "PG… variables. It said: " +
        connected.error().message);
  Migrator migrator(database, *migrations, std::move(options), print_sentence);
  const auto report = up ? migrator.up() : migrator.status();
  if (!report) return fail(report.error());
  std::cout << print_report(*report);
  if (up) std::cout << (report->applied_now == 0 ? "Nothing to apply.\n" : "");
  return exit_ok;
}

}  // namespace

void add_migrate_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command =
      app.add_subcommand("migrate", "Brings the database's tables to what this release needs");
  command->require_subcommand(1);
  for (const bool up : {true, false}) {
    CLI::App* action = command->add_subcommand(
        up ? "up" : "status",
        up ? "Applies the migrations that are missing; safe to run again, and by several at once"
           : "Lists the migrations and which of them are applied; changes nothing");
    const auto arguments = std::make_shared<MigrateArguments>();
    arguments->config.add_to(*action, false);
    action
        ->add_option("--with", arguments->options,
                     "Also the optional migrations of this name. Default: none, or covering_index where "
                     "migrate.covering_index is true")
        ->check(CLI::IsMember({"covering_index"}))
        ->type_name("OPTION");
    action->callback([=] { chosen([=] { return migrate(*arguments, up); }); });
  }
}

}  // namespace wellhead
