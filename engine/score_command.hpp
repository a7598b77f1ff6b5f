// The parts of `wellhead score`.
#pragma once

#include <expected>
#include <istream>
#include <optional>
#include <string>

#include "codec/schema.hpp"
#include "engine/commands.hpp"

namespace wellhead {

struct ScoreArguments {
  ConfigFlags config;
  std::string stream = "telemetry";
  std::optional<std::string> input;
  std::optional<std::string> json;
  std::optional<std::string> directory;
  std::optional<std::string> since;
  bool flagged = false;
  bool compare = false;
  bool replay = false;
  bool dry_run = false;
};

// Writes `text` to a file; an exit code, after a sentence on standard error where it fails.
[[nodiscard]] int write_figures(const std::string& file, const std::string& text);

// `--replay`, and `--input --compare`. The stream has a computed column. An exit code.
[[nodiscard]] int replay_journal(const ScoreArguments& arguments, const LoadedConfig& loaded,
                                 const SchemaPointer& schema);
[[nodiscard]] int compare_file(const ScoreArguments& arguments, const LoadedConfig& loaded,
                               const SchemaPointer& schema, std::istream& input);

// The stream of this name with at least one computed column; the error names those there are.
[[nodiscard]] std::expected<SchemaPointer, std::string> scored_stream(const LoadedConfig& loaded,
                                                                      const std::string& name);

}  // namespace wellhead
