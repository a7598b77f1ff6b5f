// Scoring as a part of committing, against a real server: the statements on the table of baselines.
#include <gtest/gtest.h>

#include <string>

#include "sink/baselines.hpp"
#include "sink/pg_database.hpp"
#include "sink/postgres_committer.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using std::chrono::steady_clock;
using test::base_time_us;

const std::atomic<bool> not_stopping{false};
constexpr LaneId lane{1, 0, 0};

// What quoting has to stand.
const std::vector<std::string> difficult_names{
    R"(with "quotes")", "it's", R"(back\slash)", "{a,b}", "NULL", "a; b", "größe", " ", R"(\x00)", "ends\\"};

class ScoringDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
    database_->create_shipped_tables();
    options_.connection = database_->connection();
    start();
  }

  void start(ScorerLimits limits = {}) {
    committer_.reset();
    scores_ = std::make_unique<std::vector<StreamScores>>(schemas_.size());
    CommitterSetup setup{.streams = schemas_, .owner = {.journal_id = journal_id_}};
    setup.scorer = std::make_unique<Scorer>(schemas_, limits, *scores_);
    committer_ = make_postgres_committer(options_, std::move(setup));
    stats_ = std::make_unique<ShardStats>();
    committer_->attach(*stats_);
    sequence_ = 0;
  }

  void prepare() {
    std::vector<LaneProgress> progress{{lane, 0}};
    ShardState state{};
    std::string problem;
    ASSERT_TRUE(committer_->prepare(progress, not_stopping, state, problem)) << problem;
    sequence_ = progress.front().sequence;
  }
  void commit(Batch& batch) {
    if (sequence_ == 0) prepare();
    const std::vector<LaneMove> moves{{lane, sequence_, sequence_ + 1}};
    const std::vector<Batch*> batches{&batch};
    const FlushReport report = committer_->commit({batches, moves, false}, not_stopping);
    ASSERT_EQ(report.outcome, FlushOutcome::committed) << report.problem;
    ++sequence_;
  }
  void finish() { committer_->finish(steady_clock::now() + std::chrono::minutes(1), not_stopping); }

  std::unique_ptr<TestDatabase> database_;
  PostgresOptions options_{.node_id = "node"};
  std::vector<SchemaPointer> schemas_ = test::shipped_schemas();
  std::string journal_id_ = random_journal_id();
  std::unique_ptr<std::vector<StreamScores>> scores_;
  std::unique_ptr<ShardStats> stats_;
  std::unique_ptr<Committer> committer_;
  std::uint64_t sequence_ = 0;
};

TEST_F(ScoringDatabaseTest, finds_after_a_restart_what_it_saved_whatever_the_devices_are_called) {
  const auto fill = [](int minute) {
    auto batch = test::make_batch();
    for (const std::string& name : difficult_names)
      test::add_telemetry(*batch, name, base_time_us + minute * 60'000'000LL, 100);
    test::add_esp(*batch, minute, difficult_names.front(), base_time_us + minute * 60'000'000LL);
    return batch;
  };
  const std::string devices = std::to_string(difficult_names.size());
  commit(*fill(0));
  finish();
  EXPECT_EQ(database_->value("SELECT count(*) FROM wellhead_device_baselines WHERE stream = 'telemetry'"),
            devices);
  EXPECT_EQ(database_->value("SELECT count(DISTINCT device_id) FROM telemetry JOIN wellhead_device_baselines "
                             "USING (device_id) WHERE stream = 'telemetry'"),
            devices);
  EXPECT_EQ(
      database_->value("SELECT device_id FROM wellhead_device_baselines WHERE stream = 'esp_telemetry'"),
      difficult_names.front());
  start();
  commit(*fill(1));
  EXPECT_EQ(stats_->baselines_restored.value(), difficult_names.size() + 1);
  EXPECT_EQ(stats_->baselines_unreadable.value(), 0U);
}

TEST_F(ScoringDatabaseTest, starts_a_device_anew_whose_baseline_cannot_be_read) {
  database_->execute("INSERT INTO wellhead_device_baselines VALUES ('telemetry', 'well', '\\xff00', now())");
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "well", base_time_us, 100);
  commit(*batch);
  EXPECT_EQ(stats_->baselines_unreadable.value(), 1U);
  finish();
  EXPECT_EQ(database_->value("SELECT state <> '\\xff00' FROM wellhead_device_baselines"), "t");
}

