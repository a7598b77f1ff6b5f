// Properties of the decoder under damaged, rearranged and random input.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "codec/test_support.hpp"

namespace wellhead {
namespace {

using test::decode;
using test::Decoded;

// A stream with every type in it.
const Schema& schema() {
  static const SchemaPointer compiled = [] {
    StreamConfig config = test::stream_with({.unit = "degC", .unit_key = "value_unit"});
    config.columns.push_back({.name = "wide", .type = ColumnType::double_precision});
    config.columns.push_back({.name = "count", .type = ColumnType::integer});
    config.columns.push_back({.name = "id", .type = ColumnType::bigint});
    config.columns.push_back({.name = "on", .type = ColumnType::boolean});
    config.columns.push_back({.name = "note", .type = ColumnType::text, .default_value = "none"});
    config.columns.push_back({.name = "details", .type = ColumnType::jsonb});
    return test::compile(config);
  }();
  return *compiled;
}

using Members = std::vector<std::pair<std::string, std::string>>;

Members members() {
  return {{"device", R"("well-7")"},
          {"time", R"("2024-05-01T11:59:58.5Z")"},
          {"value", "68.25"},
          {"value_unit", R"("F")"},
          {"wide", "-1.5e-3"},
          {"count", "12"},
          {"id", "9007199254740993"},
          {"on", "true"},
          {"note", R"("a\"\u00e9")"},
          {"details", R"({"a":[1,"]}",null]})"},
          {"unknown", R"([{"b":"\\"}])"}};
}

std::string to_json(const Members& fields) {
  std::string json = "{";
  for (const auto& [key, value] : fields) json += (json.size() > 1 ? ",\"" : "\"") + key + "\":" + value;
  return json + "}";
}

std::string tuple_of(const std::string& body) {
  const Decoded decoded = decode(schema(), body);
  EXPECT_EQ(decoded.rows.size(), 1U) << body;
  return decoded.rows.size() == 1 ? decoded.rows.row(0).tuple : "";
}

TEST(decoder_property, the_order_of_fields_does_not_change_the_tuple) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string expected = tuple_of(to_json(members()));
  std::string lines;
  for (int round = 0; round < 300; ++round) {
    Members fields = members();
    std::ranges::shuffle(fields, random);
    lines += to_json(fields) + "\n";
  }
  const Decoded decoded = decode(schema(), lines);
  ASSERT_EQ(decoded.rows.size(), 300U);
  for (std::size_t row = 0; row < 300; ++row) ASSERT_EQ(decoded.rows.row(row).tuple, expected);
}

TEST(decoder_property, whitespace_between_tokens_does_not_change_the_tuple) {
  std::string spaced = "{";
  for (const auto& [key, value] : members()) {
    spaced += (spaced.size() > 1 ? " ,\r\n\t\"" : "\n \"") + key + "\" \t: " + value;
  }
  spaced += " \n}";
  EXPECT_EQ(tuple_of(spaced), tuple_of(to_json(members())));
}

TEST(decoder_property, a_record_cut_anywhere_is_never_a_row) {
  const std::string record = to_json(members());
  for (std::size_t bytes = 0; bytes < record.size(); ++bytes) {
    const std::string cut = record.substr(0, bytes);
    EXPECT_EQ(decode(schema(), cut).result.status, DecodeStatus::malformed_body) << cut;
    EXPECT_EQ(decode(schema(), cut, BodyFormat::ndjson).rows.size(), 0U) << cut;
    EXPECT_EQ(decode(schema(), "[" + record + "," + cut).result.status, DecodeStatus::malformed_body) << cut;
    const Decoded between = decode(schema(), record + "\n" + cut + "\n" + record, BodyFormat::ndjson);
    EXPECT_EQ(between.rows.size(), 2U) << cut;
    EXPECT_EQ(between.rows.row(0).tuple, between.rows.row(1).tuple) << cut;
  }
}

