#include "engine/stream_history.hpp"

#include <gtest/gtest.h>

namespace wellhead {
namespace {

StreamConfig stream(const std::string& name, const std::string& table,
                    const std::vector<std::string>& values) {
  StreamConfig config{.name = name, .table = table, .device_column = "device", .time_column = "at"};
  config.columns.push_back({.name = "device", .type = ColumnType::text, .required = true});
  config.columns.push_back({.name = "at", .type = ColumnType::timestamptz, .required = true});
  for (const std::string& value : values) config.columns.push_back({.name = value, .type = ColumnType::real});
  return config;
}

std::vector<SchemaPointer> compile(const std::vector<StreamConfig>& streams) {
  std::vector<SchemaPointer> schemas;
  for (const StreamConfig& config : streams) {
    auto schema = Schema::compile(config, static_cast<std::uint16_t>(schemas.size()));
    EXPECT_TRUE(schema) << schema.error();
    schemas.push_back(*schema);
  }
  return schemas;
}

JournalSurvey::Epoch epoch(std::uint32_t number, const std::vector<SchemaPointer>& schemas) {
  return {number, 1, 2, 256U << 10, print_catalog(schemas)};
}

using Map = std::vector<std::uint16_t>;

TEST(StreamHistory, TheSameStreamsMapToThemselves) {
  const auto today = compile(builtin_streams());
  const auto history = read_stream_history(today, {{1, epoch(1, today)}, {2, epoch(2, today)}});
  ASSERT_TRUE(history) << history.error();
  EXPECT_EQ(history->schemas, today);
  EXPECT_EQ(history->today_count, today.size());
  EXPECT_EQ(history->maps.at(1), (Map{0, 1, 2}));
  EXPECT_EQ(history->maps.at(2), (Map{0, 1, 2}));
}

TEST(StreamHistory, StreamsInAnotherOrderAreFoundByWhatTheyWrite) {
  const auto before = compile({stream("a", "a", {"x"}), stream("b", "b", {"x"})});
  const auto today = compile({stream("new", "new", {}), stream("b", "b", {"x"}), stream("a", "a", {"x"})});
  const auto history = read_stream_history(today, {{7, epoch(7, before)}});
  ASSERT_TRUE(history) << history.error();
  EXPECT_EQ(history->schemas.size(), 3U);
  EXPECT_EQ(history->maps.at(7), (Map{2, 1}));
}

TEST(StreamHistory, AStreamThatWasRenamedOrTakesOtherRecordsWritesTheSameRows) {
  const auto before = compile({stream("a", "a", {"x"})});
  StreamConfig renamed = stream("pumps", "a", {"x"});
  renamed.past_max_s = 60;
  renamed.reject_unknown_fields = true;
  renamed.columns[2].minimum = 3;
  renamed.columns[2].keys = {"x", "other"};
  const auto history = read_stream_history(compile({renamed}), {{1, epoch(1, before)}});
  ASSERT_TRUE(history) << history.error();
  EXPECT_EQ(history->schemas.size(), 1U);
  EXPECT_EQ(history->maps.at(1), (Map{0}));
}

TEST(StreamHistory, AStreamThatWasChangedOrRemovedIsTakenAlongAsItWas) {
  const auto before = compile({stream("a", "a", {"x"}), stream("gone", "gone", {"y"})});
  const auto today = compile({stream("a", "a", {"x", "y"})});
  const auto history = read_stream_history(today, {{1, epoch(1, before)}});
  ASSERT_TRUE(history) << history.error();
  EXPECT_EQ(history->today_count, 1U);
  ASSERT_EQ(history->schemas.size(), 3U);
  EXPECT_EQ(history->maps.at(1), (Map{1, 2}));
  EXPECT_EQ(history->schemas[1]->copy_statement(), before[0]->copy_statement());
  EXPECT_EQ(history->schemas[2]->copy_statement(), before[1]->copy_statement());
  for (std::size_t index = 0; index < history->schemas.size(); ++index)
    EXPECT_EQ(history->schemas[index]->index(), index);
}

TEST(StreamHistory, AHistoricalStreamIsThereOnceForAllEpochsThatKnewIt) {
  const auto before = compile({stream("a", "a", {"x"})});
  const auto history =
      read_stream_history(compile({stream("b", "b", {})}), {{1, epoch(1, before)}, {4, epoch(4, before)}});
  ASSERT_TRUE(history) << history.error();
  EXPECT_EQ(history->schemas.size(), 2U);
  EXPECT_EQ(history->maps.at(1), (Map{1}));
  EXPECT_EQ(history->maps.at(4), (Map{1}));
}

TEST(StreamHistory, AnotherColumnTypeOrderOrTableIsAnotherStream) {
  const auto base = compile({stream("a", "a", {"x", "y"})});
  StreamConfig other_type = stream("a", "a", {"x", "y"});
  other_type.columns[3].type = ColumnType::double_precision;
  StreamConfig other_device = stream("a", "a", {"x", "y"});
  other_device.columns.push_back({.name = "site", .type = ColumnType::text, .required = true});
  StreamConfig other_device_again = other_device;
  other_device_again.device_column = "site";
  EXPECT_TRUE(writes_same_rows(*base[0], *compile({stream("a", "a", {"x", "y"})})[0]));
  EXPECT_FALSE(writes_same_rows(*base[0], *compile({other_type})[0]));
  EXPECT_FALSE(writes_same_rows(*base[0], *compile({stream("a", "a", {"y", "x"})})[0]));
  EXPECT_FALSE(writes_same_rows(*base[0], *compile({stream("a", "s.a", {"x", "y"})})[0]));
  EXPECT_FALSE(writes_same_rows(*compile({other_device})[0], *compile({other_device_again})[0]));
}

TEST(StreamHistory, EverythingAStreamCanSaySurvivesItsCatalog) {
  StreamConfig full = stream("full-1", "site.\"odd", {"x"});
  full.table = "site.odd table";
  full.reject_unknown_fields = true;
  full.past_max_s = 59;
  full.future_max_s = 0;
  full.columns[0].text_bytes_max = 17;
  full.columns.push_back({.name = "site",
                          .type = ColumnType::text,
                          .keys = {"site", "s"},
                          .default_value = "a\"b",
                          .one_of = {"a\"b", "ü\n"}});
  full.columns[2].minimum = -1.5;
  full.columns[2].maximum = 1e300;
  full.columns[2].unit = "degC";
  full.columns.push_back(
      {.name = "seen", .type = ColumnType::timestamptz, .source = ColumnSource::receive_time});
  full.columns.push_back({.name = "extra", .type = ColumnType::jsonb, .text_bytes_max = 70'000});
  const auto before = compile({full});
  const auto history = read_stream_history({}, {{1, epoch(1, before)}});
  ASSERT_TRUE(history) << history.error();
  ASSERT_EQ(history->schemas.size(), 1U);
  EXPECT_EQ(print_catalog(history->schemas), print_catalog(before));
}

TEST(StreamHistory, AnEpochWithoutStreamsHasAnEmptyMap) {
  const auto history = read_stream_history(compile({stream("a", "a", {})}), {{1, {1, 1, 1, 4096, ""}}});
  ASSERT_TRUE(history) << history.error();
  EXPECT_TRUE(history->maps.at(1).empty());
}

TEST(StreamHistory, ACatalogThatCannotBeReadNamesItsEpochAndWhatToDo) {
  const auto today = compile({stream("a", "a", {})});
  for (const char* catalog :
       {"not toml = = 1", "[streams]\na = 1\n",
        "[streams.a]\ndevice = \"d\"\ntime = \"t\"\n[[streams.a.columns]]\nname = \"d\"\n"
        "type = \"a type of tomorrow\"\n",
        "[streams.a]\ndevice = \"none\"\ntime = \"none\"\n[[streams.a.columns]]\nname = \"d\"\n"
        "type = \"text\"\n"}) {
    const auto history = read_stream_history(today, {{12, {12, 1, 1, 4096, catalog}}});
    ASSERT_FALSE(history) << catalog;
    EXPECT_NE(history.error().find("epoch 12"), std::string::npos) << history.error();
    EXPECT_NE(history.error().find("stay in the journal"), std::string::npos) << history.error();
  }
}

}  // namespace
}  // namespace wellhead
