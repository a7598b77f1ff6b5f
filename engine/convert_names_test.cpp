// The names that a conversion takes and gives: indexes have names as long as the server allows, and others
// may have one that it needs. And the counters behind columns, which are found by name.
#include <gtest/gtest.h>

#include "engine/convert_fixture.hpp"

namespace wellhead {
namespace {

class ConvertNamesTest : public ConvertTest {
 protected:
  void expect_refused(const std::string& because) {
    const auto refused = runner("telemetry").converter->run();
    ASSERT_FALSE(refused) << because;
    EXPECT_NE(refused.error().find(because), std::string::npos) << refused.error();
    EXPECT_NE(refused.error().find("Nothing was changed; rename or drop it."), std::string::npos)
        << refused.error();
  }
  std::string insert_into_telemetry(const std::string& answer) {
    return value("INSERT INTO telemetry (\"timestamp\", device_id) VALUES (now(), 'device-1') RETURNING " +
                 answer);
  }
};

TEST_P(ConvertNamesTest, IndexesWithNamesAsLongAsTheServerAllowsComeBackWithThem) {
  const std::string alike(58, 'x');
  std::string wide;  // 62 bytes, 31 characters
  for (int character = 0; character < 31; ++character) wide += "ö";
  execute("CREATE INDEX \"" + alike + "_one\" ON telemetry (device_id); CREATE INDEX \"" + alike +
          "_two\" ON telemetry (note); CREATE INDEX \"" + wide +
          "\" ON telemetry (pressure); CREATE INDEX readings_before ON telemetry (temperature); CREATE INDEX "
          "gone ON telemetry (vibration)");
  execute("ALTER INDEX telemetry_pkey RENAME TO \"" + alike + "_key\"");
  const std::string before = portrait("telemetry");
  execute("DROP INDEX gone; CREATE INDEX gone ON telemetry (vibration)");
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  EXPECT_EQ(value("SELECT count(*) FROM pg_index WHERE indrelid = 'telemetry_before'::regclass"), "6");
  const auto back = runner("telemetry").converter->roll_back(false);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(portrait("telemetry"), before);
  ASSERT_TRUE(runner("telemetry").converter->run());
  execute(
      "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || indexrelid::regclass FROM pg_index WHERE indrelid = "
      "'telemetry_before'::regclass AND pg_get_indexdef(indexrelid) LIKE '%(vibration)'); END $$");
  const auto without = runner("telemetry").converter->roll_back(false);
  ASSERT_TRUE(without) << "an index of the old table was dropped meanwhile: " << without.error();
  EXPECT_EQ(value("SELECT count(*) FROM pg_index WHERE indrelid = 'telemetry'::regclass"), "5");
  ASSERT_TRUE(runner("telemetry").converter->run());
  const auto finished = runner("telemetry").converter->finish();
  ASSERT_TRUE(finished) << finished.error();
  EXPECT_EQ(
      value("SELECT count(*) FROM pg_class WHERE relnamespace = 'wellhead_next'::regnamespace AND relname "
            "LIKE 'telemetry%'"),
      "0")
      << "nothing is left behind";
}

TEST_P(ConvertNamesTest, ANameThatSomebodyElseHasIsToldBeforeAnythingIsCopied) {
  execute("CREATE TABLE other (x int); CREATE INDEX telemetry_device_time_idx ON other (x)");
  expect_refused("There is an index of other named telemetry_device_time_idx");
  execute("DROP TABLE other; CREATE SEQUENCE telemetry_before");
  expect_refused("There is a sequence named telemetry_before");
  execute(
      "DROP SEQUENCE telemetry_before; ALTER TABLE telemetry ADD number int GENERATED ALWAYS AS IDENTITY");
  execute("CREATE VIEW telemetry_number_sequence AS SELECT 1");
  expect_refused("There is a view named telemetry_number_sequence");
  execute("DROP VIEW telemetry_number_sequence");
  // One of its own is in nobody's way.
  execute("CREATE INDEX telemetry_device_time_idx ON telemetry (device_id)");
  {
    Runner made = runner("telemetry");
    Conversion conversion = prepared(made);
    ASSERT_TRUE(conversion.begin(rows));
  }
  execute("CREATE TABLE telemetry_before (x int)");
  expect_refused("There is a table named telemetry_before");
  EXPECT_EQ(state("telemetry"), "copying");
  EXPECT_EQ(value("SELECT rows_copied FROM wellhead_conversion WHERE table_name = 'telemetry'"), "0");
  execute("DROP TABLE telemetry_before");
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
}

TEST_P(ConvertNamesTest, EveryCounterBehindAColumnCountsOnThereAndBack) {
  execute(
      "ALTER TABLE telemetry ADD number int GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 2), ADD ticket "
      "bigserial");
  const auto counted = [](int by) {
    return std::to_string(rows + by) + " " + std::to_string(7 + 2 * (rows + by - 1)) + " " +
           std::to_string(rows + by);
  };
  const std::string counters = "id || ' ' || number || ' ' || ticket";
  const auto done = runner("telemetry").converter->run();
  ASSERT_TRUE(done) << done.error();
  EXPECT_EQ(insert_into_telemetry(counters), counted(1));
  const auto back = runner("telemetry").converter->roll_back(false);
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(insert_into_telemetry(counters), counted(2));
  EXPECT_EQ(
      value("SELECT string_agg(concat_ws(' ', attname, attidentity), ', ' ORDER BY attnum) FROM pg_attribute "
            "WHERE attrelid = 'telemetry'::regclass AND attname IN ('id', 'number', 'ticket')"),
      "id , number a, ticket ");
  ASSERT_TRUE(runner("telemetry").converter->run());
  EXPECT_EQ(insert_into_telemetry(counters), counted(3));
  const auto finished = runner("telemetry").converter->finish();
  ASSERT_TRUE(finished) << finished.error();
  EXPECT_EQ(insert_into_telemetry(counters), counted(4));
  for (const std::string& difference : differences())
    EXPECT_FALSE(difference.starts_with("telemetry:")) << difference;
}

INSTANTIATE_TEST_SUITE_P(Servers, ConvertNamesTest,
                         testing::Values(ConvertedServer::as_it_is, ConvertedServer::plain), name_of_server);

}  // namespace
}  // namespace wellhead