// What must hold whatever comes in.
void expect_sound(const Decoded& decoded, const std::string& body) {
  for (std::size_t row = 0; row < decoded.rows.size(); ++row) {
    const auto fields = test::read_tuple(decoded.rows.row(row).tuple);
    ASSERT_TRUE(fields.has_value()) << body;
    ASSERT_EQ(fields->size(), schema().columns().size());
    ASSERT_FALSE(fields->at(0).value_or("").empty());
    ASSERT_EQ(fields->at(1).value_or("").size(), 8U);
    const RowHeader header = decoded.rows.row(row).header;
    ASSERT_EQ(static_cast<std::int64_t>(test::big_endian_number(*fields->at(1))), header.time_us);
    ASSERT_LT(header.record_index, decoded.result.received);
  }
  for (const RecordError& error : decoded.errors.kept()) ASSERT_LT(error.index, decoded.result.received);
}

void mutate(std::string& body, std::mt19937& random) {
  static constexpr char bytes[] = "{}[]\",:\\ \n\r\t0123456789.eE+-truefalsn\0\x01\x7f\x80\xc3\xed\xff";
  constexpr std::string_view interesting(bytes, sizeof(bytes));
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  for (std::size_t edits = 1 + below(4); edits > 0 && !body.empty(); --edits) {
    const std::size_t at = below(body.size());
    const char byte = interesting[below(interesting.size())];
    switch (below(4)) {
      case 0:
        body[at] = byte;
        break;
      case 1:
        body.insert(at, 1, byte);
        break;
      case 2:
        body.erase(at, 1 + below(8));
        break;
      default:
        body.insert(at, body.substr(below(body.size()), 1 + below(20)));
        break;
    }
  }
}

TEST(decoder_property, damaged_bodies_give_sound_rows_or_errors) {
  const auto seed = std::random_device{}();
  std::cerr << "seed " << seed << '\n';  // before anything, so that a crash can be repeated
  std::mt19937 random(seed);
  const std::string record = to_json(members());
  const std::vector<std::string> bodies{record, record + "\n" + record + "\r\n" + record,
                                        "[" + record + "," + record + "]",
                                        "[\n" + record + "\n,\n" + record + "\n]"};
  static constexpr std::string_view paddings{"\0}]\",1{ \n", 9};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  for (int round = 0; std::chrono::steady_clock::now() < deadline; ++round) {
    std::string body = bodies[static_cast<std::size_t>(round) % bodies.size()];
    mutate(body, random);
    const char padding = paddings[random() % paddings.size()];
    const auto format = random() % 2 == 0 ? BodyFormat::detect : BodyFormat::ndjson;
    expect_sound(decode(schema(), body, format, {.record_bytes_max = 4096, .depth_max = 8}, padding), body);
    if (HasFatalFailure()) FAIL() << body;
  }
}

// Found by the test above: the byte behind the body, whatever it is, is not the array's next comma or
// bracket.
TEST(decoder_property, padding_never_closes_or_continues_an_array) {
  const std::string record = to_json(members());
  for (const char padding : std::string_view(",]}[{\"1 ")) {
    for (const std::string& body :
         {"[" + record + ",[" + record + "]", std::string("[[]"), "[" + record + ",[1,2]"}) {
      const Decoded decoded = decode(schema(), body, BodyFormat::detect, {}, padding);
      EXPECT_EQ(decoded.result.status, DecodeStatus::malformed_body) << body << " and then " << padding;
    }
  }
}

// A damaged line may become anything, its neighbours may not change.
TEST(decoder_property, a_damaged_line_does_not_touch_its_neighbours) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string record = to_json(members());
  const std::string expected = tuple_of(record);
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = record;
    mutate(damaged, random);
    std::ranges::replace(damaged, '\n', ' ');
    const Decoded decoded = decode(schema(), record + "\n" + damaged + "\n" + record, BodyFormat::ndjson,
                                   {.record_bytes_max = 4096, .depth_max = 8});
    ASSERT_GE(decoded.rows.size(), 2U) << damaged;
    ASSERT_EQ(decoded.rows.row(0).tuple, expected) << damaged;
    ASSERT_EQ(decoded.rows.row(decoded.rows.size() - 1).tuple, expected) << damaged;
  }
}

}  // namespace
}  // namespace wellhead
