#include "loadgen/percentile_text.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <regex>
#include <sstream>
#include <vector>

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
  const std::regex row(R"( *(\d+\.\d{3}) ([01]\.\d{12}) +(\d+)( +(\d+\.\d\d))?)");
  double value_before = 0;
  double percentile_before = -1;
  std::string last;
  std::smatch match;
  while (std::getline(lines, line) && line[0] != '#') {
    ASSERT_TRUE(std::regex_match(line, match, row)) << line;
    EXPECT_GE(std::stod(match[1]), value_before) << line;
    EXPECT_GT(std::stod(match[2]), percentile_before) << line;
    value_before = std::stod(match[1]);
    percentile_before = std::stod(match[2]);
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
