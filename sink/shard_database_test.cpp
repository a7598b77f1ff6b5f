// Shards with their threads against a real server that comes, goes and is changed under them.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <random>
#include <stdexcept>

#include "base/unique_fd.hpp"
#include "sink/catalog.hpp"
#include "sink/pg_database.hpp"
#include "sink/postgres_committer.hpp"
#include "sink/shard.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/link_proxy.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

// A port of 127.0.0.1 that nobody listens on and the kernel gives to nobody else, until a proxy takes it by
// its number: a socket of ours is bound to it, and SO_REUSEADDR lets the proxy's in beside that one.
class ReservedPort {
 public:
  ReservedPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    const int reuse = 1;
    if (bind(socket_.get(), generic, length) != 0 || getsockname(socket_.get(), generic, &length) != 0 ||
        setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) != 0)
      throw std::runtime_error("no port can be reserved");
    number_ = ntohs(address.sin_port);
  }
  [[nodiscard]] unsigned number() const noexcept { return number_; }

 private:
  UniqueFd socket_;
  unsigned number_ = 0;
};

class ShardDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
  }

  void TearDown() override {
    for (auto& shard : shards_) {
      shard->request_stop(steady_clock::now());
      shard->join();
    }
    senders_.clear();
    shards_.clear();
  }

  void start_shards(std::uint32_t count, const std::string& connection, FlushOptions options) {
    const std::vector<Mailbox*> returns{&returned_};
    board_ = std::make_unique<LaneBoard>(1, 1, count, std::span<const OldLane>());
    sent_.assign(count, 0);
    const std::string journal_id = random_journal_id();
    for (std::uint32_t index = 0; index < count; ++index) {
      auto committer = make_postgres_committer(
          {.connection = connection},
          {.shard = index, .streams = test::shipped_schemas(), .owner = {.journal_id = journal_id}});
      shards_.push_back(
          std::make_unique<Shard>(index, options, std::move(committer), returns, clock_, -1, *board_));
      senders_.emplace_back(shards_.back()->mailbox());
      shards_.back()->start();
    }
  }

  void send(std::uint32_t shard, Batch* batch) {
    batch->set_lane({1, 0, shard}, ++sent_[shard]);
    senders_[shard].send(batch);
  }

  // Takes one batch that came back; null when none does for long.
  Batch* take_returned() {
    const auto give_up = steady_clock::now() + 60s;
    Batch* batch = nullptr;
    while (returned_.take(std::span(&batch, 1)) == 0) {
      if (steady_clock::now() > give_up) return nullptr;
      std::this_thread::sleep_for(1ms);
    }
    return batch;
  }

  bool wait_for_state(ShardState state) {
    const auto give_up = steady_clock::now() + 30s;
    while (shards_[0]->state() != state && steady_clock::now() < give_up) std::this_thread::sleep_for(1ms);
    return shards_[0]->state() == state;
  }

  SystemClock clock_;
  Mailbox returned_;
  std::unique_ptr<TestDatabase> database_;
  std::unique_ptr<LaneBoard> board_;
  std::vector<std::uint64_t> sent_;  // by shard
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<Mailbox::Sender> senders_;
};

TEST_F(ShardDatabaseTest, is_blocked_with_a_sentence_until_the_tables_are_there) {
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", test::base_time_us, 1);
  start_shards(1, database_->connection(), {});
  send(0, batch.get());
  ASSERT_TRUE(wait_for_state(ShardState::blocked));
  EXPECT_NE(shards_[0]->problem().find("stream \"telemetry\": table \"telemetry\" does not exist"),
            std::string::npos)
      << shards_[0]->problem();
  EXPECT_NE(shards_[0]->problem().find("wellhead migrate up"), std::string::npos);
  database_->create_shipped_tables();
  ASSERT_EQ(take_returned(), batch.get());
  EXPECT_EQ(batch->outcome(), BatchOutcome::committed);
  EXPECT_EQ(shards_[0]->state(), ShardState::ready);
  EXPECT_EQ(shards_[0]->problem(), "");
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "1");
}

TEST_F(ShardDatabaseTest, is_blocked_when_a_table_goes_and_commits_when_it_is_back) {
  database_->create_shipped_tables();
  start_shards(1, database_->connection(), {});
  ASSERT_TRUE(wait_for_state(ShardState::ready));
  database_->execute("ALTER TABLE telemetry RENAME COLUMN pressure TO pressure_psi");
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", test::base_time_us, 1);
  send(0, batch.get());
  ASSERT_TRUE(wait_for_state(ShardState::blocked));
  database_->execute("ALTER TABLE telemetry RENAME COLUMN pressure_psi TO pressure");
  ASSERT_EQ(take_returned(), batch.get());
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "1");
}

