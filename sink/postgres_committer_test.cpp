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

constexpr LaneId lane{1, 0, 0};

// Commits flushes one after another, as a shard with one lane does.
struct Node {
  explicit Node(DeadLetterTable dead_letter = {}) {
    auto owned = std::make_unique<SimulatedServer>(schemas);
    server = owned.get();
    committer = std::make_unique<PostgresCommitter>(
        std::move(owned), CommitterSetup{.streams = schemas,
                                         .owner = {.journal_id = "journal", .node_id = "node"},
                                         .dead_letter = std::move(dead_letter)});
  }

  // True when `wanted` is where the database stands, after a connection to ask it.
  [[nodiscard]] bool prepare() {
    std::vector<LaneProgress> progress{{lane, 0}};
    const bool ready = committer->prepare(progress, not_stopping, state, problem);
    if (ready) found = progress.front().sequence;
    return ready;
  }

  [[nodiscard]] FlushReport try_commit(const std::vector<Batch*>& batches, bool durable = false) {
    const std::vector<LaneMove> moves{{lane, sequence, sequence + 1}};
    for (Batch* batch : batches) batch->refused().clear();
    return committer->commit({batches, moves, durable}, not_stopping);
  }

  // True when it is committed within a few tries.
  [[nodiscard]] bool commit(const std::vector<Batch*>& batches) {
    FlushOutcome last = FlushOutcome::retry;
    for (int tries = 0; tries < 4; ++tries) {
      if (!prepare()) continue;
      if (found == sequence + 1 && last == FlushOutcome::unknown) return ++sequence != 0;
      EXPECT_EQ(found, sequence);
      const FlushReport report = try_commit(batches);
      last = report.outcome;
      problem = report.problem;
      if (last == FlushOutcome::committed) return ++sequence != 0;
    }
    return false;
  }

  [[nodiscard]] std::vector<std::string> rows() const { return server->committed.rows(); }

  std::vector<SchemaPointer> schemas = test::shipped_schemas();
  SimulatedServer* server;
  std::unique_ptr<PostgresCommitter> committer;
  std::uint64_t sequence = 0;
  std::uint64_t found = 0;
  ShardState state = ShardState::starting;
  std::string problem;
};

// Bad rows of these tests carry this device.
constexpr std::string_view bad_device = "device-out-of-range";

bool is_bad(const std::string& tuple) {
  return tuple.find(bad_device) != std::string::npos;
}

bool refuse_bad(const std::string&, const std::string& tuple) {
  return is_bad(tuple);
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
    node.server->refuses = refuse_bad;
    node.server->break_call(call, after_effect);
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
    EXPECT_EQ(node.server->committed.progress.at(lane), 3U);
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
    node.server->refuses = refuse_bad;
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
    node.server->refuses = refuse_bad;
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

TEST(PostgresCommitterTest, stores_nothing_when_the_progress_is_not_where_this_node_left_it) {
  Node node;
  auto batch = test::make_batch();
  add(*batch, 1, false);
  ASSERT_TRUE(node.commit({batch.get()}));
  node.server->committed.progress[lane] = 7;
  const FlushReport report = node.try_commit({batch.get()});
  EXPECT_EQ(report.outcome, FlushOutcome::blocked);
  EXPECT_NE(report.problem.find("another process"), std::string::npos) << report.problem;
  EXPECT_EQ(node.rows().size(), 1U);
  ASSERT_TRUE(node.prepare());
  EXPECT_EQ(node.found, 7U);
}

TEST(PostgresCommitterTest, moves_the_progress_of_a_flush_without_rows_under_its_lock) {
  Node node;
  auto batch = test::make_batch();
  ASSERT_TRUE(node.prepare());
  const int calls_before = node.server->calls;
  ASSERT_TRUE(node.commit({batch.get()}));
  EXPECT_EQ(node.server->committed.progress.at(lane), 1U);
  // To ask where it stands, to move, to commit: the COMMIT waits for the reply that says the lock is held.
  EXPECT_EQ(node.server->calls, calls_before + 3);
}

TEST(PostgresCommitterTest, removes_the_progress_of_epochs_the_journal_has_forgotten) {
  const std::vector<SchemaPointer> schemas = test::shipped_schemas();
  for (const std::uint32_t shard : {1U, 0U}) {
    auto owned = std::make_unique<SimulatedServer>(schemas);
    test::ServerState& stored = owned->committed;
    stored.progress = {{{3, 0, 0}, 5}, {{4, 0, 1}, 6}};
    PostgresCommitter committer(
        std::move(owned), CommitterSetup{.shard = shard,
                                         .streams = schemas,
                                         .owner = {.journal_id = "j", .node_id = "n", .epoch_oldest = 4}});
    std::vector<LaneProgress> progress{{{5, 0, shard}, 0}};
    ShardState state = ShardState::starting;
    std::string problem;
    ASSERT_TRUE(committer.prepare(progress, not_stopping, state, problem)) << problem;
    EXPECT_EQ(stored.progress.contains({3, 0, 0}), shard != 0);  // one shard does it for all
    EXPECT_TRUE(stored.progress.contains({4, 0, 1}));
    EXPECT_TRUE(stored.progress.contains({5, 0, shard}));
  }
}

TEST(PostgresCommitterTest, puts_refused_rows_into_the_dead_letter_with_their_neighbours_transaction) {
  std::vector<std::string> told;
  DeadLetterTable dead_letter{.encode =
                                  [&told](const RefusedRow& row, const RowHeader& header,
                                          const Schema& schema, std::vector<std::byte>& tuple) {
                                    told.push_back(schema.name() + " " + std::to_string(row.row) + " " +
                                                   std::to_string(header.record_index) + " " + row.sqlstate);
                                    const std::string bytes = test::Tuple().text(told.back()).bytes();
                                    const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
                                    tuple.insert(tuple.end(), first, first + bytes.size());
                                  },
                              .copy_statement = "COPY \"dead_letter\" (\"what\") FROM STDIN (FORMAT binary)"};
  Node node(std::move(dead_letter));
  node.server->refuses = refuse_bad;
  auto first = test::make_batch();
  auto second = test::make_batch();
  for (int row = 0; row < 6; ++row) add(*first, row, row == 3);   // 3 is of esp_telemetry
  for (int row = 0; row < 6; ++row) add(*second, row, row == 2);  // 2 is of telemetry
  ASSERT_TRUE(node.commit({first.get(), second.get()})) << node.problem;
  EXPECT_EQ(told, (std::vector<std::string>{"esp_telemetry 3 3 23514", "telemetry 2 2 23514"}));
  EXPECT_EQ(node.server->committed.tables.at("\"dead_letter\"").size(), 2U);
  EXPECT_EQ(node.rows().size(), 12U);
  EXPECT_EQ(first->refused().size(), 1U);
}

}  // namespace
}  // namespace wellhead
