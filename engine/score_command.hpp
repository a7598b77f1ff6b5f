// The parts of `wellhead score`.
#pragma once

#include <expected>
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
  bool flagged = false;
};

// The stream of this name with at least one computed column; the error names those there are.
[[nodiscard]] std::expected<SchemaPointer, std::string> scored_stream(const LoadedConfig& loaded,
                                                                      const std::string& name);

}  // namespace wellhead