TEST_F(ShardDatabaseTest, waits_for_a_database_that_is_down_and_commits_when_it_comes) {
  database_->create_shipped_tables();
  const ReservedPort port;
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", test::base_time_us, 1);
  start_shards(1, database_->connection_through(port.number()), {});
  send(0, batch.get());
  ASSERT_TRUE(wait_for_state(ShardState::disconnected));
  const LinkProxy proxy(database_->port(), port.number());
  ASSERT_EQ(take_returned(), batch.get());
  EXPECT_EQ(batch->outcome(), BatchOutcome::committed);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "1");
}

TEST_F(ShardDatabaseTest, loses_and_doubles_nothing_while_its_backends_are_killed) {
  database_->create_shipped_tables();
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  constexpr std::uint32_t shard_count = 2;
  constexpr int batches_in_flight = 12;
  constexpr int rows_per_batch = 300;
  start_shards(shard_count, database_->connection(), {.rows_max = 1'000, .linger = 1ms});

  std::vector<std::unique_ptr<Batch>> owned;
  std::map<Batch*, std::uint32_t> shard_of;
  std::int64_t id = 0;
  std::int64_t bad = 0;
  const auto send_new_rows = [&](Batch* batch) {
    batch->reset();
    for (int row = 0; row < rows_per_batch; ++row, ++id) {
      const bool is_bad = random() % 2'000 == 0;
      bad += is_bad ? 1 : 0;
      test::add_telemetry(*batch, "well-" + std::to_string(id % 7), test::base_time_us + id, is_bad ? -1 : 1);
    }
    send(shard_of[batch], batch);
  };
  for (int batch = 0; batch < batches_in_flight; ++batch) {
    owned.push_back(test::make_batch());
    shard_of[owned.back().get()] = static_cast<std::uint32_t>(batch) % shard_count;
    send_new_rows(owned.back().get());
  }

  std::atomic<bool> killing{true};
  std::jthread killer([&, killer_random = std::mt19937(seed + 1)]() mutable {
    while (killing.load()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(killer_random() % 120));
      database_->execute(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
          "application_name = 'wellhead/shard-" +
          std::to_string(killer_random() % shard_count) + "'");
    }
  });
  std::int64_t refused = 0;
  int open = batches_in_flight;
  const auto end = steady_clock::now() + 6s;
  while (open > 0) {
    Batch* batch = take_returned();
    ASSERT_NE(batch, nullptr);
    ASSERT_EQ(batch->outcome(), BatchOutcome::committed);
    refused += static_cast<std::int64_t>(batch->refused().size());
    if (steady_clock::now() < end) {
      send_new_rows(batch);
    } else {
      --open;
      killing.store(false);
    }
  }
  std::uint64_t disconnects = 0;
  for (const auto& shard : shards_) disconnects += shard->stats().disconnects.value();
  std::cout << id << " rows, " << bad << " bad, " << disconnects << " connections killed\n";
  EXPECT_GT(disconnects, 5U);
  EXPECT_EQ(refused, bad);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), std::to_string(id - bad));
  EXPECT_EQ(database_->value("SELECT count(DISTINCT timestamp) FROM telemetry"), std::to_string(id - bad));
}

TEST_F(ShardDatabaseTest, creates_new_chunks_from_several_shards_without_a_deadlock) {
  database_->create_shipped_tables();
  // A chunk takes over its table's foreign keys, which locks the table they refer to: with one such table for
  // two hypertables, a flush into both and one into the second lock in opposite orders.
  database_->execute(
      "CREATE TABLE wells (id text PRIMARY KEY); INSERT INTO wells VALUES ('well-1');"
      "ALTER TABLE telemetry ADD FOREIGN KEY (device_id) REFERENCES wells;"
      "ALTER TABLE esp_telemetry ADD FOREIGN KEY (well_id) REFERENCES wells");
  constexpr std::uint32_t shard_count = 4;
  start_shards(shard_count, database_->connection(), {.linger = 0ms});
  std::vector<std::unique_ptr<Batch>> owned;
  constexpr std::int64_t day_us = 86'400'000'000;
  constexpr int rounds = 25;
  for (int round = 0; round < rounds; ++round) {
    for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
      owned.push_back(test::make_batch());
      const std::int64_t time = test::base_time_us + round * day_us;
      if (shard % 2 == 0) test::add_telemetry(*owned.back(), "well-1", time, 1);
      test::add_esp(*owned.back(), shard, "well-1", time);
      send(shard, owned.back().get());
    }
    for (std::uint32_t shard = 0; shard < shard_count; ++shard) ASSERT_NE(take_returned(), nullptr);
  }
  std::uint64_t retried = 0;
  for (const auto& shard : shards_) retried += shard->stats().flushes_retried.value();
  EXPECT_EQ(retried, 0U);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), std::to_string(rounds * shard_count / 2));
  EXPECT_EQ(database_->value("SELECT count(*) FROM esp_telemetry"), std::to_string(rounds * shard_count));
}

