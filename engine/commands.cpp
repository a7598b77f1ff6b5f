#include "engine/commands.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <iostream>
#include <utility>

#include "engine/config_keys.hpp"
#include "engine/exit_codes.hpp"

namespace wellhead {
namespace {

// The common keys as flags. Never a secret: arguments are visible to every user of the machine.
constexpr std::array<std::pair<const char*, const char*>, 8> flags_of_keys{{{"--http", "http.listen"},
                                                                            {"--ndjson", "ndjson.listen"},
                                                                            {"--admin", "admin.listen"},
                                                                            {"--journal-dir", "journal.dir"},
                                                                            {"--sink", "sink.kind"},
                                                                            {"--reactors", "server.reactors"},
                                                                            {"--shards", "server.shards"},
                                                                            {"--log-level", "log.level"}}};

std::string without_backticks(std::string_view help) {
  std::string text(help);
  std::erase(text, '`');
  return text;
}

}  // namespace

void ConfigFlags::add_to(CLI::App& app, bool with_keys) {
  app.add_option("--config", file_,
                 "Configuration file (TOML). Default: $WELLHEAD_CONFIG, else " +
                     std::string(default_config_path) + " where it exists")
      ->type_name("FILE");
  if (!with_keys) return;
  const Config defaults;
  keys_.reserve(flags_of_keys.size());  // CLI11 keeps pointers to the values
  for (const auto& [flag, name] : flags_of_keys) {
    const ConfigKey& key = *find_config_key(name);
    KeyFlag& entry = keys_.emplace_back(KeyFlag{name, flag, std::nullopt});
    app.add_option(flag, entry.value, without_backticks(key.help))
        ->default_str(text_of(defaults, key))
        ->type_name(key.type == KeyType::choice ? std::string(key.choices)
                                                : std::string(to_string(key.type)));
  }
}

ConfigSources ConfigFlags::sources() const {
  ConfigSources sources{choose_config_file(file_), process_environment(), {}};
  for (const KeyFlag& key : keys_) {
    if (key.value) sources.flags.push_back({key.key, key.flag, *key.value});
  }
  return sources;
}

std::optional<LoadedConfig> ConfigFlags::load() const {
  auto loaded = load_config(sources());
  if (loaded) return std::move(*loaded);
  for (const std::string& error : loaded.error()) std::cerr << error << '\n';
  return std::nullopt;
}

const char* version_text() noexcept {
  return WELLHEAD_VERSION;
}

int run_command_line(int argc, char** argv) {
  CLI::App app(
      "wellhead takes JSON telemetry from the network and puts each record into its TimescaleDB hypertable "
      "exactly once.",
      "wellhead");
  app.set_version_flag("--version", std::string("wellhead ") + version_text());
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done; 1 failed; 64 wrong command line; 78 wrong configuration; 143 stopped by a second "
      "TERM.");
  std::function<int()> command;
  const CommandChosen chosen = [&](std::function<int()> run) { command = std::move(run); };
  add_serve_command(app, chosen);
  add_migrate_command(app, chosen);
  add_maintain_command(app, chosen);
  add_check_command(app, chosen);
  add_dead_letter_command(app, chosen);
  add_journal_command(app, chosen);
  add_audit_command(app, chosen);
  add_score_command(app, chosen);
  add_report_command(app, chosen);
  add_doctor_command(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  }
  return command();
}

}  // namespace wellhead
