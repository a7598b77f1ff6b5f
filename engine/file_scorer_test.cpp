#include "engine/file_scorer.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "codec/quality.hpp"
#include "engine/line_chunks.hpp"

namespace wellhead {
namespace {

StreamConfig telemetry() {
  const auto streams = builtin_streams();
  return *std::ranges::find(streams, "telemetry", &StreamConfig::name);
}

// A complete reading, one a second, of a pressure that goes up and down.
std::string reading(unsigned number, double pressure, std::string_view more = "") {
  return fmt::format(
      R"({{"timestamp":{},"device_id":"pump","temperature":60,"vibration":0.2,"pressure":{},"flow_rate":900{}}})"
      "\n",
      1'600'000'000 + number, pressure, more);
}

double ordinary(unsigned number) {
  return 1000 + 2.0 * (static_cast<double>(number * 7 % 11) - 5);
}

struct Scored {
  bool whole;
  ScoreReport report;
  std::vector<Verdict> verdicts;
};

Scored score(const std::string& text, const StreamConfig& stream = telemetry()) {
  FileScorer scorer(offline_stream(stream).value(),
                    {.limits = {.record_bytes_max = 1'000}, .batch_bytes = 64U << 10, .devices_max = 10});
  std::istringstream input(text);
  Scored scored{};
  scored.whole = scorer.run(
      input, [&](const RowHeader&, const Verdict& verdict) { scored.verdicts.push_back(verdict); });
  scored.report = scorer.report();
  return scored;
}

TEST(file_scorer, compares_flags_with_labels_as_counted_by_hand) {
  std::string text;
  for (unsigned number = 0; number < 300; ++number)
    text += reading(number, ordinary(number), R"(,"anomaly":false)");
  text += reading(300, 1400, R"(,"anomaly":true)");        // found
  text += reading(301, ordinary(301), R"(,"anomaly":1)");  // not found
  text += reading(302, 1400, R"(,"anomaly":0)");           // false alarm
  text += reading(303, ordinary(303), R"(,"anomaly":0.0)");
  text += reading(304, 1400);                                    // no label, yet flagged
  text += reading(305, ordinary(305), R"(,"anomaly":"often")");  // no label either
  const Scored scored = score(text);
  EXPECT_TRUE(scored.whole);
  EXPECT_EQ(scored.report.rows, 306);
  EXPECT_EQ(scored.report.flagged, 3);
  EXPECT_DOUBLE_EQ(scored.report.precision().value(), 0.5);
  EXPECT_DOUBLE_EQ(scored.report.recall().value(), 0.5);
  EXPECT_DOUBLE_EQ(scored.report.f1().value(), 0.5);
  EXPECT_DOUBLE_EQ(scored.report.false_positive_rate().value(), 1.0 / 302);
  EXPECT_TRUE(scored.verdicts[300].anomaly);
  EXPECT_FALSE(scored.verdicts[301].anomaly);
}

TEST(file_scorer, has_no_figures_of_labels_where_there_is_none) {
  const Scored scored = score(reading(0, 1000) + reading(1, -1));
  EXPECT_EQ(print_score_json(scored.report),
            R"({"rows":2,"flagged":0,"precision":null,"recall":null,"f1":null,"false_positive_rate":null,)"
            R"("rejected":0,"repaired":1,"mean_score":0.875})"
            "\n");
}

TEST(file_scorer, scores_old_readings_as_if_they_had_just_come) {
  const Scored scored =
      score(R"({"timestamp":"1901-01-01T00:00:00Z","device_id":"old","temperature":1,"vibration":1,)"
            R"("pressure":1,"flow_rate":1})"
            "\n"
            R"({"timestamp":"2901-01-01T00:00:00Z","device_id":"new","temperature":1,"vibration":1,)"
            R"("pressure":1,"flow_rate":1})");
  ASSERT_EQ(scored.report.rows, 2);
  for (const Verdict& verdict : scored.verdicts) {
    EXPECT_EQ(verdict.score, 1);
    EXPECT_EQ(verdict.flags, quality_bit(QualityReason::warming_up));
  }
}

TEST(file_scorer, names_the_first_bad_lines_by_their_numbers_and_counts_all) {
  std::string text = "\xEF\xBB\xBF" + reading(0, 1000) + "\n  \n{broken\n";
  for (unsigned number = 1; number < 1'000; ++number) text += reading(number, ordinary(number));
  text += R"({"timestamp":1600000000,"device_id":"pump","pressure":"high"})"
          "\n" +
          std::string(300'000, 'x') + '\n';
  for (unsigned bad = 0; bad < 20; ++bad) text += "[1]\n";
  text += reading(1'000, 1000);
  const Scored scored = score(text);
  EXPECT_EQ(scored.report.rows, 1'001);
  EXPECT_EQ(scored.report.rejected, 23);
  ASSERT_EQ(scored.report.bad_lines.size(), ScoreReport::bad_lines_max);
  const auto told = [&](std::size_t line) {
    const BadLine& bad = scored.report.bad_lines[line];
    return fmt::format("{} {} {}", bad.number, bad.code, bad.field);
  };
  EXPECT_EQ(told(0), "4 malformed_json ");
  EXPECT_EQ(told(1), "1004 wrong_type pressure");
  EXPECT_EQ(told(2), "1005 record_too_large ");
  EXPECT_EQ(told(3), "1006 not_an_object ");
}

TEST(file_scorer, knows_no_labels_where_a_column_reads_their_key) {
  StreamConfig stream = telemetry();
  stream.columns.push_back({.name = "note", .type = ColumnType::boolean, .keys = {"anomaly"}});
  const Scored scored = score(reading(0, 1000, R"(,"anomaly":true)"), stream);
  EXPECT_EQ(scored.report.rows, 1);
  EXPECT_FALSE(scored.report.recall());
}

TEST(line_chunks, gives_every_line_once_in_whole_lines_and_keeps_long_ones_short) {
  const std::string long_line(10'000, 'x');
  std::istringstream input("one\ntwo\n" + long_line + "\nthree");
  LineChunks chunks(input, 16, 100);
  std::string all;
  std::uint64_t line = 1;
  for (std::string_view chunk = chunks.next(); !chunk.empty(); chunk = chunks.next()) {
    EXPECT_EQ(chunks.first_line(), line);
    EXPECT_LT(chunk.size(), 200);
    line += static_cast<std::uint64_t>(std::ranges::count(chunk, '\n'));
    all += chunk;
  }
  EXPECT_TRUE(all.starts_with("one\ntwo\nxxx"));
  EXPECT_TRUE(all.ends_with("xxx\nthree"));
  EXPECT_GT(std::ranges::count(all, 'x'), 100);
  EXPECT_EQ(line, 4);
}

TEST(quality_reasons, are_in_words_from_the_lowest_bit_up) {
  const auto schema = offline_stream(telemetry()).value();
  const std::uint64_t flags =
      quality_bit(QualityReason::late) | quality_bit(QualityReason::warming_up) |
      std::uint64_t{2} << quality_missing_shift | std::uint64_t{4} << quality_out_of_range_shift |
      std::uint64_t{1} << quality_unusual_shift | std::uint64_t{1} << (quality_unusual_shift + 14);
  EXPECT_EQ(quality_reasons(*schema, flags),
            (std::vector<std::string>{"late", "warming_up", "missing:vibration", "out_of_range:pressure",
                                      "unusual:temperature", "unusual:field14"}));
  EXPECT_TRUE(quality_reasons(*schema, 0).empty());
}

}  // namespace
}  // namespace wellhead
