// PostgresCommitter against a real server: what it stores, what it refuses, what it survives.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "sink/postgres_committer.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/link_proxy.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using test::base_time_us;
using Moment = LinkProxy::Moment;

const std::atomic<bool> not_stopping{false};

class CommitterDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
    database_->create_shipped_tables();
    options_.connection = database_->connection();
    options_.node_id = "node \"1\"";
  }

  [[nodiscard]] std::unique_ptr<Committer> make_committer() {
    auto committer = make_postgres_committer(
        options_, {.streams = test::shipped_schemas(), .owner = {.journal_id = journal_id_}});
    committer->attach(stats_);
    return committer;
  }

  // Leaves in sequence_ where the lane stands.
  [[nodiscard]] bool prepare(Committer& committer) {
    std::vector<LaneProgress> progress{{lane, 0}};
    const bool ready = committer.prepare(progress, not_stopping, state_, problem_);
    if (ready) sequence_ = progress.front().sequence;
    return ready;
  }

  FlushReport try_commit(Committer& committer, const std::vector<Batch*>& batches,
                         const std::atomic<bool>& stopping = not_stopping) {
    const std::vector<LaneMove> moves{{lane, sequence_, sequence_ + 1}};
    for (Batch* batch : batches) batch->refused().clear();
    return committer.commit({batches, moves, false}, stopping);
  }

  // Prepares and commits until it is committed, as a shard does; fails the test when it takes too many tries.
  void commit(Committer& committer, const std::vector<Batch*>& batches) {
    std::optional<std::uint64_t> doubtful;
    for (int tries = 0; tries < 200; ++tries) {
      if (!prepare(committer)) continue;
      if (doubtful == sequence_) return;
      const FlushReport report = try_commit(committer, batches);
      if (report.outcome == FlushOutcome::committed) return;
      problem_ = report.problem;
      doubtful.reset();
      if (report.outcome == FlushOutcome::unknown) doubtful = sequence_ + 1;
    }
    FAIL() << "never committed: " << problem_;
  }

  [[nodiscard]] std::string count(const std::string& what) {
    return database_->value("SELECT count(*) FROM " + what);
  }

  std::unique_ptr<TestDatabase> database_;
  static constexpr LaneId lane{3, 1, 0};

  PostgresOptions options_;
  std::string journal_id_ = random_journal_id();
  ShardStats stats_;
  ShardState state_ = ShardState::starting;
  std::string problem_;
  std::uint64_t sequence_ = 0;
};

TEST_F(CommitterDatabaseTest, stores_the_values_of_all_streams_and_moves_the_progress_once) {
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-2", base_time_us, 1200.5F);
  test::add_esp(*batch, 42, "well-1", base_time_us + 1);
  test::add_diagnostic(*batch, 7, "well-1", base_time_us + 2);
  auto committer = make_committer();
  commit(*committer, {batch.get()});

  EXPECT_EQ(database_->value(
                "SELECT row(timestamp AT TIME ZONE 'UTC', device_id, temperature, vibration, pressure, "
                "flow_rate, motor_current, rpm, intake_pressure, discharge_pressure, data_quality_score, "
                "is_anomaly, ingestion_timestamp AT TIME ZONE 'UTC', source_system)::text FROM telemetry"),
            "(\"2026-01-01 00:00:00\",well-2,61.5,0.25,1200.5,900,50,3500,1900,,1,f,\"2026-01-01 "
            "00:00:01\",scada)");
  EXPECT_EQ(
      database_->value("SELECT row(id, well_id, flow_rate, pip, motor_temp, gor)::text FROM esp_telemetry"),
      "(42,well-1,1000,2000,200,300)");
  EXPECT_EQ(database_->value(
                "SELECT row(id, severity, confidence, details->>'source')::text FROM diagnostic_results"),
            "(7,warning,0.75,rules)");
  EXPECT_EQ(
      database_->value("SELECT row(node_id, epoch, reactor, shard, sequence)::text FROM wellhead_progress"),
      "(\"node \"\"1\"\"\",3,1,0,1)");
  EXPECT_TRUE(batch->refused().empty());
}

