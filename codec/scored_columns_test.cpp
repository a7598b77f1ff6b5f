#include "codec/scored_columns.hpp"

#include <gtest/gtest.h>

#include <string>

#include "codec/test_support.hpp"

namespace wellhead {
namespace {

ColumnConfig computed_column(std::string name, ColumnType type, ColumnSource source) {
  return {.name = std::move(name), .type = type, .source = source};
}

// Computed columns first, and upside down.
StreamConfig judged_stream() {
  StreamConfig config = test::stream_with({.name = "value", .scored = true, .primary = true});
  config.columns.push_back({.name = "count", .type = ColumnType::bigint});
  config.columns.push_back({.name = "speed", .type = ColumnType::double_precision, .scored = true});
  config.columns.insert(config.columns.begin(),
                        {computed_column("flags", ColumnType::bigint, ColumnSource::quality_flags),
                         computed_column("odd", ColumnType::boolean, ColumnSource::anomaly),
                         computed_column("score", ColumnType::real, ColumnSource::quality_score)});
  return config;
}

TEST(scored_columns, computed_ones_come_last_whatever_the_configuration_says) {
  const SchemaPointer schema = test::compile(judged_stream());
  std::vector<std::string> names;
  for (const ColumnConfig& column : schema->columns()) names.push_back(column.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"device", "time", "value", "count", "speed", "score", "odd", "flags"}));
}

TEST(scored_columns, computed_values_lie_where_the_places_say) {
  const SchemaPointer schema = test::compile(judged_stream());
  const ComputedPlaces places = computed_places(*schema);
  EXPECT_EQ(places.quality_flags, 8U);
  EXPECT_EQ(places.anomaly, 8U + 4 + 1);
  EXPECT_EQ(places.quality_score, 8U + 4 + 1 + 4 + 4);
  const test::Decoded decoded = test::decode(*schema, test::record_with("1.5"));
  ASSERT_EQ(decoded.rows.size(), 1U);
  const std::string tuple = decoded.rows.row(0).tuple;
  const auto at = [&](std::uint32_t place, std::size_t bytes) {
    return tuple.substr(tuple.size() - place, bytes);
  };
  EXPECT_EQ(test::as_real(at(*places.quality_score, 4)), 1.0F);
  EXPECT_EQ(at(*places.anomaly, 1), std::string(1, '\0'));
  EXPECT_EQ(test::as_int64(at(*places.quality_flags, 8)), 0);
}

TEST(scored_columns, a_stream_may_have_any_of_the_computed_columns) {
  StreamConfig config = judged_stream();
  config.columns.erase(config.columns.begin() + 1);
  const ComputedPlaces places = computed_places(*test::compile(config));
  EXPECT_TRUE(places.any());
  EXPECT_FALSE(places.anomaly.has_value());
  EXPECT_EQ(places.quality_score, 8U + 4 + 4);
  EXPECT_FALSE(computed_places(*test::builtin("diagnostic_results")).any());
}

TEST(scored_columns, have_bits_in_the_order_of_the_columns) {
  const SchemaPointer schema = test::compile(judged_stream());
  const std::vector<ScoredColumn> scored = scored_columns(*schema);
  ASSERT_EQ(scored.size(), 2U);
  EXPECT_EQ(schema->columns()[scored[0].column].name, "value");
  EXPECT_EQ(scored[0].bit, 0);
  EXPECT_EQ(schema->columns()[scored[1].column].name, "speed");
  EXPECT_EQ(scored[1].type, ColumnType::double_precision);
  EXPECT_EQ(scored[1].bit, 1);
  EXPECT_EQ(primary_mask(*schema), 0b01U);
}

}  // namespace
}  // namespace wellhead
