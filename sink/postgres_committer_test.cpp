// PostgresCommitter against a simulated server: connections that break in every call, and every pattern of
// bad rows.
#include "sink/postgres_committer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <set>

#include "sink/simulated_server.hpp"
#include "sink/test_rows.hpp"

namespace wellhead {
namespace {

using test::LineHint;
using test::SimulatedServer;

const std::atomic<bool> not_stopping{false};

struct Node {
  Node() {
    auto owned = std::make_unique<SimulatedServer>(schemas);
    server = owned.get();
    committer = std::make_unique<PostgresCommitter>(std::move(owned), "node", 0, schemas);
  }

  // True when it is committed within a few tries.
  [[nodiscard]] bool commit(const std::vector<Batch*>& batches) {
    for (int tries = 0; tries < 4; ++tries) {
      ShardState state = ShardState::starting;
      if (committer->prepare(not_stopping, state, problem) &&
          committer->commit(batches, not_stopping, problem) == FlushOutcome::committed)
        return true;
    }
    return false;
  }

  [[nodiscard]] std::vector<std::string> rows() const {
    std::vector<std::string> all;
    for (const auto& [table, stored] : server->committed.tables)
      all.insert(all.end(), stored.begin(), stored.end());
    std::ranges::sort(all);
    return all;
  }

