#include <fmt/core.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>

#include "loadgen/options.hpp"
#include "loadgen/percentile_text.hpp"
#include "loadgen/report.hpp"
#include "loadgen/run.hpp"

namespace {

using namespace wellhead::loadgen;

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

constexpr int exit_interrupted_twice = 130;
constexpr double microseconds_per_millisecond = 1e3;

// The first signal stops sending and reports; the second one ends the program at once.
void on_signal(int) {
  if (interrupted.exchange(true)) _exit(exit_interrupted_twice);
}

bool write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return true;
  if (path == "-") {
    fmt::print("{}", text);
    return true;
  }
  std::ofstream file(path);
  file << text;
  file.close();
  if (file.good()) return true;
  fmt::print(stderr, "cannot write '{}': the result is only on the terminal\n", path);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse_options(argc, argv);
  if (!options) return options.error();
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  const auto summary = run_load(*options, interrupted);
  if (!summary) {
    fmt::print(stderr, "wellhead-loadgen: {}\n", summary.error().message);
    return summary.error().exit_code;
  }
  std::FILE* report_file = options->json_path == "-" ? stderr : stdout;  // standard output is the JSON's then
  fmt::print(report_file, "{}", text_report(*summary, *options));
  const bool written =
      write_file(options->json_path, json_report(*summary, *options)) &
      write_file(options->hgrm_path, percentile_distribution(*summary->ack_us, microseconds_per_millisecond));
  return summary->failures().empty() && written ? exit_fine : exit_failed;
}
