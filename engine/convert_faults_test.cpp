// What goes wrong with a conversion: refused before it begins, taken back at every stage, killed, tampered
// with.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "database/maintenance.hpp"
#include "engine/convert_fixture.hpp"

extern char** environ;  // NOLINT(readability-identifier-naming): the system's name

namespace wellhead {
namespace {

class ConvertFaultsTest : public ConvertTest {
 protected:
  std::string refusal(const std::string& table) {
    const auto refused = runner(table).converter->run();
    EXPECT_FALSE(refused);
    EXPECT_EQ(
        value(
            "SELECT to_regclass('wellhead_migration') IS NULL AND to_regnamespace('wellhead_next') IS NULL"),
        "t")
        << "nothing is changed";
    return refused ? "" : refused.error();
  }
  void expect_refused(const std::string& table, const std::string& because, const std::string& fix) {
    const std::string told = refusal(table);
    EXPECT_NE(told.find(because), std::string::npos) << told;
    EXPECT_NE(told.find(fix), std::string::npos) << told;
    EXPECT_NE(told.find("Nothing was changed"), std::string::npos) << told;
  }
  void expect_copied_rows(const std::string& table) {
    EXPECT_EQ(value("SELECT count(*) FROM " + table), std::to_string(rows));
  }
};

TEST_P(ConvertFaultsTest, EachStageCanBeTakenBackAndBegunAnew) {
  const std::string before = portrait("telemetry");
  using Step = Conversion::Outcome (Conversion::*)();
  constexpr std::array<Step, 5> steps{nullptr, &Conversion::copy, &Conversion::make_indexes,
                                      &Conversion::catch_up, &Conversion::swap};
  for (std::size_t last = 0; last < steps.size(); ++last) {
    Runner made = runner("telemetry");
    Conversion conversion = prepared(made);
    ASSERT_EQ(state("telemetry"), "prepared");
    const auto begun = conversion.begin(rows);
    ASSERT_TRUE(begun) << begun.error();
    for (std::size_t step = 1; step <= last; ++step) {
      const auto done = (conversion.*steps[step])();
      ASSERT_TRUE(done) << step << ": " << done.error();
    }
    made = Runner();  // gives the lock back
    const auto taken_back = runner("telemetry").converter->roll_back(false);
    ASSERT_TRUE(taken_back) << last << ": " << taken_back.error();
    EXPECT_EQ(state("telemetry"), "prepared");
    EXPECT_EQ(portrait("telemetry"), before) << "after step " << last;
  }
  const auto nothing = runner("telemetry").converter->roll_back(false);
  ASSERT_FALSE(nothing);
  EXPECT_NE(nothing.error().find("There is no conversion of telemetry to take back"), std::string::npos);
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  expect_copied_rows("telemetry");
}

TEST_P(ConvertFaultsTest, ABatchEndsSoManyRowsOnInTheOrderOfTheKeyAndNotOfItsDigits) {
  Runner made = runner("telemetry");
  const auto plan = made.converter->plan();
  ASSERT_TRUE(plan) << plan.error();
  const auto ends = [&](const std::vector<std::string>& position) {
    const auto row = made.server->query(
        conversion_sql::batch_end(plan->table, position, {std::to_string(rows)}, options_.batch_rows));
    EXPECT_TRUE(row) << row.error().message;
    return row && !row->empty() ? row->front().front().value_or("") : "";
  };
  EXPECT_EQ(ends({}), "3000");
  EXPECT_EQ(ends({"9000"}), "12000");
  EXPECT_EQ(ends({"18000"}), "");
}

TEST_P(ConvertFaultsTest, ChangesOfEveryKindMeanwhileAreBroughtOver) {
  Runner made = runner("telemetry");
  Conversion conversion = prepared(made);
  ASSERT_TRUE(conversion.begin(rows));
  execute("UPDATE telemetry SET \"timestamp\" = \"timestamp\" + INTERVAL '1 day' WHERE id BETWEEN 1 AND 50");
  ASSERT_TRUE(conversion.copy());
  execute(
      "UPDATE telemetry SET \"timestamp\" = \"timestamp\" + INTERVAL '2 days', device_id = 'moved' WHERE id "
      "BETWEEN 40 AND 90;"
      "UPDATE telemetry SET id = 90000 WHERE id = 100; UPDATE telemetry SET note = 'x' WHERE id = 200;"
      "DELETE FROM telemetry WHERE id BETWEEN 300 AND 310; INSERT INTO telemetry (id, \"timestamp\", "
      "device_id) VALUES "
      "(305, '2026-03-02', 'again')");
  ASSERT_TRUE(conversion.make_indexes());
  ASSERT_TRUE(conversion.catch_up());
  const auto same = conversion.compare();
  EXPECT_TRUE(same) << same.error();
  execute("UPDATE telemetry SET note = 'y' WHERE id = 201");
  const auto still = conversion.compare();
  EXPECT_TRUE(still) << "what is noted is no difference: " << still.error();
  ASSERT_TRUE(conversion.swap());
  EXPECT_EQ(value("SELECT note FROM telemetry WHERE id = 201"), "y");
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), value("SELECT count(*) FROM telemetry_before"));
}

