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
out_of_range = "keep"
scored = true
primary = true
rate_max = 2.5
[[streams.rig.columns]]
name = "received"
type = "timestamptz"
source = "receive_time"
[[streams.rig.columns]]
name = "region"
type = "text"
source = "constant"
value = "north"
[[streams.rig.columns]]
name = "field"
type = "text"
source = "attribute"
attribute = "field_name"
[[streams.rig.columns]]
name = "sender"
type = "text"
source = "sender"
[[streams.rig.columns]]
name = "score"
type = "real"
source = "quality_score"
[[streams.rig.columns]]
name = "odd"
type = "bool"
source = "anomaly"
[[streams.rig.columns]]
name = "flags"
type = "bigint"
source = "quality_flags"
[streams.rig.scoring]
late_after = "2m"
ahead_after = "5s"
consistency_ratio = 0.25
z_min = 4
false_positives_max = 0.02
warm_up = 30
memory = 300
stuck_after = 50
[streams.rig.attributes]
file = "rigs.csv"
device = "rig"
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
  ASSERT_EQ(stream.columns.size(), 11U);
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
  EXPECT_EQ(stream.columns[3].out_of_range, OutOfRange::keep);
  EXPECT_TRUE(stream.columns[3].scored);
  EXPECT_TRUE(stream.columns[3].primary);
  EXPECT_EQ(stream.columns[3].rate_max, 2.5);
  EXPECT_EQ(stream.columns[4].source, ColumnSource::receive_time);
  EXPECT_EQ(stream.columns[5].source, ColumnSource::constant);
  EXPECT_EQ(stream.columns[5].value, "north");
  EXPECT_EQ(stream.columns[6].source, ColumnSource::attribute);
  EXPECT_EQ(stream.columns[6].attribute, "field_name");
  EXPECT_EQ(stream.columns[7].source, ColumnSource::sender);
  EXPECT_EQ(stream.columns[8].source, ColumnSource::quality_score);
  EXPECT_EQ(stream.columns[9].source, ColumnSource::anomaly);
  EXPECT_EQ(stream.columns[10].source, ColumnSource::quality_flags);
  EXPECT_EQ(stream.scoring.late_after_s, 120);
  EXPECT_EQ(stream.scoring.ahead_after_s, 5);
  EXPECT_EQ(stream.scoring.consistency_ratio, 0.25);
  EXPECT_EQ(stream.scoring.z_min, 4);
  EXPECT_EQ(stream.scoring.false_positives_max, 0.02);
  EXPECT_EQ(stream.scoring.warm_up, 30U);
  EXPECT_EQ(stream.scoring.memory, 300U);
  EXPECT_EQ(stream.scoring.stuck_after, 50U);
  EXPECT_EQ(stream.attributes.file, "rigs.csv");
  EXPECT_EQ(stream.attributes.device_column, "rig");
}

TEST(ConfigStreams, RulesChangeSingleKeysOfColumnsWhereverTheyAreWritten) {
  const Read result = read(R"([streams.rig]
device = "rig_id"
time = "at"
rules.temperature = { min = -10, max = inf, out_of_range = "reject", keys = ["t"] }
[[streams.rig.columns]]
name = "at"
type = "timestamptz"
[[streams.rig.columns]]
name = "rig_id"
type = "text"
[[streams.rig.columns]]
name = "temperature"
type = "real"
keys = ["temp", "temperature"]
min = -50
max = 200
unit = "degC"
)");
  ASSERT_TRUE(result.errors.empty()) << testing::PrintToString(result.errors);
  const ColumnConfig& temperature = result.stream.config.columns.at(2);
  EXPECT_EQ(temperature.minimum, -10.0);
  EXPECT_FALSE(temperature.maximum.has_value());
  EXPECT_EQ(temperature.out_of_range, OutOfRange::reject);
  EXPECT_EQ(temperature.keys, (std::vector<std::string>{"t"}));
  EXPECT_EQ(temperature.unit, "degC");
}

TEST(ConfigStreams, MistakesInRulesNameThePlaceAndTheNearestColumn) {
  const std::vector<std::string> errors = read(R"([streams.rig]
device = "d"
time = "t"
scoring = 5
[streams.rig.rules.temprature]
min = 3
[streams.rig.rules.temperature]
type = "bigint"
maks = 3
[[streams.rig.columns]]
name = "temperature"
type = "real"
)")
                                              .errors;
  EXPECT_EQ(errors, (std::vector<std::string>{
                        "w.toml:4:11: streams.rig.scoring must be a table, [streams.rig.scoring].",
                        "w.toml:5:20: streams.rig.rules.temprature is a rule for a column that the stream "
                        "does not have; did you mean \"temperature\"?.",
                        "w.toml:8:1: streams.rig.rules.temperature.type is what a column is, and no rule can "
                        "change it: write the stream's columns.",
                        "w.toml:9:1: streams.rig.rules.temperature.maks is not a known key; did you mean "
                        "\"max\"?."}));
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
