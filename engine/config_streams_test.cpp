#include "engine/config_streams.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace wellhead {
namespace {

struct Read {
  PlacedStream stream;
  std::vector<std::string> errors;
};

// Reads the only stream of `text`.
Read read(std::string_view text) {
  const toml::parse_result parsed = toml::parse(text, std::string_view("w.toml"));
  EXPECT_TRUE(parsed) << parsed.error().description();
  const toml::table& streams = *parsed.table()["streams"].as_table();
  Read result;
  result.stream =
      read_stream(streams.begin()->first.str(), *streams.begin()->second.as_table(), "w.toml", result.errors);
  return result;
}

constexpr std::string_view full = R"([streams.rig]
table = "site.rig"
device = "rig_id"
time = "at"
unknown_fields = "reject"
past_max = "30d"
future_max = "1h"
[[streams.rig.columns]]
name = "at"
type = "timestamptz"
required = true
epoch = "ms"
[[streams.rig.columns]]
name = "rig_id"
type = "text"
keys = ["rig", "rig_id"]
required = true
max_bytes = 64
min_bytes = 1
[[streams.rig.columns]]
name = "state"
type = "text"
default = "idle"
one_of = ["idle", "busy"]
[[streams.rig.columns]]
name = "temperature"
type = "real"
min = -50
max = 200.5
unit = "degC"
input_unit = "degF"
unit_key = "temperature_unit"
[[streams.rig.columns]]
name = "received"
type = "timestamptz"
source = "receive_time"
)";

TEST(ConfigStreams, EveryKeyOfAStreamAndItsColumnsIsRead) {
  const Read result = read(full);
  ASSERT_TRUE(result.errors.empty()) << testing::PrintToString(result.errors);
  const StreamConfig& stream = result.stream.config;
  EXPECT_EQ(stream.name, "rig");
  EXPECT_EQ(stream.table, "site.rig");
  EXPECT_EQ(stream.device_column, "rig_id");
  EXPECT_EQ(stream.time_column, "at");
  EXPECT_TRUE(stream.reject_unknown_fields);
  EXPECT_EQ(stream.past_max_s, 30 * 86'400);
  EXPECT_EQ(stream.future_max_s, 3'600);
  ASSERT_EQ(stream.columns.size(), 5U);
  EXPECT_EQ(stream.columns[0].epoch, EpochUnit::milliseconds);
  EXPECT_EQ(stream.columns[1].keys, (std::vector<std::string>{"rig", "rig_id"}));
  EXPECT_EQ(stream.columns[1].text_bytes_max, 64U);
  EXPECT_EQ(stream.columns[1].text_bytes_min, 1U);
  EXPECT_EQ(stream.columns[2].default_value, "idle");
  EXPECT_EQ(stream.columns[2].one_of, (std::vector<std::string>{"idle", "busy"}));
  EXPECT_EQ(stream.columns[3].minimum, -50.0);
  EXPECT_EQ(stream.columns[3].maximum, 200.5);
  EXPECT_EQ(stream.columns[3].input_unit, "degF");
  EXPECT_EQ(stream.columns[3].unit_key, "temperature_unit");
  EXPECT_EQ(stream.columns[4].source, ColumnSource::receive_time);
}

TEST(ConfigStreams, AStreamReadsBackFromItsPrintedForm) {
  const std::string printed = print_stream(read(full).stream.config);
  const Read again = read(printed);
  EXPECT_TRUE(again.errors.empty()) << testing::PrintToString(again.errors);
  EXPECT_EQ(print_stream(again.stream.config), printed);
}

TEST(ConfigStreams, TheBuiltInStreamsReadBackFromTheirPrintedForm) {
  for (const StreamConfig& stream : builtin_streams()) {
    const Read again = read(print_stream(stream));
    EXPECT_TRUE(again.errors.empty()) << testing::PrintToString(again.errors);
    EXPECT_EQ(print_stream(again.stream.config), print_stream(stream));
  }
}

TEST(ConfigStreams, TheTableIsNamedLikeTheStreamByDefault) {
  EXPECT_EQ(read("[streams.rig]\ndevice = \"d\"\ntime = \"t\"\ncolumns = []\n").stream.config.table, "rig");
}

TEST(ConfigStreams, MistakesNameThePlaceTheStreamAndTheColumn) {
  const std::vector<std::string> errors =
      read(
          "[streams.rig]\ndevice = \"d\"\ntme = \"t\"\n[[streams.rig.columns]]\nname = \"d\"\ntype = "
          "\"string\"\n"
          "[[streams.rig.columns]]\ntype = \"real\"\nminimum = 3\nmax = \"high\"\n")
          .errors;
  const auto told = [&](std::string_view error) { return std::ranges::find(errors, error) != errors.end(); };
  EXPECT_TRUE(told("w.toml:3:1: streams.rig.tme is not a known key; did you mean \"time\"?."))
      << testing::PrintToString(errors);
  EXPECT_TRUE(told("w.toml:1:1: streams.rig.time is missing.")) << testing::PrintToString(errors);
  EXPECT_TRUE(
      told("w.toml:6:8: streams.rig.columns[0].type must be one of \"timestamptz\", \"text\", \"real\", "
           "\"double\", \"int\", \"bigint\", \"bool\", \"jsonb\"."))
      << testing::PrintToString(errors);
  EXPECT_TRUE(told("w.toml:7:1: streams.rig.columns[1].name is missing.")) << testing::PrintToString(errors);
  EXPECT_TRUE(told("w.toml:10:7: streams.rig.columns[1].max must be a number, without quotes."))
      << testing::PrintToString(errors);
}

}  // namespace
}  // namespace wellhead