TEST_P(ConvertFaultsTest, ARowThatSomebodyTampersWithIsFoundByItsDayAndTheNamesStay) {
  {
    Runner made = runner("telemetry");
    Conversion conversion = prepared(made);
    ASSERT_TRUE(conversion.begin(rows));
    ASSERT_TRUE(conversion.copy());
  }
  execute("UPDATE wellhead_next.telemetry SET vibration = 0.2 WHERE id = 7777");
  const auto refused = runner("telemetry").converter->run();
  ASSERT_FALSE(refused);
  EXPECT_NE(
      refused.error().find("differ on 1 days: on the day from 2026-03-02 00:00:00+00 4320 rows and 4320"),
      std::string::npos)
      << refused.error();
  EXPECT_EQ(value("SELECT relkind FROM pg_class WHERE oid = 'telemetry'::regclass"), "r");
  EXPECT_EQ(state("telemetry"), "copied");
  ASSERT_TRUE(runner("telemetry").converter->roll_back(false));
  const auto anew = runner("telemetry").converter->run();
  ASSERT_TRUE(anew) << anew.error();
}

TEST_P(ConvertFaultsTest, ATableThatIsTruncatedMeanwhileIsCopiedAnew) {
  {
    Runner made = runner("telemetry");
    Conversion conversion = prepared(made);
    ASSERT_TRUE(conversion.begin(rows));
    ASSERT_TRUE(conversion.copy());
  }
  execute(
      "TRUNCATE telemetry; INSERT INTO telemetry (\"timestamp\", device_id) VALUES ('2026-03-09', 'only')");
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  EXPECT_EQ(value("SELECT string_agg(device_id, ' ') FROM telemetry"), "only");
}

TEST_P(ConvertFaultsTest, RowsWrittenSinceTheNamesChangedGoBackOrTheOperatorIsAsked) {
  ASSERT_TRUE(runner("telemetry").converter->run());
  execute(
      "INSERT INTO telemetry (\"timestamp\", device_id, note) VALUES (now(), 'since', 'new');"
      "UPDATE telemetry SET note = 'changed' WHERE id = 5; DELETE FROM telemetry WHERE id = 6");
  ASSERT_TRUE(runner("telemetry").converter->roll_back(false)) << told_;
  EXPECT_EQ(value("SELECT string_agg(concat_ws(' ', id, device_id, note), ', ' ORDER BY id) FROM telemetry "
                  "WHERE id IN "
                  "(5, 6) OR device_id = 'since'"),
            "5 device-5 changed, " + std::to_string(rows + 1) + " since new");

  ASSERT_TRUE(runner("telemetry").converter->run());
  execute("INSERT INTO telemetry (id, \"timestamp\", device_id) VALUES (7, now(), 'twice')");
  const auto refused = runner("telemetry").converter->roll_back(false);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("do not fit the old table"), std::string::npos) << refused.error();
  EXPECT_NE(refused.error().find("--discard"), std::string::npos) << refused.error();
  EXPECT_EQ(state("telemetry"), "swapped");
  ASSERT_TRUE(runner("telemetry").converter->roll_back(true));
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE device_id = 'twice'"), "0");
}

