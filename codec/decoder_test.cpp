#include "codec/decoder.hpp"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "codec/test_support.hpp"

namespace wellhead {
namespace {

using test::as_double;
using test::as_int32;
using test::as_int64;
using test::as_real;
using test::decode;
using test::Decoded;
using test::record_with;
using test::stream_with;
using Code = RecordErrorCode;

// The one field of interest, and the code its refusal has.
std::optional<std::string> stored(const ColumnConfig& column, std::string_view value) {
  const Decoded decoded = decode(*test::compile(stream_with(column)), record_with(value));
  EXPECT_EQ(decoded.rows.size(), 1U) << value;
  for (const RecordError& error : decoded.errors.kept()) ADD_FAILURE() << error.message;
  return decoded.rows.size() == 1 ? decoded.fields(0).at(2) : std::nullopt;
}

Code refused(const ColumnConfig& column, std::string_view value) {
  const Decoded decoded = decode(*test::compile(stream_with(column)), record_with(value));
  EXPECT_EQ(decoded.result.status, DecodeStatus::complete) << value;
  for (const RecordError& error : decoded.errors.kept()) EXPECT_EQ(error.field, "value") << error.message;
  return decoded.only_error();
}

bool malformed(const ColumnConfig& column, std::string_view value) {
  const SchemaPointer schema = test::compile(stream_with(column));
  const Decoded alone = decode(*schema, record_with(value));
  const Decoded line = decode(*schema, record_with(value), BodyFormat::ndjson);
  const Decoded element = decode(*schema, "[" + record_with(value) + "]");
  return alone.result.status == DecodeStatus::malformed_body && alone.rows.size() == 0 &&
         element.result.status == DecodeStatus::malformed_body && element.rows.size() == 0 &&
         line.result.status == DecodeStatus::complete && line.only_error() == Code::malformed_json;
}

TEST(decoder, makes_a_row_of_a_telemetry_record) {
  const SchemaPointer schema = test::builtin("telemetry");
  const Decoded decoded = decode(*schema, R"({"timestamp":"2024-05-01T11:59:58.5Z","device_id":"well-7",
    "temperature":212,"temperature_unit":"F","vibration":0.25,"pressure":1500,"flow_rate":null,"rpm":3.6e3,
    "comment":{"by":["a",1]},"source_system":"plc"})");
  ASSERT_EQ(decoded.result.accepted, 1U);
  const test::StoredRow row = decoded.rows.row(0);
  EXPECT_EQ(row.header.device_hash, XXH3_64bits("well-7", 6));
  EXPECT_EQ(row.header.device_hash, decoded.rows.allocated_hash(0));
  EXPECT_EQ(row.header.time_us, test::receive_time_us - 1'500'000);
  EXPECT_EQ(row.header.tuple_bytes, row.tuple.size());
  EXPECT_EQ(row.header.record_index, 0U);
  EXPECT_EQ(row.header.stream, schema->index());
  const test::Fields fields = decoded.fields(0);
  ASSERT_EQ(fields.size(), 15U);
  EXPECT_EQ(as_int64(fields[0]), test::receive_time_us - 1'500'000);
  EXPECT_EQ(fields[1], "well-7");
  EXPECT_EQ(as_real(fields[2]), 100.0F);
  EXPECT_EQ(as_real(fields[3]), 0.25F);
  EXPECT_EQ(as_real(fields[4]), 1500.0F);
  for (const std::size_t absent : {5U, 6U, 8U, 9U}) EXPECT_EQ(fields[absent], std::nullopt) << absent;
  EXPECT_EQ(as_real(fields[7]), 3600.0F);
  EXPECT_EQ(as_int64(fields[10]), test::receive_time_us);
  EXPECT_EQ(fields[11], "plc");
}

TEST(decoder, fills_in_defaults_for_absent_and_null_fields) {
  for (const char* extra : {"", R"(,"source_system":null)"}) {
    const Decoded decoded = decode(*test::builtin("telemetry"),
                                   R"({"timestamp":1714564800,"device_id":"w")" + std::string(extra) + "}");
    ASSERT_EQ(decoded.rows.size(), 1U);
    EXPECT_EQ(decoded.fields(0).at(11), "scada");
  }
}

TEST(decoder, takes_the_other_two_streams) {
  const Decoded esp =
      decode(*test::builtin("esp_telemetry"),
             R"({"id":9007199254740993,"well_id":"w","timestamp":1714564800,"motor_temp":200.5})");
  ASSERT_EQ(esp.rows.size(), 1U);
  EXPECT_EQ(as_int64(esp.fields(0).at(0)), 9'007'199'254'740'993);
  EXPECT_EQ(as_real(esp.fields(0).at(6)), 200.5F);
  const Decoded diagnosis = decode(*test::builtin("diagnostic_results"),
                                   R"({"id":1,"well_id":"w","timestamp":1714564800,"severity":"critical",
                                       "diagnosis":"gas lock","confidence":0.9,"details":{"z":[3.5,null]} })");
  ASSERT_EQ(diagnosis.rows.size(), 1U);
  EXPECT_EQ(diagnosis.fields(0).at(3), "critical");
  EXPECT_EQ(diagnosis.fields(0).at(6), "\x01{\"z\":[3.5,null]}");
}

TEST(decoder, stores_reals) {
  const ColumnConfig real{.type = ColumnType::real};
  EXPECT_EQ(as_real(stored(real, "1.1")), 1.1F);
  EXPECT_EQ(as_real(stored(real, "-0.0")), -0.0F);
  EXPECT_TRUE(std::signbit(as_real(stored(real, "-0.0"))));
  EXPECT_EQ(as_real(stored(real, "3.4028234e38")), std::numeric_limits<float>::max());
  EXPECT_EQ(as_real(stored(real, "1e-45")), std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(as_real(stored(real, "1e-400")), 0.0F);
  EXPECT_EQ(stored(real, "null"), std::nullopt);
  for (const char* value : {"3.5e38", "-1e39", "1e308", "1e400", "3.4028236e38"}) {
    EXPECT_EQ(refused(real, value), Code::number_out_of_range) << value;
  }
}

TEST(decoder, stores_doubles) {
  const ColumnConfig wide{.type = ColumnType::double_precision};
  EXPECT_EQ(as_double(stored(wide, "1.1")), 1.1);
  EXPECT_EQ(as_double(stored(wide, "1.7976931348623157e308")), std::numeric_limits<double>::max());
  EXPECT_EQ(as_double(stored(wide, "5e-324")), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(as_double(stored(wide, "0.30000000000000004440892098500626")), 0.1 + 0.2);
  EXPECT_EQ(as_double(stored(wide, "1" + std::string(300, '0'))), 1e300);
  EXPECT_EQ(as_double(stored(wide, "0." + std::string(400, '0') + "1")), 0.0);
  EXPECT_EQ(as_double(stored(wide, "0." + std::string(300, '0') + "1e301")), 1.0);
  EXPECT_EQ(as_double(stored(wide, "1e0000000000000000000001")), 10.0);
  EXPECT_EQ(refused(wide, "1e309"), Code::number_out_of_range);
  EXPECT_EQ(refused(wide, "-1e309"), Code::number_out_of_range);
}

TEST(decoder, reads_every_number_as_the_nearest_double) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const SchemaPointer schema = test::compile(stream_with({.type = ColumnType::double_precision}));
  for (int round = 0; round < 2000; ++round) {
    std::string number = round % 2 == 0 ? "0." : std::to_string(random() % 1000 + 1) + ".";
    for (std::size_t digits = 1 + random() % 30; digits > 0; --digits)
      number += std::to_string(random() % 10);
    if (random() % 3 == 0) number += "e" + std::to_string(static_cast<int>(random() % 60) - 30);
    const Decoded decoded = decode(*schema, record_with(number));
    ASSERT_EQ(decoded.rows.size(), 1U) << number;
    ASSERT_EQ(as_double(decoded.fields(0).at(2)), std::strtod(number.c_str(), nullptr)) << number;
  }
}

TEST(decoder, stores_whole_numbers_also_when_written_with_a_fraction) {
  const ColumnConfig narrow{.type = ColumnType::integer};
  const ColumnConfig wide{.type = ColumnType::bigint};
  EXPECT_EQ(as_int32(stored(narrow, "-2147483648")), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(as_int32(stored(narrow, "5.0")), 5);
  EXPECT_EQ(as_int32(stored(narrow, "1e3")), 1000);
  EXPECT_EQ(as_int64(stored(wide, "9223372036854775807")), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(as_int64(stored(wide, "-9223372036854775808")), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(as_int64(stored(wide, "-0")), 0);
  EXPECT_EQ(as_int64(stored(wide, "9007199254740992.0")), 9'007'199'254'740'992);
  EXPECT_EQ(refused(narrow, "2147483648"), Code::number_out_of_range);
  EXPECT_EQ(refused(wide, "9223372036854775808"), Code::number_out_of_range);
  EXPECT_EQ(refused(wide, "9223372036854775807.0"), Code::number_out_of_range);
  EXPECT_EQ(refused(wide, "1e400"), Code::number_out_of_range);
  EXPECT_EQ(refused(wide, "5.5"), Code::wrong_type);
}

TEST(decoder, stores_booleans_texts_and_json) {
  EXPECT_EQ(stored({.type = ColumnType::boolean}, "true"), std::string("\x01", 1));
  EXPECT_EQ(stored({.type = ColumnType::boolean}, "false"), std::string("\0", 1));
  const ColumnConfig text{.type = ColumnType::text};
  EXPECT_EQ(stored(text, R"("")"), "");
  EXPECT_EQ(stored(text, R"("héllo")"), "héllo");
  EXPECT_EQ(stored(text, R"("a\"b\\\n\u00e9\ud83d\ude00")"), "a\"b\\\né😀");
  const ColumnConfig json{.type = ColumnType::jsonb};
  for (const char* value : {"1.50", R"("\u00e9")", "true", "[]", R"({"a":[1,{"b":"\\"}],"a":2})"}) {
    EXPECT_EQ(stored(json, value), "\x01" + std::string(value));
  }
  EXPECT_EQ(stored(json, "null"), std::nullopt);
  EXPECT_EQ(stored(json, "  [ 1 ]\t "), "\x01[ 1 ]");
}

TEST(decoder, stores_timestamps_from_texts_and_numbers) {
  const ColumnConfig time{.type = ColumnType::timestamptz};
  EXPECT_EQ(as_int64(stored(time, R"("1999-12-31T23:59:59Z")")), -1'000'000);
  EXPECT_EQ(as_int64(stored(time, R"("2000-01-01T00:00:00\u005a")")), 0);
  EXPECT_EQ(as_int64(stored(time, "946684800.25")), 250'000);
  EXPECT_EQ(
      as_int64(stored({.type = ColumnType::timestamptz, .epoch = EpochUnit::milliseconds}, "946684800001")),
      1'000);
}

TEST(decoder, says_when_a_value_is_of_the_wrong_type) {
  using enum ColumnType;
  for (const ColumnType type : {real, double_precision, integer, bigint}) {
    for (const char* value : {R"("1")", "true", R"("")"})
      EXPECT_EQ(refused({.type = type}, value), Code::wrong_type);
  }
  for (const char* value : {"1", "true"}) EXPECT_EQ(refused({.type = text}, value), Code::wrong_type);
  for (const char* value : {"1", R"("true")"}) EXPECT_EQ(refused({.type = boolean}, value), Code::wrong_type);
  EXPECT_EQ(refused({.type = timestamptz}, "false"), Code::wrong_type);
  for (const ColumnType type : {real, double_precision, integer, bigint, text, boolean, timestamptz}) {
    for (const char* value : {"{}", "[]", R"({"a":[1]})"}) {
      EXPECT_EQ(refused({.type = type}, value), Code::nested_value) << to_string(type);
    }
  }
}

TEST(decoder, calls_a_value_that_is_no_json_malformed_for_every_type) {
  using enum ColumnType;
  for (const ColumnType type : {real, double_precision, integer, bigint, text, boolean, timestamptz, jsonb}) {
    for (const char* value :
         {"",     "tru", "nul", "nulll",   "falsey",   "01",  "1.",   "-",  "1e",          "+1",
          "1x",   "1 2", "'a'", R"("a"b)", R"("a":1)", "[1",  "{]",   "[}", R"({"a":1]})", R"({"a"})",
          "[1,]", "}",   "]",   ",",       ":",        "NaN", "1\x01"}) {
      EXPECT_TRUE(malformed({.type = type}, value)) << to_string(type) << ": " << value;
    }
  }
}

TEST(decoder, checks_ranges_on_the_value_as_it_is_stored) {
  constexpr OutOfRange reject = OutOfRange::reject;
  const ColumnConfig ranged{.type = ColumnType::real, .minimum = -50, .maximum = 200, .out_of_range = reject};
  EXPECT_EQ(as_real(stored(ranged, "-50")), -50.0F);
  EXPECT_EQ(as_real(stored(ranged, "200.000001")), 200.0F);
  EXPECT_EQ(refused(ranged, "200.001"), Code::number_out_of_range);
  EXPECT_EQ(refused(ranged, "-50.001"), Code::number_out_of_range);
  EXPECT_EQ(
      refused({.type = ColumnType::double_precision, .maximum = 200, .out_of_range = reject}, "200.000001"),
      Code::number_out_of_range);
  EXPECT_EQ(refused({.type = ColumnType::bigint, .minimum = 0, .out_of_range = reject}, "-1"),
            Code::number_out_of_range);
  EXPECT_EQ(as_real(stored({.type = ColumnType::real, .minimum = 0}, "-0.0")), -0.0F);
}

TEST(decoder, converts_units_before_it_checks_the_range) {
  const SchemaPointer telemetry = test::builtin("telemetry");
  const auto with_unit = [&](std::string_view fields) {
    return decode(*telemetry, R"({"timestamp":1714564800,"device_id":"w",)" + std::string(fields) + "}");
  };
  EXPECT_EQ(as_real(with_unit(R"("temperature":392,"temperature_unit":"F")").fields(0).at(2)), 200.0F);
  EXPECT_EQ(as_real(with_unit(R"("temperature_unit":"\u0046","temperature":32)").fields(0).at(2)), 0.0F);
  EXPECT_EQ(as_real(with_unit(R"("temperature":20,"temperature_unit":null)").fields(0).at(2)), 20.0F);
  EXPECT_EQ(with_unit(R"("temperature":null,"temperature_unit":"psi")").fields(0).at(2), std::nullopt);
  EXPECT_EQ(with_unit(R"("temperature":392.1,"temperature_unit":"F")").fields(0).at(2), std::nullopt);
  EXPECT_EQ(with_unit(R"("temperature":300)").fields(0).at(2), std::nullopt);
  EXPECT_EQ(with_unit(R"("temperature":20,"temperature_unit":"psi")").only_error(), Code::unknown_unit);
  EXPECT_EQ(with_unit(R"("temperature":20,"temperature_unit":"")").only_error(), Code::unknown_unit);
  EXPECT_EQ(with_unit(R"("temperature":20,"temperature_unit":5)").only_error(), Code::wrong_type);
  EXPECT_EQ(with_unit(R"("temperature_unit":"F","temperature_unit":"F")").only_error(), Code::duplicate_key);
  EXPECT_EQ(refused({.unit = "degF", .input_unit = "degC"}, "3.4e38"), Code::number_out_of_range)
      << "and no infinity";
}

// By hand: 1 bar = 100,000 Pa and 1 psi = 6,894.757293 Pa, so 1 bar = 14.50377377 psi and 1 kPa a hundredth
// of it; 1 bbl = 158.987294928 l, so 1 m³/day = 6.28981077 bbl/day.
TEST(decoder, stores_what_gateways_send_in_their_own_units_in_those_of_the_table) {
  StreamConfig config = builtin_streams().front();
  const auto column = [&](std::string_view name) -> ColumnConfig& {
    return *std::ranges::find(config.columns, name, &ColumnConfig::name);
  };
  column("temperature").input_unit = "degF";
  column("pressure").input_unit = "bar";
  column("flow_rate").input_unit = "m³/day";
  column("intake_pressure").input_unit = "kPa";
  column("discharge_pressure").input_unit = "bar";
  column("discharge_pressure").unit_key = "discharge_unit";
  const Decoded decoded =
      decode(*test::compile(config),
             R"([{"timestamp":1714564800,"device_id":"w","temperature":194,"vibration":0.5,"pressure":200,
                 "flow_rate":250,"intake_pressure":1500,"discharge_pressure":12,"discharge_unit":"MPa"},
                {"timestamp":1714564801,"device_id":"w","pressure":-0.5,"flow_rate":0,"intake_pressure":101.325,
                 "discharge_pressure":12}])");

  ASSERT_EQ(decoded.result.accepted, 2U);
  const test::Fields first = decoded.fields(0);
  EXPECT_EQ(as_real(first[2]), 90.0F);             // (194 − 32) · 5/9 °C
  EXPECT_EQ(as_real(first[3]), 0.5F);              // in/s as it came
  EXPECT_FLOAT_EQ(as_real(first[4]), 2900.7548F);  // 200 · 14.50377377 psi
  EXPECT_FLOAT_EQ(as_real(first[5]), 1572.4527F);  // 250 · 6.28981077 bbl/day
  EXPECT_FLOAT_EQ(as_real(first[8]), 217.55661F);  // 1,500 · 0.1450377377 psi
  EXPECT_FLOAT_EQ(as_real(first[9]), 1740.4529F);  // 12 MPa = 120 bar, the record's word before the stream's
  const test::Fields second = decoded.fields(1);
  EXPECT_EQ(second[4], std::nullopt);  // −0.5 bar is below zero psi too
  EXPECT_EQ(as_real(second[5]), 0.0F);
  EXPECT_FLOAT_EQ(as_real(second[8]), 14.695949F);  // one atmosphere
  EXPECT_FLOAT_EQ(as_real(second[9]), 174.04529F);  // 12 bar
  ASSERT_EQ(decoded.rows.repaired().size(), 1U);
  EXPECT_EQ(decoded.rows.repaired().front().field, "pressure");
}

TEST(decoder, converts_from_the_configured_input_unit) {
  EXPECT_FLOAT_EQ(as_real(stored({.unit = "psi", .input_unit = "bar"}, "100")), 1450.3774F);
  EXPECT_EQ(as_real(stored({.unit = "degC", .input_unit = "C"}, "1.1")), 1.1F);
}

TEST(decoder, holds_texts_to_their_bounds_and_allowed_values) {
  const ColumnConfig text{.type = ColumnType::text, .text_bytes_max = 4, .text_bytes_min = 2};
  EXPECT_EQ(stored(text, R"("\u00e9\u00e9")"), "éé");
  EXPECT_EQ(refused(text, R"("abcde")"), Code::text_too_long);
  EXPECT_EQ(refused(text, R"("a")"), Code::text_too_long);
  EXPECT_EQ(refused({.type = ColumnType::jsonb, .text_bytes_max = 4}, "[1,2]"), Code::text_too_long);
  const ColumnConfig listed{.type = ColumnType::text, .one_of = {"info", "warning"}};
  EXPECT_EQ(stored(listed, R"("info")"), "info");
  EXPECT_EQ(refused(listed, R"("Info")"), Code::value_not_allowed);
}

TEST(decoder, refuses_texts_the_database_cannot_store) {
  for (const ColumnType type : {ColumnType::text, ColumnType::jsonb}) {
    EXPECT_EQ(refused({.type = type}, R"("a\u0000b")"), Code::nul_character);
    EXPECT_EQ(refused({.type = type}, R"("\ud800")"), Code::invalid_utf8);
    EXPECT_EQ(refused({.type = type}, R"("\ud800\ud800")"), Code::invalid_utf8);
    EXPECT_TRUE(malformed({.type = type}, R"("\x")"));
    EXPECT_TRUE(malformed({.type = type}, R"("\u12")"));
    EXPECT_TRUE(malformed({.type = type}, "\"a\tb\""));
  }
  EXPECT_EQ(refused({.type = ColumnType::jsonb}, R"({"a":1e200000})"), Code::number_out_of_range);
}

TEST(decoder, refuses_timestamps_outside_the_window_in_the_time_column_only) {
  StreamConfig config = stream_with({.type = ColumnType::timestamptz});
  config.past_max_s = 60;
  config.future_max_s = 10;
  const SchemaPointer schema = test::compile(config);
  const auto at = [&](std::int64_t seconds, const char* value) {
    return decode(*schema, R"({"device":"d","time":)" + std::to_string(1'714'564'800 + seconds) +
                               R"(,"value":)" + value + "}");
  };
  EXPECT_EQ(at(-60, "0").rows.size(), 1U);
  EXPECT_EQ(at(10, "0").rows.size(), 1U);
  EXPECT_EQ(at(-61, "0").only_error(), Code::timestamp_out_of_window);
  EXPECT_EQ(at(11, "0").only_error(), Code::timestamp_out_of_window);
  EXPECT_EQ(refused({.type = ColumnType::timestamptz}, R"("2024-02-30T00:00:00Z")"), Code::invalid_timestamp);
  EXPECT_EQ(refused({.type = ColumnType::timestamptz}, R"("now")"), Code::invalid_timestamp);
  EXPECT_EQ(refused({.type = ColumnType::timestamptz}, "1e300"), Code::invalid_timestamp);
}

TEST(decoder, names_the_missing_field) {
  const SchemaPointer schema = test::compile(stream_with({.required = true}));
  for (const char* body :
       {R"({"device":"d","time":1714564800})", R"({"device":"d","time":1714564800,"value":null})"}) {
    const Decoded decoded = decode(*schema, body);
    EXPECT_EQ(decoded.only_error(), Code::missing_field);
    EXPECT_EQ(decoded.errors.kept().at(0).field, "value");
  }
  EXPECT_EQ(decode(*schema, "{}").only_error(), Code::missing_field);
  EXPECT_EQ(decode(*schema, R"({"device":"","time":1714564800,"value":1})").only_error(),
            Code::text_too_long);
}

TEST(decoder, refuses_a_column_given_twice) {
  const SchemaPointer schema = test::compile(stream_with({.keys = {"value", "val"}}));
  const std::string start = R"({"device":"d","time":1714564800,)";
  for (const char* rest : {R"("value":1,"value":1})", R"("value":1,"val":2})", R"("value":null,"value":1})",
                           R"("value":1,"v\u0061lue":2})", R"("value":1,"value":{"a":[]}})"}) {
    EXPECT_EQ(decode(*schema, start + rest).only_error(), Code::duplicate_key) << rest;
  }
  EXPECT_EQ(decode(*schema, start + R"("val":1})").rows.size(), 1U);
}

TEST(decoder, finds_keys_written_with_escapes) {
  const SchemaPointer schema = test::compile(stream_with({}));
  const Decoded decoded = decode(*schema, R"({"\u0064evice":"d","time":1714564800,"valu\u0065":1.5})");
  ASSERT_EQ(decoded.rows.size(), 1U);
  EXPECT_EQ(as_real(decoded.fields(0).at(2)), 1.5F);
  EXPECT_EQ(decode(*schema, R"({"\q":1,"device":"d","time":1714564800})", BodyFormat::ndjson).only_error(),
            Code::malformed_json);
  EXPECT_EQ(decode(*schema, R"({"a\u0000":1,"\ud800":1,"device":"d","time":1714564800})").rows.size(), 1U);
}

TEST(decoder, ignores_unknown_fields_unless_told_otherwise) {
  StreamConfig config = stream_with({});
  const std::string record =
      R"({"x":[{"y":[]}],"device":"d","long_unknown_key_of_some_length":"a\"b","time":1714564800,"":null,"z":-1.5e3})";
  EXPECT_EQ(decode(*test::compile(config), record).rows.size(), 1U);
  config.reject_unknown_fields = true;
  const Decoded decoded = decode(*test::compile(config), record);
  EXPECT_EQ(decoded.only_error(), Code::unknown_field);
  EXPECT_NE(decoded.errors.kept().at(0).message.find("\"x\""), std::string::npos);
}

TEST(decoder, checks_that_unknown_values_are_json) {
  const SchemaPointer schema = test::compile(stream_with({}));
  for (const char* value :
       {"tru", "[1,]", "{]", "[}", R"("\x")", "01", "1x", R"("a"b)", "", R"({"a" 1})", "[1 2]"}) {
    const std::string record = R"({"device":"d","time":1714564800,"unknown":)" + std::string(value) + "}";
    EXPECT_EQ(decode(*schema, record, BodyFormat::ndjson).only_error(), Code::malformed_json) << value;
  }
}

TEST(decoder, reports_that_a_record_is_no_json_before_anything_else_in_it) {
  const SchemaPointer schema = test::compile(stream_with({}));
  EXPECT_EQ(
      decode(*schema, R"({"value":"no number","device":"d","time":tru})", BodyFormat::ndjson).only_error(),
      Code::malformed_json);
  EXPECT_EQ(decode(*schema, R"({"value":"no number","device":7,"time":true})").errors.kept().at(0).field,
            "value");
}

TEST(decoder, bounds_the_depth_of_a_record) {
  const DecoderLimits limits{.depth_max = 3};
  const SchemaPointer schema = test::compile(stream_with({.type = ColumnType::jsonb}));
  const auto nested = [&](const std::string& value, std::string_view key) {
    return decode(*schema, R"({"device":"d","time":1714564800,")" + std::string(key) + "\":" + value + "}",
                  BodyFormat::detect, limits);
  };
  for (const char* key : {"value", "unknown"}) {
    EXPECT_EQ(nested("[[]]", key).rows.size(), 1U);
    EXPECT_EQ(nested("[[[]]]", key).only_error(), Code::too_deep);
    EXPECT_EQ(nested(std::string(100'000, '[') + std::string(100'000, ']'), key).only_error(),
              Code::too_deep);
  }
}

TEST(decoder, bounds_the_length_of_a_record) {
  const DecoderLimits limits{.record_bytes_max = 100};
  const SchemaPointer schema = test::compile(stream_with({.type = ColumnType::text}));
  const std::string good = record_with("\"x\"");
  const std::string large = record_with('"' + std::string(100, 'x') + '"');
  const std::string escaped = record_with(R"("\n)" + std::string(100, 'x') + '"');
  for (const std::string& record : {large, escaped}) {
    const std::string lines = good + "\n" + record + "\n" + good;
    const std::string array = "[" + good + "," + record + " ," + good + "]";
    for (const std::string& body : {lines, array}) {
      const Decoded decoded = decode(*schema, body, BodyFormat::detect, limits);
      EXPECT_EQ(decoded.rows.size(), 2U);
      ASSERT_EQ(decoded.errors.count(), 1U);
      EXPECT_EQ(decoded.errors.kept()[0].code, Code::record_too_large);
      EXPECT_EQ(decoded.errors.kept()[0].index, 1U);
    }
  }
  EXPECT_EQ(decode(*schema, large, BodyFormat::detect, limits).only_error(), Code::record_too_large);
  const std::string exact = record_with('"' + std::string(100 - record_with("\"\"").size(), 'x') + '"');
  EXPECT_EQ(decode(*schema, exact + "\n" + exact, BodyFormat::ndjson, limits).rows.size(), 2U);
}

TEST(decoder, shows_no_more_than_a_little_of_a_clients_text_and_no_half_characters) {
  const Decoded decoded =
      decode(*test::compile(stream_with({})), record_with('"' + std::string(63, 'x') + "éyyy\""));
  EXPECT_EQ(decoded.only_error(), Code::wrong_type);
  EXPECT_EQ(decoded.errors.kept().at(0).message,
            "\"value\" takes a number; the record has the string \"" + std::string(63, 'x') + "…\".");
}

TEST(decoder, gives_up_when_there_is_no_memory) {
  const SchemaPointer schema = test::compile(stream_with({}));
  const test::PaddedBody body(record_with("1") + "\n" + record_with("2") + "\n" + record_with("3"));
  Decoder decoder({});
  test::KeepingSink rows(2);
  RecordErrors errors;
  const DecodeResult result = decoder.decode(
      {.schema = *schema, .body = body.text(), .receive_time_us = test::receive_time_us}, rows, errors);
  EXPECT_EQ(result.status, DecodeStatus::no_memory);
  EXPECT_EQ(result.accepted, 2U);
}

TEST(decoder, serves_streams_in_turn) {
  StreamConfig other = stream_with({.name = "other", .type = ColumnType::text});
  other.columns.push_back({.name = "more"});
  const auto first = Schema::compile(stream_with({}), 0);
  const auto second = Schema::compile(other, 1);
  const auto replaced = Schema::compile(other, 0);
  Decoder decoder({});
  for (int round = 0; round < 3; ++round) {
    for (const auto& schema : {*first, *second, *replaced}) {
      test::KeepingSink rows;
      RecordErrors errors;
      const test::PaddedBody body(R"({"device":"d","time":1714564800,"value":1,"other":"x","more":2})");
      const DecodeResult result = decoder.decode(
          {.schema = *schema, .body = body.text(), .receive_time_us = test::receive_time_us}, rows, errors);
      ASSERT_EQ(result.accepted, 1U);
      EXPECT_EQ(rows.row(0).header.stream, schema->index());
      EXPECT_EQ(test::read_tuple(rows.row(0).tuple)->size(), schema->columns().size());
    }
  }
}

}  // namespace
}  // namespace wellhead
