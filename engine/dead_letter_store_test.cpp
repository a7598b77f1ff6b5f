#include "engine/dead_letter_store.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "base/clock.hpp"
#include "codec/copy_binary.hpp"
#include "codec/dead_letter.hpp"
#include "engine/dead_letter_replay.hpp"
#include "sink/catalog.hpp"
#include "sink/pg_database.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t payload_max = 64;

std::span<const std::byte> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// The table as the migrations make it, with letters that came there as a shard brings them.
class DeadLetterStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    WELLHEAD_SKIP_WITHOUT_DATABASE();
    test_database_ = std::make_unique<TestDatabase>();
    test_database_->create_shipped_tables();
    database_ = connect(test_database_->connection());
    schema_ = Schema::compile(dead_letter_stream(payload_max), 0).value();
    writer_ = std::make_unique<DeadLetterWriter>(schema_, "node-1", 1);
  }

  static std::unique_ptr<PgDatabase> connect(const std::string& connection) {
    PostgresOptions options;
    options.connection = connection;
    auto database = std::make_unique<PgDatabase>(options, "wellhead test");
    const auto connected = database->connect();
    EXPECT_TRUE(connected) << connected.error().message;
    return database;
  }

  // A letter received that many minutes ago.
  DeadLetter letter(std::string_view payload, std::int64_t minutes_ago, std::string_view stream = "telemetry",
                    std::string_view code = "wrong_type") const {
    constexpr std::int64_t us_per_minute = 60'000'000;
    return {.received_us = SystemClock().wall_us() - minutes_ago * us_per_minute,
            .stream = stream,
            .code = code,
            .message = "a sentence",
            .payload = payload,
            .payload_bytes = payload.size(),
            .record_index = 3};
  }

  void copy(const DeadLetter& letter) {
    std::vector<std::byte> tuple;
    writer_->append(letter, tuple);
    const auto started = database_->run(schema_->copy_statement());
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_TRUE(database_->copy_data(bytes_of(copy_binary::header)));
    ASSERT_TRUE(database_->copy_data(tuple));
    ASSERT_TRUE(database_->copy_data(bytes_of(copy_binary::trailer)));
    const auto done = database_->copy_end();
    ASSERT_TRUE(done) << done.error().message;
  }

  std::vector<DeadLetterEntry> list(const DeadLetterFilter& filter = {}, std::uint64_t limit = 100) {
    auto entries = DeadLetterStore(*database_).list(filter, limit);
    EXPECT_TRUE(entries) << entries.error();
    return entries.value_or(std::vector<DeadLetterEntry>());
  }
  DeadLetterId newest_id() { return DeadLetterId::parse(list().front().id).value(); }

  std::unique_ptr<TestDatabase> test_database_;
  std::unique_ptr<PgDatabase> database_;
  SchemaPointer schema_;
  std::unique_ptr<DeadLetterWriter> writer_;
};

TEST_F(DeadLetterStoreTest, TheTableIsWhatTheStreamWrites) {
  const auto findings = check_catalog(*database_, std::span(&schema_, 1));
  ASSERT_TRUE(findings) << findings.error().message;
  for (const std::string& finding : findings->problems)
    EXPECT_EQ(finding.find("dead_letter"), std::string::npos) << finding;
}

TEST_F(DeadLetterStoreTest, ARowComesBackAsItWasWritten) {
  const std::string bytes("{\"rpm\":\"\0\xff\"}", 13);
  DeadLetter written = letter(bytes, 5);
  written.field = "rpm";
  written.message = "bad\0byte";
  written.sqlstate = "23514";
  written.source = "ndjson from 10.0.0.7:4711";
  written.device_id = "well-7";
  copy(written);
  const auto found = DeadLetterStore(*database_).find(newest_id());
  ASSERT_TRUE(found) << found.error();
  ASSERT_TRUE(found->has_value());
  const DeadLetterEntry& entry = **found;
  EXPECT_EQ(entry.payload, bytes);
  EXPECT_TRUE(entry.whole());
  EXPECT_EQ(entry.stream, "telemetry");
  EXPECT_EQ(entry.code, "wrong_type");
  EXPECT_EQ(entry.field, "rpm");
  EXPECT_EQ(entry.sqlstate, "23514");
  EXPECT_EQ(entry.source, "ndjson from 10.0.0.7:4711");
  EXPECT_EQ(entry.device_id, "well-7");
  EXPECT_EQ(entry.node_id, "node-1");
  EXPECT_EQ(entry.payload_form, "original");
  EXPECT_EQ(entry.record_index, "3");
  EXPECT_EQ(entry.replayed_at, "");
}

TEST_F(DeadLetterStoreTest, TheIdLeadsToItsRowOnly) {
  copy(letter("one", 5));
  copy(letter("two", 5));
  const auto entries = list();
  ASSERT_EQ(entries.size(), 2U);
  for (const DeadLetterEntry& entry : entries) {
    const auto found = DeadLetterStore(*database_).find(DeadLetterId::parse(entry.id).value());
    ASSERT_TRUE(found && found->has_value());
    EXPECT_EQ((*found)->id, entry.id);
  }
  const auto none =
      DeadLetterStore(*database_).find(DeadLetterId::parse("019C0000-0000-7001-8000-000000000001").value());
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
}

