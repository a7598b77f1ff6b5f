#include "loadgen/ledger.hpp"

#include <gtest/gtest.h>

namespace wellhead::loadgen {
namespace {

constexpr std::uint64_t first_record = 1'000;

Batch batch_of(std::uint32_t count, std::vector<std::uint32_t> bad = {}) {
  Batch batch;
  batch.range = {.first = first_record, .count = count};
  batch.bad_offsets = std::move(bad);
  batch.due_ns = 1'000'000;
  batch.begun_ns = 3'000'000;
  return batch;
}

struct LedgerTest : testing::Test {
  OutcomeStore outcomes;
  Ledger ledger{&outcomes, false};

  [[nodiscard]] std::string fates(std::uint32_t count) const {
    constexpr std::string_view letters = "-uarf?";
    std::string text;
    for (std::uint32_t offset = 0; offset < count; ++offset) {
      text += letters[static_cast<std::size_t>(outcomes.get(first_record + offset))];
    }
    return text;
  }
};

TEST_F(LedgerTest, latency_counts_from_the_schedule_and_service_time_from_the_first_byte) {
  Batch batch = batch_of(10);
  ledger.settle(batch, 10, 0, 5'000'000);
  EXPECT_EQ(ledger.ack_us().count(), 10U);
  EXPECT_EQ(ledger.ack_us().max(), 4'000U);
  EXPECT_EQ(ledger.service_us().max(), 2'000U);
}

TEST_F(LedgerTest, named_rejects_are_rejected_and_the_rest_acknowledged) {
  Batch batch = batch_of(6, {2, 4});
  batch.rejects = {{.offset = 2, .code = "wrong_type"}, {.offset = 4, .code = "wrong_type"}};
  ledger.settle(batch, 6, 2, 5'000'000);
  EXPECT_EQ(fates(6), "aarara");
  EXPECT_EQ(ledger.counters().acknowledged.value(), 4U);
  EXPECT_EQ(ledger.counters().rejected.value(), 2U);
  EXPECT_EQ(ledger.counters().bad_acknowledged.value(), 0U);
  EXPECT_EQ(ledger.counters().good_rejected.value(), 0U);
  EXPECT_EQ(ledger.reject_codes().at("wrong_type"), 2U);
}

TEST_F(LedgerTest, a_bad_record_that_was_taken_and_a_good_one_that_was_not_are_noticed) {
  Batch batch = batch_of(4, {0});
  batch.rejects = {{.offset = 3, .code = "wrong_type"}};
  ledger.settle(batch, 4, 1, 5'000'000);
  EXPECT_EQ(ledger.counters().bad_acknowledged.value(), 1U);
  EXPECT_EQ(ledger.counters().good_rejected.value(), 1U);
}

TEST_F(LedgerTest, a_batch_is_settled_in_parts_and_loses_the_rest) {
  Batch batch = batch_of(6);
  ledger.settle(batch, 2, 0, 5'000'000);
  batch.rejects = {{.offset = 2, .code = "wrong_type"}};
  ledger.settle(batch, 4, 1, 5'000'000);
  ledger.lose(batch, "connection lost");
  EXPECT_EQ(fates(6), "aarauu");
  EXPECT_EQ(ledger.counters().unknown.value(), 2U);
  EXPECT_EQ(ledger.problems().at("connection lost"), 2U);
}

TEST_F(LedgerTest, a_reject_without_its_ack_is_still_a_reject_when_the_connection_breaks) {
  Batch batch = batch_of(3);
  batch.rejects = {{.offset = 1, .code = "wrong_type"}};
  ledger.lose(batch, "connection lost");
  EXPECT_EQ(fates(3), "uru");
  EXPECT_EQ(ledger.counters().rejected.value(), 1U);
  EXPECT_EQ(ledger.counters().unknown.value(), 2U);
}

TEST_F(LedgerTest, unlisted_rejects_are_the_bad_ones_where_their_number_agrees) {
  Batch batch = batch_of(6, {1, 2, 5});
  batch.rejects = {{.offset = 1, .code = "wrong_type"}};
  ledger.settle(batch, 6, 3, 5'000'000);
  EXPECT_EQ(fates(6), "arraar");
  EXPECT_EQ(ledger.counters().unlisted.value(), 0U);
  EXPECT_EQ(ledger.counters().good_rejected.value(), 0U);
}

TEST_F(LedgerTest, unlisted_rejects_are_ambiguous_where_it_does_not) {
  Batch batch = batch_of(6, {1});
  batch.rejects = {{.offset = 1, .code = "wrong_type"}};
  ledger.settle(batch, 6, 3, 5'000'000);
  EXPECT_EQ(fates(6), "?r????");
  EXPECT_EQ(ledger.counters().unlisted.value(), 2U);
  EXPECT_EQ(ledger.counters().ambiguous_acknowledged.value(), 3U);
  EXPECT_EQ(ledger.counters().good_rejected.value(), 2U);
}

TEST_F(LedgerTest, all_rejected_needs_no_list) {
  Batch batch = batch_of(3);
  ledger.settle(batch, 3, 3, 5'000'000);
  EXPECT_EQ(fates(3), "rrr");
}

TEST_F(LedgerTest, a_refused_request_fails_whole) {
  Batch batch = batch_of(3);
  ledger.fail(batch, "HTTP 413 body_too_large", 5'000'000);
  EXPECT_EQ(fates(3), "fff");
  EXPECT_EQ(ledger.counters().failed.value(), 3U);
}

TEST(OutcomeStore, ranges_may_cross_segments) {
  OutcomeStore outcomes;
  const std::uint64_t first = OutcomeStore::segment_records - 3;
  outcomes.set({.first = first, .count = 6}, Outcome::acknowledged);
  EXPECT_EQ(outcomes.get(first - 1), Outcome::unsent);
  for (std::uint64_t record = first; record < first + 6; ++record) {
    EXPECT_EQ(outcomes.get(record), Outcome::acknowledged);
    EXPECT_TRUE(outcomes.mark_found(record));
    EXPECT_FALSE(outcomes.mark_found(record));
    EXPECT_EQ(outcomes.get(record), Outcome::acknowledged);
  }
  EXPECT_EQ(outcomes.get(first + 6), Outcome::unsent);
  EXPECT_EQ(outcomes.size(), first + 6);
  EXPECT_EQ(outcomes.get(OutcomeStore::records_max + 5), Outcome::unsent);
}

}  // namespace
}  // namespace wellhead::loadgen