struct BadRows {
  const char* name;
  int rows;
  std::set<int> bad;
};

// The bad rows of 10,000, and of a range of neighbours.
BadRows every(int step, const char* name) {
  BadRows rows{name, 10'000, {}};
  for (int row = 0; row < rows.rows; row += step) rows.bad.insert(row);
  return rows;
}

TEST_F(CommitterDatabaseTest, refuses_exactly_the_rows_that_violate_a_check) {
  auto committer = make_committer();
  int round = 0;
  const std::vector<BadRows> cases{{"one", 10'000, {4'711}},
                                   {"the first", 10'000, {0}},
                                   {"the last", 10'000, {9'999}},
                                   {"two", 10'000, {17, 9'000}},
                                   {"both ends", 10'000, {0, 9'999}},
                                   {"neighbours", 10'000, {500, 501, 502}},
                                   every(97, "one in 97"),
                                   every(2, "every second"),
                                   {"all", 100, every(1, "").bad}};
  for (const BadRows& expected : cases) {
    SCOPED_TRACE(expected.name);
    database_->execute("TRUNCATE telemetry");
    const std::int64_t round_time = base_time_us + round++ * 1'000'000'000LL;
    // Two batches, so that a row's place is one within its batch.
    std::vector<std::unique_ptr<Batch>> batches;
    batches.push_back(test::make_batch(4U << 20));
    batches.push_back(test::make_batch(4U << 20));
    std::vector<std::set<int>> bad(2);
    int bad_count = 0;
    for (int row = 0; row < expected.rows; ++row) {
      const auto half = static_cast<std::size_t>(row % 2);
      const bool is_bad = expected.bad.contains(row);
      if (is_bad) bad[half].insert(static_cast<int>(batches[half]->row_count()));
      bad_count += is_bad ? 1 : 0;
      test::add_telemetry(*batches[half], "well-" + std::to_string(row % 100), round_time + row,
                          is_bad ? -1.0F : 5.0F);
    }
    const auto start = std::chrono::steady_clock::now();
    commit(*committer, {batches[0].get(), batches[1].get()});
    const auto took = std::chrono::steady_clock::now() - start;
    std::cout << expected.name << ": " << bad_count << " bad of " << expected.rows << " in "
              << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms\n";
    for (std::size_t half = 0; half < 2; ++half) {
      std::set<int> refused;
      for (const RefusedRow& row : batches[half]->refused()) {
        EXPECT_EQ(row.sqlstate, "23514");
        EXPECT_EQ(row.record_index, row.row);
        EXPECT_NE(row.message.find("telemetry_pressure_check"), std::string::npos) << row.message;
        refused.insert(static_cast<int>(row.row));
      }
      EXPECT_EQ(refused, bad[half]);
    }
    EXPECT_EQ(count("telemetry"), std::to_string(expected.rows - bad_count));
    EXPECT_EQ(count("telemetry WHERE pressure < 0"), "0");
  }
}