TEST_P(ConvertFaultsTest, ManyChangesOfOneRowDoNotHideThoseOfAnotherWhenTheNamesChange) {
  options_.batch_notes = 100;
  Runner made = runner("telemetry");
  Conversion conversion = prepared(made);
  ASSERT_TRUE(conversion.begin(rows));
  ASSERT_TRUE(conversion.copy());
  ASSERT_TRUE(conversion.make_indexes());
  for (int time = 0; time < 3; ++time) execute("UPDATE telemetry SET note = 'same' WHERE id <= 40");
  execute("UPDATE telemetry SET note = 'last' WHERE id = 500");
  ASSERT_TRUE(conversion.swap());
  EXPECT_EQ(value("SELECT note FROM telemetry WHERE id = 500"), "last");
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE note = 'same'"), "40");
}

TEST_P(ConvertFaultsTest, WhatIsWrittenWhileItIsTakenBackIsBroughtBackHoweverMuchItIs) {
  options_.batch_notes = 50;
  ASSERT_TRUE(runner("telemetry").converter->run());
  execute("UPDATE telemetry SET note = 'since' WHERE id = 5");
  when_told("Bringing back", "UPDATE telemetry SET note = 'meanwhile' WHERE id BETWEEN 1001 AND 3000");
  const auto back = runner("telemetry").converter->roll_back(false);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(value("SELECT count(*) FILTER (WHERE note = 'meanwhile') || ' ' || count(*) FILTER (WHERE note = "
                  "'since') FROM telemetry"),
            "2000 1");
  expect_copied_rows("telemetry");
}

TEST_P(ConvertFaultsTest, ATruncationWhileItIsTakenBackIsToldAndNothingIsNotedOn) {
  ASSERT_TRUE(runner("telemetry").converter->run());
  execute("UPDATE telemetry SET note = 'since' WHERE id = 5");
  when_told("Bringing back",
            "INSERT INTO telemetry (\"timestamp\", device_id) SELECT '2026-03-02', 'lost' FROM "
            "generate_series(1, 10)");
  when_told(
      "Brought over",
      "TRUNCATE telemetry; INSERT INTO telemetry (\"timestamp\", device_id) VALUES ('2026-03-02', 'after')");
  const auto refused = runner("telemetry").converter->roll_back(false);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("was truncated while"), std::string::npos) << refused.error();
  EXPECT_EQ(state("telemetry"), "swapped");
  EXPECT_EQ(value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'wellhead_conversion%'"), "0");
  EXPECT_EQ(value("SELECT to_regclass('wellhead_next.telemetry_noted') IS NULL"), "t");
  ASSERT_TRUE(runner("telemetry").converter->roll_back(false));
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE device_id = 'after'"), "1");
}

TEST_P(ConvertFaultsTest, ATableThatIsTruncatedJustBeforeTheComparisonIsCopiedAnew) {
  {
    Runner made = runner("telemetry");
    Conversion conversion = prepared(made);
    ASSERT_TRUE(conversion.begin(rows));
    ASSERT_TRUE(conversion.copy());
    execute("UPDATE telemetry SET note = 'noted' WHERE id = 9");
  }
  when_told("Brought over",
            "TRUNCATE telemetry; INSERT INTO telemetry (\"timestamp\", device_id) VALUES ('2026-03-09', "
            "'only')");
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  EXPECT_NE(told_.find("telemetry was truncated meanwhile: copying begins anew"), std::string::npos) << told_;
  EXPECT_EQ(value("SELECT string_agg(device_id, ' ') FROM telemetry"), "only");
}

// Nobody can note what is done with the triggers off.
TEST_P(ConvertFaultsTest, ATableThatWasEmptiedUnnoticedIsToldAsOneWithFewerRows) {
  Runner made = runner("telemetry");
  Conversion conversion = prepared(made);
  ASSERT_TRUE(conversion.begin(rows));
  ASSERT_TRUE(conversion.copy());
  execute(
      "ALTER TABLE telemetry DISABLE TRIGGER USER; TRUNCATE telemetry; ALTER TABLE telemetry ENABLE TRIGGER "
      "USER");
  const auto refused = conversion.compare();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("differ on 5 days: "), std::string::npos) << refused.error();
  EXPECT_NE(refused.error().find("telemetry has fewer rows than were copied of it, so it was emptied or rows "
                                 "were deleted while its triggers were off"),
            std::string::npos)
      << refused.error();
  EXPECT_NE(refused.error().find("take the conversion back with --rollback, and begin anew"),
            std::string::npos)
      << refused.error();
}

