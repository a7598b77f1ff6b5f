// A shard, its journal and a database that forgets: what is read back, how often, and what is said when it
// cannot be.
#include <gtest/gtest.h>

#include <chrono>

#include "sink/replay_node.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using test::ReplayNode;

TEST(ShardReplayTest, uses_memory_where_it_can_and_reads_back_only_what_was_left_out) {
  ReplayNode node;
  node.add(0, 0, 2);
  node.add(0, 0, 3, false);
  node.add(0, 0, 4, false);
  node.add(0, 0, 5);
  node.run();
  EXPECT_TRUE(node.each_row_once());
  EXPECT_EQ(node.journal.sections_read, 2U);
  EXPECT_EQ(node.stats().rows_replayed.value(), 7U);
  EXPECT_EQ(node.stats().rows_committed.value(), 14U);
  EXPECT_EQ(node.stats().rows_rewound.value(), 0U);
  EXPECT_EQ(node.lane().committed.load(), 4U);
  const auto returned = node.take_returned();
  ASSERT_EQ(returned.size(), 2U);  // what was read back is no reactor's
  for (const Batch* batch : returned) EXPECT_EQ(batch->outcome(), BatchOutcome::committed);
}

TEST(ShardReplayTest, reads_back_to_what_is_durable_when_its_mailbox_is_empty) {
  ReplayNode node;
  for (int batch = 0; batch < 100; ++batch) node.add(0, 0, 1, false);
  node.shards[0]->step();
  EXPECT_EQ(node.stats().lag.value(), 100);
  node.run();
  EXPECT_TRUE(node.each_row_once());
  EXPECT_EQ(node.stats().flushes.value(), 1U);  // small sections share the memory they are read into
  EXPECT_EQ(node.stats().lag.value(), 0);
}

TEST(ShardReplayTest, replays_earlier_runs_whatever_their_number_of_shards_while_new_rows_go_on) {
  ReplayNode node(2, 3, {.rows_max = 40});
  node.store->up = false;
  for (int batch = 0; batch < 60; ++batch)
    node.add(static_cast<std::uint32_t>(batch) % 2, static_cast<std::uint32_t>(batch) % 3, 5);
  node.run();
  node.restart(1, 2);
  const int old_rows = node.rows_added;
  node.store->up = true;
  const Batch* fresh = node.add(0, 1, 1);
  std::size_t flushes = 0;
  while (fresh->outcome() == BatchOutcome::none && flushes < 100) {
    if (node.shards[1]->step().work == ShardWork::committed) ++flushes;
  }
  EXPECT_EQ(flushes, 1U);  // it did not wait for the backlog
  EXPECT_LT(node.store->committed.rows().size(), static_cast<std::size_t>(old_rows));
  node.run();
  EXPECT_TRUE(node.each_row_once());
  const auto recovered = node.stats(0).rows_recovered.value() + node.stats(1).rows_recovered.value();
  EXPECT_EQ(recovered, static_cast<std::uint64_t>(old_rows));
  EXPECT_EQ(node.lane({1, 1, 2}).flushed.load(), node.lane({1, 1, 2}).durable.load());
}

TEST(ShardReplayTest, commits_a_killed_nodes_rows_once_although_some_were_committed) {
  ReplayNode node;
  node.add(0, 0, 5);
  node.run();
  node.add(0, 0, 6);
  node.restart(1, 1);
  node.add(0, 0, 7);
  node.run();
  EXPECT_TRUE(node.each_row_once());
  EXPECT_EQ(node.stats().rows_recovered.value(), 6U);
  EXPECT_EQ(node.stats().rows_committed.value(), 13U);
}

