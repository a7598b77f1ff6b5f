#include "database/server_facts.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "database/lifecycle_fixture.hpp"

namespace wellhead {
namespace {

using ServerFactsTest = LifecycleTest;

TEST_P(ServerFactsTest, SettingsAndTablesAreReadAsTheyAre) {
  execute(
      "INSERT INTO telemetry (timestamp, device_id) SELECT now() - i * interval '1 minute', 'well-1' FROM "
      "generate_series(1, 1000) AS i; CREATE TABLE \"Plain\" (\"timestamp\" timestamptz, device_id text "
      "UNIQUE, "
      "period tstzrange, EXCLUDE USING gist (period WITH &&)); CREATE FUNCTION nothing() RETURNS trigger "
      "LANGUAGE "
      "plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER each_row BEFORE INSERT ON \"Plain\" FOR EACH ROW "
      "EXECUTE "
      "FUNCTION nothing(); CREATE TRIGGER each_statement AFTER INSERT ON \"Plain\" EXECUTE FUNCTION "
      "nothing(); CREATE TRIGGER each_update BEFORE UPDATE OR DELETE ON \"Plain\" FOR EACH ROW EXECUTE "
      "FUNCTION nothing(); CREATE UNIQUE INDEX \"Only an index\" ON \"Plain\" (\"timestamp\")");
  const std::vector<std::string> names{"telemetry", "public.Plain", "no_such_table",
                                       "no_such_schema.telemetry"};
  const auto facts = gather_server(*connection_, names);
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_TRUE(facts->local);
  EXPECT_TRUE(facts->reads_statistics);
  EXPECT_EQ(std::to_string(static_cast<std::uint64_t>(facts->setting("shared_buffers"))),
            value("SELECT pg_size_bytes(current_setting('shared_buffers'))"));
  EXPECT_EQ(std::to_string(static_cast<std::uint64_t>(facts->setting("checkpoint_timeout"))),
            value("SELECT extract(epoch FROM current_setting('checkpoint_timeout')::interval)::bigint"));
  EXPECT_EQ(facts->text("fsync"), value("SHOW fsync"));
  EXPECT_EQ(facts->setting("no_such_setting"), 0);
  EXPECT_GT(facts->connections, 0U);

  ASSERT_EQ(facts->tables.size(), 4U);
  const TableFacts& telemetry = facts->tables[0];
  EXPECT_TRUE(telemetry.there && telemetry.divided);
  EXPECT_GT(telemetry.chunks, 0U);
  EXPECT_EQ(telemetry.indexes, 3U);
  EXPECT_GT(telemetry.recent_index_bytes, 0U);
  EXPECT_TRUE(telemetry.unique_indexes.empty() && telemetry.unique_constraints.empty() &&
              telemetry.row_triggers.empty());
  EXPECT_EQ(telemetry.chunk_interval_seconds.has_value(), facts->server.edition != Edition::plain);
  EXPECT_FALSE(telemetry.rows_per_segment);

  const TableFacts& plain = facts->tables[1];
  EXPECT_TRUE(plain.there && !plain.divided);
  EXPECT_EQ(plain.unique_constraints, std::vector<std::string>{"Plain_device_id_key"});
  EXPECT_EQ(plain.unique_indexes, std::vector<std::string>{"\"Only an index\""});
  EXPECT_EQ(plain.row_triggers, std::vector<std::string>{"each_row"}) << "inserts fire no other row trigger";
  EXPECT_EQ(plain.exclusions.size(), 1U);
  EXPECT_FALSE(facts->tables[2].there || facts->tables[3].there);
  EXPECT_TRUE(facts->jobs.failing.empty());
}

TEST_P(ServerFactsTest, ARoleWithoutAnyRightCanAskAllOfIt) {
  const std::string role = database_->name() + "_guest";
  database_->create_role(role);
  DatabaseResult<ServerFacts> facts;
  {
    PostgresOptions options;
    options.connection = database_->connection_as(role);
    PgDatabase guest(options, "wellhead test");
    EXPECT_TRUE(guest.connect());
    facts = gather_server(guest, std::vector<std::string>{"telemetry", "esp_telemetry"});
  }
  execute("DROP OWNED BY \"" + role + "\"; DROP ROLE \"" + role + "\"");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->role, role);
  EXPECT_FALSE(facts->reads_statistics);
  EXPECT_TRUE(facts->tables[0].there);
}

INSTANTIATE_TEST_SUITE_P(Servers, ServerFactsTest,
                         testing::Values(TestedServer::as_it_is, TestedServer::plain), name_of);

}  // namespace
}  // namespace wellhead
