// The formula by hand, and what the decoder finds of a reading's quality by itself.
#include "codec/quality.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "codec/scored_columns.hpp"
#include "codec/test_support.hpp"

namespace wellhead {
namespace {

using enum QualityReason;
using test::Decoded;

constexpr std::uint64_t missing(unsigned field) {
  return std::uint64_t{1} << (quality_missing_shift + field);
}
constexpr std::uint64_t out_of_range(unsigned field) {
  return std::uint64_t{1} << (quality_out_of_range_shift + field);
}
constexpr std::uint64_t unusual(unsigned field) {
  return std::uint64_t{1} << (quality_unusual_shift + field);
}

struct Case {
  std::uint64_t flags;
  double score;
};

// domain.md's formula, calculated by hand.
TEST(quality_score, is_what_the_formula_says) {
  const std::vector<Case> cases{
      {0, 1.0},
      {missing(0), 0.85},
      {missing(0) | missing(3), 0.70},
      {missing(0) | missing(1) | missing(2) | missing(3), 0.40},
      {out_of_range(0), 0.75},
      {out_of_range(0) | quality_bit(repaired), 0.75},
      {out_of_range(2) | out_of_range(7), 0.50},
      {out_of_range(0) | out_of_range(1) | out_of_range(2) | out_of_range(3), 0.0},
      {out_of_range(0) | out_of_range(1) | out_of_range(2) | out_of_range(3) | out_of_range(4), 0.0},
      {quality_bit(inconsistent), 0.80},
      {quality_bit(late), 0.90},
      {quality_bit(late) | quality_bit(inconsistent), 0.70},
      {missing(1) | out_of_range(2) | quality_bit(inconsistent) | quality_bit(late), 0.30},
      {missing(1) | missing(2) | out_of_range(0) | quality_bit(inconsistent), 0.25},
      {missing(0) | missing(1) | missing(2) | out_of_range(3) | quality_bit(inconsistent) | quality_bit(late),
       0.0},
      // Reasons without a price.
      {quality_bit(clock_ahead) | quality_bit(unit_converted) | quality_bit(unknown_device), 1.0},
      {quality_bit(anomalous) | quality_bit(stuck) | quality_bit(changed_quickly) | unusual(0), 1.0},
      {quality_bit(out_of_order) | quality_bit(warming_up), 1.0},
  };
  for (const Case& known : cases) EXPECT_NEAR(quality_score(known.flags), known.score, 1e-12) << known.flags;
}

TEST(quality_score, is_from_0_to_1_whatever_the_flags_and_never_rises_with_another_one) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 100'000; ++round) {
    const std::uint64_t flags = random() & random();
    const double score = quality_score(flags);
    ASSERT_GE(score, 0);
    ASSERT_LE(score, 1);
    ASSERT_LE(quality_score(flags | std::uint64_t{1} << random() % 64), score) << flags;
  }
}

// Scored fields of telemetry: 0 temperature, 1 vibration, 2 pressure, 3 flow_rate, 4 motor_current, 5 rpm, …
std::string reading(const std::string& fields, const std::string& time = "2024-05-01T11:59:58Z") {
  return R"({"timestamp":")" + time + R"(","device_id":"well-7")" + (fields.empty() ? "" : "," + fields) +
         "}";
}
const std::string complete = R"("temperature":60,"vibration":0.1,"pressure":1500,"flow_rate":900)";

struct Judged {
  std::uint64_t flags;  // of the header
  float score;
  std::int64_t stored_flags;
  bool anomaly;
};

Judged judged(const Decoded& decoded) {
  EXPECT_EQ(decoded.rows.size(), 1U);
  if (decoded.rows.size() != 1) return {};
  const RowHeader header = decoded.rows.row(0).header;
  const test::Fields fields = decoded.fields(0);
  return {quality_flags(header.quality_reasons, header.quality_missing, header.quality_out_of_range),
          test::as_real(fields[fields.size() - 3]), test::as_int64(fields.back()),
          fields[fields.size() - 2] != std::string(1, '\0')};
}

Judged judged(const std::string& record) {
  return judged(test::decode(*test::builtin("telemetry"), record));
}

void expect_judged(const std::string& record, std::uint64_t flags, float score) {
  const Judged found = judged(record);
  EXPECT_EQ(found.flags, flags) << record;
  EXPECT_EQ(found.stored_flags, static_cast<std::int64_t>(flags)) << record;
  EXPECT_FLOAT_EQ(found.score, score) << record;
  EXPECT_FALSE(found.anomaly);
}

TEST(reading_quality, says_what_is_missing_of_the_primary_fields_only) {
  expect_judged(reading(complete), 0, 1);
  expect_judged(reading(complete + R"(,"rpm":null)"), 0, 1);
  expect_judged(reading(R"("temperature":60,"vibration":0.1,"pressure":null)"), missing(2) | missing(3),
                0.7F);
  expect_judged(reading(""), missing(0) | missing(1) | missing(2) | missing(3), 0.4F);
}

