// The subcommands of `wellhead`. Each returns an exit code of exit_codes.hpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/config.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's name
class App;
}

namespace wellhead {

// --config and the flags of the common keys, on one subcommand.
class ConfigFlags {
 public:
  // `app` keeps pointers into this object until it has parsed.
  void add_to(CLI::App& app, bool with_keys);
  // What was given, with the process's environment.
  [[nodiscard]] ConfigSources sources() const;
  // Loads; mistakes go to standard error, and then there is no configuration.
  [[nodiscard]] std::optional<LoadedConfig> load() const;

 private:
  struct KeyFlag {
    std::string key;
    std::string flag;
    std::optional<std::string> value;
  };
  std::optional<std::string> file_;
  std::vector<KeyFlag> keys_;
};

// Each adds its subcommand to `app` and calls `chosen` with what to run, if the command line chose it.
using CommandChosen = std::function<void(std::function<int()>)>;
void add_serve_command(CLI::App& app, const CommandChosen& chosen);
void add_migrate_command(CLI::App& app, const CommandChosen& chosen);
// Beneath `migrate`.
void add_convert_command(CLI::App& app, const CommandChosen& chosen);
void add_maintain_command(CLI::App& app, const CommandChosen& chosen);
void add_check_command(CLI::App& app, const CommandChosen& chosen);
void add_dead_letter_command(CLI::App& app, const CommandChosen& chosen);
void add_journal_command(CLI::App& app, const CommandChosen& chosen);
void add_audit_command(CLI::App& app, const CommandChosen& chosen);
void add_score_command(CLI::App& app, const CommandChosen& chosen);
void add_report_command(CLI::App& app, const CommandChosen& chosen);
void add_doctor_command(CLI::App& app, const CommandChosen& chosen);

// The whole program behind main().
[[nodiscard]] int run_command_line(int argc, char** argv);

[[nodiscard]] const char* version_text() noexcept;

}  // namespace wellhead