class CatalogTest : public ShardDatabaseTest {
 protected:
  void SetUp() override {
    ShardDatabaseTest::SetUp();
    if (!IsSkipped()) database_->create_shipped_tables();
  }

  [[nodiscard]] std::vector<std::string> check(const std::string& connection) {
    PgDatabase database({.connection = connection}, "wellhead check");
    const auto connected = database.connect();
    EXPECT_TRUE(connected.has_value());
    if (!connected) return {connected.error().message};
    const auto report = check_catalog(database, test::shipped_schemas());
    EXPECT_TRUE(report.has_value());
    return report ? report->problems : std::vector<std::string>{report.error().message};
  }
};

TEST_F(CatalogTest, finds_nothing_wrong_with_the_shipped_tables) {
  EXPECT_EQ(check(database_->connection()), std::vector<std::string>{});
}

TEST_F(CatalogTest, says_in_one_sentence_each_what_does_not_fit) {
  // Views and the columnstore keep the server from changing columns.
  if (database_->edition() == "community") {
    database_->execute("DROP MATERIALIZED VIEW telemetry_1min, telemetry_1hour, telemetry_daily");
    for (const std::string table : {"telemetry", "esp_telemetry"})
      database_->execute("SELECT remove_compression_policy('" + table + "'); ALTER TABLE " + table +
                         " SET (timescaledb.compress = false)");
  }
  database_->execute(
      "DROP TABLE wellhead_progress; DROP TABLE diagnostic_results;"
      "ALTER TABLE telemetry DROP CONSTRAINT telemetry_pressure_check;"
      "ALTER TABLE telemetry ALTER pressure TYPE text; ALTER TABLE telemetry DROP flow_rate;"
      "ALTER TABLE telemetry ADD site text NOT NULL; ALTER TABLE telemetry ADD zone text NOT NULL DEFAULT "
      "'a';"
      "ALTER TABLE esp_telemetry DROP gor;"
      "ALTER TABLE esp_telemetry ADD gor real GENERATED ALWAYS AS (1.0) STORED");
  const std::vector<std::string> expected{
      "stream \"telemetry\": table \"telemetry\" has column \"pressure\" of type text, the stream writes "
      "real: change the "
      "stream's type or the column",
      "stream \"telemetry\": table \"telemetry\" has no column \"flow_rate\": add the column to the table, "
      "or take it out of "
      "the stream",
      "stream \"telemetry\": table \"telemetry\" wants a value for column \"site\" (NOT NULL without a "
      "default), which the "
      "stream does not fill: add the column to the stream, or give it a default",
      "stream \"esp_telemetry\": table \"esp_telemetry\" computes column \"gor\" itself (it is generated): "
      "take the column "
      "out of the stream",
      "stream \"diagnostic_results\": table \"diagnostic_results\" does not exist in the search path: run "
      "`wellhead migrate "
      "up` for the streams that ship, or create the table",
      "table \"wellhead_progress\" does not exist: without it nothing can be stored exactly once; run "
      "`wellhead migrate up`"};
  EXPECT_EQ(check(database_->connection()), expected);
}

TEST_F(CatalogTest, names_the_rights_a_role_lacks) {
  // Where this is, its rights are asked for as well, which has a test of its own.
  database_->execute("DROP TABLE IF EXISTS wellhead_invalidation");
  const std::string role = database_->name() + "_writer";
  database_->create_role(role);
  const auto problems = check(database_->connection_as(role));
  database_->execute("GRANT INSERT ON telemetry, esp_telemetry, diagnostic_results TO " + role +
                     "; GRANT SELECT, INSERT, UPDATE, DELETE ON wellhead_progress TO " + role);
  const auto granted = check(database_->connection_as(role));
  database_->execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
  ASSERT_FALSE(problems.empty());
  EXPECT_NE(problems.front().find("may not insert"), std::string::npos) << problems.front();
  EXPECT_NE(problems.front().find("GRANT INSERT ON"), std::string::npos);
  EXPECT_NE(problems.back().find("wellhead_progress"), std::string::npos);
  EXPECT_EQ(granted, std::vector<std::string>{});
}

}  // namespace
}  // namespace wellhead
