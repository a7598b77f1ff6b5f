// Asynchronous commits against a server of the test's own that is killed: it forgets some, and each row is
// stored once in the end.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>

#include "sink/pg_database.hpp"
#include "sink/replay_node.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test::ReplayNode;

// A cluster whose log is written late, so that a commit that nobody waits for stays in memory for long.
class CrashDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    folder_ = "/var/tmp/wellhead-crash-" + std::to_string(getpid());
    start();
    // The database is made where the variable says.
    const std::string shared = std::getenv(TestDatabase::url_variable);
    setenv(TestDatabase::url_variable, cluster("url " + folder_).c_str(), 1);
    database_.emplace();
    setenv(TestDatabase::url_variable, shared.c_str(), 1);
    database_->create_shipped_tables();
  }

  void TearDown() override {
    if (folder_.empty()) return;
    database_.reset();
    cluster("destroy " + folder_);
  }

  void start() {
    cluster("start " + folder_ +
            " wal_writer_delay=10000 wal_writer_flush_after=1GB autovacuum=off bgwriter_lru_maxpages=0"
            // TimescaleDB's jobs note their beginning and end in commits that flush the log.
            " timescaledb.max_background_workers=0");
  }
  void crash() {
    cluster("kill9 " + folder_);
    start();
  }

  // No more is written until the crash. Without this the log is flushed every ten seconds, whatever the
  // settings say.
  void stop_log_writer() {
    const std::string writer =
        database_->value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
    ASSERT_FALSE(writer.empty());
    ASSERT_EQ(kill(std::stoi(writer), SIGSTOP), 0) << writer;
  }

  static std::string cluster(const std::string& command) {
    const std::string line = std::string(WELLHEAD_SOURCE_DIR) + "/scripts/cluster.sh " + command;
    FILE* output = popen(line.c_str(), "r");
    std::string text;
    for (int byte = 0; (byte = std::fgetc(output)) != EOF && byte != '\n';) text += static_cast<char>(byte);
    const int status = pclose(output);
    EXPECT_EQ(status, 0) << line;
    return text;
  }

  [[nodiscard]] std::unique_ptr<Database> connect() const {
    PostgresOptions options{.connection = database_->connection()};
    options.synchronous_commit = "off";
    return std::make_unique<PgDatabase>(options, "wellhead/crash-test");
  }

  // Steps the node until the lane is committed so far.
  void step_until_committed(ReplayNode& node, std::uint64_t sequence) {
    const auto give_up = steady_clock::now() + 60s;
    while (node.lane().committed.load() < sequence && steady_clock::now() < give_up) {
      node.shards[0]->step();
      node.clock.now_ns += 50'000'000;
    }
    ASSERT_EQ(node.lane().committed.load(), sequence) << node.shards[0]->problem();
  }

  [[nodiscard]] int stored(const std::string& what = "*") {
    return std::stoi(database_->value("SELECT count(" + what + ") FROM telemetry"));
  }

  std::string folder_;
  std::optional<TestDatabase> database_;
};

TEST_F(CrashDatabaseTest, stores_each_row_once_although_the_database_forgets_commits) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  // Commits are made durable only where the test says so.
  ReplayNode node(1, 1, {.linger = 0ms, .flush_interval = 24h}, [this] { return connect(); });
  std::uint64_t sent = 0;
  int forgotten_rows = 0;
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    const auto commit_some = [&] {
      for (int batches = 2 + static_cast<int>(random() % 10); batches > 0; --batches) {
        node.add(0, 0, 1 + static_cast<int>(random() % 40), random() % 4 != 0);
        if (++sent; random() % 2 == 0) step_until_committed(node, sent);
      }
      step_until_committed(node, sent);
    };
    commit_some();
    node.clock.now_ns += std::chrono::nanoseconds(48h).count();
    node.shards[0]->step();
    ASSERT_EQ(node.lane().flushed.load(), sent);
    const int flushed_rows = node.rows_added;
    commit_some();
    ASSERT_EQ(stored(), node.rows_added);
    crash();
    const int left = stored();
    EXPECT_GE(left, flushed_rows);
    forgotten_rows += node.rows_added - left;
    node.add(0, 0, 3);
    ++sent;
    // It finds the broken connection at its next commit, asks the new one, and reads back what is missing.
    while (node.stats().connects.value() <= static_cast<std::uint64_t>(round) + 1) {
      node.shards[0]->step();
      node.clock.now_ns += 50'000'000;
    }
    step_until_committed(node, sent);
    EXPECT_EQ(stored(), node.rows_added);
    EXPECT_EQ(stored("DISTINCT timestamp"), node.rows_added);
    EXPECT_EQ(node.stats().rows_committed.value(), static_cast<std::uint64_t>(node.rows_added));
  }
  std::cout << node.rows_added << " rows, " << forgotten_rows << " of them forgotten by the database\n";
  EXPECT_GT(forgotten_rows, 0);
  EXPECT_EQ(node.stats().rows_rewound.value(), static_cast<std::uint64_t>(forgotten_rows));
}

TEST_F(CrashDatabaseTest, keeps_a_killed_nodes_commits_once_it_has_read_its_progress) {
  ReplayNode node(1, 1, {.linger = 0ms, .flush_interval = 24h}, [this] { return connect(); });
  node.add(0, 0, 10);
  step_until_committed(node, 1);
  // A new process finds that commit, which nothing has made durable; that it says so does.
  node.restart(1, 1);
  while (node.shards[0]->step().work != ShardWork::connected) node.clock.now_ns += 50'000'000;
  ASSERT_EQ(node.lane({1, 0, 0}).flushed.load(), 1U);
  crash();
  EXPECT_EQ(stored(), 10);
  EXPECT_EQ(database_->value("SELECT sequence FROM wellhead_progress WHERE epoch = 1"), "1");
}

TEST_F(CrashDatabaseTest, loses_a_commit_that_nothing_made_durable) {
  stop_log_writer();
  ReplayNode node(1, 1, {.linger = 0ms, .flush_interval = 24h}, [this] { return connect(); });
  node.add(0, 0, 10);
  step_until_committed(node, 1);
  ASSERT_EQ(stored(), 10);
  crash();
  EXPECT_EQ(stored(), 0);
}

}  // namespace
}  // namespace wellhead
