#include "engine/metrics.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "engine/node_view_fake.hpp"

namespace wellhead {
namespace {

struct Sample {
  std::string name;
  std::string labels;
  double value;
};

// The text format, line by line; fails the test on a line that is neither a comment nor a sample.
std::vector<Sample> parse(const std::string& text) {
  std::vector<Sample> samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t space = line.rfind(' ');
    const std::size_t brace = line.find('{');
    const std::size_t name_end = std::min(space, brace);
    EXPECT_NE(space, std::string::npos) << line;
    const std::string labels = brace == std::string::npos ? "" : line.substr(brace, space - brace);
    samples.push_back({line.substr(0, name_end), labels, std::stod(line.substr(space + 1))});
  }
  return samples;
}

double sum_of(const std::vector<Sample>& samples, std::string_view name) {
  double sum = 0;
  bool found = false;
  for (const Sample& sample : samples) {
    if (sample.name != name) continue;
    sum += sample.value;
    found = true;
  }
  EXPECT_TRUE(found) << name;
  return sum;
}

class MetricsTest : public testing::Test {
 protected:
  void SetUp() override {
    node_.reactor_readings = {{"0", &reactors_[0], &intakes_[0]},
                              {"1", &reactors_[1], &intakes_[1]},
                              {"admin", &reactors_[2], nullptr}};
    node_.shard_readings = {{0, ShardState::ready, "", &*shard_},
                            {1, ShardState::disconnected, "gone", &*shard_}};
  }

