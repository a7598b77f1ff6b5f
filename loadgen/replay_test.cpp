#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "loadgen/fake_node.hpp"
#include "loadgen/outcome_store.hpp"
#include "loadgen/replay_matcher.hpp"
#include "loadgen/replay_workload.hpp"
#include "loadgen/run.hpp"
#include "loadgen/test_rows.hpp"
#include "loadgen/timestamp_text.hpp"
#include "loadgen/verifier.hpp"

namespace wellhead::loadgen {
namespace {

constexpr const char* sample =
    R"({"timestamp":"2024-05-01T00:00:00Z","device_id":"a","temperature":68.6194,"pressure":0.054711,"anomaly":false})"
    "\n"
    R"({"timestamp":"2024-05-01T00:00:00Z","device_id":"b","temperature":212,"temperature_unit":"F"})"
    "\n\n"
    R"({"timestamp":"2024-05-01T00:00:30Z","device_id":"a","temperature":70.5,"pressure":-1})"
    "\r\n"
    "not json\n"
    R"({"timestamp":"2024-05-01T00:01:00Z","device_id":"b","vibration":null,"rpm":3500})";
constexpr std::int64_t first_us = 1'714'521'600'000'000;

class ReplayTest : public testing::Test {
 protected:
  ReplayTest()
      : path_(std::filesystem::temp_directory_path() / ("wellhead-replay-" + std::to_string(getpid()))) {
    std::ofstream(path_) << sample;
    options_.replay_path = path_;
    options_.speed = 60;
    workload_ = std::move(ReplayWorkload::open(options_).value());
    matcher_ = workload_->make_matcher();
  }
  ~ReplayTest() override { std::filesystem::remove(path_); }

  // A telemetry row; values not given are NULL.
  static void fill(TestRow& row, std::string_view device, std::int64_t unix_us,
                   std::optional<double> temperature, std::optional<double> pressure,
                   std::optional<double> rpm = std::nullopt) {
    row.text(device).bigint(unix_us - postgres_epoch_unix_us);
    const auto add = [&row](std::optional<double> value) { value ? row.real(*value) : row.null(); };
    add(temperature);
    row.null();
    add(pressure);
    row.null().null();
    add(rpm);
    row.null().null();
  }

  std::filesystem::path path_;
  Options options_;
  std::unique_ptr<ReplayWorkload> workload_;
  std::unique_ptr<RowMatcher> matcher_;
};

TEST_F(ReplayTest, reads_one_record_a_line_and_passes_over_blank_ones) {
  EXPECT_EQ(workload_->records(), 5U);
  EXPECT_EQ(workload_->line(3), "not json");
}

TEST_F(ReplayTest, the_timestamps_decide_the_pace) {
  const auto schedule = workload_->make_schedule(options_);
  schedule->start(0);
  EXPECT_EQ(schedule->claim(0)->range.count, 2U);
  EXPECT_FALSE(schedule->claim(499'999'999).has_value());
  EXPECT_EQ(schedule->claim(500'000'000)->range.count, 2U);  // the unreadable line goes with the one before
  EXPECT_EQ(schedule->next_due_ns(), 1'000'000'000);
  EXPECT_DOUBLE_EQ(schedule->planned_s(), 1.0);
}

TEST_F(ReplayTest, sends_the_text_of_the_file) {
  std::mutex mutex;
  std::string received;
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      const std::lock_guard lock(mutex);
      received += request->body;
      conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
    }
  });
  options_.url = node.url("http");
  options_.connections = 1;
  options_.quiet = true;
  const std::atomic<bool> not_interrupted{false};
  const auto summary = run_load(options_, not_interrupted);
  ASSERT_TRUE(summary.has_value());
  EXPECT_EQ(summary->acknowledged, 5U);
  EXPECT_TRUE(summary->rate_held);
  std::string expected = sample;
  expected.erase(expected.find("\n\n"), 1);
  EXPECT_EQ(received, expected + "\n");
}

