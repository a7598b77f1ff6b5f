#include "sink/catalog_checks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "codec/stream_rules.hpp"
#include "sink/pg_database.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

SchemaPointer stream_of(std::vector<ColumnConfig> measurements) {
  StreamConfig config{.name = "rig",
                      .table = "site.rig",
                      .device_column = "device",
                      .time_column = "time",
                      .columns = {{.name = "device", .type = ColumnType::text},
                                  {.name = "time", .type = ColumnType::timestamptz}}};
  std::ranges::move(measurements, std::back_inserter(config.columns));
  return Schema::compile(std::move(config), 0).value();
}

class CatalogChecksTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    database_ = std::make_unique<TestDatabase>();
    connection_ =
        std::make_unique<PgDatabase>(PostgresOptions{.connection = database_->connection()}, "test");
    ASSERT_TRUE(connection_->connect());
  }

  // `checks` are SQL of columns, behind those of device and time.
  void create_table(const std::string& columns) {
    database_->execute("CREATE SCHEMA site; CREATE TABLE site.rig (device text, time timestamptz" + columns +
                       ")");
  }
  std::vector<std::string> found(const SchemaPointer& stream) {
    const auto sentences = find_narrower_checks(*connection_, std::span(&stream, 1));
    EXPECT_TRUE(sentences) << sentences.error().message;
    return sentences ? *sentences : std::vector<std::string>{"failed"};
  }
  bool table_takes(const std::string& column, const std::string& value) {
    try {
      database_->execute("INSERT INTO site.rig (" + column + ") VALUES (" + value + ")");
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }

  std::unique_ptr<TestDatabase> database_;
  std::unique_ptr<PgDatabase> connection_;
};

TEST_F(CatalogChecksTest,
       rules_that_let_through_what_a_constraint_refuses_are_told_with_the_value_and_the_fix) {
  create_table(
      ", pressure real CHECK (pressure >= 0), heat real CONSTRAINT cool CHECK (heat BETWEEN -50 AND 200)");
  const SchemaPointer stream =
      stream_of({{.name = "pressure", .minimum = -14.5}, {.name = "heat", .minimum = -50, .maximum = 260}});
  EXPECT_EQ(
      found(stream),
      (std::vector<std::string>{
          "stream \"rig\": the rules of column \"pressure\" let through -14.5, which CHECK constraint "
          "\"rig_pressure_check\" of table \"site.rig\" refuses: a row with such a value becomes a dead "
          "letter; set min and max of the column to what it takes, or change the constraint",
          "stream \"rig\": the rules of column \"heat\" let through 260, which CHECK constraint \"cool\" of "
          "table \"site.rig\" refuses: a row with such a value becomes a dead letter; set min and max of the "
          "column to what it takes, or change the constraint"}));
  EXPECT_FALSE(table_takes("pressure", "-14.5"));
  EXPECT_FALSE(table_takes("heat", "260"));
}

TEST_F(CatalogChecksTest, a_column_without_bounds_and_one_that_keeps_everything_are_asked_for_far_values) {
  create_table(
      ", a real CHECK (a >= 0), b double precision CHECK (abs(b) < 1000), c int CHECK (c > -5), "
      "d bigint CHECK (d <> 7)");
  const auto sentences = found(stream_of({{.name = "a"},
                                          {.name = "b",
                                           .type = ColumnType::double_precision,
                                           .minimum = -1,
                                           .maximum = 1,
                                           .out_of_range = OutOfRange::keep},
                                          {.name = "c", .type = ColumnType::integer},
                                          {.name = "d", .type = ColumnType::bigint}}));
  ASSERT_EQ(sentences.size(), 3U) << testing::PrintToString(sentences);
  EXPECT_NE(sentences[0].find("column \"a\" let through -1e+30, "), std::string::npos) << sentences[0];
  EXPECT_NE(sentences[1].find("column \"b\" let through -1e+30 and 1e+30, "), std::string::npos)
      << sentences[1];
  EXPECT_NE(sentences[1].find("set out_of_range of the column to \"null\" or \"reject\", or change"),
            std::string::npos)
      << sentences[1];
  EXPECT_NE(sentences[2].find("column \"c\" let through -2147483647, "), std::string::npos) << sentences[2];
}

TEST_F(CatalogChecksTest, rules_within_the_constraints_are_not_told) {
  // 0.1 and 0.3 are no reals: what the decoder lets through is the next one inside of them.
  create_table(
      ", a real CHECK (a > -1 AND a <= 200), b real CHECK (b BETWEEN 0.1 AND 0.3), "
      "c int CHECK (c IN (1, 2)), d real CHECK (d IS NOT NULL), e real, CHECK (a < b)");
  EXPECT_EQ(found(stream_of({{.name = "a", .minimum = -0.5, .maximum = 200},
                             {.name = "b", .minimum = 0.1, .maximum = 0.3},
                             {.name = "c", .type = ColumnType::integer, .minimum = 0.5, .maximum = 2.5},
                             {.name = "d"},
                             {.name = "e"}})),
            std::vector<std::string>{});
}

TEST_F(CatalogChecksTest, a_constraint_that_cannot_be_asked_leaves_the_others_asked) {
  create_table(", a real CHECK (1 / (a - 5) > 0), b real CHECK (b < 10)");
  const auto sentences =
      found(stream_of({{.name = "a", .minimum = 5, .maximum = 6}, {.name = "b", .maximum = 11}}));
  ASSERT_EQ(sentences.size(), 1U) << testing::PrintToString(sentences);
  EXPECT_NE(sentences[0].find("column \"b\" let through 11, "), std::string::npos) << sentences[0];
}

TEST_F(CatalogChecksTest, the_rules_in_force_are_looked_at_and_not_those_of_the_start) {
  create_table(", a real CHECK (a BETWEEN 0 AND 10)");
  const SchemaPointer stream = stream_of({{.name = "a", .minimum = 0, .maximum = 10}});
  EXPECT_EQ(found(stream), std::vector<std::string>{});
  stream->rules().set(
      {.schema = stream_of({{.name = "a", .minimum = 0, .maximum = 12}}), .attributes = nullptr});
  EXPECT_EQ(found(stream).size(), 1U);
}

TEST_F(CatalogChecksTest, the_shipped_rules_fit_the_shipped_tables) {
  database_->create_shipped_tables();
  const auto sentences = find_narrower_checks(*connection_, test::shipped_schemas());
  ASSERT_TRUE(sentences) << sentences.error().message;
  EXPECT_EQ(*sentences, std::vector<std::string>{});
}

TEST_F(CatalogChecksTest, a_lost_connection_is_an_error) {
  create_table(", a real CHECK (a > 0)");
  database_->execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%test%' "
      "AND datname = current_database() AND pid <> pg_backend_pid()");
  const SchemaPointer stream = stream_of({{.name = "a"}});
  EXPECT_FALSE(find_narrower_checks(*connection_, std::span(&stream, 1)));
}

}  // namespace
}  // namespace wellhead