  std::unique_ptr<ReactorStats[]> reactors_ = std::make_unique<ReactorStats[]>(3);
  std::unique_ptr<IntakeStats[]> intakes_ = std::make_unique<IntakeStats[]>(2);
  std::unique_ptr<ShardStats> shard_ = std::make_unique<ShardStats>();
  FakeNode node_;
};

TEST_F(MetricsTest, DeadLettersAreSummedAndAreNoRecords) {
  for (const int reactor : {0, 1}) {
    intakes_[static_cast<std::size_t>(reactor)].dead_letter_rows.add(5);
    intakes_[static_cast<std::size_t>(reactor)].dead_letter_rows_dropped.add(2);
  }
  shard_->dead_letters.add(3);  // both shards of this node show the same numbers
  const std::vector<Sample> samples = parse(render_metrics(node_, "1.2.3"));
  EXPECT_EQ(sum_of(samples, "wellhead_dead_letters_total"), 10);
  EXPECT_EQ(sum_of(samples, "wellhead_dead_letters_dropped_total"), 4);
  EXPECT_EQ(sum_of(samples, "wellhead_dead_letters_committed_total"), 6);
  EXPECT_EQ(sum_of(samples, "wellhead_records_received_total"), 0);
  EXPECT_EQ(sum_of(samples, "wellhead_records_unaccounted"), 0);
}

TEST_F(MetricsTest, TheAccountOfRecordsIsWholeOverAllReactors) {
  intakes_[0].records_received.add(100);
  intakes_[0].records_accepted.add(60);
  intakes_[0].records_rejected[static_cast<std::size_t>(RecordErrorCode::wrong_type)].add(10);
  intakes_[0].records_pending.set(30);
  intakes_[1].records_received.add(7);
  intakes_[1].records_abandoned.add(7);
  shard_->rows_committed.add(20);  // the readings name it twice
  shard_->rows_recovered.add(1);
  const std::vector<Sample> samples = parse(render_metrics(node_, "1.2.3"));
  EXPECT_EQ(sum_of(samples, "wellhead_records_received_total"), 107);
  EXPECT_EQ(sum_of(samples, "wellhead_records_recovered_total"), 2);
  EXPECT_EQ(sum_of(samples, "wellhead_records_committed_total"), 40);
  EXPECT_EQ(sum_of(samples, "wellhead_records_rejected_total"), 10);
  EXPECT_EQ(sum_of(samples, "wellhead_records_queued"), 52);
  EXPECT_EQ(sum_of(samples, "wellhead_records_abandoned_total"), 7);
  EXPECT_EQ(sum_of(samples, "wellhead_records_quarantined_total"), 0);
  EXPECT_EQ(sum_of(samples, "wellhead_records_duplicate_total"), 0);
  EXPECT_EQ(sum_of(samples, "wellhead_records_unaccounted"), 0);
}

TEST_F(MetricsTest, RejectsAreToldByStreamAndCodeWhereThereAreAny) {
  node_.names_of_streams = {"telemetry", "esp_telemetry"};
  constexpr auto wrong_type = static_cast<std::size_t>(RecordErrorCode::wrong_type);
  for (const std::size_t reactor : {std::size_t{0}, std::size_t{1}}) {
    intakes_[reactor].rejected_by_stream = std::vector<RejectedByCode>(2);
    intakes_[reactor].rejected_by_stream[1][wrong_type].add(3);
  }
  std::vector<Sample> samples = parse(render_metrics(node_, "1.2.3"));
  std::erase_if(samples,
                [](const Sample& sample) { return sample.name != "wellhead_quality_rejects_total"; });
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_EQ(samples[0].value, 6);
  EXPECT_NE(samples[0].labels.find("stream=\"esp_telemetry\""), std::string::npos) << samples[0].labels;
  EXPECT_NE(samples[0].labels.find("code=\"wrong_type\""), std::string::npos) << samples[0].labels;
}

TEST_F(MetricsTest, ScoresAreSummedOverTheShardsByStream) {
  EXPECT_EQ(render_metrics(node_, "1").find("wellhead_quality"), std::string::npos);
  const auto scores = std::make_unique<StreamScores[]>(3);
  scores[0].rows.add(3);
  scores[0].score_millionths.add(2'850'000);
  scores[1].rows.add(1);
  scores[1].score_millionths.add(400'000);
  scores[1].anomalous.add(1);
  scores[1].late.add(2);
  scores[2].rows.add(7);
  node_.quality_readings = {{"telemetry", {&scores[0], &scores[1]}}, {"other", {&scores[2]}}};
  shard_->baselines.set(5);
  shard_->baselines_evicted.add(2);
  const std::string text = render_metrics(node_, "1");
  EXPECT_NE(text.find("wellhead_quality_score_count{stream=\"telemetry\"} 4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("wellhead_quality_score_sum{stream=\"telemetry\"} 3.25\n"), std::string::npos);
  EXPECT_NE(text.find("wellhead_quality_score_count{stream=\"other\"} 7\n"), std::string::npos);
  const std::vector<Sample> samples = parse(text);
  EXPECT_EQ(sum_of(samples, "wellhead_quality_anomalies_total"), 1);
  EXPECT_EQ(sum_of(samples, "wellhead_quality_late_total"), 2);
  EXPECT_EQ(sum_of(samples, "wellhead_quality_stuck_total"), 0);
  EXPECT_EQ(sum_of(samples, "wellhead_baseline_devices"), 10);  // both shards show the same numbers
  EXPECT_EQ(sum_of(samples, "wellhead_baselines_evicted_total"), 4);
}

TEST_F(MetricsTest, AHoleInTheAccountIsShown) {
  intakes_[0].records_received.add(5);
  EXPECT_EQ(sum_of(parse(render_metrics(node_, "1")), "wellhead_records_unaccounted"), 5);
}

TEST_F(MetricsTest, TheJournalIsShownWhereThereIsOne) {
  EXPECT_EQ(render_metrics(node_, "1").find("wellhead_journal"), std::string::npos);
  JournalSurvey survey;
  survey.torn_blocks = 2;
  survey.torn_bytes = 8'192;
  const std::vector<LostRows> lost{{{1, 0, 0}, 4, 17}, {{1, 0, 1}, 0, 0}};
  const auto writers = std::make_unique<JournalWriterStats[]>(2);
  writers[0].blocks.add(3);
  writers[1].blocks.add(4);
  writers[1].write_us.record(90);
  node_.journal_reading = {
      5,       {6, 7'000, 2, 9'000},
      &survey, lost,
      11,      {{0, true, false, "Broken.", &writers[0]}, {1, false, true, "Full.", &writers[1]}}};
  const std::vector<Sample> samples = parse(render_metrics(node_, "1"));
  const std::map<std::string, double> wanted{{"wellhead_journal_epoch", 5},
                                             {"wellhead_journal_bytes", 7'000},
                                             {"wellhead_journal_bytes_max", 9'000},
                                             {"wellhead_journal_segments", 6},
                                             {"wellhead_journal_spare_segments", 2},
                                             {"wellhead_journal_segments_trimmed_total", 11},
                                             {"wellhead_journal_torn_blocks_total", 2},
                                             {"wellhead_journal_torn_bytes_total", 8'192},
                                             {"wellhead_journal_damaged_sections_total", 2},
                                             {"wellhead_journal_lost_rows_total", 17},
                                             {"wellhead_journal_blocks_total", 7},
                                             {"wellhead_journal_latched", 1},
                                             {"wellhead_journal_full", 1},
                                             {"wellhead_journal_write_duration_seconds_count", 1}};
  for (const auto& [name, value] : wanted) EXPECT_EQ(sum_of(samples, name), value) << name;
}

TEST_F(MetricsTest, AShardsLagIsShown) {
  node_.shard_readings[0].lag_batches = 12;
  node_.shard_readings[1].unflushed_batches = 3;
  const std::vector<Sample> samples = parse(render_metrics(node_, "1"));
  EXPECT_EQ(sum_of(samples, "wellhead_shard_lag_batches"), 12);
  EXPECT_EQ(sum_of(samples, "wellhead_shard_unflushed_batches"), 3);
}

TEST_F(MetricsTest, EveryFamilyHasOneTypeAndAHelpText) {
  const std::string text = render_metrics(node_, "1");
  std::istringstream lines(text);
  std::set<std::string> typed;
  std::set<std::string> helped;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, kind, name, rest;
    words >> hash >> kind >> name >> rest;
    if (hash != "#") continue;
    EXPECT_FALSE(rest.empty()) << line;
    EXPECT_TRUE((kind == "TYPE" ? typed : helped).insert(name).second) << line;
  }
  EXPECT_EQ(typed, helped);
  EXPECT_GT(typed.size(), 30U);
}

TEST_F(MetricsTest, NoSampleIsThereTwice) {
  std::set<std::string> seen;
  for (const Sample& sample : parse(render_metrics(node_, "1")))
    EXPECT_TRUE(seen.insert(sample.name + sample.labels).second) << sample.name << sample.labels;
}

TEST_F(MetricsTest, HistogramsAreCumulativeAndEndInTheirCount) {
  for (const std::uint64_t micros : {50U, 700U, 700U, 30'000U, 90'000'000U})
    reactors_[0].request_us.record(micros);
  reactors_[1].request_us.record(1'000);
  const std::vector<Sample> samples = parse(render_metrics(node_, "1"));
  double last = 0;
  std::map<std::string, double> buckets;
  for (const Sample& sample : samples) {
    if (sample.name != "wellhead_request_duration_seconds_bucket") continue;
    EXPECT_GE(sample.value, last);
    last = sample.value;
    buckets[sample.labels] = sample.value;
  }
  EXPECT_EQ(last, 6);
  EXPECT_EQ(sum_of(samples, "wellhead_request_duration_seconds_count"), 6);
  EXPECT_EQ(buckets["{le=\"+Inf\"}"], 6);
  EXPECT_EQ(buckets["{le=\"0.0001\"}"], 1);
  EXPECT_EQ(buckets["{le=\"0.001\"}"], 4);
  EXPECT_NEAR(sum_of(samples, "wellhead_request_duration_seconds_sum"), 90.03245, 1e-6);
}

TEST_F(MetricsTest, AShardIsInExactlyOneState) {
  const std::vector<Sample> samples = parse(render_metrics(node_, "1"));
  EXPECT_EQ(sum_of(samples, "wellhead_shard_state"), 2);
  for (const Sample& sample : samples) {
    if (sample.labels == "{shard=\"1\",state=\"disconnected\"}") {
      EXPECT_EQ(sample.value, 1);
    }
  }
}

TEST_F(MetricsTest, RepliesAreCountedByStatusAndOnlyThoseThatHappened) {
  reactors_[0].replies[503].add(4);
  int lines = 0;
  for (const Sample& sample : parse(render_metrics(node_, "1"))) {
    if (sample.name != "wellhead_http_replies_total") continue;
    ++lines;
    EXPECT_EQ(sample.labels, "{reactor=\"0\",status=\"503\"}");
    EXPECT_EQ(sample.value, 4);
  }
  EXPECT_EQ(lines, 1);
}

TEST_F(MetricsTest, TheProcessIsMeasured) {
  const std::vector<Sample> samples = parse(render_metrics(node_, "1"));
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                           "process_max_fds", "process_start_time_seconds", "process_threads"})
    EXPECT_GT(sum_of(samples, name), 0) << name;
}

}  // namespace
}  // namespace wellhead