TEST_P(ConvertFaultsTest, ColumnsThatChangeMeanwhileKeepTheNamesFromChanging) {
  Runner made = runner("telemetry");
  Conversion conversion = prepared(made);
  ASSERT_TRUE(conversion.begin(rows));
  ASSERT_TRUE(conversion.copy());
  ASSERT_TRUE(conversion.make_indexes());
  const auto refuses = [&](const std::string& change, const std::string& because, const std::string& back) {
    execute(change);
    const auto refused = conversion.swap();
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find(because), std::string::npos) << refused.error();
    EXPECT_EQ(state("telemetry"), "copied");
    execute(back);
  };
  refuses("ALTER TABLE telemetry ADD COLUMN late text", "(late is new)", "ALTER TABLE telemetry DROP late");
  refuses("ALTER TABLE telemetry ADD COLUMN quality_flags integer", "(quality_flags is new)",
          "ALTER TABLE telemetry DROP quality_flags");
  refuses("ALTER TABLE telemetry ALTER note TYPE varchar", "(note has another type)",
          "ALTER TABLE telemetry ALTER note TYPE text");
  refuses(
      "ALTER TABLE telemetry ALTER device_id DROP NOT NULL; UPDATE telemetry SET device_id = NULL WHERE id = "
      "9",
      "(device_id may be null now)",
      "UPDATE telemetry SET device_id = 'found' WHERE id = 9; ALTER TABLE telemetry ALTER device_id SET NOT "
      "NULL");
  const auto swapped = conversion.swap();
  ASSERT_TRUE(swapped) << swapped.error();
  EXPECT_EQ(value("SELECT device_id FROM telemetry WHERE id = 9"), "found");
}

TEST_P(ConvertFaultsTest, ChangesThatAReplicaAppliesAreNotedAsWell) {
  const std::string as_replica = "SET session_replication_role = replica; ";
  Runner made = runner("telemetry");
  Conversion conversion = prepared(made);
  ASSERT_TRUE(conversion.begin(rows));
  ASSERT_TRUE(conversion.copy());
  ASSERT_TRUE(conversion.make_indexes());
  execute(as_replica + "UPDATE telemetry SET note = 'applied' WHERE id = 9");
  ASSERT_TRUE(conversion.swap());
  EXPECT_EQ(value("SELECT note FROM telemetry WHERE id = 9"), "applied");
  made = Runner();
  if (database_->edition() == "apache") return;  // older ones have no such triggers on hypertables
  execute("UPDATE telemetry SET note = 'since' WHERE id = 5");
  when_told(
      "Bringing back",
      as_replica + "UPDATE telemetry SET note = 'applied' WHERE id = 10; RESET session_replication_role");
  ASSERT_TRUE(runner("telemetry").converter->roll_back(false)) << told_;
  EXPECT_EQ(value("SELECT note FROM telemetry WHERE id = 10"), "applied");
}

TEST_P(ConvertFaultsTest, AnIdentityThatTakesNoValuesIsBroughtBackAllTheSame) {
  execute("ALTER TABLE esp_telemetry ALTER id SET GENERATED ALWAYS");
  ASSERT_TRUE(runner("esp_telemetry").converter->run()) << told_;
  execute("INSERT INTO esp_telemetry (well_id, \"timestamp\") VALUES ('since', now())");
  const auto back = runner("esp_telemetry").converter->roll_back(false);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(value("SELECT id FROM esp_telemetry WHERE well_id = 'since'"), "1001");
  EXPECT_EQ(value("INSERT INTO esp_telemetry (well_id, \"timestamp\") VALUES ('again', now()) RETURNING id"),
            "1002");
}

// IST, as this database prints the zone, is read as that of another country.
TEST_P(ConvertFaultsTest, ADatabaseThatPrintsTimesAmbiguouslyLosesNoDay) {
  execute("ALTER DATABASE " + database_->name() + " SET datestyle = 'Postgres, DMY'; ALTER DATABASE " +
          database_->name() + " SET timezone = 'Asia/Kolkata'");
  execute(
      "ALTER TABLE telemetry DROP CONSTRAINT telemetry_pkey; ALTER TABLE telemetry ADD PRIMARY KEY "
      "(\"timestamp\", id)");
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  expect_copied_rows("telemetry");
  execute("UPDATE telemetry SET note = 'since' WHERE id = 5");
  const auto back = runner("telemetry").converter->roll_back(false);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(value("SELECT count(*) FROM telemetry WHERE note = 'since'"), "1");
  expect_copied_rows("telemetry");
}

