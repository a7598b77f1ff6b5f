#include "loadgen/percentile_text.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>

namespace wellhead::loadgen {
namespace {

TEST(PercentileText, has_the_form_that_plotters_read) {
  const auto histogram = std::make_unique<Histogram>();
  for (std::uint64_t value = 1; value <= 10'000; ++value) histogram->record(value * 10);
  std::istringstream lines(percentile_distribution(*histogram, 1'000));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(line, "       Value     Percentile TotalCount 1/(1-Percentile)");
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_TRUE(line.empty());
  double value_before = 0;
  double percentile_before = -1;
  std::string last;
  while (std::getline(lines, line) && line[0] != '#') {
    // Columns of 12, 14 and 10 characters and the inverse percentile, a blank between each.
    ASSERT_GE(line.size(), 38U) << line;
    EXPECT_EQ(line[8], '.') << line;
    EXPECT_EQ(line.substr(12, 2).find_first_not_of(' '), 1U) << line;
    EXPECT_EQ(line[14], '.') << line;
    std::istringstream columns(line);
    double value = -1;
    double percentile = -1;
    std::uint64_t count = 0;
    ASSERT_TRUE(columns >> value >> percentile >> count) << line;
    EXPECT_GE(value, value_before) << line;
    EXPECT_GT(percentile, percentile_before) << line;
    value_before = value;
    percentile_before = percentile;
    last = line;
  }
  EXPECT_TRUE(last.ends_with(" 1.000000000000      10000")) << last;
  EXPECT_EQ(value_before, 100.0);
  EXPECT_TRUE(line.starts_with("#[Mean    =       50.0")) << line;
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(line, "#[Max     =      100.000, Total count    =        10000]");
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_TRUE(line.starts_with("#[Buckets = ")) << line;
}

TEST(PercentileText, steps_get_finer_towards_the_end) {
  const auto histogram = std::make_unique<Histogram>();
  for (std::uint64_t value = 1; value <= 100'000; ++value) histogram->record(value);
  const std::string text = percentile_distribution(*histogram, 1);
  EXPECT_NE(text.find(" 0.100000000000 "), std::string::npos);
  EXPECT_NE(text.find(" 0.550000000000 "), std::string::npos);
  EXPECT_NE(text.find(" 0.775000000000 "), std::string::npos);
  EXPECT_NE(text.find(" 0.990625000000 "), std::string::npos);
}

TEST(PercentileText, an_empty_histogram_makes_a_valid_file) {
  const auto histogram = std::make_unique<Histogram>();
  EXPECT_NE(percentile_distribution(*histogram, 1).find("1.000000000000          0"), std::string::npos);
}

}  // namespace
}  // namespace wellhead::loadgen
