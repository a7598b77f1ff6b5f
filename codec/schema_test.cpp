#include "codec/schema.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "codec/record_error.hpp"
#include "codec/schema_index.hpp"
#include "codec/test_support.hpp"

namespace wellhead {
namespace {

using test::stream_with;

TEST(schema, compiles_the_streams_that_ship) {
  std::set<std::string> names;
  for (const StreamConfig& stream : builtin_streams()) {
    const auto schema = Schema::compile(stream, 7);
    ASSERT_TRUE(schema.has_value()) << schema.error();
    EXPECT_EQ((*schema)->index(), 7);
    names.insert((*schema)->name());
  }
  EXPECT_EQ(names, (std::set<std::string>{"telemetry", "esp_telemetry", "diagnostic_results"}));
}

std::string names_of(const Schema& schema, bool ColumnConfig::* member) {
  std::string names;
  for (const ColumnConfig& column : schema.columns())
    if (column.*member) names += (names.empty() ? "" : " ") + column.name;
  return names;
}

TEST(schema, scores_the_measurements_of_the_streams_that_ship) {
  const SchemaPointer telemetry = test::builtin("telemetry");
  EXPECT_EQ(names_of(*telemetry, &ColumnConfig::scored),
            "temperature vibration pressure flow_rate motor_current rpm intake_pressure discharge_pressure");
  EXPECT_EQ(names_of(*telemetry, &ColumnConfig::primary), "temperature vibration pressure flow_rate");
  const SchemaPointer esp = test::builtin("esp_telemetry");
  EXPECT_EQ(names_of(*esp, &ColumnConfig::scored),
            "flow_rate pip motor_current motor_temp vibration vsd_frequency gor");
  EXPECT_EQ(names_of(*esp, &ColumnConfig::primary), "flow_rate pip motor_current motor_temp vibration");
  for (const SchemaPointer& schema : {telemetry, esp}) {
    ASSERT_GE(schema->columns().size(), 3U);
    const std::size_t last = schema->columns().size() - 1;
    EXPECT_EQ(schema->columns()[last - 2].name, "data_quality_score");
    EXPECT_EQ(schema->columns()[last - 1].name, "is_anomaly");
    EXPECT_EQ(schema->columns()[last].name, "quality_flags");
  }
  const SchemaPointer diagnostics = test::builtin("diagnostic_results");
  EXPECT_EQ(names_of(*diagnostics, &ColumnConfig::scored), "");
}

TEST(schema, quotes_names_for_sql) {
  StreamConfig config = stream_with({.name = "odd \"name\"", .keys = {"odd"}});
  config.table = "plant.read\"ings";
  const SchemaPointer schema = test::compile(config);
  EXPECT_EQ(schema->quoted_table(), R"("plant"."read""ings")");
  EXPECT_EQ(schema->copy_statement(),
            R"(COPY "plant"."read""ings" ("device", "time", "odd ""name""") FROM STDIN (FORMAT binary))");
}

TEST(schema, requires_the_device_and_the_time_whatever_is_configured) {
  const SchemaPointer schema = test::compile(stream_with({}));
  EXPECT_TRUE(schema->columns()[0].required);
  EXPECT_EQ(schema->columns()[0].text_bytes_min, 1U);
  EXPECT_TRUE(schema->columns()[1].required);
}

TEST(schema, takes_the_receive_time_as_partition_time) {
  StreamConfig config = stream_with({});
  config.columns[1].source = ColumnSource::receive_time;
  EXPECT_TRUE(Schema::compile(config, 0).has_value());
}

struct Mistake {
  const char* what;
  std::function<void(StreamConfig&)> make;
};

TEST(schema, refuses_what_makes_no_sense_with_a_sentence_that_names_the_stream) {
  const auto value = [](StreamConfig& config) -> ColumnConfig& { return config.columns[2]; };
  const std::vector<Mistake> mistakes{
      {"no name", [](auto& c) { c.name = ""; }},
      {"a name that is no URL segment", [](auto& c) { c.name = "a/b"; }},
      {"no table", [](auto& c) { c.table = ""; }},
      {"three parts", [](auto& c) { c.table = "a.b.c"; }},
      {"an empty schema", [](auto& c) { c.table = ".b"; }},
      {"no columns", [](auto& c) { c.columns.clear(); }},
      {"too many columns", [](auto& c) { c.columns.resize(stream_columns_max + 1); }},
      {"a column twice", [](auto& c) { c.columns.push_back(c.columns[2]); }},
      {"a nameless column", [&](auto& c) { value(c).name = std::string(64, 'x'); }},
      {"no such device column", [](auto& c) { c.device_column = "nobody"; }},
      {"a device that is no text", [](auto& c) { c.columns[0].type = ColumnType::bigint; }},
      {"no such time column", [](auto& c) { c.time_column = "value"; }},
      {"a negative window", [](auto& c) { c.past_max_s = -1; }},
      {"an endless window", [](auto& c) { c.future_max_s = window_s_max + 1; }},
      {"a range upside down", [&](auto& c) { value(c).minimum = 2, value(c).maximum = 1; }},
      {"a range of NaN", [&](auto& c) { value(c).minimum = std::nan(""); }},
      {"a range of text", [&](auto& c) { value(c).type = ColumnType::text, value(c).minimum = 1; }},
      {"an unknown unit", [&](auto& c) { value(c).unit = "furlong"; }},
      {"an unknown input unit", [&](auto& c) { value(c).unit = "degC", value(c).input_unit = "X"; }},
      {"units of two dimensions", [&](auto& c) { value(c).unit = "degC", value(c).input_unit = "psi"; }},
      {"a unit key without unit", [&](auto& c) { value(c).unit_key = "u"; }},
      {"a unit of whole numbers", [&](auto& c) { value(c).type = ColumnType::bigint, value(c).unit = "A"; }},
      {"a unit key that is a column", [&](auto& c) { value(c).unit = "A", value(c).unit_key = "device"; }},
      {"a unit key with a quote", [&](auto& c) { value(c).unit = "A", value(c).unit_key = "\""; }},
      {"a key of two columns", [&](auto& c) { value(c).keys = {"device"}; }},
      {"a key twice", [&](auto& c) { value(c).keys = {"a", "a"}; }},
      {"an empty key", [&](auto& c) { value(c).keys = {""}; }},
      {"a key with a backslash", [&](auto& c) { value(c).keys = {"a\\b"}; }},
      {"a long key", [&](auto& c) { value(c).keys = {std::string(key_bytes_max + 1, 'k')}; }},
      {"a default number", [&](auto& c) { value(c).default_value = "1"; }},
      {"a default of a required column",
       [&](auto& c) {
         value(c).type = ColumnType::text, value(c).required = true, value(c).default_value = "x";
       }},
      {"a default that is too long",
       [&](auto& c) {
         value(c).type = ColumnType::text, value(c).text_bytes_max = 2, value(c).default_value = "xxx";
       }},
      {"a default that is not allowed",
       [&](auto& c) {
         value(c).type = ColumnType::text, value(c).one_of = {"a"}, value(c).default_value = "x";
       }},
      {"allowed values of numbers", [&](auto& c) { value(c).one_of = {"1"}; }},
      {"text bounds upside down", [&](auto& c) { value(c).text_bytes_min = 5, value(c).text_bytes_max = 4; }},
      {"no text at all", [&](auto& c) { value(c).text_bytes_max = 0; }},
      {"a receive time that is no time", [&](auto& c) { value(c).source = ColumnSource::receive_time; }},
      {"a range that no whole number meets",
       [&](auto& c) { value(c).type = ColumnType::bigint, value(c).minimum = 0.2, value(c).maximum = 0.8; }},
      {"a range that no real meets", [&](auto& c) { value(c).minimum = 0.1, value(c).maximum = 0.1; }},
      {"a range beyond all reals", [&](auto& c) { value(c).minimum = 1e300; }},
      {"a range below all reals", [&](auto& c) { value(c).maximum = -1e300; }},
      {"a rule without a range", [&](auto& c) { value(c).out_of_range = OutOfRange::keep; }},
      {"a rule on a text",
       [&](auto& c) { value(c).type = ColumnType::text, value(c).out_of_range = OutOfRange::reject; }},
      {"a scored text", [&](auto& c) { value(c).type = ColumnType::text, value(c).scored = true; }},
      {"a scored constant",
       [&](auto& c) {
         value(c).scored = true, value(c).source = ColumnSource::constant, value(c).value = "1";
       }},
      {"a primary column that is not scored", [&](auto& c) { value(c).primary = true; }},
      {"a rate of a column that is not scored", [&](auto& c) { value(c).rate_max = 1; }},
      {"a rate of nothing", [&](auto& c) { value(c).scored = true, value(c).rate_max = 0; }},
      {"too many scored columns",
       [&](auto& c) {
         for (int number = 0; number < 16; ++number)
           c.columns.push_back({.name = "v" + std::to_string(number), .scored = true});
       }},
      {"a score that is no real",
       [&](auto& c) { value(c).type = ColumnType::bigint, value(c).source = ColumnSource::quality_score; }},
      {"an anomaly flag that is no boolean", [&](auto& c) { value(c).source = ColumnSource::anomaly; }},
      {"flags that are no bigint", [&](auto& c) { value(c).source = ColumnSource::quality_flags; }},
      {"two scores",
       [&](auto& c) {
         value(c).source = ColumnSource::quality_score;
         c.columns.push_back({.name = "again", .source = ColumnSource::quality_score});
       }},
      {"a sender that is no text", [&](auto& c) { value(c).source = ColumnSource::sender; }},
      {"a constant device",
       [](auto& c) { c.columns[0].source = ColumnSource::constant, c.columns[0].value = "d"; }},
      {"a constant time",
       [](auto& c) {
         c.columns[1].source = ColumnSource::constant, c.columns[1].value = "2024-01-01T00:00:00Z";
       }},
      {"a constant without a value", [&](auto& c) { value(c).source = ColumnSource::constant; }},
      {"a constant of another type",
       [&](auto& c) { value(c).source = ColumnSource::constant, value(c).value = "high"; }},
      {"a constant of another type, as JSON",
       [&](auto& c) { value(c).source = ColumnSource::constant, value(c).value = "\"high\""; }},
      {"two constants", [&](auto& c) { value(c).source = ColumnSource::constant, value(c).value = "1,2"; }},
      {"a constant that is null",
       [&](auto& c) { value(c).source = ColumnSource::constant, value(c).value = "null"; }},
      {"a constant out of its range",
       [&](auto& c) {
         value(c).source = ColumnSource::constant, value(c).value = "-1", value(c).minimum = 0;
       }},
      {"a constant in another unit",
       [&](auto& c) {
         value(c).source = ColumnSource::constant, value(c).value = "1", value(c).unit = "psi",
         value(c).input_unit = "bar";
       }},
      {"an attribute of nothing", [&](auto& c) { value(c).source = ColumnSource::attribute; }},
      {"two sources of attributes", [](auto& c) { c.attributes = {.file = "a", .query = "b"}; }},
      {"attributes of a device column alone", [](auto& c) { c.attributes.device_column = "d"; }},
      {"a negative time", [](auto& c) { c.scoring.late_after_s = -1; }},
      {"an endless time", [](auto& c) { c.scoring.ahead_after_s = window_s_max + 1; }},
      {"no ratio", [](auto& c) { c.scoring.consistency_ratio = 0; }},
      {"no number for a ratio", [](auto& c) { c.scoring.consistency_ratio = std::nan(""); }},
      {"a negative z", [](auto& c) { c.scoring.z_min = -3; }},
      {"all readings false positives", [](auto& c) { c.scoring.false_positives_max = 1; }},
      {"no warm-up", [](auto& c) { c.scoring.warm_up = 0; }},
      {"no memory", [](auto& c) { c.scoring.memory = 1; }},
      {"stuck at once", [](auto& c) { c.scoring.stuck_after = 1; }},
      {"a receive time with keys",
       [&](auto& c) {
         value(c).type = ColumnType::timestamptz, value(c).source = ColumnSource::receive_time,
         value(c).keys = {"k"};
       }},
  };
  for (const Mistake& mistake : mistakes) {
    StreamConfig config = stream_with({});
    mistake.make(config);
    const auto schema = Schema::compile(config, 0);
    ASSERT_FALSE(schema.has_value()) << mistake.what;
    EXPECT_TRUE(schema.error().starts_with("Stream \"" + config.name + "\"")) << schema.error();
    EXPECT_EQ(schema.error().back(), '.') << schema.error();
  }
}

TEST(schema, finds_every_key_and_no_other) {
  for (const StreamConfig& stream : builtin_streams()) {
    const SchemaPointer schema = test::compile(stream);
    const SchemaIndex& index = schema->lookup();
    for (std::size_t key = 0; key < index.keys().size(); ++key)
      EXPECT_EQ(index.find(index.keys()[key].text), key);
    for (const char* other : {"", "x", "Timestamp", "timestamp ", "temperature_unit2"}) {
      EXPECT_EQ(index.find(other), no_index) << other;
    }
  }
}

TEST(schema, compares_keys_of_every_length_in_place) {
  for (std::size_t length = 1; length <= key_bytes_max; ++length) {
    const std::string key(length, 'k');
    const KeyEntry entry(key);
    const std::string padding(input_padding_bytes, 'k');
    EXPECT_TRUE(entry.matches((key + "\":" + padding).c_str())) << length;
    EXPECT_FALSE(entry.matches((key + "k\":" + padding).c_str())) << length;
    EXPECT_FALSE(entry.matches((key.substr(1) + "\":" + padding).c_str())) << length;
    std::string other = key;
    other.back() = 'j';
    EXPECT_FALSE(entry.matches((other + "\":" + padding).c_str())) << length;
  }
}

TEST(schema, has_types_named_as_in_configuration_and_in_postgresql) {
  for (const char* name : {"timestamptz", "text", "real", "double", "int", "bigint", "bool", "jsonb"}) {
    const auto type = column_type_from(name);
    ASSERT_TRUE(type.has_value()) << name;
    EXPECT_EQ(to_string(*type), name);
  }
  EXPECT_FALSE(column_type_from("float").has_value());
  EXPECT_EQ(type_oid(ColumnType::timestamptz), 1184U);
  EXPECT_EQ(sql_type_name(ColumnType::double_precision), "double precision");
}

TEST(record_errors, have_distinct_names) {
  std::set<std::string_view> names;
  for (std::size_t code = 0; code < record_error_code_count; ++code) {
    names.insert(to_string(static_cast<RecordErrorCode>(code)));
  }
  EXPECT_EQ(names.size(), record_error_code_count);
  EXPECT_FALSE(names.contains(""));
}

TEST(record_errors, are_all_counted_and_the_first_kept_with_their_sentence) {
  RecordErrors errors;
  for (std::uint32_t index = 0; index < RecordErrors::kept_max + 5; ++index) {
    EXPECT_EQ(errors.wants_message(), index < RecordErrors::described_max);
    errors.add(index, RecordErrorCode::wrong_type, "value", "A sentence.");
  }
  EXPECT_EQ(errors.count(), RecordErrors::kept_max + 5);
  EXPECT_EQ(errors.count(RecordErrorCode::wrong_type), errors.count());
  EXPECT_EQ(errors.kept().size(), RecordErrors::kept_max);
  EXPECT_EQ(errors.kept()[RecordErrors::described_max - 1].message, "A sentence.");
  EXPECT_EQ(errors.kept()[RecordErrors::described_max].message, "");
  errors.clear();
  EXPECT_EQ(errors.count(), 0U);
  EXPECT_EQ(errors.count(RecordErrorCode::wrong_type), 0U);
  EXPECT_TRUE(errors.kept().empty());
}

}  // namespace
}  // namespace wellhead
