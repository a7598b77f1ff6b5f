#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>

#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/convert.hpp"
#include "engine/exit_codes.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

// An index over a large table takes its time.
constexpr std::chrono::hours statement_timeout{24};

struct ConvertArguments {
  ConfigFlags config;
  std::string table;
  ConversionOptions options;
  bool yes = false;
  bool status = false;
  bool json = false;
  bool roll_back = false;
  bool discard = false;
  bool finish = false;
};

void print_sentence(std::string_view sentence) {
  std::cerr << sentence << '\n';
}

int fail(std::string_view sentence) {
  print_sentence(sentence);
  return exit_failed;
}

int done(const std::expected<void, std::string>& outcome, std::string_view sentence) {
  if (!outcome) return fail(outcome.error());
  if (!sentence.empty()) std::cout << sentence << '\n';
  return exit_ok;
}

int show_status(Converter& converter, bool json) {
  const auto status = converter.status();
  if (!status) return fail(status.error());
  std::cout << (json ? print_status_json(*status) : print_status(*status));
  return exit_ok;
}

int plan_or_run(Converter& converter, const ConvertArguments& arguments) {
  const auto now = converter.status();
  if (!now) return fail(now.error());
  const bool begun = now->state == "copying" || now->state == "copied";
  if (!begun) {
    const auto plan = converter.plan();
    if (!plan) return fail(plan.error());
    std::cout << print_plan(*plan, arguments.options) << std::flush;
  } else
    std::cout << print_status(*now) << std::flush;
  if (!arguments.yes) return fail("Nothing was changed; say --yes to do it.");
  return done(converter.run(), "");
}

int run(Converter& converter, const ConvertArguments& arguments) {
  if (arguments.status) return show_status(converter, arguments.json);
  if (arguments.roll_back)
    return done(converter.roll_back(arguments.discard),
                "The conversion is taken back: " + arguments.table + " is the table it was before.");
  if (arguments.finish)
    return done(converter.finish(),
                "The old table is removed, and the conversion of " + arguments.table + " is finished.");
  return plan_or_run(converter, arguments);
}

int convert(const ConvertArguments& arguments) {
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  const auto migrations = parse_migrations(embedded_migration_files(), embedded_down_files());
  if (!migrations) return fail(migrations.error());
  PostgresOptions postgres = postgres_options(loaded->config);
  postgres.statement_timeout = statement_timeout;
  PgDatabase database(std::move(postgres), "wellhead convert");
  if (const auto connected = database.connect(); !connected)
    return fail(
        "Nothing was changed: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or the "
        "PG… variables. It said: " +
        connected.error().message);
  Migrator migrator(database, *migrations, {}, print_sentence);
  Converter converter(database, migrator, arguments.table, arguments.options, print_sentence);
  return run(converter, arguments);
}

}  // namespace

void add_convert_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand(
      "convert",
      "Makes a plain table that was there before what the migrations give, while it is written to");
  const auto arguments = std::make_shared<ConvertArguments>();
  arguments->config.add_to(*command, false);
  command->add_option("TABLE", arguments->table, "The table, for example telemetry")->required();
  CLI::Option* yes = command->add_flag(
      "--yes", arguments->yes,
      "Does it, or goes on where an earlier call stopped. Default: only tells what would be done");
  command
      ->add_option(
          "--drop-column", arguments->options.dropped_columns,
          "A column no migration makes that goes with the old table; may be repeated. Default: all are "
          "carried along")
      ->type_name("COLUMN");
  command->add_option("--batch-rows", arguments->options.batch_rows, "Rows of one transaction")
      ->check(CLI::Range(1'000, 10'000'000))
      ->capture_default_str()
      ->type_name("ROWS");
  CLI::Option* status =
      command->add_flag("--status", arguments->status, "Tells where the conversion stands; changes nothing");
  command->add_flag("--json", arguments->json, "Tells it as JSON")->needs(status);
  CLI::Option* back =
      command->add_flag("--rollback", arguments->roll_back,
                        "Takes the conversion back, at any time before --finish; rows written since the "
                        "names changed go back too");
  command->add_flag("--discard", arguments->discard, "Loses the rows written since the names changed")
      ->needs(back);
  CLI::Option* finish = command->add_flag("--finish", arguments->finish, "Removes the old table for good");
  for (CLI::Option* option : {status, back, finish})
    for (CLI::Option* other : {yes, status, back, finish})
      if (option != other) option->excludes(other);
  command->footer("Exits 1 where nothing was done; the sentence says why, and what to do.");
  command->callback([=] { chosen([=] { return convert(*arguments); }); });
}

}  // namespace wellhead