TEST(reading_quality, calls_a_value_that_was_made_null_out_of_range_and_not_missing) {
  expect_judged(reading(R"("temperature":201,"vibration":0.1,"pressure":1500,"flow_rate":900)"),
                out_of_range(0) | quality_bit(repaired), 0.75F);
  expect_judged(reading(complete + R"(,"rpm":-1,"motor_current":1e300)"),
                out_of_range(4) | out_of_range(5) | quality_bit(repaired), 0.5F);
}

TEST(reading_quality, says_when_the_clock_and_the_receive_time_disagree) {
  expect_judged(reading(complete, "2024-05-01T11:55:00Z"), 0, 1);
  expect_judged(reading(complete, "2024-05-01T11:54:59.999999Z"), quality_bit(late), 0.9F);
  expect_judged(reading(complete, "2024-05-01T12:01:00Z"), 0, 1);
  expect_judged(reading(complete, "2024-05-01T12:01:00.000001Z"), quality_bit(clock_ahead), 1);
}

TEST(reading_quality, says_when_a_value_came_in_another_unit) {
  const std::string rest = R"("vibration":0.1,"pressure":1500,"flow_rate":900,)";
  expect_judged(reading(rest + R"("temperature":140,"temperature_unit":"F")"), quality_bit(unit_converted),
                1);
  expect_judged(reading(rest + R"("temperature":60,"temperature_unit":"celsius")"), 0, 1);
  expect_judged(reading(rest + R"("temperature":null,"temperature_unit":"F")"), missing(0), 0.85F);
  expect_judged(reading(rest + R"("temperature":500,"temperature_unit":"F")"),
                out_of_range(0) | quality_bit(repaired) | quality_bit(unit_converted), 0.75F);
}

TEST(reading_quality, does_not_depend_on_the_order_of_the_fields_nor_on_the_record_before) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<std::string> fields{R"("temperature":500)", R"("temperature_unit":"F")",
                                  R"("vibration":0.1)",   R"("pressure":-1)",
                                  R"("rpm":null)",        R"("flow_rate":900)"};
  std::string body;
  for (int round = 0; round < 200; ++round) {
    std::ranges::shuffle(fields, random);
    std::string members;
    for (const std::string& field : fields) members += (members.empty() ? "" : ",") + field;
    body += reading(members) + "\n" + reading(complete) + "\n";
  }
  const Decoded decoded = test::decode(*test::builtin("telemetry"), body);
  ASSERT_EQ(decoded.rows.size(), 400U);
  EXPECT_EQ(decoded.result.repaired, 200U);
  for (std::size_t row = 0; row < 400; ++row)
    ASSERT_EQ(decoded.rows.row(row).tuple, decoded.rows.row(row % 2).tuple) << row;
  EXPECT_NE(decoded.rows.row(0).tuple, decoded.rows.row(1).tuple);
}

TEST(repair, stores_null_and_tells_of_the_first_value_with_the_record_as_it_came) {
  const std::string record = reading(R"("temperature":60,"vibration":-0.5,"pressure":-3)");
  const Decoded decoded = test::decode(*test::builtin("telemetry"), record + "\n" + reading(complete) + "\n");
  EXPECT_EQ(decoded.result.accepted, 2U);
  EXPECT_EQ(decoded.result.rejected, 0U);
  EXPECT_EQ(decoded.result.repaired, 1U);
  EXPECT_EQ(decoded.errors.count(), 0U);
  EXPECT_EQ(decoded.fields(0).at(3), std::nullopt);
  EXPECT_EQ(decoded.fields(0).at(4), std::nullopt);
  ASSERT_EQ(decoded.rows.repaired().size(), 1U);
  const RecordError& told = decoded.rows.repaired().front();
  EXPECT_EQ(told.index, 0U);
  EXPECT_EQ(told.code, RecordErrorCode::number_out_of_range);
  EXPECT_EQ(told.field, "vibration");
  EXPECT_EQ(told.message, "\"vibration\" must be at least 0 in/s; the record has -0.5.");
  EXPECT_EQ(decoded.rows.repaired_texts().front(), record);
}

TEST(repair, is_forgotten_when_the_record_is_rejected_after_all) {
  const Decoded decoded =
      test::decode(*test::builtin("telemetry"), reading(R"("vibration":-0.5,"pressure":"high")"));
  EXPECT_EQ(decoded.only_error(), RecordErrorCode::wrong_type);
  EXPECT_EQ(decoded.result.repaired, 0U);
  EXPECT_TRUE(decoded.rows.repaired().empty());
}

TEST(repair, takes_numbers_of_every_type_and_also_those_the_type_cannot_hold) {
  using enum ColumnType;
  for (const ColumnType type : {real, double_precision, integer, bigint}) {
    const SchemaPointer schema =
        test::compile(test::stream_with({.type = type, .minimum = 0, .maximum = 100, .scored = true}));
    for (const char* value : {"-1", "101", "1e300", "-1e300", "99999999999999999999", "1e999"}) {
      const Decoded decoded = test::decode(*schema, test::record_with(value));
      ASSERT_EQ(decoded.rows.size(), 1U) << to_string(type) << " " << value;
      EXPECT_EQ(decoded.fields(0).at(2), std::nullopt) << to_string(type) << " " << value;
      EXPECT_EQ(decoded.rows.row(0).header.quality_out_of_range, 1U);
    }
  }
}