TEST_F(ScoringDatabaseTest, stores_rows_of_a_database_that_does_not_take_a_baseline) {
  database_->execute("ALTER TABLE wellhead_device_baselines ADD CHECK (device_id <> 'well-1')");
  auto batch = test::make_batch();
  for (int device = 0; device < 3; ++device)
    test::add_telemetry(*batch, "well-" + std::to_string(device), base_time_us, 100);
  commit(*batch);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "3");
  EXPECT_TRUE(batch->refused().empty());
}

TEST_F(ScoringDatabaseTest, salvages_rows_beside_their_baselines) {
  auto batch = test::make_batch();
  test::add_telemetry(*batch, "good", base_time_us, 100);
  test::add_telemetry(*batch, "bad", base_time_us, -1);
  commit(*batch);
  EXPECT_EQ(batch->refused().size(), 1U);
  EXPECT_EQ(database_->value("SELECT count(*) FROM telemetry"), "1");
  finish();
  EXPECT_EQ(database_->value("SELECT count(*) FROM wellhead_device_baselines"), "2");
}

TEST_F(ScoringDatabaseTest, is_blocked_while_the_table_is_missing_or_may_not_be_written) {
  const auto problem = [&] {
    std::vector<LaneProgress> progress{{lane, 0}};
    ShardState state{};
    std::string sentence;
    EXPECT_FALSE(committer_->prepare(progress, not_stopping, state, sentence));
    EXPECT_EQ(state, ShardState::blocked);
    return sentence;
  };
  const std::string role = database_->name() + "_writer";
  database_->create_role(role);
  database_->execute("GRANT INSERT ON telemetry, esp_telemetry, diagnostic_results TO " + role +
                     "; GRANT SELECT, INSERT, UPDATE, DELETE ON wellhead_progress TO " + role);
  options_.connection = database_->connection_as(role);
  start();
  const std::string without_rights = problem();
  options_.connection = database_->connection();
  start();
  database_->execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
  EXPECT_NE(without_rights.find("GRANT SELECT, INSERT, UPDATE ON wellhead_device_baselines TO"),
            std::string::npos)
      << without_rights;
  database_->execute("DROP TABLE wellhead_device_baselines");
  const std::string without_table = problem();
  EXPECT_NE(without_table.find("\"wellhead_device_baselines\" does not exist"), std::string::npos);
  EXPECT_NE(without_table.find("wellhead migrate up"), std::string::npos) << without_table;
}

TEST_F(ScoringDatabaseTest, looks_devices_up_by_the_index) {
  database_->execute(
      "INSERT INTO wellhead_device_baselines SELECT 'telemetry', 'well-' || i, decode(repeat('00', 200), "
      "'hex'), now() FROM generate_series(1, 100000) i");
  std::vector<std::string> names;
  std::vector<DeviceName> devices;
  for (int device = 0; device < 2'000; ++device) names.push_back("well-" + std::to_string(device * 50 + 1));
  for (const std::string& name : names) devices.push_back({0, 0, name});
  PgDatabase connection(options_, "wellhead test");
  int notices = 0;
  connection.on_notice([&](const DatabaseNotice&) { ++notices; });
  ASSERT_TRUE(connection.connect());
  std::string statement = BaselineTable::select_statement("telemetry", devices);
  const auto rows = connection.query(statement);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->size(), 2'000U);
  statement.insert(statement.find("SELECT wanted"), "EXPLAIN ");
  const auto plan = connection.query(statement);
  ASSERT_TRUE(plan) << plan.error().message;
  std::string text;
  for (const DatabaseRow& row : *plan) text += *row[0] + '\n';
  EXPECT_NE(text.find("Index Scan using wellhead_device_baselines_pkey"), std::string::npos) << text;
  EXPECT_EQ(notices, 0);
  EXPECT_EQ(connection.query("SHOW enable_hashjoin")->front()[0], "on");
}

}  // namespace
}  // namespace wellhead
