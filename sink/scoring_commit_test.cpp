// Scoring as a part of committing, against a simulated server: what of the baselines is saved, with what, and
// that every committed row is learned once whatever breaks.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "codec/quality.hpp"
#include "codec/stream_rules.hpp"
#include "sink/postgres_committer.hpp"
#include "sink/simulated_server.hpp"
#include "sink/test_rows.hpp"

namespace wellhead {
namespace {

using std::chrono::steady_clock;
using test::SimulatedServer;

const std::atomic<bool> not_stopping{false};
constexpr LaneId lane{1, 0, 0};
constexpr std::string_view bad_device = "refused";

bool is_bad(const std::string& /*table*/, const std::string& tuple) {
  return tuple.find(bad_device) != std::string::npos;
}

// A shard's committer that is prepared and commits flush after flush; several may follow one another on one
// store, as runs of a node do.
class Node {
 public:
  explicit Node(std::shared_ptr<test::ServerStore> shared = std::make_shared<test::ServerStore>(),
                ScorerLimits limits = {}, bool scored = true)
      : store(std::move(shared)), scores(1) {
    auto owned = std::make_unique<SimulatedServer>(schemas, store);
    server = owned.get();
    server->refuses = is_bad;
    CommitterSetup setup{.streams = schemas, .owner = {.journal_id = "journal", .node_id = "node"}};
    if (scored) setup.scorer = std::make_unique<Scorer>(schemas, limits, scores);
    committer = std::make_unique<PostgresCommitter>(std::move(owned), std::move(setup));
    committer->attach(stats);
  }

  [[nodiscard]] bool prepare() {
    std::vector<LaneProgress> progress{{lane, 0}};
    const bool ready = committer->prepare(progress, not_stopping, state, problem);
    if (ready) sequence = progress.front().sequence;
    return ready;
  }
  FlushOutcome try_commit(Batch& batch) {
    const std::vector<LaneMove> moves{{lane, sequence, sequence + 1}};
    const std::vector<Batch*> batches{&batch};
    batch.refused().clear();
    return committer->commit({batches, moves, false}, not_stopping).outcome;
  }
  // Tries until it is committed, as a shard does.
  void commit(Batch& batch) {
    FlushOutcome last = FlushOutcome::retry;
    for (int tries = 0; tries < 5; ++tries) {
      const std::uint64_t before = sequence;
      if (!prepare()) continue;
      if (last == FlushOutcome::unknown && sequence == before + 1) return;
      last = try_commit(batch);
      if (last == FlushOutcome::committed) return;
    }
    FAIL() << "never committed: " << problem;
  }
  void finish() { committer->finish(steady_clock::now() + std::chrono::minutes(1), not_stopping); }
  [[nodiscard]] const std::map<std::pair<std::string, std::string>, std::string>& baselines() const {
    return store->committed.baselines;
  }