TEST_F(CommitterDatabaseTest, refuses_the_second_of_two_rows_with_one_key_and_stores_every_other_stream) {
  auto batch = test::make_batch();
  for (int row = 0; row < 1'000; ++row) test::add_esp(*batch, row, "well-1", base_time_us + row);
  test::add_esp(*batch, 500, "well-1", base_time_us + 500);  // row 1,000
  test::add_telemetry(*batch, "well-1", base_time_us, 1);
  test::add_diagnostic(*batch, 1, "well-1", base_time_us, "unheard of");  // row 1,002
  test::add_diagnostic(*batch, 2, "well-1", base_time_us);
  auto committer = make_committer();
  commit(*committer, {batch.get()});
  ASSERT_EQ(batch->refused().size(), 2U);
  EXPECT_EQ(batch->refused()[0].row, 1'000U);
  EXPECT_EQ(batch->refused()[0].sqlstate, "23505");
  EXPECT_EQ(batch->refused()[1].row, 1'002U);
  EXPECT_EQ(batch->refused()[1].sqlstate, "23514");
  EXPECT_EQ(count("esp_telemetry"), "1000");
  EXPECT_EQ(count("telemetry"), "1");
  EXPECT_EQ(count("diagnostic_results"), "1");
}

TEST_F(CommitterDatabaseTest, refuses_rows_by_deferred_constraints_and_by_triggers) {
  database_->execute(
      "CREATE TABLE wells (id text PRIMARY KEY); INSERT INTO wells VALUES ('well-1');"
      "DROP TABLE diagnostic_results;"
      "CREATE TABLE diagnostic_results (id bigint PRIMARY KEY, well_id text REFERENCES wells DEFERRABLE "
      "INITIALLY DEFERRED, timestamp timestamptz, severity text, diagnosis text, confidence real, details "
      "jsonb);"
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 13 THEN "
      "RAISE EXCEPTION 'not that one'; END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER refuse BEFORE INSERT ON diagnostic_results FOR EACH ROW EXECUTE FUNCTION refuse()");
  auto batch = test::make_batch();
  for (int row = 0; row < 40; ++row)
    test::add_diagnostic(*batch, row, row == 21 || row == 30 ? "well-unknown" : "well-1", base_time_us + row);
  auto committer = make_committer();
  commit(*committer, {batch.get()});
  ASSERT_EQ(batch->refused().size(), 3U);
  EXPECT_EQ(batch->refused()[0].row, 13U);
  EXPECT_EQ(batch->refused()[0].sqlstate, "P0001");
  EXPECT_EQ(batch->refused()[1].row, 21U);
  EXPECT_EQ(batch->refused()[1].sqlstate, "23503");
  EXPECT_EQ(batch->refused()[2].row, 30U);
  EXPECT_EQ(count("diagnostic_results"), "37");
}

TEST_F(CommitterDatabaseTest, knows_after_a_hidden_commit_that_the_flush_is_stored) {
  LinkProxy proxy(database_->port());
  options_.connection = database_->connection_through(proxy.port());
  auto committer = make_committer();
  proxy.plan({.moment = Moment::copy_done_delivered});
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", base_time_us, 1);
  commit(*committer, {batch.get()});
  EXPECT_EQ(proxy.cuts(), 1U);
  EXPECT_EQ(count("telemetry"), "1");
  EXPECT_EQ(database_->value("SELECT sequence FROM wellhead_progress"), "1");
  commit(*committer, {batch.get()});
  EXPECT_EQ(count("telemetry"), "2");
}

TEST_F(CommitterDatabaseTest, knows_after_a_lost_commit_that_the_flush_is_not_stored) {
  LinkProxy proxy(database_->port());
  options_.connection = database_->connection_through(proxy.port());
  auto committer = make_committer();
  proxy.plan({.moment = Moment::copy_done_lost});
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", base_time_us, 1);
  commit(*committer, {batch.get()});
  EXPECT_EQ(proxy.cuts(), 1U);
  EXPECT_EQ(count("telemetry"), "1");
  EXPECT_EQ(database_->value("SELECT sequence FROM wellhead_progress"), "1");
}

TEST_F(CommitterDatabaseTest, waits_for_a_stale_backend_that_may_still_commit) {
  LinkProxy proxy(database_->port());
  options_.connection = database_->connection_through(proxy.port());
  options_.statement_timeout = std::chrono::milliseconds{3'000};
  auto committer = make_committer();
  // The server waits in the middle of the COPY, with the progress row locked, and hears nothing of the broken
  // link.
  proxy.plan({.moment = Moment::copy_done_lost, .leave_server_waiting = true});
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", base_time_us, 1);
  ASSERT_TRUE(prepare(*committer)) << problem_;
  ASSERT_EQ(try_commit(*committer, {batch.get()}).outcome, FlushOutcome::unknown);
  const auto start = std::chrono::steady_clock::now();
  std::jthread releaser([&proxy] {
    std::this_thread::sleep_for(std::chrono::milliseconds{500});
    proxy.release();
  });
  ASSERT_TRUE(prepare(*committer)) << problem_;
  EXPECT_GT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds{300});
  EXPECT_EQ(count("telemetry"), "0");
  commit(*committer, {batch.get()});
  EXPECT_EQ(count("telemetry"), "1");
}

TEST_F(CommitterDatabaseTest, survives_a_link_that_breaks_after_any_number_of_bytes) {
  LinkProxy proxy(database_->port());
  options_.connection = database_->connection_through(proxy.port());
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  constexpr int flushes = 60;
  constexpr int rows_per_flush = 400;
  constexpr std::uint64_t session_bytes = 60'000;  // somewhat more than a connection and one flush send
  auto committer = make_committer();
  for (int flush = 0; flush < flushes; ++flush) {
    auto batch = test::make_batch();
    for (int row = 0; row < rows_per_flush; ++row) {
      // One bad row in some flushes: the way by savepoints is cut as well.
      const bool bad = flush % 3 == 0 && row == 200;
      test::add_telemetry(*batch, "well-1", base_time_us + flush * rows_per_flush + row, bad ? -1 : 1);
    }
    committer = make_committer();
    proxy.plan({.moment = Moment::client_bytes,
                .client_bytes = std::uniform_int_distribution<std::uint64_t>(1, session_bytes)(random)});
    commit(*committer, {batch.get()});
    EXPECT_EQ(batch->refused().size(), flush % 3 == 0 ? 1U : 0U);
  }
  EXPECT_GT(proxy.cuts(), static_cast<unsigned>(flushes / 2));
  const std::string expected = std::to_string(flushes * rows_per_flush - flushes / 3);
  EXPECT_EQ(count("telemetry"), expected);
  EXPECT_EQ(database_->value("SELECT count(DISTINCT timestamp) FROM telemetry"), expected);
}

TEST_F(CommitterDatabaseTest, stores_nothing_when_another_process_moves_its_journals_progress) {
  auto first = make_committer();
  auto second = make_committer();
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", base_time_us, 1);
  commit(*first, {batch.get()});
  commit(*second, {batch.get()});
  sequence_ = 1;  // as the first left it
  const FlushReport report = try_commit(*first, {batch.get()});
  EXPECT_EQ(report.outcome, FlushOutcome::blocked);
  EXPECT_NE(report.problem.find("another process"), std::string::npos) << report.problem;
  EXPECT_EQ(count("telemetry"), "2");
}

TEST_F(CommitterDatabaseTest, moves_all_lanes_of_a_flush_or_none) {
  auto committer = make_committer();
  std::vector<LaneProgress> progress{{{3, 0, 0}, 0}, {{3, 1, 0}, 0}, {{2, 0, 4}, 0}};
  ASSERT_TRUE(committer->prepare(progress, not_stopping, state_, problem_)) << problem_;
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", base_time_us, 1);
  const std::vector<Batch*> batches{batch.get()};
  std::vector<LaneMove> moves{{{3, 0, 0}, 0, 5}, {{2, 0, 4}, 0, 7}};
  ASSERT_EQ(committer->commit({batches, moves, false}, not_stopping).outcome, FlushOutcome::committed);
  moves = {{{3, 0, 0}, 5, 6}, {{2, 0, 4}, 6, 8}};  // the second is at 7
  ASSERT_EQ(committer->commit({batches, moves, false}, not_stopping).outcome, FlushOutcome::blocked);
  ASSERT_TRUE(committer->prepare(progress, not_stopping, state_, problem_)) << problem_;
  EXPECT_EQ(progress[0].sequence, 5U);
  EXPECT_EQ(progress[1].sequence, 0U);
  EXPECT_EQ(progress[2].sequence, 7U);
  EXPECT_EQ(count("telemetry"), "1");
}

TEST_F(CommitterDatabaseTest, puts_a_refused_row_into_the_dead_letter_with_the_rows_around_it) {
  database_->execute("CREATE TABLE refused (what text)");
  DeadLetterTable dead_letter{
      .encode =
          [](const RefusedRow& row, const RowHeader&, const Schema& schema, std::vector<std::byte>& tuple) {
            const std::string bytes =
                test::Tuple()
                    .text(schema.name() + " " + std::to_string(row.row) + " " + row.sqlstate)
                    .bytes();
            const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
            tuple.insert(tuple.end(), first, first + bytes.size());
          },
      .copy_statement = "COPY refused (what) FROM STDIN (FORMAT binary)"};
  auto committer = make_postgres_committer(options_, {.streams = test::shipped_schemas(),
                                                      .owner = {.journal_id = journal_id_},
                                                      .dead_letter = std::move(dead_letter)});
  auto batch = test::make_batch();
  for (int row = 0; row < 10; ++row)
    test::add_telemetry(*batch, "well-1", base_time_us + row, row == 4 ? -1.0F : 1.0F);
  commit(*committer, {batch.get()});
  EXPECT_EQ(database_->value("SELECT string_agg(what, ',') FROM refused"), "telemetry 4 23514");
  EXPECT_EQ(count("telemetry"), "9");
  EXPECT_EQ(batch->refused().size(), 1U);
}

TEST_F(CommitterDatabaseTest, says_what_the_server_says_about_a_refused_connection_and_never_the_password) {
  options_.connection = database_->connection_as("nobody_of_that_name") + " password=secret-word";
  EXPECT_FALSE(prepare(*make_committer()));
  EXPECT_EQ(state_, ShardState::blocked) << problem_;
  EXPECT_NE(problem_.find("SQLSTATE 28"), std::string::npos) << problem_;
  EXPECT_EQ(problem_.find("secret-word"), std::string::npos);

  options_.connection = "host=127.0.0.1 port=1 user=wellhead password=secret-word";
  EXPECT_FALSE(prepare(*make_committer()));
  EXPECT_EQ(state_, ShardState::disconnected);
  EXPECT_NE(problem_.find("Connection refused"), std::string::npos) << problem_;
  EXPECT_EQ(problem_.find("secret-word"), std::string::npos);
}

TEST_F(CommitterDatabaseTest, counts_the_servers_warnings) {
  database_->execute(
      "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'slow path'; "
      "RETURN NEW; END $$; CREATE TRIGGER warn BEFORE INSERT ON telemetry FOR EACH ROW EXECUTE FUNCTION "
      "warn()");
  auto batch = test::make_batch();
  for (int row = 0; row < 5'000; ++row) test::add_telemetry(*batch, "well-1", base_time_us + row, 1);
  auto committer = make_committer();
  commit(*committer, {batch.get()});
  EXPECT_EQ(stats_.server_warnings.value(), 5'000U);
  EXPECT_EQ(count("telemetry"), "5000");
}

TEST_F(CommitterDatabaseTest, gives_up_a_silent_server_at_the_timeout_and_at_once_when_stopping) {
  database_->execute(
      "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); "
      "RETURN NEW; END $$; CREATE TRIGGER stall BEFORE INSERT ON telemetry FOR EACH ROW EXECUTE FUNCTION "
      "stall()");
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well-1", base_time_us, 1);
  auto committer = make_committer();
  ASSERT_TRUE(prepare(*committer)) << problem_;
  std::atomic<bool> stopping{false};
  std::jthread stopper([&stopping] {
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
    stopping.store(true);
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(try_commit(*committer, {batch.get()}, stopping).outcome, FlushOutcome::unknown);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds{2});
  EXPECT_EQ(count("telemetry"), "0");
}

}  // namespace
}  // namespace wellhead