TEST(ShardReplayTest, stores_again_what_a_crashed_database_forgot_and_counts_it_once) {
  ReplayNode node;
  node.add(0, 0, 5);
  node.run();  // flushed when it became quiet
  EXPECT_EQ(node.lane().flushed.load(), 1U);
  node.add(0, 0, 6);
  node.add(0, 0, 7);
  for (int rounds = 0; rounds < 10 && node.lane().committed.load() < 3; ++rounds) {
    node.shards[0]->step();
    node.clock.now_ns += 10'000'000;
  }
  ASSERT_EQ(node.lane().committed.load(), 3U);
  ASSERT_EQ(node.lane().flushed.load(), 1U);
  EXPECT_EQ(node.take_returned().size(), 3U);
  node.store->crash();
  EXPECT_EQ(node.store->committed.rows().size(), 5U);
  node.add(0, 0, 8);
  node.run();
  EXPECT_TRUE(node.each_row_once());
  EXPECT_EQ(node.stats().rows_rewound.value(), 13U);
  EXPECT_EQ(node.stats().rows_committed.value(), 26U);
  EXPECT_EQ(node.lane().flushed.load(), 4U);
}

TEST(ShardReplayTest, moves_flushed_only_behind_a_synchronous_commit) {
  ReplayNode node(1, 1, {.linger = 0ms, .flush_interval = 1s});
  ASSERT_EQ(node.shards[0]->step().work, ShardWork::connected);
  const auto commit = [&node] {
    node.add(0, 0, 1);
    EXPECT_EQ(node.shards[0]->step().work, ShardWork::committed);
  };
  commit();
  node.clock.now_ns += 900'000'000;
  commit();
  EXPECT_EQ(node.lane().committed.load(), 2U);
  EXPECT_EQ(node.lane().flushed.load(), 0U);
  const ShardStep quiet = node.shards[0]->step();
  EXPECT_EQ(quiet.work, ShardWork::nothing);
  EXPECT_EQ(quiet.wait, 100ms);
  node.clock.now_ns += 100'000'000;
  commit();  // a second after the first: this one is made durable
  EXPECT_EQ(node.lane().flushed.load(), 3U);
  EXPECT_EQ(node.store->flushed().rows().size(), 3U);
  commit();
  EXPECT_EQ(node.lane().flushed.load(), 3U);
  node.clock.now_ns += 1'000'000'000;
  EXPECT_EQ(node.shards[0]->step().work, ShardWork::synchronized);  // nothing to flush: a commit for its sake
  EXPECT_EQ(node.lane().flushed.load(), 4U);
  EXPECT_EQ(node.store->flushed().rows().size(), 4U);
  EXPECT_EQ(node.stats().synchronous_flushes.value(), 2U);
}

TEST(ShardReplayTest, follows_a_replica_that_lagged_below_what_was_flushed) {
  ReplayNode node;
  node.add(0, 0, 5);
  node.run();
  const std::size_t replica = node.store->commits();
  node.add(0, 0, 6);
  node.run();
  ASSERT_EQ(node.lane().flushed.load(), 2U);
  node.store->forget(node.store->commits() - replica);
  while (node.shards[0]->step().work != ShardWork::connected) node.clock.now_ns += 1'000'000'000;
  EXPECT_EQ(node.lane().flushed.load(), 1U);  // nothing of the rest may be trimmed
  node.run();
  EXPECT_TRUE(node.each_row_once());
  EXPECT_EQ(node.lane().flushed.load(), 2U);
}

TEST(ShardReplayTest, is_blocked_when_neither_the_database_nor_the_journal_has_the_rows) {
  ReplayNode node;
  node.add(0, 0, 5);
  node.add(0, 0, 5);
  node.run();
  node.journal.trim_lane({1, 0, 0}, 2);
  node.store->forget(node.store->commits());
  node.add(0, 0, 5);
  node.run();
  EXPECT_EQ(node.shards[0]->state(), ShardState::blocked);
  EXPECT_NE(node.shards[0]->problem().find("2 batches of lane 0/0 of run 1 (1 to 2)"), std::string::npos)
      << node.shards[0]->problem();
  EXPECT_TRUE(node.store->committed.rows().empty());
}

