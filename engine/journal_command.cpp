// `wellhead journal inspect` and `verify`: reads a journal no node runs on.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "engine/commands.hpp"
#include "engine/exit_codes.hpp"
#include "engine/node_journal.hpp"

namespace wellhead {
namespace {

using Read = std::expected<JournalReport, JournalError> (*)(FileSystem&, ReportFormat);

struct JournalArguments {
  ConfigFlags config;
  std::optional<std::string> directory;
  bool json = false;
};

int fail(const std::string& sentence, int exit_code) {
  std::cerr << sentence << '\n';
  return exit_code;
}

// --dir spares the configuration: a copy of a journal is looked at where there is none.
std::optional<std::string> directory_of(const JournalArguments& arguments) {
  if (arguments.directory) return arguments.directory;
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return std::nullopt;
  return loaded->config.journal.directory;
}

int read_journal(const JournalArguments& arguments, Read read) {
  const std::optional<std::string> directory = directory_of(arguments);
  if (!directory) return exit_config;
  const auto files = find_journal_directory(*directory);
  if (!files) return fail(files.error().sentence, exit_failed);
  const auto report = read(**files, arguments.json ? ReportFormat::json : ReportFormat::text);
  if (!report) return fail(*directory + ": " + report.error().sentence, exit_failed);
  std::cout << report->text;
  if (!report->text.ends_with('\n')) std::cout << '\n';
  return report->whole ? exit_ok : exit_failed;
}

void add_reading(CLI::App& journal, const CommandChosen& chosen, const char* name, const char* help,
                 const char* footer, Read read) {
  CLI::App* command = journal.add_subcommand(name, help);
  const auto arguments = std::make_shared<JournalArguments>();
  arguments->config.add_to(*command, false);
  command
      ->add_option("--dir", arguments->directory,
                   "The journal's directory. Default: journal.dir of the configuration")
      ->type_name("DIR");
  command->add_flag("--json", arguments->json, "Prints JSON");
  command->footer(footer);
  command->callback([=] { chosen([=] { return read_journal(*arguments, read); }); });
}

}  // namespace

void add_journal_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand("journal", "Reads the journal of a node that is not running");
  command->require_subcommand(1);
  add_reading(*command, chosen, "inspect",
              "Tells what is there: runs, reactors, lanes, segments, rows, the ledger of requests",
              "Changes nothing. Exit codes: 0 whole; 1 something is wrong, or it cannot be read, or a node "
              "runs on it.",
              inspect_journal);
  add_reading(*command, chosen, "verify", "Reads every byte, and names each fault with its file and offset",
              "Changes nothing. Exit codes: 0 whole; 1 damaged, or it cannot be read, or a node runs on it.\n"
              "An incomplete block at the end of a run is no damage: it was never acknowledged. A damaged "
              "ledger loses no "
              "record; a client that repeats a request may store it twice.",
              verify_journal);
}

}  // namespace wellhead
