#include "loadgen/report.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <memory>
#include <sstream>
#include <string>

#include "loadgen/progress.hpp"

namespace wellhead::loadgen {
namespace {

Summary sample_summary() {
  Summary summary;
  summary.sent = 1'000;
  summary.acknowledged = 990;
  summary.rejected = 10;
  summary.reject_codes["wrong_type"] = 10;
  summary.target_rate = 100;
  summary.rate = 100;
  for (std::uint64_t value = 1; value <= 1'000; ++value) summary.ack_us->record(value * 20);
  summary.cpu_seconds = {{"loadgen", 0.5}, {"no\"de", 1.25}};
  return summary;
}

TEST(Report, is_json_with_the_promised_keys) {
  Summary summary = sample_summary();
  summary.verification = Verification{};
  summary.verification->committed = 990;
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  const std::string text = json_report(summary, Options{});
  ASSERT_EQ(parser.parse(text).get(json), simdjson::SUCCESS) << text;
  EXPECT_EQ(json["sent"].get_uint64().value(), 1'000U);
  EXPECT_EQ(json["committed"].get_uint64().value(), 990U);
  EXPECT_EQ(json["lost"].get_uint64().value(), 0U);
  EXPECT_EQ(json["duplicated"].get_uint64().value(), 0U);
  EXPECT_EQ(json["rate_held"].get_bool().value(), true);
  EXPECT_EQ(json["reject_codes"]["wrong_type"].get_uint64().value(), 10U);
  EXPECT_EQ(json["cpu_seconds"]["no\"de"].get_double().value(), 1.25);
  for (const char* name : {"p50", "p90", "p99", "p999", "max"}) {
    EXPECT_EQ(json["ack_latency_us"][name].error(), simdjson::SUCCESS) << name;
    EXPECT_EQ(json["service_time_us"][name].error(), simdjson::SUCCESS) << name;
  }
}

TEST(Report, what_was_not_verified_is_null) {
  simdjson::dom::parser parser;
  const std::string text = json_report(sample_summary(), Options{});
  const simdjson::dom::element json = parser.parse(text);
  EXPECT_TRUE(json["lost"].is_null());
  EXPECT_TRUE(json["committed"].is_null());
}

TEST(Report, names_what_failed) {
  Summary summary = sample_summary();
  EXPECT_TRUE(text_report(summary, Options{}).ends_with("\nOK\n"));
  summary.verification = Verification{};
  summary.verification->lost = 3;
  summary.verification->examples = {"record 5 was acknowledged and is not there"};
  const std::string text = text_report(summary, Options{});
  EXPECT_NE(text.find("record 5 was acknowledged"), std::string::npos);
  EXPECT_TRUE(text.ends_with("FAILED: 3 acknowledged records are not in the table\n")) << text;
}

TEST(Report, every_record_is_in_the_chart) {
  std::istringstream lines(latency_chart(*sample_summary().ack_us));
  std::uint64_t total = 0;
  std::string line;
  while (std::getline(lines, line) && line.starts_with("  < ")) {
    std::string bound;
    std::string unit;
    std::uint64_t count = 0;
    std::istringstream(line.substr(4)) >> bound >> unit >> count;
    total += count;
  }
  EXPECT_EQ(total, 1'000U);
  EXPECT_NE(line.find("p99.9 20.0 ms"), std::string::npos) << line;
  EXPECT_NE(latency_chart(*std::make_unique<Histogram>()).find("max 0"), std::string::npos);
}

TEST(Report, shows_numbers_people_can_read) {
  EXPECT_EQ(shown_count(0), "0");
  EXPECT_EQ(shown_count(999), "999");
  EXPECT_EQ(shown_count(1'234'567), "1,234,567");
  EXPECT_EQ(shown_time(850), "850 µs");
  EXPECT_EQ(shown_time(12'340), "12.3 ms");
  EXPECT_EQ(shown_time(4'560'000), "4.56 s");
}

TEST(Summary, records_of_unknown_fate_fail_a_run_that_nobody_verified) {
  Summary summary = sample_summary();
  summary.unknown = 5;
  EXPECT_EQ(summary.failures().size(), 1U);
  summary.verification = Verification{};
  EXPECT_TRUE(summary.failures().empty());
}

}  // namespace
}  // namespace wellhead::loadgen
