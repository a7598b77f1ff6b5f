// The names that a conversion takes and gives: indexes have names as long as the server allows, and others
// may have one that it needs.
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
  for (int time = 0; time < 2; ++time) {
    const auto done = runner("telemetry").converter->run();
    ASSERT_TRUE(done) << done.error();
    EXPECT_EQ(value("SELECT count(*) FROM pg_index WHERE indrelid = 'telemetry_before'::regclass"), "6");
    const auto back = runner("telemetry").converter->roll_back(false);
    ASSERT_TRUE(back) << back.error();
    EXPECT_EQ(portrait("telemetry"), before);
  }
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
  ASSERT_TRUE(runner("esp_telemetry").converter->run());
  ASSERT_TRUE(runner("esp_telemetry").converter->finish());
  EXPECT_EQ(value("SELECT to_regnamespace('wellhead_next') IS NULL"), "t") << "nothing is left behind";
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

INSTANTIATE_TEST_SUITE_P(Servers, ConvertNamesTest,
                         testing::Values(ConvertedServer::as_it_is, ConvertedServer::plain), name_of_server);

}  // namespace
}  // namespace wellhead