TEST_F(DeadLetterStoreTest, FiltersHoldTogether) {
  copy(letter("1", 200));
  copy(letter("22", 10));
  copy(letter("333", 5, "esp_telemetry"));
  copy(letter("4444", 1, "telemetry", "missing_field"));
  const auto kept = [&](const DeadLetterFilter& filter) {
    std::vector<std::uint64_t> bytes;
    for (const DeadLetterEntry& entry : list(filter)) bytes.push_back(entry.kept_bytes);
    return bytes;
  };
  using Bytes = std::vector<std::uint64_t>;
  EXPECT_EQ(kept({}), (Bytes{4, 3, 2, 1}));
  EXPECT_EQ(kept({.stream = "telemetry"}), (Bytes{4, 2, 1}));
  EXPECT_EQ(kept({.stream = "telemetry", .code = "wrong_type"}), (Bytes{2, 1}));
  EXPECT_EQ(kept({.since = moment_sql("1h").value()}), (Bytes{4, 3, 2}));
  EXPECT_EQ(kept({.since = moment_sql("2020-01-01T00:00:00Z").value()}), (Bytes{4, 3, 2, 1}));
  EXPECT_EQ(kept({.before = moment_sql("1h").value()}), (Bytes{1}));
  EXPECT_EQ(kept({.replayed = true}), Bytes());
  EXPECT_EQ(list({}, 2).size(), 2U);
  EXPECT_EQ(kept({.stream = "o'hara"}), Bytes());
}

TEST_F(DeadLetterStoreTest, OnlyWhatAFilterNamesIsDeleted) {
  copy(letter("1", 200));
  copy(letter("22", 10));
  DeadLetterStore store(*database_);
  ASSERT_TRUE(store.mark_replayed(newest_id()));
  EXPECT_EQ(store.count({.replayed = true}).value_or(99), 1U);
  EXPECT_EQ(store.remove({.before = moment_sql("1h").value(), .replayed = true}).value_or(99), 0U);
  EXPECT_EQ(store.remove({.replayed = true}).value_or(99), 1U);
  ASSERT_EQ(list().size(), 1U);
  EXPECT_EQ(list().front().kept_bytes, 1U);
}

TEST_F(DeadLetterStoreTest, AMissingTableIsToldWithItsRemedy) {
  test_database_->execute("DROP TABLE dead_letter");
  const auto entries = DeadLetterStore(*database_).list({}, 1);
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error(), "The database has no table dead_letter: run `wellhead migrate up`.");
}

TEST_F(DeadLetterStoreTest, AMissingRightIsToldWithItsRemedy) {
  test_database_->create_role("wellhead_reader_" + test_database_->name());
  const auto reader = connect(test_database_->connection_as("wellhead_reader_" + test_database_->name()));
  const auto entries = DeadLetterStore(*reader).list({}, 1);
  ASSERT_FALSE(entries);
  EXPECT_NE(entries.error().find("GRANT SELECT, UPDATE, DELETE ON dead_letter"), std::string::npos)
      << entries.error();
  reader->disconnect();
  test_database_->execute("DROP ROLE \"wellhead_reader_" + test_database_->name() + "\"");
}

// --- replay ---

NodeReply accepted() {
  return {200, 0, R"({"accepted":1,"rejected":0,"duplicate":0,"errors":[]})"};
}
NodeReply rejected(const std::string& code) {
  return {422, 0,
          R"({"accepted":0,"rejected":1,"duplicate":0,"errors":[{"index":0,"code":")" + code +
              R"(","field":null,"message":"no"}]})"};
}

class DeadLetterReplayTest : public DeadLetterStoreTest {
 protected:
  using Reply = std::expected<NodeReply, std::string>;

  // Replays all letters, the oldest first, to a node that gives these replies.
  std::expected<void, std::string> replay(std::vector<Reply> replies, bool repaired = false) {
    DeadLetterStore store(*database_);
    DeadLetterReplay replay(
        store,
        [&](const DeadLetterEntry& entry) {
          sent_.push_back(entry.payload);
          EXPECT_LE(sent_.size(), replies.size());
          return replies.at(std::min(sent_.size(), replies.size()) - 1);
        },
        [&](std::string_view sentence) { told_.emplace_back(sentence); },
        [&](std::uint32_t seconds) { paused_s_ += seconds; }, repaired);
    const auto ids = store.ids({}, 100);
    EXPECT_TRUE(ids);
    auto done = replay.run(*ids);
    counts_ = replay.counts();
    return done;
  }
  std::uint64_t marked() { return DeadLetterStore(*database_).count({.replayed = true}).value_or(99); }

