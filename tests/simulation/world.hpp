// A whole node in one thread, driven by a seed: clients, intakes, journal, shards and a database, on a
// simulated disk and against a simulated server, with everything that may go wrong going wrong, and an
// account of what each client was told.
//
// What is real: intake, decoder, batches, journal, shards, committer. What is simulated: disk, ring
// (operations are done later, in the order the seed says), clock, server, clients.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "journal/simulated_file_system.hpp"
#include "sink/simulated_server.hpp"
#include "tests/simulation/account.hpp"
#include "tests/simulation/dice.hpp"
#include "tests/simulation/keyed_client.hpp"
#include "tests/simulation/mutation.hpp"
#include "tests/simulation/plain_client.hpp"
#include "tests/simulation/post.hpp"
#include "tests/simulation/producer_client.hpp"
#include "tests/simulation/tally.hpp"

namespace wellhead::simulation {

class SimulatedClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override { return wall_origin_us + ns_ / 1'000; }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return ns_; }
  void advance(std::int64_t ns) noexcept { ns_ += ns; }

 private:
  static constexpr std::int64_t wall_origin_us = 820'000'000'000'000;  // a day of 2025
  std::int64_t ns_ = 1'000'000'000;
};

class Node;

class World {
 public:
  World(std::uint64_t seed, Mutation mutation);
  ~World();

  // Runs to the end. The error is what broke the promise; the same seed gives the same.
  [[nodiscard]] std::optional<Trouble> run();
  [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

 private:
  // How often a call to the database goes wrong.
  struct CallFaults {
    double break_share = 0;
    double serialization_share = 0;
    double crash_share = 0;       // of the server
    double node_death_share = 0;  // the node dies in the call, before or after it took effect
  };

  bool start_node();
  void kill_node(bool power_loss);
  void step();
  void turn(std::size_t reactor);
  void step_shard();
  void disturb();
  void arm_disk_fault();
  void crash_server();
  void mend();
  [[nodiscard]] bool drain();
  [[nodiscard]] bool clients_finish();
  [[nodiscard]] std::unique_ptr<Database> connect();
  [[nodiscard]] test::CallFate call_fate();
  [[nodiscard]] std::optional<Trouble> verdict();
  void find(Finding finding, std::string sentence);

  const std::uint64_t seed_;
  const Mutation mutation_;
  Dice dice_;
  SimulatedClock clock_;
  SimulatedFileSystem disk_;
  std::shared_ptr<test::ServerStore> server_ = std::make_shared<test::ServerStore>();
  CallFaults call_faults_;
  test::LineHint hint_;
  const std::vector<SchemaPointer> streams_;
  Account account_;
  Tally tally_;
  Post post_;
  PlainClient plain_client_;
  KeyedClient keyed_client_;
  std::array<ProducerClient, 2> producers_;
  std::unique_ptr<Node> node_;
  bool node_dies_ = false;  // in the call to the database that is going on
  bool may_fail_over_;
  std::optional<Trouble> trouble_;  // found while running
};

}  // namespace wellhead::simulation
