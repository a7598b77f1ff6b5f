#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

#include "codec/scored_columns.hpp"
#include "engine/attributes.hpp"
#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/cores.hpp"
#include "engine/exit_codes.hpp"
#include "engine/journal_check.hpp"
#include "sink/catalog.hpp"
#include "sink/catalog_checks.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

struct CheckArguments {
  ConfigFlags config;
  bool print_config = false;
  bool list_keys = false;
  bool offline = false;
};

// False, and told why, where a file is wrong.
bool check_attribute_files(const LoadedConfig& loaded) {
  const auto tables = read_attributes_files(loaded);
  if (!tables) {
    for (const std::string& mistake : tables.error()) std::cerr << mistake << '\n';
    return false;
  }
  for (std::size_t index = 0; index < tables->size(); ++index) {
    if ((*tables)[index] != nullptr)
      std::cout << fmt::format("attributes: stream {}: {} devices in {}\n", loaded.schemas[index]->name(),
                               (*tables)[index]->devices(), loaded.schemas[index]->config().attributes.file);
  }
  return true;
}

int check_attribute_queries(Database& database, const LoadedConfig& loaded) {
  int exit_code = exit_ok;
  for (const SchemaPointer& schema : loaded.schemas) {
    if (schema->config().attributes.query.empty()) continue;
    const auto asked = query_attributes(database, schema->config());
    if (!asked) exit_code = exit_failed;
    std::cout << (asked ? fmt::format("attributes: stream {}: the query tells of {} devices\n",
                                      schema->name(), asked->table->devices())
                        : fmt::format("attributes: stream {}: the query fails: {}\n", schema->name(),
                                      asked.error()));
    // A failed transaction is over before the next query.
    if (database.in_transaction()) static_cast<void>(database.run("ROLLBACK"));
  }
  return exit_code;
}

int check_database(const LoadedConfig& loaded) {
  PgDatabase database(postgres_options(loaded.config), "wellhead check");
  if (const auto connected = database.connect(); !connected) {
    std::cout << fmt::format("database: cannot be reached: {}\n", connected.error().message);
    return exit_failed;
  }
  const auto is_scored = [](const SchemaPointer& schema) { return computed_places(*schema).any(); };
  const bool scored = loaded.config.scoring.enabled && std::ranges::any_of(loaded.schemas, is_scored);
  const auto findings = check_catalog(database, loaded.schemas, scored);
  if (!findings) {
    std::cout << fmt::format("database: its catalog cannot be read: {}\n", findings.error().message);
    return exit_failed;
  }
  for (const std::string& finding : findings->problems) std::cout << "database: " << finding << '\n';
  if (!findings->problems.empty()) return exit_failed;
  std::cout << "database: every stream can be written\n";
  const auto narrower = find_narrower_checks(database, loaded.schemas);
  if (!narrower) {
    std::cout << fmt::format("database: its constraints cannot be read: {}\n", narrower.error().message);
    return exit_failed;
  }
  for (const std::string& finding : *narrower) std::cout << "database: warning: " << finding << '\n';
  return check_attribute_queries(database, loaded);
}

int check_journal_directory(const Config& config) {
  if (!config.journal.enabled) return exit_ok;
  const JournalCheck found = check_journal(config);
  for (const std::string& problem : found.problems) std::cout << "journal: " << problem << '\n';
  if (!found.problems.empty()) return exit_failed;
  std::cout << "journal: " << found.state << '\n';
  return exit_ok;
}

int check(const CheckArguments& arguments) {
  if (arguments.list_keys) {
    std::cout << print_reference();
    return exit_ok;
  }
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  for (const std::string& warning : loaded->warnings) std::cerr << "warning: " << warning << '\n';
  if (arguments.print_config) {
    std::cout << print_config(*loaded);
    return exit_ok;
  }
  const ThreadCounts threads = thread_counts(loaded->config, usable_cores());
  std::cout << fmt::format("configuration: good (streams: {}, reactors: {}, shards: {}, cores: {})\n",
                           loaded->config.streams.size(), threads.reactors, threads.shards, usable_cores());
  if (!check_attribute_files(*loaded)) return exit_config;
  const int journal = check_journal_directory(loaded->config);
  if (arguments.offline || loaded->config.sink != "postgres") return journal;
  return std::max(journal, check_database(*loaded));
}

}  // namespace

void add_check_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand(
      "check", "Checks the configuration, the journal's directory, and the database's tables");
  const auto arguments = std::make_shared<CheckArguments>();
  arguments->config.add_to(*command, true);
  command->add_flag("--print-config", arguments->print_config,
                    "Prints the configuration in force and where each value came from, without secrets");
  command->add_flag("--list-keys", arguments->list_keys,
                    "Prints every key with its type, default, bounds and meaning");
  command->add_flag("--offline", arguments->offline, "Leaves the database alone");
  command->callback([=] { chosen([=] { return check(*arguments); }); });
}

}  // namespace wellhead