  std::vector<SchemaPointer> schemas = test::scored_schemas();
  std::shared_ptr<test::ServerStore> store;
  std::vector<StreamScores> scores;
  SimulatedServer* server;
  ShardStats stats;
  std::unique_ptr<PostgresCommitter> committer;
  std::uint64_t sequence = 0;
  ShardState state = ShardState::starting;
  std::string problem;
};

// Flush `number`: two readings of each of five devices.
std::unique_ptr<Batch> make_flush(int number, bool with_bad_rows = false) {
  auto batch = test::make_batch();
  for (int row = 0; row < 10; ++row)
    test::add_scored(*batch, "well-" + std::to_string(row % 5),
                     test::base_time_us + (number * 10 + row) * 1'000'000,
                     static_cast<float>(100 + number % 7 + row));
  if (with_bad_rows) test::add_scored(*batch, bad_device, test::base_time_us + number * 10'000'000, 1);
  return batch;
}

TEST(ScoringCommitTest, saves_baselines_in_the_transaction_of_their_rows_without_a_round_trip) {
  Node scored;
  Node plain(std::make_shared<test::ServerStore>(), {}, false);
  for (int flush = 0; flush < 3; ++flush) {
    const auto batch = make_flush(flush);
    const int scored_calls = scored.server->calls;
    const int plain_calls = plain.server->calls;
    scored.commit(*batch);
    plain.commit(*batch);
    // The first one connects, checks one table more, and asks for its devices.
    if (flush == 0) continue;
    EXPECT_EQ(scored.server->calls - scored_calls, plain.server->calls - plain_calls);
  }
  EXPECT_EQ(scored.baselines().size(), 5U);
  EXPECT_EQ(scored.server->baseline_lookups, 1);
  EXPECT_EQ(scored.stats.baselines.value(), 5);
  EXPECT_GT(scored.stats.baseline_bytes.value(), 0);
  EXPECT_EQ(scored.scores[0].rows.value(), 30U);
  EXPECT_EQ(plain.server->baseline_lookups + plain.server->baseline_saves, 0);
}

TEST(ScoringCommitTest, goes_on_after_a_restart_from_what_was_saved) {
  Node first;
  Node whole;
  for (int flush = 0; flush < 4; ++flush) {
    first.commit(*make_flush(flush));
    whole.commit(*make_flush(flush));
  }
  first.finish();
  Node second(first.store);
  for (int flush = 4; flush < 8; ++flush) {
    second.commit(*make_flush(flush));
    whole.commit(*make_flush(flush));
  }
  EXPECT_EQ(second.stats.baselines_restored.value(), 5U);
  second.finish();
  whole.finish();
  EXPECT_EQ(second.baselines(), whole.baselines());
  EXPECT_EQ(second.store->committed.rows(), whole.store->committed.rows());
}

TEST(ScoringCommitTest, saves_the_rest_at_the_end_and_nothing_when_the_time_is_over) {
  for (const bool in_time : {true, false}) {
    Node node(std::make_shared<test::ServerStore>(), {.saves_min = 0, .rows_per_save = 1'000'000});
    auto batch = test::make_batch(1U << 20);
    for (int device = 0; device < 1'234; ++device)
      test::add_scored(*batch, "well-" + std::to_string(device), test::base_time_us, 100);
    node.commit(*batch);
    EXPECT_EQ(node.baselines().size(), 0U);
    node.committer->finish(steady_clock::now() + std::chrono::minutes(in_time ? 1 : 0), not_stopping);
    EXPECT_EQ(node.baselines().size(), in_time ? 1'234U : 0U);
    EXPECT_EQ(node.server->baseline_saves, in_time ? 3 : 0);  // not one statement for all
  }
}

TEST(ScoringCommitTest, asks_for_many_devices_with_few_statements) {
  Node node;
  auto batch = test::make_batch(4U << 20);
  for (int device = 0; device < 25'000; ++device)
    test::add_scored(*batch, "well-" + std::to_string(device), test::base_time_us, 100);
  node.commit(*batch);
  EXPECT_EQ(node.server->baseline_lookups, 3);
}

TEST(ScoringCommitTest, keeps_what_has_to_make_room_in_the_database) {
  Node node(std::make_shared<test::ServerStore>(), {.devices_max = 3});
  Node roomy;
  for (int flush = 0; flush < 6; ++flush) {
    node.commit(*make_flush(flush));
    roomy.commit(*make_flush(flush));
  }
  EXPECT_LE(node.stats.baselines.value(), 3);
  EXPECT_GE(node.stats.baselines_evicted.value(), 10U);
  node.finish();
  roomy.finish();
  EXPECT_EQ(node.baselines(), roomy.baselines());
  EXPECT_EQ(node.store->committed.rows(), roomy.store->committed.rows());
}

// Breaks the connection in call after call of some flushes, one of them with a row that is refused: in the
// end the rows have the same scores and the devices the same baselines as without.
void break_every_call(bool after_effect) {
  const auto run = [&](Node& node) {
    for (int flush = 0; flush < 4; ++flush) node.commit(*make_flush(flush, flush == 2));
    while (!node.prepare()) {
    }
    node.server->fate = nullptr;
    node.finish();
  };
  Node undisturbed;
  run(undisturbed);
  ASSERT_EQ(undisturbed.baselines().size(), 6U);
  const int calls = undisturbed.server->calls;
  for (int call = 0; call < calls; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    Node node;
    node.server->break_call(call, after_effect);
    run(node);
    EXPECT_EQ(node.baselines(), undisturbed.baselines());
    EXPECT_EQ(node.store->committed.rows(), undisturbed.store->committed.rows());
  }
  EXPECT_GT(calls, 30);
}

TEST(ScoringCommitTest, learns_each_row_once_when_any_call_is_lost) {
  break_every_call(false);
}
TEST(ScoringCommitTest, learns_each_row_once_when_any_answer_is_lost) {
  break_every_call(true);
}

TEST(ScoringCommitTest, learns_a_flush_once_however_often_its_rows_are_sent) {
  Node salvaged;
  Node smooth;
  smooth.server->refuses = nullptr;
  for (int flush = 0; flush < 3; ++flush) {
    const auto batch = make_flush(flush, true);
    salvaged.commit(*batch);
    EXPECT_EQ(batch->refused().size(), 1U);
    smooth.commit(*make_flush(flush, true));
  }
  salvaged.finish();
  smooth.finish();
  EXPECT_EQ(salvaged.baselines(), smooth.baselines());
}

TEST(ScoringCommitTest, stores_the_rows_when_the_database_refuses_a_baseline) {
  Node node;
  node.server->refuses_baselines = true;
  for (int flush = 0; flush < 3; ++flush) node.commit(*make_flush(flush));
  EXPECT_EQ(node.store->committed.rows().size(), 30U);
  EXPECT_EQ(node.baselines().size(), 0U);
}

TEST(ScoringCommitTest, costs_no_other_device_its_baseline_when_the_database_refuses_one) {
  Node node;
  Node whole;
  node.server->refuses_baseline_of = "well-3";
  for (int flush = 0; flush < 3; ++flush) {
    node.commit(*make_flush(flush));
    whole.commit(*make_flush(flush));
    EXPECT_EQ(node.baselines().size(), 4U);
  }
  node.finish();
  EXPECT_EQ(node.baselines().size(), 4U);
  for (const auto& [device, state] : node.baselines()) EXPECT_EQ(state, whole.baselines().at(device));
  EXPECT_EQ(node.store->committed.rows(), whole.store->committed.rows());
}

TEST(ScoringCommitTest, saves_a_refused_baseline_when_the_database_takes_it) {
  Node node;
  node.server->refuses_baseline_of = "well-3";
  node.commit(*make_flush(0));
  EXPECT_EQ(node.baselines().size(), 4U);
  node.server->refuses_baseline_of.clear();
  auto other = test::make_batch();
  test::add_scored(*other, "other", test::base_time_us, 1);
  node.commit(*other);
  EXPECT_TRUE(node.baselines().contains({"scored", "well-3"})) << "though it learned nothing since";
}

// Two shards of today's run find what four of an earlier one saved, and the other way round.
TEST(ScoringCommitTest, goes_on_from_what_other_numbers_of_shards_saved) {
  const auto store = std::make_shared<test::ServerStore>();
  Node whole;
  int flush = 0;
  for (const int shards : {4, 2, 1, 3}) {
    std::vector<std::unique_ptr<Node>> nodes;
    for (std::uint64_t shard = 0; shard < static_cast<std::uint64_t>(shards); ++shard)
      nodes.push_back(std::make_unique<Node>(store));
    for (const int until = flush + 40; flush < until; ++flush) {
      const auto all = make_flush(flush);
      whole.commit(*all);
      std::vector<std::unique_ptr<Batch>> parts;
      for (int shard = 0; shard < shards; ++shard) parts.push_back(test::make_batch());
      for (int row = 0; row < 10; ++row)
        test::add_scored(
            *parts[static_cast<std::size_t>(row % 5 % shards)], "well-" + std::to_string(row % 5),
            test::base_time_us + (flush * 10 + row) * 1'000'000, static_cast<float>(100 + flush % 7 + row));
      for (int shard = 0; shard < shards; ++shard)
        nodes[static_cast<std::size_t>(shard)]->commit(*parts[static_cast<std::size_t>(shard)]);
    }
    std::uint64_t restored = 0;
    for (const auto& node : nodes) {
      node->finish();
      restored += node->stats.baselines_restored.value();
    }
    EXPECT_EQ(restored, flush == 40 ? 0U : 5U) << shards << " shards";
  }
  whole.finish();
  EXPECT_EQ(store->committed.baselines, whole.baselines());
}

// Each computed by hand: the reasons a row gets on its way through the sink.
TEST(ScoringCommitTest, tells_inconsistent_stuck_and_quick_readings_in_the_stored_rows) {
  Node node;
  StreamConfig config = node.schemas.front()->config();
  config.columns[2].rate_max = 30;
  node.schemas.front()->rules().set({.schema = *Schema::compile(config, 0), .attributes = nullptr});
  const auto flags_of = [&](int second, float value) {
    auto batch = test::make_batch();
    test::add_scored(*batch, "well", test::base_time_us + second * 1'000'000LL, value);
    node.commit(*batch);
    // The last eight bytes of the tuple, most significant first.
    std::uint64_t flags = 0;
    for (const char byte :
         node.store->committed.rows().back().substr(node.store->committed.rows().back().size() - 8))
      flags = flags << 8 | static_cast<unsigned char>(byte);
    return flags;
  };
  constexpr std::uint64_t unusual = std::uint64_t{1} << quality_unusual_shift;
  // An average of 100, and a deviation of 20.
  int second = 0;
  for (; second < 200; ++second) static_cast<void>(flags_of(2 * second, second % 2 == 0 ? 80 : 120));
  second = 400;
  EXPECT_EQ(flags_of(second, 100), 0U);
  EXPECT_EQ(flags_of(second += 10, 155), quality_bit(QualityReason::inconsistent) | unusual);
  EXPECT_EQ(flags_of(second += 10, 100), 0U);
  EXPECT_EQ(flags_of(++second, 129), 0U);
  EXPECT_EQ(flags_of(++second, 98), quality_bit(QualityReason::changed_quickly) | unusual);
  for (std::uint32_t equal = 1; equal < config.scoring.stuck_after; ++equal)
    ASSERT_EQ(flags_of(++second, 98), 0U) << equal;
  EXPECT_EQ(flags_of(++second, 98), quality_bit(QualityReason::stuck) | unusual);
}

TEST(ScoringCommitTest, is_blocked_with_a_sentence_where_the_table_of_baselines_is_missing) {
  Node node;
  node.server->has_baselines = false;
  EXPECT_FALSE(node.prepare());
  EXPECT_EQ(node.state, ShardState::blocked);
  EXPECT_NE(node.problem.find("wellhead_device_baselines"), std::string::npos) << node.problem;
  EXPECT_NE(node.problem.find("wellhead migrate up"), std::string::npos) << node.problem;

  Node plain(std::make_shared<test::ServerStore>(), {}, false);
  plain.server->has_baselines = false;
  EXPECT_TRUE(plain.prepare());
}

// Rows of an earlier run, whose stream had the same name and other columns, are scored; what they teach is
// not saved, since it would stand under the name of today's.
TEST(ScoringCommitTest, saves_nothing_of_streams_that_only_the_journal_has) {
  std::vector<SchemaPointer> schemas = test::scored_schemas();
  schemas.push_back(*Schema::compile(schemas.front()->config(), 1));
  auto owned = std::make_unique<SimulatedServer>(schemas);
  SimulatedServer& server = *owned;
  std::vector<StreamScores> scores(schemas.size());
  CommitterSetup setup{
      .streams = schemas, .streams_in_use = 1, .owner = {.journal_id = "journal", .node_id = "node"}};
  setup.scorer = std::make_unique<Scorer>(schemas, ScorerLimits{}, scores);
  PostgresCommitter committer(std::move(owned), std::move(setup));
  std::vector<LaneProgress> progress{{lane, 0}};
  ShardState state{};
  std::string problem;
  ASSERT_TRUE(committer.prepare(progress, not_stopping, state, problem)) << problem;
  auto batch = test::make_batch();
  test::add_scored(*batch, "todays", test::base_time_us, 1, 0);
  test::add_scored(*batch, "earlier", test::base_time_us, 1, 1);
  const std::vector<LaneMove> moves{{lane, 0, 1}};
  const std::vector<Batch*> batches{batch.get()};
  ASSERT_EQ(committer.commit({batches, moves, false}, not_stopping).outcome, FlushOutcome::committed);
  committer.finish(steady_clock::now() + std::chrono::minutes(1), not_stopping);
  EXPECT_EQ(scores[1].rows.value(), 1U);
  EXPECT_EQ(server.committed.baselines.size(), 1U);
  EXPECT_TRUE(server.committed.baselines.contains({"scored", "todays"}));
}

TEST(ScoringCommitTest, passes_over_streams_without_computed_columns) {
  const std::vector<SchemaPointer> schemas{
      *Schema::compile(test::shipped_schemas()[test::diagnostic_stream]->config(), 0)};
  const auto store = std::make_shared<test::ServerStore>();
  auto owned = std::make_unique<SimulatedServer>(schemas, store);
  SimulatedServer& server = *owned;
  server.has_baselines = false;
  std::vector<StreamScores> scores(schemas.size());
  CommitterSetup setup{.streams = schemas, .owner = {.journal_id = "journal", .node_id = "node"}};
  setup.scorer = std::make_unique<Scorer>(schemas, ScorerLimits{}, scores);
  PostgresCommitter committer(std::move(owned), std::move(setup));
  std::vector<LaneProgress> progress{{lane, 0}};
  ShardState state{};
  std::string problem;
  ASSERT_TRUE(committer.prepare(progress, not_stopping, state, problem)) << problem;
  auto batch = test::make_batch();
  test::Tuple tuple;
  tuple.bigint(1).text("well").timestamptz(test::base_time_us).text("info").null().null().null();
  test::add_row(*batch, 0, "well", test::base_time_us, tuple);
  const std::vector<LaneMove> moves{{lane, 0, 1}};
  const std::vector<Batch*> batches{batch.get()};
  EXPECT_EQ(committer.commit({batches, moves, false}, not_stopping).outcome, FlushOutcome::committed);
  committer.finish(steady_clock::now() + std::chrono::minutes(1), not_stopping);
  EXPECT_EQ(server.baseline_lookups + server.baseline_saves, 0);
}

}  // namespace
}  // namespace wellhead