TEST_P(ConvertFaultsTest, TheServersJobsLeaveTheNewTableAloneUntilItHasTheName) {
  if (GetParam() == ConvertedServer::plain || database_->edition() != "community")
    GTEST_SKIP() << "only the Community edition has such jobs";
  const auto running = [&](const std::string& schema) {
    return value(
        "SELECT string_agg(DISTINCT scheduled::text, ' ') FROM timescaledb_information.jobs WHERE "
        "hypertable_name = 'telemetry' AND hypertable_schema = '" +
        schema + "'");
  };
  Runner made = runner("telemetry");
  Conversion conversion = prepared(made);
  ASSERT_TRUE(conversion.begin(rows));
  EXPECT_EQ(running("wellhead_next"), "false");
  ASSERT_TRUE(conversion.copy());
  ASSERT_TRUE(conversion.make_indexes());
  ASSERT_TRUE(conversion.swap());
  EXPECT_EQ(running("public"), "true");
}

TEST_P(ConvertFaultsTest, MigrationsGoDownOnlyWhereNoConversionIsAndLeaveTheTableThatWasThere) {
  const std::string before = portrait("telemetry");
  ASSERT_TRUE(runner("telemetry").converter->run());
  const auto refused = runner("telemetry").migrator->down(std::nullopt, true);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("is swapped. Nothing was changed; end it with --finish"), std::string::npos)
      << refused.error();
  ASSERT_TRUE(runner("telemetry").converter->roll_back(false));
  if (database_->edition() == "plain") return;  // partitions have no way back
  const auto down = runner("telemetry").migrator->down(7, true);
  ASSERT_TRUE(down) << down.error();
  EXPECT_EQ(portrait("telemetry"), before);
  const auto again = runner("telemetry").converter->run();
  ASSERT_TRUE(again) << again.error();
  expect_copied_rows("telemetry");
}

