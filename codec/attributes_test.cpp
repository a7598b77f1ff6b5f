#include "codec/attributes.hpp"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <array>
#include <string>
#include <vector>

#include "codec/quality.hpp"
#include "codec/stream_rules.hpp"
#include "codec/test_support.hpp"

namespace wellhead {
namespace {

ColumnConfig attribute(std::string name, ColumnType type) {
  return {.name = std::move(name), .type = type, .source = ColumnSource::attribute};
}

// "device", "time", "value", then a column of each type that may hold an attribute.
StreamConfig enriched() {
  StreamConfig config = test::stream_with({.name = "value", .type = ColumnType::real});
  config.attributes.file = "devices.csv";
  ColumnConfig site = attribute("site", ColumnType::text);
  site.attribute = "location";
  site.text_bytes_max = 12;
  config.columns.push_back(site);
  ColumnConfig depth = attribute("depth", ColumnType::real);
  depth.minimum = 0;
  depth.maximum = 5000;
  config.columns.push_back(depth);
  config.columns.push_back(attribute("rate", ColumnType::double_precision));
  config.columns.push_back(attribute("stages", ColumnType::integer));
  config.columns.push_back(attribute("serial", ColumnType::bigint));
  config.columns.push_back(attribute("active", ColumnType::boolean));
  config.columns.push_back(attribute("installed", ColumnType::timestamptz));
  return config;
}

using Values = std::array<std::string_view, 7>;
constexpr Values north{"north", "2150.5", "0.1", "-7", "9007199254740993", "true", "2024-05-01T12:00:00Z"};

std::uint64_t hash_of(std::string_view device) {
  return XXH3_64bits(device.data(), device.size());
}

std::string refused(const Values& values, std::string_view device = "d") {
  AttributesBuilder builder(enriched());
  const auto added = builder.add(device, values);
  return added ? "taken" : added.error();
}

test::Decoded decode_with(const std::shared_ptr<const DeviceAttributes>& attributes, std::string_view body) {
  const SchemaPointer schema = test::compile(enriched());
  schema->rules().set({nullptr, attributes});
  return test::decode(*schema, body, BodyFormat::ndjson);
}

TEST(attributes, go_into_the_rows_of_their_device) {
  AttributesBuilder builder(enriched());
  ASSERT_TRUE(builder.add("d", north));
  const auto decoded = decode_with(builder.finish(), test::record_with("1.5"));
  ASSERT_EQ(decoded.result.accepted, 1U);
  const test::Fields fields = decoded.fields(0);
  ASSERT_EQ(fields.size(), 10U);
  EXPECT_EQ(fields[3], "north");
  EXPECT_EQ(test::as_real(fields[4]), 2150.5F);
  EXPECT_EQ(test::as_double(fields[5]), 0.1);
  EXPECT_EQ(test::as_int32(fields[6]), -7);
  EXPECT_EQ(test::as_int64(fields[7]), 9007199254740993);
  EXPECT_EQ(fields[8], std::string(1, '\1'));
  EXPECT_EQ(test::as_int64(fields[9]), test::receive_time_us);
  EXPECT_EQ(decoded.rows.row(0).header.quality_reasons, 0);
}

TEST(attributes, of_an_unknown_device_are_null_and_the_row_says_so) {
  AttributesBuilder builder(enriched());
  ASSERT_TRUE(builder.add("another", north));
  const auto decoded = decode_with(builder.finish(), test::record_with("1.5"));
  ASSERT_EQ(decoded.result.accepted, 1U);
  const test::Fields fields = decoded.fields(0);
  for (std::size_t column = 3; column < fields.size(); ++column)
    EXPECT_FALSE(fields[column].has_value()) << column;
  EXPECT_EQ(decoded.rows.row(0).header.quality_reasons, quality_bit(QualityReason::unknown_device));
}

TEST(attributes, without_a_value_leave_null_or_the_default_in_a_row_of_a_known_device) {
  StreamConfig config = enriched();
  config.columns[3].default_value = "somewhere";
  const SchemaPointer schema = test::compile(config);
  AttributesBuilder builder(config);
  ASSERT_TRUE(builder.add("d", Values{}));
  schema->rules().set({nullptr, builder.finish()});
  const auto decoded = test::decode(*schema, test::record_with("1.5"));
  ASSERT_EQ(decoded.result.accepted, 1U);
  EXPECT_EQ(decoded.fields(0)[3], "somewhere");
  EXPECT_FALSE(decoded.fields(0)[4].has_value());
  EXPECT_EQ(decoded.rows.row(0).header.quality_reasons, 0);
}

TEST(attributes, of_one_device_do_not_stay_for_the_next) {
  AttributesBuilder builder(enriched());
  ASSERT_TRUE(builder.add("d", north));
  std::string other = test::record_with("1.5");
  other.replace(other.find("\"d\""), 3, "\"e\"");
  const auto decoded = decode_with(builder.finish(), test::record_with("1.5") + "\n" + other + "\n");
  ASSERT_EQ(decoded.result.accepted, 2U);
  EXPECT_EQ(decoded.fields(0)[3], "north");
  EXPECT_FALSE(decoded.fields(1)[3].has_value());
}

TEST(attributes, that_do_not_fit_their_column_are_named_with_it) {
  const auto with = [](std::size_t position, std::string_view value) {
    Values values = north;
    values[position] = value;
    return refused(values);
  };
  EXPECT_EQ(refused(north), "taken");
  EXPECT_EQ(
      with(0, "thirteen long"),
      "The attribute \"location\" = \"thirteen long\" is longer than 12 bytes; it goes into the text column "
      "\"site\".");
  EXPECT_NE(with(1, "deep").find("\"depth\" = \"deep\" is not a number"), std::string::npos)
      << with(1, "deep");
  EXPECT_NE(with(1, "5000.5").find("above the column's maximum, 5000"), std::string::npos);
  EXPECT_NE(with(1, "-1").find("below the column's minimum, 0"), std::string::npos);
  EXPECT_NE(with(1, "nan").find("is not a finite number"), std::string::npos);
  EXPECT_NE(with(2, "1e999").find("does not fit"), std::string::npos);
  EXPECT_NE(with(3, "2147483648").find("does not fit"), std::string::npos);
  EXPECT_NE(with(3, "7.5").find("is not a whole number"), std::string::npos);
  EXPECT_NE(with(5, "yes").find("neither true nor false"), std::string::npos);
  EXPECT_NE(with(6, "2024-05-01").find("is not a time"), std::string::npos);
  EXPECT_NE(with(6, "2024-05-01 12:00:00").find("is not a time"), std::string::npos);
}

TEST(attributes, of_a_device_without_a_name_or_with_one_that_was_there_are_refused) {
  EXPECT_EQ(refused(north, ""), "The device has no name.");
  EXPECT_NE(refused(north, std::string(attribute_device_bytes_max + 1, 'x')).find("longer than 1024 bytes"),
            std::string::npos);
  AttributesBuilder builder(enriched());
  ASSERT_TRUE(builder.add("d", north));
  const auto again = builder.add("d", Values{});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), "The device \"d\" is here a second time.");
  EXPECT_EQ(builder.finish()->devices(), 1U);
}

