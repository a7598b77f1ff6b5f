#include "engine/convert.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "codec/schema.hpp"
#include "engine/convert_fixture.hpp"
#include "sink/catalog.hpp"

namespace wellhead {
namespace {

// What the new table must hold of a converted `telemetry`, and the old one held.
constexpr const char* same_content =
    "SELECT count(*) || ' ' || sum(hashtext(ROW(id, \"timestamp\", device_id::text, temperature::real, "
    "vibration::real, "
    "pressure::real, flow_rate::real, note)::text)) FROM ";

TEST_P(ConvertTest, WithoutAgreementItTellsWhatWouldBeDoneAndChangesNothing) {
  const std::string before = value(
      "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = "
      "'public'::regnamespace");
  const auto plan = runner("telemetry").converter->plan();
  ASSERT_TRUE(plan) << plan.error();
  const std::string text = print_plan(*plan, options_);
  EXPECT_EQ(plan->size.rows, static_cast<std::uint64_t>(rows));
  EXPECT_EQ(plan->size.chunks, 5U);
  EXPECT_NE(text.find("carried along, which no migration makes: id, note"), std::string::npos) << text;
  EXPECT_NE(text.find("temperature (double precision becomes real)"), std::string::npos) << text;
  EXPECT_EQ(value("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = "
                  "'public'::regnamespace"),
            before);
}

TEST_P(ConvertTest, AConvertedTableHoldsTheSameRowsAndIsWhatTheMigrationsGive) {
  const std::string content = value(same_content + std::string("telemetry"));
  execute("CREATE ROLE " + database_->name() + "_writer; GRANT INSERT ON telemetry TO " + database_->name() +
          "_writer");
  const auto done = runner("telemetry").converter->run();
  const std::string may =
      value("SELECT has_table_privilege('" + database_->name() + "_writer', 'telemetry', 'INSERT')");
  execute("DROP OWNED BY " + database_->name() + "_writer; DROP ROLE " + database_->name() + "_writer");
  ASSERT_TRUE(done) << done.error();
  EXPECT_NE(told_.find("\nConverted 20000 rows in "), std::string::npos) << told_;
  EXPECT_EQ(may, "t") << "who could write to the old table can write to the new one";
  EXPECT_EQ(state("telemetry"), "swapped");
  EXPECT_EQ(value(same_content + std::string("telemetry")), content);
  EXPECT_EQ(value("SELECT count(*) FROM telemetry_before"), std::to_string(rows));
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_chunks('telemetry') c WHERE c.range_until < '2026-04-01'"),
            "5");
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE ingestion_timestamp IS NOT NULL"), "0")
      << "nobody knows when they came";
  EXPECT_EQ(value("INSERT INTO telemetry (\"timestamp\", device_id) VALUES (now(), 'device-1') RETURNING id"),
            std::to_string(rows + 1))
      << "the counter goes on";

  EXPECT_EQ(state("esp_telemetry"), "prepared");
  const auto other = runner("esp_telemetry").converter->run();
  ASSERT_TRUE(other) << other.error();
  EXPECT_EQ(value("INSERT INTO esp_telemetry (\"timestamp\", well_id) VALUES (now(), 'well-1') RETURNING id"),
            "1001");
  EXPECT_TRUE(differences().empty()) << testing::PrintToString(differences());
  for (const std::string table : {"telemetry", "esp_telemetry"}) {
    const auto finished = runner(table).converter->finish();
    ASSERT_TRUE(finished) << finished.error();
  }
  EXPECT_TRUE(differences().empty()) << testing::PrintToString(differences());
  const auto again = runner("telemetry").migrator->up();
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->applied_now, 0);
  EXPECT_EQ(
      value("SELECT to_regclass('telemetry_before') IS NULL AND to_regnamespace('wellhead_next') IS NULL"),
      "t");
  EXPECT_EQ(value("INSERT INTO telemetry (\"timestamp\", device_id) VALUES (now(), 'device-1') RETURNING id"),
            std::to_string(rows + 2))
      << "the sequence did not go with the old table";
}

TEST_P(ConvertTest, WhatAnIdentityAllowedIsAllowedAfterwards) {
  const std::string owner = database_->name() + "_owner";
  const std::string writer = database_->name() + "_writer";
  database_->create_role(owner);
  database_->create_role(writer);
  execute("GRANT CREATE ON SCHEMA public TO \"" + owner + "\"; ALTER TABLE esp_telemetry OWNER TO \"" +
          owner + "\"; GRANT INSERT ON esp_telemetry TO \"" + writer +
          "\"; ALTER TABLE esp_telemetry ALTER id SET INCREMENT BY 5 SET MAXVALUE 1010 SET CYCLE");
  const auto done = runner("esp_telemetry").converter->run();
  EXPECT_TRUE(done) << done.error();
  execute("SET ROLE \"" + writer +
          "\"; INSERT INTO esp_telemetry (\"timestamp\", well_id) VALUES (now(), 'a'), "
          "(now(), 'b'), (now(), 'c'); RESET ROLE");
  EXPECT_EQ(
      value("SELECT string_agg(id::text, ' ' ORDER BY well_id) FROM esp_telemetry WHERE length(well_id) = 1"),
      "1005 1010 1");
  EXPECT_EQ(
      value(
          "SELECT relowner::regrole::text FROM pg_class WHERE oid = pg_get_serial_sequence('esp_telemetry', "
          "'id')::regclass"),
      owner);
  execute("DROP OWNED BY \"" + owner + "\", \"" + writer + "\"; DROP ROLE \"" + owner + "\", \"" + writer +
          "\"");
}

