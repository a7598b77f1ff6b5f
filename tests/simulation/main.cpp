// Runs the simulation for a range of seeds. A failing seed replays exactly: simulation --first SEED
// --seeds 1.
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "tests/simulation/world.hpp"

namespace {

using wellhead::simulation::Mutation;
using wellhead::simulation::Tally;
using wellhead::simulation::World;

constexpr std::uint64_t progress_every = 1'000;

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  Mutation mutation = Mutation::none;
  bool verbose = false;
};

void print(const Tally& tally, std::uint64_t seeds, double seconds) {
  std::printf(
      "%llu seeds in %.1f s: %llu requests, %llu records acknowledged; %llu kills, %llu power losses, %llu "
      "database crashes, "
      "%llu failovers, %llu disk faults, %llu latches mended; %llu refusals, %llu rows replayed, %llu "
      "segments trimmed\n",
      static_cast<unsigned long long>(seeds), seconds, static_cast<unsigned long long>(tally.requests),
      static_cast<unsigned long long>(tally.records_acknowledged),
      static_cast<unsigned long long>(tally.node_crashes),
      static_cast<unsigned long long>(tally.power_losses),
      static_cast<unsigned long long>(tally.database_crashes),
      static_cast<unsigned long long>(tally.failovers), static_cast<unsigned long long>(tally.disk_faults),
      static_cast<unsigned long long>(tally.latches), static_cast<unsigned long long>(tally.refusals),
      static_cast<unsigned long long>(tally.rows_replayed),
      static_cast<unsigned long long>(tally.segments_trimmed));
}

// The first seed that fails, and why.
std::optional<std::string> run(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  Tally total;
  for (std::uint64_t count = 0; count < options.seeds; ++count) {
    World world(options.first + count, options.mutation);
    if (auto trouble = world.run()) return trouble;
    total.add(world.tally());
    if ((count + 1) % progress_every == 0 || count + 1 == options.seeds) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
      print(total, count + 1, elapsed.count());
      std::fflush(stdout);
    }
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Simulates a node with everything that may go wrong, from seeds; each record is accounted for");
  app.add_option("--first", options.first, "the first seed")->capture_default_str();
  app.add_option("--seeds", options.seeds, "how many")->capture_default_str();
  const std::map<std::string, Mutation> mutations{
      {"none", Mutation::none},
      {"acknowledged-before-sync", Mutation::acknowledged_before_sync},
      {"progress-outside-transaction", Mutation::progress_outside_transaction}};
  std::string mutation = "none";
  app.add_option("--mutation", mutation, "a bug to plant; then a failure must be found: the test of the test")
      ->check(CLI::IsMember(mutations))
      ->capture_default_str();
  app.add_flag("--verbose", options.verbose, "with the node's log");
  CLI11_PARSE(app, argc, argv);
  options.mutation = mutations.at(mutation);
  if (!options.verbose) wellhead::log::set_level(wellhead::log::Level::off);
  const auto trouble = run(options);
  if (options.mutation == Mutation::none) {
    if (trouble) std::printf("FAILED: %s\n", trouble->c_str());
    return trouble ? 1 : 0;
  }
  if (trouble)
    std::printf("found, as it must be: %s\n", trouble->c_str());
  else
    std::printf("FAILED: the planted bug was not found\n");
  return trouble ? 0 : 1;
}