  std::vector<SchemaPointer> schemas = test::shipped_schemas();
  SimulatedServer* server;
  std::unique_ptr<PostgresCommitter> committer;
  std::string problem;
};

// Bad rows of these tests carry this device.
constexpr std::string_view bad_device = "device-out-of-range";

bool is_bad(const std::string& tuple) {
  return tuple.find(bad_device) != std::string::npos;
}

void add(Batch& batch, int row, bool bad) {
  const std::string device = bad ? std::string(bad_device) : "well-" + std::to_string(row % 5);
  if (row % 3 == 0)
    test::add_esp(batch, row, device, test::base_time_us + row);
  else
    test::add_telemetry(batch, device, test::base_time_us + row, 1);
}

// Breaks the connection in call after call of three flushes, the second with bad rows: whatever the call and
// whether it took effect, each good row is stored once and each bad one refused once.
void break_every_call(bool after_effect) {
  bool broke = true;
  int cases = 0;
  for (int call = 0; broke; ++call, ++cases) {
    SCOPED_TRACE("call " + std::to_string(call));
    Node node;
    node.server->refuses = is_bad;
    node.server->break_at = call;
    node.server->break_after_effect = after_effect;
    std::vector<std::string> expected;
    for (int flush = 0; flush < 3; ++flush) {
      auto batch = test::make_batch();
      for (int row = 0; row < 12; ++row) add(*batch, flush * 100 + row, flush == 1 && (row == 4 || row == 9));
      ASSERT_TRUE(node.commit({batch.get()})) << node.problem;
      ASSERT_EQ(batch->refused().size(), flush == 1 ? 2U : 0U);
      if (flush == 1) {
        EXPECT_EQ(batch->refused()[0].row, 4U);
        EXPECT_EQ(batch->refused()[1].row, 9U);
      }
      for_each_row(*batch, [&](const RowHeader&, std::span<const std::byte> tuple, std::uint32_t) {
        const std::string bytes(reinterpret_cast<const char*>(tuple.data()), tuple.size());
        if (!is_bad(bytes)) expected.push_back(bytes);
      });
    }
    std::ranges::sort(expected);
    EXPECT_EQ(node.rows(), expected);
    EXPECT_EQ(node.server->committed.sequence, 3U);
    broke = node.server->calls > call;
  }
  EXPECT_GT(cases, 30);
}

TEST(PostgresCommitterTest, stores_each_row_once_when_any_call_is_lost) {
  break_every_call(false);
}
TEST(PostgresCommitterTest, stores_each_row_once_when_any_answer_is_lost) {
  break_every_call(true);
}

TEST(PostgresCommitterTest, refuses_exactly_the_bad_rows_whatever_the_server_says_about_their_place) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  for (int round = 0; round < 150; ++round) {
    SCOPED_TRACE(round);
    Node node;
    node.server->refuses = is_bad;
    node.server->hint = static_cast<LineHint>(round % 3);
    const unsigned one_in = std::vector{1U, 2U, 10U, 200U}[static_cast<std::size_t>(round) % 4];
    auto batch = test::make_batch();
    std::vector<std::uint32_t> bad;
    const int rows = 1 + static_cast<int>(random() % 700);
    for (int row = 0; row < rows; ++row) {
      const bool row_is_bad = random() % one_in == 0;
      if (row_is_bad) bad.push_back(static_cast<std::uint32_t>(row));
      add(*batch, row, row_is_bad);
    }
    ASSERT_TRUE(node.commit({batch.get()})) << node.problem;
    std::vector<std::uint32_t> refused;
    for (const RefusedRow& row : batch->refused()) refused.push_back(row.row);
    EXPECT_EQ(refused, bad);
    EXPECT_EQ(node.rows().size(), static_cast<std::size_t>(rows) - bad.size());
  }
}

TEST(PostgresCommitterTest, finds_a_few_bad_rows_of_many_with_a_few_copies) {
  for (const auto& [hint, copies_max] : {std::pair{LineHint::right, 20}, std::pair{LineHint::none, 90}}) {
    Node node;
    node.server->refuses = is_bad;
    node.server->hint = hint;
    auto batch = test::make_batch(4U << 20);
    const std::set<int> bad{1'000, 5'000, 9'998};
    for (int row = 0; row < 10'000; ++row)
      test::add_telemetry(*batch, bad.contains(row) ? std::string(bad_device) + std::to_string(row) : "well",
                          row, 1);
    ASSERT_TRUE(node.commit({batch.get()})) << node.problem;
    EXPECT_EQ(batch->refused().size(), bad.size());
    EXPECT_LE(node.server->copies, copies_max);
  }
}

TEST(PostgresCommitterTest, goes_on_when_the_database_came_back_from_a_backup) {
  Node node;
  auto batch = test::make_batch();
  add(*batch, 1, false);
  ASSERT_TRUE(node.commit({batch.get()}));
  ASSERT_TRUE(node.commit({batch.get()}));
  node.server->committed = {};
  node.server->break_at = node.server->calls;
  ASSERT_TRUE(node.commit({batch.get()})) << node.problem;
  EXPECT_EQ(node.rows().size(), 1U);
  EXPECT_EQ(node.server->committed.sequence, 1U);
}

TEST(PostgresCommitterTest, never_guesses_when_another_node_hides_the_outcome) {
  Node node;
  auto batch = test::make_batch();
  add(*batch, 1, false);
  ASSERT_TRUE(node.commit({batch.get()}));
  // Run, data, end of the COPY: the answer to the third is lost, and another node commits five flushes
  // meanwhile.
  node.server->break_at = node.server->calls + 2;
  node.server->break_after_effect = true;
  ASSERT_EQ(node.committer->commit(std::vector{batch.get()}, not_stopping, node.problem),
            FlushOutcome::retry);
  node.server->committed.sequence += 5;
  ShardState state = ShardState::starting;
  EXPECT_FALSE(node.committer->prepare(not_stopping, state, node.problem));
  EXPECT_EQ(state, ShardState::blocked);
  EXPECT_NE(node.problem.find("another node"), std::string::npos) << node.problem;
}

TEST(PostgresCommitterTest, has_nothing_to_send_for_a_flush_without_rows) {
  Node node;
  auto batch = test::make_batch();
  ASSERT_TRUE(node.commit({batch.get()}));
  EXPECT_EQ(node.server->committed.sequence, 0U);
}

}  // namespace
}  // namespace wellhead