TEST_P(ConvertTest, WhatIsLostIsListed) {
  execute(
      "COMMENT ON TABLE telemetry IS 'readings'; GRANT SELECT (note) ON telemetry TO PUBLIC; ALTER TABLE "
      "telemetry REPLICA IDENTITY FULL; CREATE STATISTICS together ON device_id, note FROM telemetry; CREATE "
      "UNIQUE INDEX once ON telemetry (id, note)");
  const auto plan = runner("telemetry").converter->plan();
  ASSERT_TRUE(plan) << plan.error();
  const std::string text = print_plan(*plan, options_);
  for (const std::string lost :
       {"the primary key (id), so writers that say ON CONFLICT", "the comment", "rights on the column note",
        "the replica identity", "the statistics together", "the unique index once"})
    EXPECT_NE(text.find(lost), std::string::npos) << lost << " in " << text;
}

TEST_P(ConvertTest, TheNodesStreamsFindTheirTablesInOrderAfterwards) {
  for (const std::string table : {"telemetry", "esp_telemetry"}) {
    const auto done = runner(table).converter->run();
    ASSERT_TRUE(done) << done.error();
  }
  std::vector<SchemaPointer> schemas;
  for (StreamConfig& stream : builtin_streams())
    schemas.push_back(Schema::compile(std::move(stream), static_cast<std::uint16_t>(schemas.size())).value());
  const Runner made = runner("telemetry");
  const auto findings = check_catalog(*made.server, schemas);
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_TRUE(findings->problems.empty()) << testing::PrintToString(findings->problems);
}

TEST_P(ConvertTest, AColumnThatIsNotWantedGoesWithTheOldTable) {
  options_.dropped_columns = {"id", "note"};
  ASSERT_TRUE(runner("telemetry").converter->run());
  EXPECT_EQ(value("SELECT count(note) FROM telemetry"), std::to_string(rows)) << "kept for the way back";
  ASSERT_TRUE(runner("telemetry").converter->finish());
  EXPECT_EQ(value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'telemetry'::regclass AND attname IN "
                  "('id', 'note')"),
            "0");
  options_.dropped_columns.clear();
  ASSERT_TRUE(runner("esp_telemetry").converter->run());
  EXPECT_TRUE(differences().empty()) << testing::PrintToString(differences());
}

TEST_P(ConvertTest, WhereTheExtensionIsYetToBeMadeTheTableBecomesAHypertable) {
  if (GetParam() == ConvertedServer::as_it_is) {
    execute("DROP EXTENSION IF EXISTS timescaledb CASCADE");
    const auto plan = runner("telemetry").converter->plan();
    ASSERT_TRUE(plan) << plan.error();
  }
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  const bool extension = database_->edition() != "plain";
  EXPECT_EQ(value("SELECT relkind FROM pg_class WHERE oid = 'telemetry'::regclass"), extension ? "r" : "p");
  EXPECT_EQ(value("SELECT count(*) FROM wellhead_chunks('telemetry') c WHERE c.range_until < '2026-04-01'"),
            "5");
}

// Each transaction does the same to the table and to a second one that nobody converts.
class Writers {
 public:
  Writers(std::string connection, int count, unsigned seed) {
    for (int number = 0; number < count; ++number)
      threads_.emplace_back([this, connection, number, seed](const std::stop_token& stop) {
        write(connection, number, seed + static_cast<unsigned>(number), stop);
      });
  }
  ~Writers() { stop(); }
  void stop() { threads_.clear(); }
  [[nodiscard]] int transactions() const { return transactions_; }
  [[nodiscard]] std::string failures() {
    const std::scoped_lock lock(mutex_);
    return failures_;
  }