TEST(attributes, of_a_million_devices_stay_within_the_memory_that_is_said_and_are_all_found) {
  StreamConfig config = test::stream_with({.name = "value", .type = ColumnType::real});
  config.attributes.file = "devices.csv";
  for (const char* name : {"site", "field", "model", "team"})
    config.columns.push_back(attribute(name, ColumnType::text));
  AttributesBuilder builder(config);
  const auto name = [](std::size_t number) {
    const std::string digits = std::to_string(number);
    return "well-" + std::string(11 - digits.size(), '0') + digits;  // 16 bytes
  };
  for (std::size_t device = 0; device < attributes_devices_max; ++device) {
    const std::string site = "site " + std::to_string(device % 100);
    ASSERT_TRUE(builder.add(name(device), std::array<std::string_view, 4>{site, "north", "ESP-400", ""}));
  }
  EXPECT_NE(builder.add("one more", std::array<std::string_view, 4>{}).error().find("more than 1000000"),
            std::string::npos);
  const auto table = builder.finish();
  EXPECT_LT(table->memory_bytes(), std::size_t{64} << 20);
  std::vector<Slot> slots(config.columns.size());
  for (std::size_t device = 0; device < attributes_devices_max; device += 7) {
    ASSERT_TRUE(table->fill(hash_of(name(device)), name(device), slots));
    ASSERT_EQ(std::string_view(slots[3].text, static_cast<std::size_t>(slots[3].length)),
              "site " + std::to_string(device % 100));
  }
  EXPECT_EQ(slots[6].length, -1);
  EXPECT_FALSE(table->fill(hash_of("well-1"), "well-1", slots));
}

TEST(attributes, of_devices_whose_hashes_are_equal_are_told_apart_by_their_names) {
  AttributesBuilder builder(enriched());
  ASSERT_TRUE(builder.add("d", north));
  const auto table = builder.finish();
  std::vector<Slot> slots(10);
  EXPECT_FALSE(table->fill(hash_of("d"), "e", slots));
  EXPECT_EQ(slots[3].length, -1);
}

TEST(attributes, a_table_fits_another_configuration_only_with_the_same_columns_and_rules) {
  const StreamConfig config = enriched();
  EXPECT_TRUE(same_attribute_columns(config, config));
  StreamConfig other = config;
  other.columns[4].maximum = 10;
  EXPECT_FALSE(same_attribute_columns(config, other));
  other = config;
  other.columns[3].attribute = "place";
  EXPECT_FALSE(same_attribute_columns(config, other));
  other = config;
  other.columns[2].maximum = 10;  // no attribute
  EXPECT_TRUE(same_attribute_columns(config, other));
}

}  // namespace
}  // namespace wellhead
