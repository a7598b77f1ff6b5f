// Which flushes go into their tables compressed, and what the committer makes of it; no server needed.
#include "sink/direct_compress.hpp"

#include <gtest/gtest.h>

#include "sink/postgres_committer.hpp"
#include "sink/simulated_server.hpp"
#include "sink/test_rows.hpp"

namespace wellhead {
namespace {

using test::SimulatedServer;

const std::atomic<bool> not_stopping{false};
constexpr LaneId lane{1, 0, 0};

// `devices` with `rows_each` rows of telemetry.
std::unique_ptr<Batch> telemetry_of(int devices, int rows_each, std::uint32_t reactor = 0) {
  auto batch = test::make_batch(16U << 20, reactor);
  for (int row = 0; row < devices * rows_each; ++row)
    test::add_telemetry(*batch, "well-" + std::to_string(row % devices), test::base_time_us + row, 1);
  return batch;
}

// Whether rows of telemetry go compressed, where the table can take it.
bool chosen(const DirectCompressOptions& options, const std::vector<Batch*>& batches,
            std::int64_t now_us = test::base_time_us) {
  Flush flush(test::shipped_schemas());
  flush.assign(batches);
  DirectCompress direct(options);
  direct.allow({test::telemetry_stream});
  direct.choose(flush, batches, now_us);
  EXPECT_EQ(direct.any(), direct.chosen(test::telemetry_stream));
  EXPECT_FALSE(direct.chosen(test::esp_stream));
  return direct.any();
}

TEST(DirectCompressTest, is_chosen_from_fifty_rows_per_device_on_average) {
  EXPECT_TRUE(chosen({}, {telemetry_of(20, 50).get()}));
  EXPECT_FALSE(chosen({}, {telemetry_of(20, 49).get()}));
  EXPECT_TRUE(chosen({}, {telemetry_of(1, 50).get()}));
  EXPECT_FALSE(chosen({}, {telemetry_of(1'000, 1).get()}));
  // One that tells little among many that tell much.
  EXPECT_TRUE(chosen({}, {telemetry_of(20, 60).get(), telemetry_of(21, 1).get()}));
  EXPECT_TRUE(chosen({.rows_per_device_min = 2}, {telemetry_of(20, 2).get()}));
}

TEST(DirectCompressTest, is_chosen_of_fewer_rows_per_device_when_most_of_a_large_flush_was_read_back) {
  const auto read_back = telemetry_of(1'000, 10, Batch::no_reactor);
  EXPECT_TRUE(chosen({}, {read_back.get()}));
  EXPECT_FALSE(chosen({}, {telemetry_of(1'000, 10).get()}));                    // live
  EXPECT_FALSE(chosen({}, {telemetry_of(999, 10, Batch::no_reactor).get()}));   // not large
  EXPECT_FALSE(chosen({}, {telemetry_of(2'000, 9, Batch::no_reactor).get()}));  // too few for each
  // Half of it live, and then a little less than half.
  EXPECT_FALSE(chosen({}, {read_back.get(), telemetry_of(1'000, 10).get()}));
  EXPECT_TRUE(chosen({}, {read_back.get(), telemetry_of(999, 10).get()}));
}

TEST(DirectCompressTest, is_chosen_of_fewer_rows_per_device_when_most_of_a_large_live_flush_is_of_days_past) {
  const auto rows = telemetry_of(1'000, 10);  // a microsecond apart
  const auto at = [](std::int64_t row) {
    return test::base_time_us + DirectCompressOptions::late_after_us + row;
  };
  EXPECT_FALSE(chosen({}, {rows.get()}, at(5'000))) << "half of them are late, and not more";
  EXPECT_TRUE(chosen({}, {rows.get()}, at(5'001)));
  EXPECT_FALSE(chosen({}, {telemetry_of(999, 10).get()}, at(10'000)));   // not large
  EXPECT_FALSE(chosen({}, {telemetry_of(2'000, 9).get()}, at(20'000)));  // too few for each
}

TEST(DirectCompressTest, follows_the_configuration_and_what_the_tables_can_take) {
  using enum DirectCompressUse;
  EXPECT_TRUE(chosen({.use = always}, {telemetry_of(100, 1).get()}));
  EXPECT_FALSE(DirectCompress({.use = off}).wanted());
  Flush flush(test::shipped_schemas());
  const auto rows = telemetry_of(1, 1'000);
  const std::vector<Batch*> batches{rows.get()};
  flush.assign(batches);
  DirectCompress direct({.use = always});
  direct.choose(flush, batches, test::base_time_us);
  EXPECT_FALSE(direct.any());
  // A table without rows in this flush is none of it.
  direct.allow({test::esp_stream});
  direct.choose(flush, batches, test::base_time_us);
  EXPECT_FALSE(direct.any());
  direct.allow({test::telemetry_stream});
  direct.choose(flush, batches, test::base_time_us);
  EXPECT_TRUE(direct.any());
  direct.withdraw();
  EXPECT_EQ(direct.before_copy(test::telemetry_stream), "");
}

TEST(DirectCompressTest, knows_the_servers_word_for_a_fast_path_that_was_skipped) {
  EXPECT_TRUE(DirectCompress::says_skipped(
      {"WARNING", "01000",
       "disabling direct compress because the destination table has unique constraints"}));
  EXPECT_TRUE(DirectCompress::says_skipped(
      {"WARNING", "01000",
       "disabling direct compress copy due to presence of triggers on the destination table"}));
  EXPECT_FALSE(DirectCompress::says_skipped({"NOTICE", "00000", "disabling direct compress"}));
  EXPECT_FALSE(DirectCompress::says_skipped({"WARNING", "01000", "there is already a transaction"}));
}

struct Node {
  explicit Node(DirectCompressOptions options = {}) {
    auto owned = std::make_unique<SimulatedServer>(schemas);
    server = owned.get();
    server->compressible = {schemas[test::telemetry_stream]->quoted_table()};
    committer = std::make_unique<PostgresCommitter>(
        std::move(owned), CommitterSetup{.streams = schemas,
                                         .owner = {.journal_id = "journal", .node_id = "node"},
                                         .direct_compress = options});
    committer->attach(stats);
  }
  void prepare() {
    std::vector<LaneProgress> progress{{lane, 0}};
    ShardState state{};
    std::string problem;
    ASSERT_TRUE(committer->prepare(progress, not_stopping, state, problem)) << problem;
  }
  void commit(Batch& batch) {
    std::vector<Batch*> batches{&batch};
    const std::vector<LaneMove> moves{{lane, sequence, sequence + 1}};
    const FlushReport report = committer->commit({batches, moves, false}, not_stopping);
    ASSERT_EQ(report.outcome, FlushOutcome::committed) << report.problem;
    ++sequence;
  }
  [[nodiscard]] std::size_t stored() const { return server->committed.rows().size(); }

  std::vector<SchemaPointer> schemas = test::shipped_schemas();
  SimulatedServer* server;
  ShardStats stats;
  std::unique_ptr<PostgresCommitter> committer;
  std::uint64_t sequence = 0;
};

TEST(DirectCompressCommitTest, only_the_tables_it_pays_for_are_asked_for_within_one_flush) {
  Node node;
  node.prepare();
  auto batch = telemetry_of(2, 50);
  test::add_esp(*batch, 1, "well-1", test::base_time_us);
  node.commit(*batch);
  const std::vector<std::string> telemetry{node.schemas[test::telemetry_stream]->quoted_table()};
  EXPECT_EQ(node.server->compressed_copies, telemetry);
  EXPECT_EQ(node.stats.rows_compressed.value(), 100U);
  EXPECT_EQ(node.stored(), 101U);

  const auto live = telemetry_of(50, 2);
  node.commit(*live);
  EXPECT_EQ(node.server->compressed_copies, telemetry);
  EXPECT_EQ(node.stats.rows_compressed.value(), 100U);
}

TEST(DirectCompressCommitTest, off_asks_neither_the_server_nor_for_it) {
  Node node({.use = DirectCompressUse::off});
  node.prepare();
  node.commit(*telemetry_of(1, 500));
  EXPECT_TRUE(node.server->compressed_copies.empty());
}

TEST(DirectCompressCommitTest, a_flush_with_a_refused_row_is_salvaged_as_rows) {
  Node node;
  node.prepare();
  node.server->refuses = [](const std::string&, const std::string& tuple) {
    return tuple.find("out-of-range") != std::string::npos;
  };
  auto batch = telemetry_of(2, 100);
  test::add_telemetry(*batch, "out-of-range", test::base_time_us, 1);
  node.commit(*batch);
  EXPECT_EQ(node.server->compressed_copies.size(), 1U);  // the try that failed
  ASSERT_EQ(batch->refused().size(), 1U);
  EXPECT_EQ(batch->refused()[0].row, 200U);
  EXPECT_EQ(node.stored(), 200U);
  EXPECT_EQ(node.stats.rows_compressed.value(), 0U);
  // The next is tried again.
  node.commit(*telemetry_of(2, 100));
  EXPECT_EQ(node.stats.rows_compressed.value(), 200U);
}

TEST(DirectCompressCommitTest, a_server_that_skips_it_is_counted_and_not_asked_again_on_this_connection) {
  Node node;
  node.prepare();
  node.server->skips_compression = node.server->compressible;
  node.commit(*telemetry_of(2, 100));
  node.commit(*telemetry_of(2, 100));
  EXPECT_EQ(node.server->compressed_copies.size(), 1U);
  EXPECT_EQ(node.stats.direct_compress_skipped.value(), 1U);
  EXPECT_EQ(node.stats.rows_compressed.value(), 0U);
  EXPECT_EQ(node.stored(), 400U);

  node.server->skips_compression = {};
  node.server->disconnect();
  node.prepare();
  node.commit(*telemetry_of(2, 100));
  EXPECT_EQ(node.stats.rows_compressed.value(), 200U);
}

TEST(DirectCompressCommitTest, the_table_that_is_skipped_is_the_one_that_is_not_asked_for_again) {
  Node node;
  const std::string telemetry = node.schemas[test::telemetry_stream]->quoted_table();
  const std::string esp = node.schemas[test::esp_stream]->quoted_table();
  node.server->compressible = {telemetry, esp};
  node.server->skips_compression = {esp};
  node.prepare();
  const auto both = [] {
    auto batch = telemetry_of(1, 60);
    for (int row = 0; row < 70; ++row) test::add_esp(*batch, row, "well-0", test::base_time_us + row);
    return batch;
  };
  node.commit(*both());
  EXPECT_EQ(node.server->compressed_copies, (std::vector<std::string>{telemetry, esp}));
  EXPECT_EQ(node.stats.rows_compressed.value(), 60U);
  node.commit(*both());
  EXPECT_EQ(node.server->compressed_copies, (std::vector<std::string>{telemetry, esp, telemetry}));
  EXPECT_EQ(node.stats.direct_compress_skipped.value(), 1U);
  EXPECT_EQ(node.stats.rows_compressed.value(), 120U);

  // The first of a flush is one of those that a restarted connection looks at again.
  node.server->skips_compression = {telemetry};
  node.server->disconnect();
  node.prepare();
  node.commit(*both());
  node.commit(*both());
  EXPECT_EQ(node.server->compressed_copies,
            (std::vector<std::string>{telemetry, esp, telemetry, telemetry, esp, esp}));
}

TEST(DirectCompressCommitTest,
     the_first_to_compress_into_a_stretch_takes_the_lock_whether_its_chunk_is_there_or_not) {
  Node node;
  node.server->compressible.push_back(node.schemas[test::esp_stream]->quoted_table());
  node.prepare();
  const std::string unconditional = "SELECT pg_advisory_xact_lock(2003135596, 1)";
  std::vector<std::string>& locks = node.server->chunk_locks;
  // As rows, the flush only looks for the chunk.
  node.commit(*telemetry_of(50, 1));
  ASSERT_EQ(locks.size(), 1U);
  EXPECT_TRUE(locks[0].starts_with(unconditional + " WHERE EXISTS (")) << locks[0];
  // The stretch is known, but nobody here has compressed into it yet.
  node.commit(*telemetry_of(1, 50));
  ASSERT_EQ(locks.size(), 2U);
  EXPECT_EQ(locks[1], unconditional);
  node.commit(*telemetry_of(1, 50));
  node.commit(*telemetry_of(50, 1));
  EXPECT_EQ(locks.size(), 2U);

  // Rows of another table were beside compressed ones: its own chunks were not compressed by that.
  auto beside = telemetry_of(1, 50);
  test::add_esp(*beside, 1, "well-0", test::base_time_us);
  node.commit(*beside);
  ASSERT_EQ(locks.size(), 3U);
  EXPECT_NE(locks[2], unconditional);
  auto esp = test::make_batch(4U << 20);
  for (int row = 0; row < 60; ++row) test::add_esp(*esp, row, "well-0", test::base_time_us + row);
  node.commit(*esp);
  ASSERT_EQ(locks.size(), 4U);
  EXPECT_EQ(locks[3], unconditional);

  // Another connection has compressed nothing yet.
  node.server->disconnect();
  node.prepare();
  node.commit(*telemetry_of(1, 50));
  ASSERT_EQ(locks.size(), 5U);
  EXPECT_EQ(locks[4], unconditional);
}

}  // namespace
}  // namespace wellhead