TEST_P(ConvertFaultsTest, ARunnerThatIsKilledInMidCopyIsGoneOnFrom) {
  const char* folder = std::getenv("WELLHEAD_BIN_DIR");
  if (folder == nullptr) GTEST_SKIP() << "needs the programs: set WELLHEAD_BIN_DIR";
  {
    Runner made = runner("telemetry");  // the program would make the extension on the plain one
    Conversion conversion = prepared(made);
    ASSERT_TRUE(conversion.begin(rows));
  }
  // It stands still in mid copy for as long as this session has the lock, however fast it came there.
  PostgresOptions options;
  options.connection = database_->connection();
  PgDatabase gate(options, "wellhead test gate");
  ASSERT_TRUE(gate.connect());
  ASSERT_TRUE(gate.run("SELECT pg_advisory_lock(7)"));
  execute(
      "CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
      "pg_advisory_xact_lock(7); RETURN NEW; END $$; CREATE TRIGGER gate BEFORE UPDATE ON "
      "wellhead_conversion "
      "FOR EACH ROW WHEN (NEW.rows_copied >= 3000) EXECUTE FUNCTION wait_at_gate()");
  const std::string program = std::string(folder) + "/wellhead";
  std::array<const char*, 8> arguments{program.c_str(), "migrate",      "convert", "telemetry",
                                       "--yes",         "--batch-rows", "1000",    nullptr};
  setenv("WELLHEAD_DATABASE_URL", database_->connection().c_str(), 1);
  pid_t child = 0;
  ASSERT_EQ(
      posix_spawn(&child, program.c_str(), nullptr, nullptr, const_cast<char**>(arguments.data()), environ),
      0);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (value("SELECT rows_copied > 0 FROM wellhead_conversion WHERE table_name = 'telemetry'") != "t" &&
         std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  unsetenv("WELLHEAD_DATABASE_URL");
  ASSERT_TRUE(WIFSIGNALED(status)) << "it ended by itself";
  EXPECT_EQ(state("telemetry"), "copying");
  gate.disconnect();
  execute("INSERT INTO telemetry (\"timestamp\", device_id) VALUES (now(), 'meanwhile')");
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  EXPECT_NE(told_.find("Going on behind"), std::string::npos) << told_;
  EXPECT_EQ(value("SELECT count(*) FROM telemetry"), std::to_string(rows + 1));
}

TEST_P(ConvertFaultsTest, WhatIsNoPlainTableIsRefused) {
  expect_refused("elsewhere", "The migrations make no table named elsewhere",
                 "those that can be converted are");
  expect_refused("telemetry_1min", "The migrations make no table named telemetry_1min",
                 "dead_letter, diagnostic_results");
  expect_refused("diagnostic_results", "There is no table named diagnostic_results", "`wellhead migrate up`");
  execute("CREATE VIEW diagnostic_results AS SELECT 1 AS x");
  expect_refused("diagnostic_results", "diagnostic_results is a view", "convert that");
  execute("DROP VIEW diagnostic_results");
  if (GetParam() == ConvertedServer::as_it_is && database_->edition() != "plain") {
    execute(
        "CREATE TABLE diagnostic_results (\"timestamp\" timestamptz NOT NULL);"
        "SELECT create_hypertable('diagnostic_results', 'timestamp')");
    expect_refused("diagnostic_results", "is a hypertable already", "there is nothing to convert");
    execute("DROP TABLE diagnostic_results");
  }
  execute(
      "CREATE TABLE diagnostic_results (\"timestamp\" timestamptz NOT NULL) PARTITION BY RANGE "
      "(\"timestamp\")");
  expect_refused("diagnostic_results", "is partitioned already", "there is nothing to convert");
}

TEST_P(ConvertFaultsTest, WhatDoesNotFitIsRefused) {
  const auto with = [&](const std::string& change, const std::string& because, const std::string& fix,
                        const std::string& back) {
    execute(change);
    expect_refused("telemetry", because, fix);
    execute(back);
  };
  with("ALTER TABLE telemetry RENAME COLUMN \"timestamp\" TO \"time\"", "has no column named timestamp",
       "RENAME COLUMN", "ALTER TABLE telemetry RENAME COLUMN \"time\" TO \"timestamp\"");
  with("ALTER TABLE telemetry RENAME COLUMN device_id TO device", "has no column named device_id",
       "RENAME COLUMN", "ALTER TABLE telemetry RENAME COLUMN device TO device_id");
  with("ALTER TABLE telemetry ALTER COLUMN \"timestamp\" TYPE timestamp",
       "is timestamp without time zone, and is to be", "ALTER COLUMN timestamp TYPE",
       "ALTER TABLE telemetry ALTER COLUMN \"timestamp\" TYPE timestamptz");
  with("ALTER TABLE telemetry ALTER COLUMN pressure TYPE text", "The column pressure of telemetry is text",
       "ALTER COLUMN pressure TYPE",
       "ALTER TABLE telemetry ALTER COLUMN pressure TYPE real USING pressure::real");
  with("CREATE VIEW reader AS SELECT device_id FROM telemetry", "Views read telemetry", "drop them",
       "DROP VIEW reader");
  with("CREATE TABLE pointing (id bigint REFERENCES telemetry)", "Foreign keys point at telemetry",
       "drop them", "DROP TABLE pointing");
  with("CREATE TABLE child () INHERITS (telemetry)", "inherits from another table", "NO INHERIT",
       "DROP TABLE child");
  with("CREATE TABLE telemetry_before (x int)", "There is a table named telemetry_before",
       "rename or drop it", "DROP TABLE telemetry_before");
  with("UPDATE telemetry SET temperature = 500 WHERE id IN (3, 4)",
       "2 rows of telemetry break a check of the new table", "set them right",
       "UPDATE telemetry SET temperature = 50 WHERE id IN (3, 4)");
  with(
      "ALTER TABLE telemetry ALTER COLUMN device_id DROP NOT NULL; UPDATE telemetry SET device_id = NULL "
      "WHERE id = 3",
      "1 rows of telemetry have no value where the new table wants one", "device_id",
      "UPDATE telemetry SET device_id = 'd' WHERE id = 3");
  with("SELECT 1", "The column \"device_id\" of telemetry may be null", "SET NOT NULL",
       "ALTER TABLE telemetry ALTER COLUMN device_id SET NOT NULL");
  with("UPDATE telemetry SET \"timestamp\" = 'infinity' WHERE id = 3",
       "1 rows of telemetry have a time without end", "set them right",
       "UPDATE telemetry SET \"timestamp\" = '2026-03-01' WHERE id = 3");
  with("UPDATE telemetry SET flow_rate = 1e300 WHERE id = 3", "cannot be read as what the new table holds",
       "out of range", "UPDATE telemetry SET flow_rate = 1 WHERE id = 3");
  with("ALTER TABLE telemetry DROP CONSTRAINT telemetry_pkey", "has no primary key", "ADD PRIMARY KEY",
       "ALTER TABLE telemetry ADD PRIMARY KEY (id)");
  ASSERT_TRUE(runner("telemetry").converter->plan()) << "all of it is set right";
}

TEST_P(ConvertFaultsTest, ACommunityEditionThatTakesNoConstraintsWhereItCompressesIsRefused) {
  const auto of_version = [](const char* version) {
    return [version](DatabaseRow& row) {
      row[2] = version;
      row[3] = "timescale";
    };
  };
  Runner made = runner("telemetry");
  OddServer old(*made.connection, of_version("2.17.2"));
  Migrator migrator(old, migrations_, {}, [](std::string_view) {});
  Converter converter(old, migrator, "telemetry", options_, [](std::string_view) {});
  for (const std::string& told : {converter.plan().error(), converter.run().error()})
    EXPECT_EQ(
        told,
        "The conversion of telemetry needs TimescaleDB 2.18 or newer on the Community edition, and this "
        "is TimescaleDB 2.17.2 (Community edition), which takes no constraints on a table whose "
        "compression is on. Nothing was changed; install a newer one and run ALTER EXTENSION timescaledb "
        "UPDATE, then run this again.");
  EXPECT_EQ(value("SELECT to_regclass('wellhead_migration') IS NULL"), "t");
}

TEST_P(ConvertFaultsTest, ARoleWithoutTheRightsIsToldWhichItNeeds) {
  const std::string role = database_->name() + "_reader";
  database_->create_role(role);
  execute("GRANT CREATE ON DATABASE " + database_->name() + " TO \"" + role +
          "\"; GRANT CREATE ON SCHEMA public TO \"" + role +
          "\"; GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"" + role + "\"");
  const auto refused = runner("telemetry", database_->connection_as(role)).converter->run();
  execute("DROP OWNED BY \"" + role + "\"; DROP ROLE \"" + role + "\"");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("telemetry belongs to the role "), std::string::npos) << refused.error();
  EXPECT_NE(refused.error().find("Nothing was changed; connect as"), std::string::npos) << refused.error();
}

