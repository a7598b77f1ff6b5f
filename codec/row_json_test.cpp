#include "codec/row_json.hpp"

#include <gtest/gtest.h>

#include <random>

#include "codec/test_support.hpp"

namespace wellhead {
namespace {

using test::decode;
using test::Decoded;
using test::stream_with;

std::span<const std::byte> bytes_of(const std::string& tuple) {
  return {reinterpret_cast<const std::byte*>(tuple.data()), tuple.size()};
}

// The JSON a record comes back as, through its row.
std::string round_trip(const Schema& schema, std::string_view record) {
  const Decoded decoded = decode(schema, record);
  EXPECT_EQ(decoded.rows.size(), 1U) << record;
  return decoded.rows.size() == 1 ? row_as_json(schema, bytes_of(decoded.rows.row(0).tuple)) : "";
}

std::string value_of(const ColumnConfig& column, std::string_view value) {
  const std::string json = round_trip(*test::compile(stream_with(column)), test::record_with(value));
  constexpr std::string_view before = R"({"device":"d","time":"2024-05-01T12:00:00.000000Z","value":)";
  EXPECT_TRUE(json.starts_with(before)) << json;
  return json.size() > before.size() ? json.substr(before.size(), json.size() - before.size() - 1) : json;
}

TEST(row_json, writes_each_type_as_a_record_would) {
  EXPECT_EQ(value_of({.type = ColumnType::real}, "68.1"), "68.1");
  EXPECT_EQ(value_of({.type = ColumnType::double_precision}, "0.1"), "0.1");
  EXPECT_EQ(value_of({.type = ColumnType::integer}, "-2147483648"), "-2147483648");
  EXPECT_EQ(value_of({.type = ColumnType::bigint}, "9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(value_of({.type = ColumnType::boolean}, "true"), "true");
  EXPECT_EQ(value_of({.type = ColumnType::boolean}, "false"), "false");
  EXPECT_EQ(value_of({.type = ColumnType::text}, R"("a\"b\nµ")"), R"("a\"b\u000aµ")");
  EXPECT_EQ(value_of({.type = ColumnType::jsonb}, R"({"z":[3.5,null]})"), R"({"z":[3.5,null]})");
  EXPECT_EQ(value_of({.type = ColumnType::timestamptz}, R"("1969-12-31T23:59:59.5Z")"),
            R"("1969-12-31T23:59:59.500000Z")");
}

TEST(row_json, writes_moments_rfc3339_has_no_form_for_as_the_number_they_came_as) {
  const ColumnConfig seconds{.type = ColumnType::timestamptz, .epoch = EpochUnit::seconds};
  const std::string far = value_of(seconds, "300000000000");
  EXPECT_EQ(far, "300000000000000000e-6");
  EXPECT_EQ(value_of(seconds, far), far);
}

TEST(row_json, leaves_out_nulls_and_receive_times) {
  const std::string json =
      round_trip(*test::builtin("telemetry"),
                 R"({"timestamp":"2024-05-01T11:00:00Z","device_id":"w","rpm":null,"pressure":12.5})");
  EXPECT_EQ(json, R"({"timestamp":"2024-05-01T11:00:00.000000Z","device_id":"w","pressure":12.5,)"
                  R"("source_system":"scada"})");
}

TEST(row_json, names_the_unit_where_the_record_could_have) {
  const std::string json =
      round_trip(*test::builtin("telemetry"),
                 R"({"timestamp":1714564800,"device_id":"w","temperature":212,"temperature_unit":"F"})");
  EXPECT_NE(json.find(R"("temperature":100,"temperature_unit":"degC")"), std::string::npos) << json;
}

TEST(row_json, converts_back_to_the_unit_the_stream_takes) {
  const ColumnConfig column{.type = ColumnType::real, .unit = "degC", .input_unit = "degF"};
  EXPECT_EQ(value_of(column, "212"), "212");
}

TEST(row_json, uses_the_first_key_of_a_column) {
  const SchemaPointer schema = test::compile(stream_with({.keys = {"v", "val"}}));
  const std::string json = round_trip(*schema, R"({"device":"d","time":1714564800,"val":1})");
  EXPECT_NE(json.find(R"("v":1})"), std::string::npos) << json;
}

TEST(row_json, makes_the_same_row_again) {
  const SchemaPointer schema = test::builtin("telemetry");
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> value(0, 200);
  for (int round = 0; round < 500; ++round) {
    const std::string record =
        R"({"timestamp":)" +
        std::to_string(1'714'560'000'000 + static_cast<std::int64_t>(random() % 4'000'000)) +
        R"(,"device_id":"well-)" + std::to_string(random() % 100) + R"(","temperature":)" +
        std::to_string(value(random)) + R"(,"pressure":)" + std::to_string(value(random)) + "}";
    const Decoded first = decode(*schema, record);
    ASSERT_EQ(first.rows.size(), 1U) << record;
    const std::string tuple = first.rows.row(0).tuple;
    const Decoded again = decode(*schema, row_as_json(*schema, bytes_of(tuple)));
    ASSERT_EQ(again.rows.size(), 1U) << record;
    EXPECT_EQ(again.rows.row(0).tuple, tuple) << record;
  }
}

TEST(row_json, finds_a_field_by_its_position) {
  const Decoded decoded =
      decode(*test::builtin("telemetry"), R"({"timestamp":1714564800,"device_id":"well-9"})");
  ASSERT_EQ(decoded.rows.size(), 1U);
  const std::string tuple = decoded.rows.row(0).tuple;
  EXPECT_EQ(tuple_field(bytes_of(tuple), 1), "well-9");
  EXPECT_EQ(tuple_field(bytes_of(tuple), 2), "");
  EXPECT_EQ(tuple_field(bytes_of(tuple), 11), "scada");
}

}  // namespace
}  // namespace wellhead
