// Shards, journal and database with everything that can happen to them, in one thread and from a seed:
// batches left out of memory, connections that break in any call, a database that crashes and forgets, nodes
// that are killed and come back with other numbers of threads, and a journal that is trimmed behind what is
// said to be flushed.
#include <gtest/gtest.h>

#include <iostream>
#include <random>
#include <set>

#include "sink/replay_node.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using test::ReplayNode;

class Simulation {
 public:
  explicit Simulation(unsigned seed)
      : random_(seed),
        node_(reactors_, shards_,
              {.rows_max = 30, .bytes_max = 4 * ReplayNode::batch_bytes, .flush_interval = 500ms}) {}

  void run(int events) {
    for (int event = 0; event < events; ++event) happen();
    node_.store->up = true;
    for (test::SimulatedServer* server : node_.servers) server->fate = nullptr;
    node_.run();
  }

  void expect_each_row_once() {
    EXPECT_TRUE(node_.each_row_once())
        << node_.store->committed.rows().size() << " of " << node_.rows_added << " rows";
    for (const auto& shard : node_.shards) {
      EXPECT_EQ(shard->state(), ShardState::ready) << shard->problem();
      EXPECT_EQ(shard->stats().lag.value(), 0);
    }
    const auto flushed = node_.store->flushed().progress;
    for (const auto& [lane, last] : node_.journal.last)
      EXPECT_EQ(flushed.contains(lane) ? flushed.at(lane) : last, last);
  }

  [[nodiscard]] std::uint64_t crashes() const { return crashes_; }
  [[nodiscard]] std::uint64_t rewound() const { return rewound_ + current_rewound(); }

 private:
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

  void happen() {
    const unsigned dice = pick(100);
    if (dice < 35)
      node_.add(pick(reactors_), pick(shards_), 1 + static_cast<int>(pick(12)), pick(3) != 0);
    else if (dice < 85)
      step();
    else if (dice < 90)
      break_a_connection();
    else if (dice < 93)
      crash_database();
    else if (dice < 95)
      node_.store->up = !node_.store->up;
    else if (dice < 98)
      trim();
    else
      restart();
    check_boards();
  }

  void step() {
    for (int steps = 0; steps < 4; ++steps) {
      const ShardStep done = node_.shards[pick(shards_)]->step();
      if (done.work == ShardWork::nothing || done.work == ShardWork::failed)
        node_.clock.now_ns += std::int64_t{1'000'000} * pick(400);
    }
  }

  void break_a_connection() {
    test::SimulatedServer& server = *node_.servers[pick(shards_)];
    const int number = server.calls + static_cast<int>(pick(6));
    server.break_call(number, pick(2) == 0);
  }

  void crash_database() {
    node_.store->crash();
    ++crashes_;
  }

  // Everything that is said to be flushed goes, as if nothing were to be kept for a failover.
  void trim() {
    for (auto& [lane, sections] : node_.journal.lanes)
      if (const LaneState* state = find(lane)) node_.journal.trim_lane(lane, state->flushed.load());
  }

  void restart() {
    rewound_ += current_rewound();
    reactors_ = 1 + pick(3);
    shards_ = 1 + pick(3);
    node_.restart(reactors_, shards_);
  }

  void check_boards() {
    const auto kept = node_.store->flushed().progress;
    for (const auto& [lane, last] : node_.journal.last) {
      const LaneState* state = find(lane);
      if (state == nullptr) continue;
      ASSERT_LE(state->flushed.load(), state->committed.load());
      ASSERT_LE(state->committed.load(), last);
      // The claim itself: what is said to be flushed, the database does not forget.
      ASSERT_LE(state->flushed.load(), kept.contains(lane) ? kept.at(lane) : 0);
    }
  }

  [[nodiscard]] const LaneState* find(LaneId lane) { return node_.find(lane); }
  [[nodiscard]] std::uint64_t current_rewound() const {
    std::uint64_t rows = 0;
    for (const auto& shard : node_.shards) rows += shard->stats().rows_rewound.value();
    return rows;
  }