TEST_P(ConvertFaultsTest, WhileItIsUnderWayMigrationsNeitherGoDownNorAreTheTablesTakenForWellheads) {
  Runner made = runner("telemetry");
  Conversion conversion = prepared(made);
  ASSERT_TRUE(conversion.begin(rows));
  made = Runner();
  const auto down = runner("telemetry").migrator->down(std::nullopt, true);
  ASSERT_FALSE(down);
  EXPECT_NE(down.error().find("The conversion of the table telemetry is copying. Nothing was changed"),
            std::string::npos)
      << down.error();
  const Runner caring = runner("telemetry");
  Maintenance maintenance(*caring.server);
  const auto looked = maintenance.prepare();
  ASSERT_TRUE(looked) << looked.error();
  EXPECT_TRUE(maintenance.aggregates().empty()) << "there is nothing yet to compute them of";
  const MaintenanceReport cared = maintenance.run_all(false);
  EXPECT_TRUE(cared.failures.empty()) << print(cared);
  const auto differing = differences();
  ASSERT_GE(differing.size(), 2U);
  EXPECT_EQ(differing[1], "The table telemetry is being converted: copying.");
  execute("DELETE FROM wellhead_migration WHERE version = 20");
  const auto up = runner("telemetry").migrator->up();
  ASSERT_FALSE(up);
  EXPECT_NE(up.error().find("There are migrations to apply, and the table telemetry is being converted"),
            std::string::npos)
      << up.error();
}

INSTANTIATE_TEST_SUITE_P(Servers, ConvertFaultsTest,
                         testing::Values(ConvertedServer::as_it_is, ConvertedServer::plain), name_of_server);

}  // namespace
}  // namespace wellhead