TEST(ShardReplayTest, goes_on_over_a_loss_that_was_accepted) {
  ReplayNode node(1, 1, {.accept_loss = true});
  node.add(0, 0, 5);
  node.add(0, 0, 5);
  node.run();
  node.journal.trim_lane({1, 0, 0}, 1);
  node.store->forget(node.store->commits());
  node.add(0, 0, 5);
  node.run();
  EXPECT_EQ(node.shards[0]->state(), ShardState::ready);
  EXPECT_EQ(node.store->committed.rows().size(), 10U);
  EXPECT_EQ(node.lane().committed.load(), 3U);
}

TEST(ShardReplayTest, is_blocked_by_a_database_that_has_more_than_the_journal_ever_held) {
  for (const std::uint32_t epoch : {1U, 2U}) {  // an earlier run's lane, and one of this run
    SCOPED_TRACE(epoch);
    ReplayNode node;
    node.add(0, 0, 5);
    node.run();
    node.store->committed.progress[{epoch, 0, 0}] = 9;
    node.restart(1, 1);
    node.add(0, 0, 5);
    node.run();
    EXPECT_EQ(node.shards[0]->state(), ShardState::blocked);
    EXPECT_NE(node.shards[0]->problem().find("the journal is an old copy"), std::string::npos)
        << node.shards[0]->problem();
    EXPECT_EQ(node.store->committed.rows().size(), 5U);
  }
}

TEST(ShardReplayTest, is_blocked_when_another_process_moves_its_lane) {
  ReplayNode node;
  node.add(0, 0, 5);
  node.run();
  node.add(0, 0, 5);
  node.add(0, 0, 5, false);
  node.store->committed.progress[{1, 0, 0}] = 2;
  node.run();
  EXPECT_EQ(node.shards[0]->state(), ShardState::blocked);
  EXPECT_NE(node.shards[0]->problem().find("another process"), std::string::npos)
      << node.shards[0]->problem();
  EXPECT_EQ(node.store->committed.rows().size(), 5U);
}

TEST(ShardReplayTest, says_what_the_journal_says_and_goes_on_when_it_can_be_read_again) {
  ReplayNode node;
  node.add(0, 0, 5, false);
  node.journal.read_problem = "Input/output error";
  node.run();
  EXPECT_EQ(node.shards[0]->state(), ShardState::blocked);
  EXPECT_NE(node.shards[0]->problem().find("Input/output error"), std::string::npos);
  node.journal.read_problem.clear();
  node.run();
  EXPECT_EQ(node.shards[0]->state(), ShardState::ready);
  EXPECT_TRUE(node.each_row_once());
}

TEST(ShardReplayTest, never_takes_a_durable_batch_for_absent) {
  ReplayNode node;
  node.add(0, 0, 5, false);
  node.add(0, 0, 5, false);
  node.journal.lanes[{1, 0, 0}].erase(1);  // nobody said that it is damaged
  node.run();
  EXPECT_EQ(node.shards[0]->state(), ShardState::blocked);
  EXPECT_TRUE(node.store->committed.rows().empty());
}

TEST(ShardReplayTest, passes_over_the_batches_that_were_set_aside_as_damaged) {
  ReplayNode node;
  for (int batch = 0; batch < 4; ++batch) node.add(0, 0, 5);
  auto& sections = node.journal.lanes[{1, 0, 0}];
  sections.erase(2);
  node.journal.surveyed.lost = {{{1, 0, 0}, 2, 5}, {{1, 0, 0}, 4, 5}};
  sections[4] = {};  // the survey knows its header, and its rows are gone
  node.kill();
  sections.erase(4);
  node.start();
  node.run();
  EXPECT_EQ(node.shards[0]->state(), ShardState::ready);
  EXPECT_EQ(node.store->committed.rows().size(), 10U);
  EXPECT_EQ(node.lane({1, 0, 0}).flushed.load(), 4U);  // so that the journal can be trimmed
}