  std::mt19937 random_;
  std::uint32_t reactors_ = 2;
  std::uint32_t shards_ = 2;
  ReplayNode node_;
  std::uint64_t crashes_ = 0;
  std::uint64_t rewound_ = 0;
};

TEST(ShardSimulationTest, stores_each_row_once_whatever_happens) {
  constexpr unsigned runs = 400;
  const unsigned first_seed = std::random_device{}();
  std::cout << "seeds from " << first_seed << '\n';
  std::uint64_t crashes = 0;
  std::uint64_t rewound = 0;
  for (unsigned run = 0; run < runs && !testing::Test::HasFailure(); ++run) {
    SCOPED_TRACE("seed " + std::to_string(first_seed + run));
    Simulation simulation(first_seed + run);
    simulation.run(300);
    simulation.expect_each_row_once();
    crashes += simulation.crashes();
    rewound += simulation.rewound();
  }
  std::cout << crashes << " crashes of the database, " << rewound << " rows stored again\n";
  EXPECT_GT(rewound, 100U);
}

// One lane, so that there is one order of the rows, and all but a crash of the database or the node, after
// which some rows are learned again or not at all: whatever breaks, and however the rows come together in
// flushes, scores and baselines are those of a node to which nothing happened.
class ScoringSimulation {
 public:
  explicit ScoringSimulation(unsigned seed)
      : random_(seed), node_(1, 1, options), undisturbed_(1, 1, options) {}

  void run(int events) {
    for (int event = 0; event < events; ++event) happen();
    node_.store->up = true;
    node_.servers.front()->fate = nullptr;
    for (ReplayNode* node : {&node_, &undisturbed_}) {
      node->run();
      node->stop();
    }
  }

  void expect_the_same() {
    EXPECT_TRUE(node_.each_row_once());
    EXPECT_EQ(node_.store->committed.rows(), undisturbed_.store->committed.rows());
    EXPECT_EQ(undisturbed_.store->committed.baselines.size(), std::min<std::size_t>(3, rows()));
    EXPECT_EQ(node_.store->committed.baselines, undisturbed_.store->committed.baselines);
  }

  [[nodiscard]] std::uint64_t retries() const { return node_.stats().flushes_retried.value(); }

 private:
  static constexpr FlushOptions options{.rows_max = 30, .bytes_max = 4 * ReplayNode::batch_bytes};

  [[nodiscard]] std::size_t rows() const { return static_cast<std::size_t>(node_.rows_added); }
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

  void happen() {
    const unsigned dice = pick(100);
    if (dice < 40) {
      const int rows = 1 + static_cast<int>(pick(12));
      node_.add(0, 0, rows, pick(3) != 0);
      undisturbed_.add(0, 0, rows);
    } else if (dice < 80) {
      node_.shards.front()->step();
      node_.clock.now_ns += std::int64_t{1'000'000} * pick(400);
    } else if (dice < 97) {
      test::SimulatedServer& server = *node_.servers.front();
      const int number = server.calls + static_cast<int>(pick(6));
      server.break_call(number, pick(2) == 0);
    } else {
      node_.store->up = !node_.store->up;
    }
  }

  std::mt19937 random_;
  ReplayNode node_;
  ReplayNode undisturbed_;
};

TEST(ShardSimulationTest, learns_each_row_once_whatever_breaks) {
  constexpr unsigned runs = 200;
  const unsigned first_seed = std::random_device{}();
  std::cout << "seeds from " << first_seed << '\n';
  std::uint64_t retries = 0;
  for (unsigned run = 0; run < runs && !testing::Test::HasFailure(); ++run) {
    SCOPED_TRACE("seed " + std::to_string(first_seed + run));
    ScoringSimulation simulation(first_seed + run);
    simulation.run(200);
    simulation.expect_the_same();
    retries += simulation.retries();
  }
  EXPECT_GT(retries, runs);
}

}  // namespace
}  // namespace wellhead