 private:
  static std::string change(std::mt19937& random, int number) {
    // Rows that exist, each writer its own share; some are gone already.
    const std::string row = "id % 4 = " + std::to_string(number) +
                            " AND id BETWEEN 1 AND 20000 AND id / 4 = " + std::to_string(random() % 5'000);
    switch (random() % 5) {
      case 0:
        return "UPDATE {} SET temperature = " + std::to_string(random() % 150) + " WHERE " + row;
      case 1:  // within the day: TimescaleDB moves no row to another chunk
        return "UPDATE {} SET \"timestamp\" = \"timestamp\" + INTERVAL '1 second', device_id = 'moved' "
               "WHERE " +
               row;
      case 2:
        return "DELETE FROM {} WHERE " + row;
      default:
        return "INSERT INTO {} (id, \"timestamp\", device_id, temperature) SELECT i, "
               "'2026-03-03'::timestamptz + i * "
               "INTERVAL '1 second', 'fresh', 20 FROM generate_series(nextval('fresh')::int, "
               "currval('fresh')::int + 4) i";
    }
  }
  void write(const std::string& connection, int number, unsigned seed, const std::stop_token& stop) {
    std::mt19937 random(seed);
    PostgresOptions options;
    options.connection = connection;
    PgDatabase database(options, "wellhead test writer");
    bool fine = database.connect().has_value();
    while (fine && !stop.stop_requested()) {
      const std::string statement = change(random, number);
      const auto to = [&](const std::string& table) {
        std::string text = statement;
        return text.replace(text.find("{}"), 2, table);
      };
      std::string shadow = to("shadow");
      // The same numbers again.
      if (const auto next = shadow.find("nextval"); next != std::string::npos)
        shadow.replace(next, 7, "currval");
      const auto done = database.run("BEGIN; " + to("telemetry") + "; " + shadow + "; COMMIT");
      fine = done.has_value();
      if (fine)
        ++transactions_;
      else {
        const std::scoped_lock lock(mutex_);
        failures_ += statement + ": " + done.error().message + "\n";
      }
    }
  }

  std::atomic<int> transactions_ = 0;
  std::mutex mutex_;
  std::string failures_;
  std::vector<std::jthread> threads_;  // last, so that they end before what they use
};

class ConvertWithWritersTest : public ConvertTest {
 protected:
  void SetUp() override {
    ConvertTest::SetUp();
    if (IsSkipped()) return;
    execute(
        "CREATE TABLE shadow AS TABLE telemetry; CREATE INDEX ON shadow (id); "
        "CREATE SEQUENCE fresh START 1000000 INCREMENT 5");
    seed_ = std::random_device()();
    RecordProperty("seed", static_cast<int>(seed_));
  }
  void expect_same_as_shadow(const std::string& table) {
    const std::string difference = "SELECT count(*) FROM ((" + rows_of(table) + " EXCEPT ALL " +
                                   rows_of("shadow") + ") UNION ALL (" + rows_of("shadow") + " EXCEPT ALL " +
                                   rows_of(table) + ")) d";
    EXPECT_EQ(value(difference), "0") << "seed " << seed_ << "\n" << told_;
  }
  static std::string rows_of(const std::string& table) {
    return "SELECT id, \"timestamp\", device_id::text, temperature::real, note FROM " + table;
  }
  unsigned seed_ = 0;
};

TEST_P(ConvertWithWritersTest, WritersNeitherFailNorLoseAnythingOnTheWayThereAndBack) {
  options_.batch_rows = 1'000;
  Writers writers(database_->connection(), 3, seed_);
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error() << "\nseed " << seed_;
  const int at_swap = writers.transactions();
  while (writers.transactions() == at_swap && writers.failures().empty())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto back = runner("telemetry").converter->roll_back(false);
  EXPECT_TRUE(back) << back.error() << "\nseed " << seed_;
  EXPECT_GT(writers.transactions(), at_swap);
  writers.stop();
  EXPECT_EQ(writers.failures(), "") << "seed " << seed_;
  EXPECT_EQ(value("SELECT relkind FROM pg_class WHERE oid = 'telemetry'::regclass"), "r");
  expect_same_as_shadow("telemetry");
  const auto again = runner("telemetry").converter->run();
  ASSERT_TRUE(again) << again.error() << "\nseed " << seed_;
  expect_same_as_shadow("telemetry");
}

TEST_P(ConvertWithWritersTest, AConnectionLostAtAnyStatementIsGoneOnFrom) {
  options_.batch_rows = 2'000;
  std::mt19937 random(seed_);
  Writers writers(database_->connection(), 2, seed_);
  int attempts = 0;
  bool converted = false;
  for (; !converted && attempts < 200; ++attempts) {
    Runner made = runner("telemetry");
    // Later and later, so that it comes a step further at last, however many statements a step has.
    made.server->break_after(40 + static_cast<int>(random() % static_cast<unsigned>(60 + 5 * attempts)));
    converted = made.converter->run().has_value() || state("telemetry") == "swapped";
  }
  writers.stop();
  ASSERT_TRUE(converted) << "seed " << seed_ << "\n" << told_;
  EXPECT_GT(attempts, 2) << "the connection was lost on the way";
  EXPECT_EQ(writers.failures(), "") << "seed " << seed_;
  expect_same_as_shadow("telemetry");
}

INSTANTIATE_TEST_SUITE_P(Servers, ConvertTest,
                         testing::Values(ConvertedServer::as_it_is, ConvertedServer::plain), name_of_server);
INSTANTIATE_TEST_SUITE_P(Servers, ConvertWithWritersTest,
                         testing::Values(ConvertedServer::as_it_is, ConvertedServer::plain), name_of_server);

}  // namespace
}  // namespace wellhead
