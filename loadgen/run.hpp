// One run from connecting to the verdict.
#pragma once

#include <atomic>
#include <expected>
#include <string>

#include "loadgen/options.hpp"
#include "loadgen/summary.hpp"

namespace wellhead::loadgen {

struct RunError {
  int exit_code;
  std::string message;  // a sentence
};

// `interrupted` may turn true at any time: no further batch is sent then, and what was done is reported.
[[nodiscard]] std::expected<Summary, RunError> run_load(const Options& options,
                                                        const std::atomic<bool>& interrupted);

}  // namespace wellhead::loadgen
