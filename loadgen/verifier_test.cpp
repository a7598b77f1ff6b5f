#include "loadgen/verifier.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/clock.hpp"
#include "loadgen/generated_matcher.hpp"
#include "loadgen/generated_workload.hpp"
#include "loadgen/test_rows.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::uint64_t records = 100;

Options sample_options(StreamKind stream) {
  Options options;
  options.run_id = "run1";
  options.wells = 7;
  options.stream = stream;
  return options;
}

// A run of which every record was acknowledged, and the table that goes with it.
class VerifierTest : public testing::Test {
 protected:
  explicit VerifierTest(StreamKind stream = StreamKind::telemetry)
      : workload_(sample_options(stream), 1'770'000'000'000'000) {
    outcomes_.set({.first = 0, .count = records}, Outcome::acknowledged);
  }

  void insert(std::uint64_t record, double change = 0) {
    const RecordKey key = workload_.identity().key(record);
    Reading reading{};
    workload_.model().read(key.well, key.sequence, reading);
    TestRow row;
    row.text(fmt::format("wrun1-{:06}", key.well));
    row.bigint(workload_.identity().timestamp_us(key) - postgres_epoch_unix_us);
    for (std::size_t index = 0; index < workload_.model().fields().size(); ++index) {
      row.real(decimal_value(reading[index], workload_.model().fields()[index].decimals) + change);
    }
    if (workload_.stream() != StreamKind::telemetry) row.bigint(workload_.identity().id(record));
    if (workload_.stream() == StreamKind::diagnostic_results) {
      const Diagnosis diagnosis = workload_.model().diagnose(key.well, key.sequence);
      row.text(diagnosis.severity).text(diagnosis.text).text(diagnostic_details(key));
    }
    verifier_.on_row(row.row());
  }
  void insert_all_but(std::uint64_t left_out) {
    for (std::uint64_t record = 0; record < records; ++record) {
      if (record != left_out) insert(record);
    }
  }

  GeneratedWorkload workload_;
  GeneratedMatcher matcher_{workload_};
  OutcomeStore outcomes_;
  Verifier verifier_{matcher_, outcomes_, 0};
};

constexpr std::uint64_t none = records;

TEST_F(VerifierTest, passes_when_every_acknowledged_record_is_there_once) {
  insert_all_but(none);
  const Verification verdict = verifier_.verdict();
  EXPECT_TRUE(verdict.passed());
  EXPECT_EQ(verdict.committed, records);
  EXPECT_TRUE(verdict.examples.empty());
}

TEST_F(VerifierTest, finds_one_lost_record) {
  insert_all_but(42);
  const Verification verdict = verifier_.verdict();
  EXPECT_FALSE(verdict.passed());
  EXPECT_EQ(verdict.lost, 1U);
  EXPECT_EQ(verdict.examples.at(0), "record 42 was acknowledged and is not there");
}

TEST_F(VerifierTest, is_not_deceived_by_a_copy_in_the_place_of_a_lost_one) {
  insert_all_but(42);
  insert(43);
  const Verification verdict = verifier_.verdict();
  EXPECT_EQ(verdict.committed, records);  // the count alone looks right
  EXPECT_EQ(verdict.lost, 1U);
  EXPECT_EQ(verdict.duplicated, 1U);
}

TEST_F(VerifierTest, counts_every_extra_copy) {
  insert_all_but(none);
  insert(7);
  insert(7);
  EXPECT_EQ(verifier_.verdict().duplicated, 2U);
}

TEST_F(VerifierTest, finds_a_changed_value) {
  insert_all_but(42);
  insert(42, 0.5);
  const Verification verdict = verifier_.verdict();
  EXPECT_EQ(verdict.lost, 0U);
  EXPECT_EQ(verdict.mismatched, 1U);
  EXPECT_FALSE(verdict.passed());
}

TEST_F(VerifierTest, finds_rows_that_were_never_sent) {
  insert_all_but(none);
  insert(records + 5);
  TestRow strange;
  strange.text("wrun1-000001").bigint(17);
  for (int column = 0; column < 8; ++column) strange.real(1);
  verifier_.on_row(strange.row());
  const Verification verdict = verifier_.verdict();
  EXPECT_EQ(verdict.foreign, 2U);
  EXPECT_EQ(verdict.lost, 0U);
  EXPECT_FALSE(verdict.passed());
}

TEST_F(VerifierTest, finds_an_unsent_record_between_sent_ones) {
  outcomes_.set(10, Outcome::unsent);
  insert_all_but(none);
  EXPECT_EQ(verifier_.verdict().foreign, 1U);
}

TEST_F(VerifierTest, finds_a_rejected_record_that_is_there) {
  outcomes_.set(10, Outcome::rejected);
  outcomes_.set(11, Outcome::failed);
  insert_all_but(11);
  EXPECT_EQ(verifier_.verdict().rejected_present, 1U);
}

TEST_F(VerifierTest, a_record_of_unknown_fate_may_be_there_or_not_but_not_twice) {
  outcomes_.set({.first = 10, .count = 3}, Outcome::unknown);
  insert_all_but(10);
  insert(12);
  const Verification verdict = verifier_.verdict();
  EXPECT_EQ(verdict.lost, 0U);
  EXPECT_EQ(verdict.unknown_absent, 1U);
  EXPECT_EQ(verdict.unknown_committed, 2U);
  EXPECT_EQ(verdict.duplicated, 1U);
}

TEST_F(VerifierTest, ambiguous_records_are_checked_by_their_number) {
  outcomes_.set({.first = 10, .count = 4}, Outcome::ambiguous);
  Verifier verifier(matcher_, outcomes_, 3);
  EXPECT_EQ(verifier.verdict().lost, records - 4 + 3);
}

class DiagnosticVerifierTest : public VerifierTest {
 protected:
  DiagnosticVerifierTest() : VerifierTest(StreamKind::diagnostic_results) {}
};

TEST_F(DiagnosticVerifierTest, compares_ids_texts_and_documents_too) {
  insert_all_but(42);
  EXPECT_EQ(verifier_.verdict().mismatched, 0U);
  const RecordKey key = workload_.identity().key(42);
  Reading reading{};
  workload_.model().read(key.well, key.sequence, reading);
  TestRow row;
  row.text(fmt::format("wrun1-{:06}", key.well));
  row.bigint(workload_.identity().timestamp_us(key) - postgres_epoch_unix_us);
  row.real(decimal_value(reading[0], workload_.model().fields()[0].decimals))
      .bigint(workload_.identity().id(42));
  row.text("critical?").text("nothing").text("{}");
  const RowMatch match = matcher_.match(row.row());
  EXPECT_EQ(match.record, 42U);
  EXPECT_FALSE(match.values_equal);
  EXPECT_TRUE(match.difference.starts_with("severity is critical?")) << match.difference;
}

}  // namespace
}  // namespace wellhead::loadgen
