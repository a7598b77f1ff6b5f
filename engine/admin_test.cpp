#include "engine/admin.hpp"

#include <gtest/gtest.h>

#include "engine/node_view_fake.hpp"

namespace wellhead {
namespace {

class AdminTest : public testing::Test {
 protected:
  HttpReply get(std::string_view path) { return handler_.handle("GET", path, ""); }

  JournalReading reading() {
    return {3,        {10, 1'000, 2, 4'000},
            &survey_, {},
            0,        {{0, false, false, "", &writer_stats_}, {1, false, false, "", &writer_stats_}}};
  }

  JournalSurvey survey_;
  JournalWriterStats writer_stats_;
  ShardStats shard_stats_;
  FakeNode node_;
  AdminHandler handler_{node_, {"1.2.3", "north-7", "127.0.0.1:8080", "off", {"telemetry"}}};
};

TEST_F(AdminTest, LiveAnswersWhateverTheShardsDo) {
  node_.shard_readings = {{0, ShardState::disconnected, "no database", &shard_stats_}};
  EXPECT_EQ(get("/health/live").status, 200);
}

TEST_F(AdminTest, StartupAnswers503UntilTheNodeHasStarted) {
  node_.is_started = false;
  EXPECT_EQ(get("/health/startup").status, 503);
  EXPECT_EQ(get("/health/ready").status, 503);
  node_.is_started = true;
  EXPECT_EQ(get("/health/startup").status, 200);
}

TEST_F(AdminTest, ReadyNeedsEveryShardAndNamesTheProblemOfEach) {
  node_.shard_readings = {{0, ShardState::ready, "", &shard_stats_},
                          {1, ShardState::blocked, "The table \"telemetry\" is missing.", &shard_stats_}};
  const HttpReply reply = get("/health/ready");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body,
            "{\"status\":\"not_ready\",\"shards\":[{\"shard\":0,\"state\":\"ready\"},{\"shard\":1,\"state\":"
            "\"blocked\","
            "\"problem\":\"The table \\\"telemetry\\\" is missing.\"}]}\n");
  node_.shard_readings[1] = {1, ShardState::ready, "", &shard_stats_};
  EXPECT_EQ(get("/health/ready").status, 200);
}

TEST_F(AdminTest, WithAJournalANodeIsReadyWithoutADatabaseAndSaysWhatIsMissing) {
  node_.journal_reading = reading();
  node_.shard_readings = {{0, ShardState::disconnected, "The database is away.", &shard_stats_}};
  const HttpReply reply = get("/health/ready");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            "{\"status\":\"degraded\",\"journal\":{\"state\":\"writable\",\"bytes\":1000,\"bytes_max\":4000},"
            "\"shards\":[{\"shard\":0,\"state\":\"disconnected\",\"problem\":\"The database is away.\"}]}\n");
  node_.shard_readings[0] = {0, ShardState::ready, "", &shard_stats_};
  EXPECT_TRUE(get("/health/ready").body.starts_with("{\"status\":\"ready\""));
}

TEST_F(AdminTest, AJournalThatTakesNothingMakesTheNodeNotReadyWithItsSentence) {
  node_.journal_reading = reading();
  node_.shard_readings = {{0, ShardState::ready, "", &shard_stats_}};
  node_.journal_reading->writers[1] = {1, false, true, "The journal is full.", &writer_stats_};
  const HttpReply full = get("/health/ready");
  EXPECT_EQ(full.status, 503);
  EXPECT_NE(full.body.find("\"state\":\"full\""), std::string::npos) << full.body;
  EXPECT_NE(full.body.find("\"problem\":\"The journal is full.\""), std::string::npos) << full.body;
  node_.journal_reading->writers[0] = {0, true, false, "A write failed.", &writer_stats_};
  const HttpReply latched = get("/health/ready");
  EXPECT_EQ(latched.status, 503);
  EXPECT_NE(latched.body.find("\"state\":\"latched\""), std::string::npos) << latched.body;
}

TEST_F(AdminTest, AStoppingNodeIsLiveAndNotReady) {
  node_.is_stopping = true;
  EXPECT_EQ(get("/health/live").status, 200);
  EXPECT_EQ(get("/health/ready").status, 503);
}

TEST_F(AdminTest, TheFirstPageSaysWhatThisIsAndWhereThingsAre) {
  const HttpReply reply = get("/");
  EXPECT_EQ(reply.status, 200);
  for (const char* part :
       {"\"wellhead\"", "1.2.3", "north-7", "127.0.0.1:8080", "[\"telemetry\"]", "/metrics"})
    EXPECT_NE(reply.body.find(part), std::string::npos) << part;
}

TEST_F(AdminTest, MetricsComeInPrometheusTextFormat) {
  const HttpReply reply = get("/metrics");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(AdminTest, OtherPathsAndMethodsAreRefused) {
  EXPECT_EQ(get("/health").status, 404);
  EXPECT_EQ(get("/metrics/").status, 404);
  const HttpReply reply = handler_.handle("POST", "/metrics", "");
  EXPECT_EQ(reply.status, 405);
  ASSERT_EQ(reply.headers.back().first, "Allow");
  EXPECT_EQ(handler_.handle("HEAD", "/health/live", "").status, 200);
}

}  // namespace
}  // namespace wellhead
