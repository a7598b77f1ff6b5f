// A whole node in one thread, driven by a seed: clients, intakes, journal, shards and a database, on a
// simulated disk and against a simulated server, with everything that may go wrong going wrong, and an
// account of what each client was told.
//
// What is real: intake, decoder, batches, journal, shards, committer. What is simulated: disk, ring
// (operations are done later, in the order the seed says), clock, server, clients.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "journal/simulated_file_system.hpp"
#include "net/intake.hpp"
#include "tests/simulation/simulated_database.hpp"

namespace wellhead::simulation {

// A bug planted on purpose: the simulation must find it.
enum class Mutation : std::uint8_t {
  none,
  acknowledged_before_sync,      // the ring says that a write is done before it is
  progress_outside_transaction,  // the progress row is there although its transaction is not
};

class SimulatedClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override { return wall_origin_us + ns_ / 1'000; }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return ns_; }
  void advance(std::int64_t ns) noexcept { ns_ += ns; }

 private:
  static constexpr std::int64_t wall_origin_us = 820'000'000'000'000;  // a day of 2025
  std::int64_t ns_ = 1'000'000'000;
};

// What happened in a run, to show that it did.
struct Tally {
  std::uint64_t requests = 0;
  std::uint64_t records_acknowledged = 0;
  std::uint64_t records_unknown = 0;
  std::uint64_t node_crashes = 0;
  std::uint64_t power_losses = 0;
  std::uint64_t database_crashes = 0;
  std::uint64_t failovers = 0;
  std::uint64_t latches = 0;
  std::uint64_t disk_faults = 0;
  std::uint64_t refusals = 0;  // requests not taken: no memory, journal full or latched, no database
  std::uint64_t segments_trimmed = 0;
  std::uint64_t rows_replayed = 0;
  void add(const Tally& other) noexcept;
};

class Node;

class World final : private RequestListener {
 public:
  World(std::uint64_t seed, Mutation mutation);
  ~World() override;

  // Runs to the end. The error is what broke the promise, in a sentence; the same seed gives the same.
  [[nodiscard]] std::optional<std::string> run();
  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

 private:
  struct Sent {
    std::vector<std::int64_t> ids;
    std::uint64_t node;  // which start of the node took it
  };
  enum class Fate : std::uint8_t { unknown, acknowledged, refused };

  void on_request_done(ConnectionId connection, const RequestOutcome& outcome) override;
  void on_capacity() override {}

  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  [[nodiscard]] bool chance(double probability);
  bool start_node();
  void kill_node(bool power_loss);
  void step();
  void submit();
  void disturb();
  void arm_disk_fault();
  void mend();
  [[nodiscard]] bool drain();
  [[nodiscard]] std::optional<std::string> check() const;

  const std::uint64_t seed_;
  const Mutation mutation_;
  std::mt19937_64 random_;
  SimulatedClock clock_;
  SimulatedFileSystem disk_;
  Server server_;
  std::vector<SchemaPointer> streams_;
  std::unique_ptr<Node> node_;
  std::uint64_t starts_ = 0;
  std::uint64_t last_cookie_ = 0;
  std::int64_t last_id_ = 0;
  std::map<std::uint64_t, Sent> waiting_;  // by cookie
  std::map<std::int64_t, Fate> fates_;     // by record id
  bool may_fail_over_;
  std::string trouble_;  // found while running
  Tally tally_;
};

}  // namespace wellhead::simulation