TEST_F(ReplayTest, rows_are_found_by_device_and_time_and_their_values_compared) {
  OutcomeStore outcomes;
  outcomes.set({.first = 0, .count = 5}, Outcome::acknowledged);
  outcomes.set(3, Outcome::rejected);
  Verifier verifier(*matcher_, outcomes, 0);
  TestRow one;
  TestRow two;
  TestRow three;
  TestRow repaired;
  fill(one, "a", first_us, 68.6194, 0.054711);
  fill(two, "b", first_us, 100, std::nullopt);  // 212 °F
  fill(three, "b", first_us + 60'000'000, std::nullopt, std::nullopt, 3'500);
  fill(repaired, "a", first_us + 30'000'000, 70.5, std::nullopt);  // sent was a pressure of -1
  for (const TestRow* row : {&one, &two, &three, &repaired}) verifier.on_row(row->row());
  const Verification verdict = verifier.verdict();
  EXPECT_TRUE(verdict.passed()) << verdict.examples.front();
  EXPECT_EQ(verdict.committed, 4U);
}

TEST_F(ReplayTest, finds_lost_changed_and_rejected_rows) {
  OutcomeStore outcomes;
  outcomes.set({.first = 0, .count = 5}, Outcome::acknowledged);
  outcomes.set(2, Outcome::rejected);
  Verifier verifier(*matcher_, outcomes, 0);
  TestRow changed;
  TestRow rejected;
  TestRow elsewhere;
  fill(changed, "a", first_us, 68.6194, std::nullopt);
  fill(rejected, "a", first_us + 30'000'000, 70.5, std::nullopt);
  fill(elsewhere, "a", first_us + 1, 70.5, 1);
  for (const TestRow* row : {&changed, &rejected, &elsewhere}) verifier.on_row(row->row());
  const Verification verdict = verifier.verdict();
  EXPECT_EQ(verdict.mismatched, 1U);
  EXPECT_EQ(verdict.rejected_present, 1U);
  EXPECT_EQ(verdict.foreign, 1U);
  EXPECT_EQ(verdict.lost, 3U);
}

TEST_F(ReplayTest, what_an_earlier_replay_left_is_set_off) {
  OutcomeStore outcomes;
  outcomes.set(0, Outcome::acknowledged);
  TestRow row;
  TestRow of_the_field;
  fill(row, "a", first_us, 68.6194, 0.054711);
  fill(of_the_field, "a", first_us + 5, 1, 1);
  matcher_->remember(row.row());
  matcher_->remember(of_the_field.row());
  for (const char* reading : {"first", "second"}) {
    matcher_->rewind();
    outcomes.forget_found();
    Verifier verifier(*matcher_, outcomes, 0);
    verifier.on_row(row.row());
    verifier.on_row(of_the_field.row());
    verifier.on_row(row.row());
    const Verification verdict = verifier.verdict();
    EXPECT_TRUE(verdict.passed()) << reading;
    EXPECT_EQ(verdict.committed, 1U) << reading;
  }
}

TEST_F(ReplayTest, a_row_that_came_late_is_found_by_reading_again) {
  OutcomeStore outcomes;
  outcomes.set(0, Outcome::acknowledged);
  TestRow row;
  fill(row, "a", first_us, 68.6194, 0.054711);
  Verifier early(*matcher_, outcomes, 0);
  EXPECT_EQ(early.verdict().lost, 1U);
  matcher_->rewind();
  outcomes.forget_found();
  Verifier later(*matcher_, outcomes, 0);
  later.on_row(row.row());
  EXPECT_TRUE(later.verdict().passed());
}

TEST_F(ReplayTest, an_earlier_copy_does_not_stand_for_a_lost_row) {
  OutcomeStore outcomes;
  outcomes.set(0, Outcome::acknowledged);
  TestRow row;
  fill(row, "a", first_us, 68.6194, 0.054711);
  matcher_->remember(row.row());
  matcher_->rewind();
  Verifier verifier(*matcher_, outcomes, 0);
  verifier.on_row(row.row());
  EXPECT_EQ(verifier.verdict().lost, 1U);
}

TEST(Replay, an_empty_or_missing_file_is_a_sentence) {
  Options options;
  options.replay_path = "/nonexistent/file";
  EXPECT_FALSE(ReplayWorkload::open(options).has_value());
  options.replay_path = "/dev/null";
  EXPECT_FALSE(ReplayWorkload::open(options).has_value());
}

}  // namespace
}  // namespace wellhead::loadgen