TEST(repair, is_not_for_columns_without_a_range_or_that_are_required) {
  const auto only_error = [](const ColumnConfig& column, std::string_view value) {
    return test::decode(*test::compile(test::stream_with(column)), test::record_with(value)).only_error();
  };
  EXPECT_EQ(only_error({}, "1e300"), RecordErrorCode::number_out_of_range);
  EXPECT_EQ(only_error({.required = true, .minimum = 0}, "-1"), RecordErrorCode::number_out_of_range);
  EXPECT_EQ(only_error({.minimum = 0, .out_of_range = OutOfRange::reject}, "-1"),
            RecordErrorCode::number_out_of_range);
}

TEST(repair, is_not_done_where_the_rule_is_to_keep) {
  const SchemaPointer schema = test::compile(
      test::stream_with({.minimum = 0, .out_of_range = OutOfRange::keep, .scored = true, .primary = true}));
  const Decoded kept = test::decode(*schema, test::record_with("-1"));
  EXPECT_EQ(test::as_real(kept.fields(0).at(2)), -1.0F);
  EXPECT_EQ(kept.rows.row(0).header.quality_out_of_range, 1U);
  EXPECT_EQ(kept.rows.row(0).header.quality_reasons, 0U);
  EXPECT_EQ(kept.result.repaired, 0U);
  EXPECT_TRUE(kept.rows.repaired().empty());
  EXPECT_EQ(test::decode(*schema, test::record_with("1e300")).only_error(),
            RecordErrorCode::number_out_of_range)
      << "there is no way to keep it";
}

TEST(sources, constants_are_read_by_the_rules_for_records) {
  using enum ColumnType;
  StreamConfig config = test::stream_with({});
  const auto add = [&](std::string name, ColumnType type, std::string value) {
    config.columns.push_back(
        {.name = std::move(name), .type = type, .source = ColumnSource::constant, .value = std::move(value)});
  };
  add("site", text, "North \"7\"");
  add("depth", real, "1250.5");
  add("number", integer, "-12");
  add("active", boolean, "true");
  add("since", timestamptz, "2024-05-01T12:00:00Z");
  add("at", timestamptz, "1714564800");
  add("tags", jsonb, R"({"a":[1]})");
  const Decoded decoded =
      test::decode(*test::compile(config),
                   test::record_with("1") + "\n" + R"({"device":"d","time":1714564800,"site":"x"})");
  ASSERT_EQ(decoded.rows.size(), 2U);
  for (std::size_t row = 0; row < 2; ++row) {
    const test::Fields fields = decoded.fields(row);
    EXPECT_EQ(fields.at(3), "North \"7\"");
    EXPECT_EQ(test::as_real(fields.at(4)), 1250.5F);
    EXPECT_EQ(test::as_int32(fields.at(5)), -12);
    EXPECT_EQ(fields.at(6), std::string(1, '\1'));
    EXPECT_EQ(test::as_int64(fields.at(7)), test::receive_time_us);
    EXPECT_EQ(test::as_int64(fields.at(8)), test::receive_time_us);
    EXPECT_EQ(fields.at(9), std::string("\1") + R"({"a":[1]})");
  }
}

TEST(sources, a_constant_that_is_none_is_told_with_its_column) {
  StreamConfig config = test::stream_with({.source = ColumnSource::constant, .value = "high"});
  EXPECT_EQ(Schema::compile(config, 0).error(),
            "Stream \"test\", column \"value\": its value is no constant: \"high\" is not JSON.");
  config.columns[2].value = "-3";
  config.columns[2].minimum = 0;
  EXPECT_EQ(Schema::compile(config, 0).error(),
            "Stream \"test\", column \"value\": its value is no constant: \"value\" must be at least 0; the "
            "record has -3.");
}

TEST(sources, the_sender_is_what_the_caller_says_and_null_where_that_is_not_known) {
  StreamConfig config = test::stream_with({});
  config.columns.push_back({.name = "sender", .type = ColumnType::text, .source = ColumnSource::sender});
  config.columns.push_back(
      {.name = "short", .type = ColumnType::text, .source = ColumnSource::sender, .text_bytes_max = 4});
  const SchemaPointer schema = test::compile(config);
  const Decoded known =
      test::decode(*schema, test::record_with("1"), BodyFormat::detect, {}, '\0', "http 10.0.0.7");
  EXPECT_EQ(known.fields(0).at(3), "http 10.0.0.7");
  EXPECT_EQ(known.fields(0).at(4), "http");
  EXPECT_EQ(test::decode(*schema, test::record_with("1")).fields(0).at(3), std::nullopt);
}

}  // namespace
}  // namespace wellhead
