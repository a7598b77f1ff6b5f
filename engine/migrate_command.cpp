#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <iostream>
#include <optional>
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

enum class MigrateAction : std::uint8_t { up, down, status, verify, plan };

struct MigrateArguments {
  ConfigFlags config;
  std::set<std::string> options;
  std::optional<int> to;
  bool data_loss = false;
};

void print_sentence(std::string_view sentence) {
  std::cerr << sentence << '\n';
}

int fail(std::string_view sentence) {
  print_sentence(sentence);
  return exit_failed;
}

int show(const std::expected<MigrationReport, std::string>& report, std::string_view when_nothing) {
  if (!report) return fail(report.error());
  std::cout << print_report(*report);
  if (report->applied_now + report->undone_now == 0) std::cout << when_nothing;
  return exit_ok;
}

int show_plan(const std::expected<std::string, std::string>& plan) {
  if (!plan) return fail(plan.error());
  std::cout << *plan;
  return exit_ok;
}

int show_differences(const std::expected<std::vector<std::string>, std::string>& differences) {
  if (!differences) return fail(differences.error());
  for (const std::string& difference : *differences) std::cout << difference << '\n';
  if (!differences->empty()) return exit_failed;
  std::cout << "The database is what the migrations give.\n";
  return exit_ok;
}

int run(Migrator& migrator, const MigrateArguments& arguments, MigrateAction action) {
  switch (action) {
    case MigrateAction::up:
      return show(migrator.up(), "Nothing to apply.\n");
    case MigrateAction::down:
      return show(migrator.down(arguments.to, arguments.data_loss), "Nothing to undo.\n");
    case MigrateAction::status:
      return show(migrator.status(), "");
    case MigrateAction::verify:
      return show_differences(migrator.verify());
    case MigrateAction::plan:
      return show_plan(migrator.plan());
  }
  return exit_failed;
}

int migrate(const MigrateArguments& arguments, MigrateAction action) {
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  const auto migrations = parse_migrations(embedded_migration_files(), embedded_down_files());
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
  return run(migrator, arguments, action);
}

struct ActionText {
  MigrateAction action;
  const char* name;
  const char* help;
};
constexpr std::array actions{
    ActionText{MigrateAction::up, "up",
               "Applies the migrations that are missing; safe to run again, and by several at once"},
    ActionText{MigrateAction::down, "down",
               "Undoes the newest migration, or all above --to; refuses to delete rows without --data-loss"},
    ActionText{MigrateAction::status, "status",
               "Lists the migrations and which of them are applied; changes nothing"},
    ActionText{MigrateAction::verify, "verify",
               "Compares the database with what the migrations give and names each difference; changes "
               "nothing, exits 1 if there is one"},
    ActionText{MigrateAction::plan, "plan", "Prints the SQL that up would run; changes nothing"},
};

}  // namespace

void add_migrate_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command =
      app.add_subcommand("migrate", "Brings the database's tables to what this release needs");
  command->require_subcommand(1);
  for (const ActionText& text : actions) {
    CLI::App* action = command->add_subcommand(text.name, text.help);
    const auto arguments = std::make_shared<MigrateArguments>();
    arguments->config.add_to(*action, false);
    action
        ->add_option("--with", arguments->options,
                     "Also the optional migrations of this name. Default: none, or covering_index where "
                     "migrate.covering_index is true")
        ->check(CLI::IsMember({"covering_index"}))
        ->type_name("OPTION");
    if (text.action == MigrateAction::down) {
      action->add_option("--to", arguments->to, "The newest version that stays. Default: all but the newest")
          ->check(CLI::NonNegativeNumber)
          ->type_name("VERSION");
      action->add_flag("--data-loss", arguments->data_loss, "Also where rows are deleted with their tables");
    }
    action->callback(
        [=, chosen_action = text.action] { chosen([=] { return migrate(*arguments, chosen_action); }); });
  }
  add_convert_command(*command, chosen);
}

}  // namespace wellhead
