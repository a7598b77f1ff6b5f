// `wellhead doctor`: what of the machine, the journal's disk and the database is not as it should be, and how
// to put it right.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>

#include "codec/scored_columns.hpp"
#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/cores.hpp"
#include "engine/doctor_database.hpp"
#include "engine/doctor_journal.hpp"
#include "engine/doctor_machine.hpp"
#include "engine/exit_codes.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

struct DoctorArguments {
  ConfigFlags config;
  bool offline = false;
  bool json = false;
};

DatabaseFacts ask_database(const LoadedConfig& loaded, bool offline) {
  DatabaseFacts facts;
  facts.left_alone = offline || loaded.config.sink != "postgres";
  if (facts.left_alone) return facts;
  PgDatabase database(postgres_options(loaded.config), "wellhead doctor");
  if (const auto connected = database.connect(); !connected) {
    facts.unreachable = "it cannot be reached: " + describe(connected.error());
    return facts;
  }
  const auto is_scored = [](const SchemaPointer& schema) { return computed_places(*schema).any(); };
  const bool scored = loaded.config.scoring.enabled && std::ranges::any_of(loaded.schemas, is_scored);
  return gather_database(database, loaded.schemas, scored);
}

int doctor(const DoctorArguments& arguments) {
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  const Config& config = loaded->config;
  const ThreadCounts threads = thread_counts(config, usable_cores());
  const MachineFacts machine = gather_machine(config);
  Findings findings = judge_machine(machine, machine_wishes(config, threads));
  const auto add = [&](Findings more) { std::ranges::move(more, std::back_inserter(findings)); };
  add(judge_journal(gather_journal(config), journal_wishes(config)));
  add(judge_database(ask_database(*loaded, arguments.offline),
                     {.shards = threads.shards,
                      .memory_bytes = machine.memory_bytes,
                      .journal = config.journal.enabled,
                      .synchronous_commit = postgres_options(config).synchronous_commit}));
  std::cout << (arguments.json ? print_findings_json(findings) : print_findings(findings));
  return exit_code_of(findings);
}

}  // namespace

void add_doctor_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Looks for what is wrong or slow: machine, journal's disk, database; and says how to fix it");
  const auto arguments = std::make_shared<DoctorArguments>();
  arguments->config.add_to(*command, true);
  command->add_flag("--offline", arguments->offline, "Leaves the database alone");
  command->add_flag("--json", arguments->json, "Prints JSON");
  command->footer(
      "Run it as the user the node runs as. It writes at most 32 MiB to a nameless file in the journal's "
      "directory, for at most a second, and changes nothing. Exits 1 with at least one problem.");
  command->callback([=] { chosen([=] { return doctor(*arguments); }); });
}

}  // namespace wellhead
