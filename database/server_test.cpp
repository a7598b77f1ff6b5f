#include "database/server.hpp"

#include <gtest/gtest.h>

#include "database/snapshot.hpp"

namespace wellhead {
namespace {

Server community(ExtensionVersion version) {
  Server server;
  server.edition = Edition::community;
  server.timescaledb_version = version;
  return server;
}

TEST(Server, VersionsOfTheExtensionAreReadWhateverTheirEnding) {
  EXPECT_EQ(parse_extension_version("2.19.3"), (ExtensionVersion{2, 19}));
  EXPECT_EQ(parse_extension_version("2.30.0-dev"), (ExtensionVersion{2, 30}));
  EXPECT_EQ(parse_extension_version("2.7"), (ExtensionVersion{2, 7}));
  EXPECT_EQ(parse_extension_version(""), (ExtensionVersion{}));
  EXPECT_EQ(parse_extension_version("two"), (ExtensionVersion{}));
}

TEST(Server, WhatAnEditionOffersFollowsFromItsVersion) {
  EXPECT_FALSE(community({2, 17}).has_columnstore_names());
  EXPECT_TRUE(community({2, 17}).has_compression());
  EXPECT_TRUE(community({2, 18}).has_columnstore_names());
  EXPECT_FALSE(community({2, 20}).has_direct_compress());
  EXPECT_TRUE(community({2, 21}).has_direct_compress());
  Server apache = community({2, 30});
  apache.edition = Edition::apache;
  EXPECT_FALSE(apache.has_compression());
  EXPECT_FALSE(apache.has_columnstore_names());
  EXPECT_FALSE(apache.has_continuous_aggregates());
  EXPECT_FALSE(apache.has_direct_compress());
}

TEST(Server, ItSaysWhichTimescaleDbItsTablesUse) {
  Server server;
  server.postgresql = "17.5";
  EXPECT_EQ(describe(server), "PostgreSQL 17.5 without TimescaleDB");
  server.timescaledb = "2.19.3";
  EXPECT_EQ(describe(server), "PostgreSQL 17.5 with partitions beside TimescaleDB 2.19.3");
  server.edition = Edition::apache;
  EXPECT_EQ(describe(server), "TimescaleDB 2.19.3 (Apache edition)");
}

TEST(Snapshot, APolicyThatIsPausedIsADifference) {
  const Snapshot expected{{{"telemetry", "table", ""}, "a table"},
                          {{"telemetry", "policy", "policy_compression"}, "every 12:00:00 with {}"}};
  Snapshot live = expected;
  live[{"telemetry", "policy", "policy_compression"}] = "paused, every 12:00:00 with {}";
  EXPECT_EQ(
      differences_between(expected, live),
      std::vector<std::string>{"telemetry: the policy policy_compression is paused, every 12:00:00 with "
                               "{}; it is to be every 12:00:00 with {}."});
}

TEST(Snapshot, EachDifferenceIsASentenceAndOtherTablesAreNobodysConcern) {
  const Snapshot expected{{{"one", "table", ""}, "a table"},
                          {{"one", "column", "x"}, "integer"},
                          {{"one", "index", "one_idx"}, "CREATE INDEX …"},
                          {{"two", "table", ""}, "a table"},
                          {{"two", "column", "x"}, "integer"}};
  const Snapshot live{{{"one", "table", ""}, "a table"},
                      {{"one", "column", "x"}, "bigint"},
                      {{"one", "column", "y"}, "text"},
                      {{"mine", "table", ""}, "a table"},
                      {{"mine", "column", "x"}, "text"}};
  const std::vector<std::string> sentences{
      "one: the column x is bigint; it is to be integer.",
      "one: the index one_idx is missing; it is to be: CREATE INDEX ….",
      "two is missing.",
      "one: the column y is there, and no migration makes it: text.",
  };
  EXPECT_EQ(differences_between(expected, live), sentences);
  EXPECT_TRUE(differences_between(expected, expected).empty());
}

}  // namespace
}  // namespace wellhead
