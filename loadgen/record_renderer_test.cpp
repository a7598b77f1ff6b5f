#include "loadgen/record_renderer.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <set>
#include <string>

#include "loadgen/decimal_text.hpp"
#include "loadgen/generated_workload.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::int64_t start_us = 1'770'000'000'123'456;

Options options_for(StreamKind stream) {
  Options options;
  options.stream = stream;
  options.run_id = "0123456789abcdef0123456789abcdef";  // the longest there may be
  options.seed = 42;
  options.wells = 37;
  return options;
}

std::string rendered(const GeneratedWorkload& workload, std::uint64_t first, std::uint32_t count,
                     std::vector<std::uint32_t>& bad) {
  const RecordRange range{.first = first, .count = count};
  std::string text(workload.text_bytes_max(range), '\0');
  const char* end = workload.render(range, text.data(), bad);
  text.resize(static_cast<std::size_t>(end - text.data()));
  return text;
}

TEST(DecimalText, prints_fixed_decimals) {
  const auto text = [](std::uint32_t scaled, unsigned decimals) {
    std::array<char, 16> out{};
    return std::string(out.data(), write_fixed(scaled, decimals, out.data()));
  };
  EXPECT_EQ(text(0, 0), "0");
  EXPECT_EQ(text(0, 3), "0.000");
  EXPECT_EQ(text(7, 1), "0.7");
  EXPECT_EQ(text(10, 1), "1.0");
  EXPECT_EQ(text(2'731, 4), "0.2731");
  EXPECT_EQ(text(271, 4), "0.0271");
  EXPECT_EQ(text(123, 0), "123");
  EXPECT_EQ(text(100, 2), "1.00");
  EXPECT_EQ(text(4'294'967'295, 5), "42949.67295");
  for (std::uint32_t value = 0; value < 20'000; ++value) {
    ASSERT_EQ(std::stod(text(value, 3)), decimal_value(value, 3));
  }
}

class RenderedStream : public testing::TestWithParam<StreamKind> {};

TEST_P(RenderedStream, parses_as_json_and_holds_what_the_model_says) {
  const GeneratedWorkload workload(options_for(GetParam()), start_us);
  std::vector<std::uint32_t> bad;
  const std::string text = rendered(workload, 1'000, 300, bad);
  EXPECT_TRUE(bad.empty());
  simdjson::dom::parser parser;
  std::uint64_t record = 1'000;
  for (std::size_t begin = 0; begin < text.size(); ++record) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    simdjson::dom::element object;
    ASSERT_EQ(parser.parse(line).get(object), simdjson::SUCCESS) << line;
    const RecordKey key = workload.identity().key(record);
    Reading reading{};
    workload.model().read(key.well, key.sequence, reading);
    for (std::size_t index = 0; index < workload.model().fields().size(); ++index) {
      const FieldSpec& field = workload.model().fields()[index];
      ASSERT_EQ(object[field.name].get_double().value(), decimal_value(reading[index], field.decimals))
          << line;
    }
    const std::string device(
        object[GetParam() == StreamKind::telemetry ? "device_id" : "well_id"].get_string().value());
    const auto unix_us = parse_timestamp(object["timestamp"].get_string().value());
    ASSERT_TRUE(unix_us.has_value());
    ASSERT_EQ(workload.identity().find(device, *unix_us), record) << line;
    if (GetParam() == StreamKind::telemetry) continue;
    ASSERT_EQ(object["id"].get_int64().value(), workload.identity().id(record));
  }
  EXPECT_EQ(record, 1'300U);
}

TEST_P(RenderedStream, every_kind_of_bad_record_stays_one_line_within_its_bound) {
  const GeneratedWorkload workload(options_for(GetParam()), start_us);
  RecordRenderer renderer(GetParam(), workload.model(), workload.identity());
  std::string good(record_text_bytes_max, '\0');
  good.resize(static_cast<std::size_t>(renderer.write(5, good.data()) - good.data()));
  std::set<std::string> lines{good};
  for (std::uint64_t kind = 0; kind < bad_kind_count; ++kind) {
    std::string line(record_text_bytes_max, '\0');
    line.resize(static_cast<std::size_t>(renderer.write_bad(5, static_cast<BadKind>(kind), line.data()) -
                                         line.data()));
    EXPECT_EQ(line.find('\n'), line.size() - 1) << kind;
    EXPECT_TRUE(lines.insert(line).second) << "kind " << kind << " is like another: " << line;
    EXPECT_FALSE(expected_code(static_cast<BadKind>(kind)).empty()) << kind;
  }
}

TEST_P(RenderedStream, a_share_of_the_records_is_bad_and_said_to_be) {
  Options options = options_for(GetParam());
  options.bad_share = 0.05;
  const GeneratedWorkload workload(options, start_us);
  std::vector<std::uint32_t> bad;
  const std::string text = rendered(workload, 0, 20'000, bad);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 20'000);
  EXPECT_GT(bad.size(), 800U);
  EXPECT_LT(bad.size(), 1'200U);
  EXPECT_TRUE(std::is_sorted(bad.begin(), bad.end()));
  std::set<BadKind> kinds;
  for (const std::uint32_t offset : bad) kinds.insert(workload.bad_kind(offset).value());
  EXPECT_EQ(kinds.size(), bad_kind_count);
}

INSTANTIATE_TEST_SUITE_P(AllStreams, RenderedStream,
                         testing::Values(StreamKind::telemetry, StreamKind::esp_telemetry,
                                         StreamKind::diagnostic_results));

}  // namespace
}  // namespace wellhead::loadgen