  std::vector<std::string> sent_;
  std::vector<std::string> told_;
  ReplayCounts counts_;
  std::uint32_t paused_s_ = 0;
};

TEST_F(DeadLetterReplayTest, WhatTheNodeTakesIsMarkedAndNotSentAgain) {
  copy(letter("{\"a\":1}", 9));
  copy(letter("{\"b\":2}", 5));
  ASSERT_TRUE(replay({accepted(), accepted()}));
  EXPECT_EQ(sent_, (std::vector<std::string>{"{\"a\":1}", "{\"b\":2}"}));
  EXPECT_EQ(counts_.accepted, 2U);
  EXPECT_EQ(marked(), 2U);
  ASSERT_TRUE(replay({}));
  EXPECT_EQ(sent_.size(), 2U);
  EXPECT_EQ(counts_.unsendable, 2U);
  EXPECT_NE(told_.at(0).find("it was replayed at 20"), std::string::npos) << told_.at(0);
}

TEST_F(DeadLetterReplayTest, WhatIsRefusedAgainIsToldAndStays) {
  copy(letter("{\"a\":1}", 9));
  copy(letter("{\"b\":2}", 5));
  ASSERT_TRUE(replay({rejected("wrong_type"), accepted()}));
  EXPECT_EQ(counts_.refused, 1U);
  EXPECT_EQ(counts_.accepted, 1U);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_TRUE(told_.front().ends_with(": refused again: wrong_type: no")) << told_.front();
  EXPECT_EQ(marked(), 1U);
}

TEST_F(DeadLetterReplayTest, WhatTheDatabaseRefusedAnewIsLeftToItsNewLetter) {
  copy(letter("{\"a\":1}", 9));
  ASSERT_TRUE(replay({rejected("database_refused")}));
  EXPECT_EQ(counts_.refused, 1U);
  EXPECT_EQ(marked(), 1U);
}

TEST_F(DeadLetterReplayTest, ARecordThatIsStoredAsRepairedIsSentOnlyWhereThatIsAskedFor) {
  copy(letter("{\"a\":1}", 9, "telemetry", dead_letter_repaired_code));
  EXPECT_EQ(DeadLetterStore(*database_).count({.stored_too = false}), 0U);
  EXPECT_EQ(DeadLetterStore(*database_).count({}), 1U);
  ASSERT_TRUE(replay({}));
  EXPECT_EQ(counts_.unsendable, 1U);
  EXPECT_NE(told_.at(0).find("its record is stored, with NULL"), std::string::npos) << told_.at(0);
  ASSERT_TRUE(replay({accepted()}, true));
  EXPECT_EQ(counts_.accepted, 1U);
  EXPECT_EQ(marked(), 1U);
}

TEST_F(DeadLetterReplayTest, APieceOfARecordIsNotSent) {
  copy(letter(std::string(payload_max + 1, ' '), 9));
  copy({.received_us = SystemClock().wall_us(), .stream = "telemetry", .code = dead_letter_summary_code});
  ASSERT_TRUE(replay({}));
  EXPECT_EQ(counts_.unsendable, 2U);
  EXPECT_NE(told_.at(0).find("only the first 64 of its 65 bytes were kept"), std::string::npos)
      << told_.at(0);
  EXPECT_NE(told_.at(1).find("it holds no record"), std::string::npos) << told_.at(1);
}

TEST_F(DeadLetterReplayTest, ABusyNodeIsWaitedForAndABrokenConnectionTriedAgain) {
  copy(letter("{\"a\":1}", 9));
  ASSERT_TRUE(replay({NodeReply{429, 3, ""}, std::unexpected(std::string("broke")), accepted()}));
  EXPECT_EQ(counts_.accepted, 1U);
  EXPECT_EQ(paused_s_, 3U + 1U);
}

TEST_F(DeadLetterReplayTest, ANodeThatCannotPromiseToStoreItOnceGetsNoMore) {
  copy(letter("{\"a\":1}", 9));
  copy(letter("{\"b\":2}", 5));
  const auto done =
      replay({NodeReply{400, 0, R"({"error":{"code":"idempotency_unavailable","message":"no journal"}})"}});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().find("this node has no journal"), std::string::npos) << done.error();
  EXPECT_EQ(sent_.size(), 1U);
  EXPECT_EQ(counts_.refused, 0U);
  EXPECT_EQ(marked(), 0U);
}

TEST_F(DeadLetterReplayTest, ANodeThatDoesNotAnswerEndsTheReplayAndMarksNothing) {
  copy(letter("{\"a\":1}", 9));
  copy(letter("{\"b\":2}", 5));
  const Reply broken = std::unexpected(std::string("Connection refused"));
  const auto done = replay({broken, broken, broken, broken, broken});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().find("Connection refused"), std::string::npos) << done.error();
  EXPECT_EQ(sent_.back(), "{\"a\":1}");
  EXPECT_EQ(marked(), 0U);
}

}  // namespace
}  // namespace wellhead
