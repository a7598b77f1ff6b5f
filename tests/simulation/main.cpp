// Runs the simulation for a range of seeds. A failing seed replays exactly: simulation --first SEED
// --seeds 1.
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/log.hpp"
#include "tests/simulation/world.hpp"

namespace {

using wellhead::simulation::Finding;
using wellhead::simulation::Mutation;
using wellhead::simulation::Tally;
using wellhead::simulation::Trouble;
using wellhead::simulation::World;

constexpr std::uint64_t progress_every = 1'000;

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1'000;
  Mutation mutation = Mutation::none;
  bool verbose = false;
};

void print(const Tally& tally, std::uint64_t seeds, double seconds) {
  std::printf("%llu seeds in %.1f s:", static_cast<unsigned long long>(seeds), seconds);
  const std::initializer_list<std::pair<std::uint64_t, const char*>> counts{
      {tally.requests, "requests"},
      {tally.records_acknowledged, "records acknowledged"},
      {tally.refusals, "refusals"},
      {tally.repeats, "repetitions"},
      {tally.replays, "answered from memory"},
      {tally.conflicts, "conflicting keys"},
      {tally.rows_quarantined, "rows quarantined"},
      {tally.node_crashes, "kills"},
      {tally.power_losses, "power losses"},
      {tally.database_crashes, "database crashes"},
      {tally.failovers, "failovers"},
      {tally.disk_faults, "disk faults"},
      {tally.latches, "latches mended"},
      {tally.rows_replayed, "rows replayed"},
      {tally.segments_trimmed, "segments trimmed"}};
  const char* separator = " ";
  for (const auto& [count, what] : counts) {
    std::printf("%s%llu %s", separator, static_cast<unsigned long long>(count), what);
    separator = ", ";
  }
  std::printf("\n");
  std::fflush(stdout);
}

// What each planted bug does to records. A run may also fail in another way, most often because a shard
// notices that progress and journal disagree and stops; that shows nothing about whether loss would be found.
bool is_consequence(Mutation mutation, Finding finding) {
  switch (mutation) {
    case Mutation::none:
      return true;
    case Mutation::acknowledged_before_sync:
    case Mutation::progress_outside_transaction:
      return finding == Finding::lost;
    case Mutation::keys_behind_their_rows:
      return finding == Finding::stored_again;
  }
  return false;
}

// What went wrong in the first seed that shows it; without a planted bug that is any seed that fails.
std::optional<Trouble> run(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  Tally total;
  std::uint64_t passed_over = 0;
  for (std::uint64_t count = 0; count < options.seeds; ++count) {
    World world(options.first + count, options.mutation);
    const auto trouble = world.run();
    if (trouble && is_consequence(options.mutation, trouble->finding)) {
      if (passed_over > 0)
        std::printf("%llu seeds before it failed in other ways\n",
                    static_cast<unsigned long long>(passed_over));
      return trouble;
    }
    passed_over += trouble ? 1U : 0U;
    total.add(world.tally());
    if ((count + 1) % progress_every == 0 || count + 1 == options.seeds) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
      print(total, count + 1, elapsed.count());
    }
  }
  return std::nullopt;
}

// The exit code.
int judge(Mutation mutation, const std::optional<Trouble>& trouble) {
  const bool planted = mutation != Mutation::none;
  if (trouble)
    std::printf("%s: %s\n", planted ? "found, as it must be" : "FAILED", trouble->sentence.c_str());
  else if (planted)
    std::printf("FAILED: no seed shows what the planted bug does\n");
  return planted == trouble.has_value() ? 0 : 1;
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
      {"progress-outside-transaction", Mutation::progress_outside_transaction},
      {"keys-behind-their-rows", Mutation::keys_behind_their_rows}};
  std::string mutation = "none";
  app.add_option("--mutation", mutation,
                 "a bug to plant; then what it does must be found: the test of the test")
      ->check(CLI::IsMember(mutations))
      ->capture_default_str();
  app.add_flag("--verbose", options.verbose, "with the node's log");
  CLI11_PARSE(app, argc, argv);
  options.mutation = mutations.at(mutation);
  if (!options.verbose) wellhead::log::set_level(wellhead::log::Level::off);
  return judge(options.mutation, run(options));
}