TEST(ShardReplayTest, gives_rows_of_an_earlier_run_the_numbers_of_todays_streams) {
  ReplayNode node;
  node.add(0, 0, 5, false);
  node.kill();
  // What was stream 0 then is stream 2 now.
  node.schemas.clear();
  for (const char* name : {"esp_telemetry", "diagnostic_results", "telemetry"})
    for (StreamConfig& config : builtin_streams())
      if (config.name == name)
        node.schemas.push_back(*Schema::compile(config, static_cast<std::uint16_t>(node.schemas.size())));
  node.maps = {{1, {2, 0, 1}}};
  node.start();
  node.run();
  EXPECT_EQ(node.store->committed.tables.at("\"telemetry\"").size(), 5U);
}

TEST(ShardReplayTest, remembers_refused_rows_by_the_batch_they_were_acknowledged_in) {
  ReplayNode node;
  node.servers[0]->refuses = [](const std::string&, const std::string& tuple) {
    return tuple.find("well-1") != std::string::npos;
  };
  node.add(0, 0, 2, false);  // rows of well-0, well-1
  node.add(0, 0, 3, false);  // well-2, well-0, well-1; read back together with the batch before
  node.add(0, 0, 4);         // well-2, well-0, well-1, well-2; from memory
  node.run();
  EXPECT_EQ(node.stats().rows_refused.value(), 3U);
  EXPECT_EQ(node.refused.size(), 3U);
  const LaneId lane{node.journal.epoch(), 0, 0};
  EXPECT_EQ(node.refused.count(lane, 1, 1, 1), 1U);
  EXPECT_EQ(node.refused.count(lane, 2, 2, 1), 1U);
  EXPECT_EQ(node.refused.count(lane, 3, 2, 1), 1U);
}

TEST(ShardReplayTest, answers_a_batch_that_comes_after_it_was_read_back) {
  ReplayNode node;
  auto batch = test::make_batch(ReplayNode::batch_bytes);
  test::add_telemetry(*batch, "well-1", test::base_time_us, 1);
  node.journal.append(*batch, {1, 0, 0});
  node.lane().durable.store(1);
  node.run();
  ASSERT_EQ(node.store->committed.rows().size(), 1U);
  Mailbox::Sender sender(node.shards[0]->mailbox());
  sender.send(batch.get());
  node.run();
  ASSERT_EQ(node.take_returned().size(), 1U);
  EXPECT_EQ(batch->outcome(), BatchOutcome::committed);
  EXPECT_EQ(node.store->committed.rows().size(), 1U);
}

TEST(ShardReplayTest, leaves_in_the_journal_what_is_not_in_memory_when_it_stops) {
  ReplayNode node;
  node.run();
  node.add(0, 0, 2);
  node.add(0, 0, 3, false);
  node.add(0, 0, 4);
  node.shards[0]->request_stop(std::chrono::steady_clock::time_point::max());
  ShardStep last{};
  for (int rounds = 0; rounds < 10 && last.work != ShardWork::stopped; ++rounds)
    last = node.shards[0]->step();
  ASSERT_EQ(last.work, ShardWork::stopped);
  EXPECT_EQ(node.store->flushed().rows().size(), 2U);  // the last commit is durable
  const auto returned = node.take_returned();
  ASSERT_EQ(returned.size(), 2U);
  EXPECT_EQ(returned[0]->outcome(), BatchOutcome::committed);
  EXPECT_EQ(returned[1]->outcome(), BatchOutcome::abandoned);
  EXPECT_EQ(node.stats().rows_abandoned.value(), 0U);
  node.restart(1, 1);
  node.run();
  EXPECT_TRUE(node.each_row_once());
}

TEST(ShardReplayTest, catches_up_from_a_backlog_with_no_more_memory_than_a_flush) {
  ReplayNode node(1, 1, {.bytes_max = 4 * ReplayNode::batch_bytes});
  for (int batch = 0; batch < 200; ++batch) node.add(0, 0, 70, false);  // most of a batch each
  node.run();
  EXPECT_TRUE(node.each_row_once());
  EXPECT_GE(node.stats().flushes.value(), 40U);
  EXPECT_LE(node.stats().flushes.value(), 60U);
}

}  // namespace
}  // namespace wellhead
