#include "codec/body_framing.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec/test_support.hpp"

namespace wellhead {
namespace {

using test::decode;
using test::Decoded;
using Code = RecordErrorCode;

const Schema& schema() {
  static const SchemaPointer compiled = test::compile(test::stream_with({}));
  return *compiled;
}

std::string good(int value = 1) {
  return test::record_with(std::to_string(value));
}

// Indexes of the records that became rows.
std::vector<std::uint32_t> taken(const Decoded& decoded) {
  std::vector<std::uint32_t> indexes;
  indexes.reserve(decoded.rows.size());
  for (std::size_t row = 0; row < decoded.rows.size(); ++row) {
    indexes.push_back(decoded.rows.row(row).header.record_index);
  }
  return indexes;
}

using Indexes = std::vector<std::uint32_t>;

TEST(body_framing, takes_one_object_on_one_line_or_many) {
  for (const std::string& body :
       {good(), " \n" + good() + "\r\n \n",
        std::string("{\n  \"device\": \"d\",\n  \"time\": 1714564800,\n\t\"value\": 1\n}\n"),
        std::string("{\"device\":\"d\",\n\"x\":[\n{\"a\":\"}\"}\n,{}],\"time\":1714564800}")}) {
    const Decoded decoded = decode(schema(), body);
    EXPECT_EQ(decoded.result.status, DecodeStatus::complete) << body;
    EXPECT_EQ(taken(decoded), Indexes{0}) << body;
  }
}

TEST(body_framing, takes_an_array_compact_or_spread_out) {
  EXPECT_EQ(taken(decode(schema(), "[" + good() + "," + good() + "]")), (Indexes{0, 1}));
  EXPECT_EQ(taken(decode(schema(), " [\n " + good() + " ,\r\n" + good() + "\n]\n\n")), (Indexes{0, 1}));
  const Decoded empty = decode(schema(), "[ ]");
  EXPECT_EQ(empty.result.status, DecodeStatus::complete);
  EXPECT_EQ(empty.result.received, 0U);
}

TEST(body_framing, takes_lines_with_either_line_end_and_passes_over_blank_ones) {
  for (const auto format : {BodyFormat::detect, BodyFormat::ndjson}) {
    EXPECT_EQ(taken(decode(schema(), good() + "\n" + good(), format)), (Indexes{0, 1}));
    EXPECT_EQ(taken(decode(schema(), good() + "\r\n\r\n \t\n" + good() + "\r\n", format)), (Indexes{0, 1}));
  }
  const Decoded blank = decode(schema(), "\n \r\n", BodyFormat::ndjson);
  EXPECT_EQ(blank.result.status, DecodeStatus::complete);
  EXPECT_EQ(blank.result.received, 0U);
}

TEST(body_framing, passes_over_a_byte_order_mark_at_the_start) {
  const std::string mark = "\xEF\xBB\xBF";
  for (const std::string& body : {good(), "[" + good() + "]", good() + "\n" + good()}) {
    EXPECT_GE(decode(schema(), mark + body).rows.size(), 1U) << body;
  }
  EXPECT_EQ(taken(decode(schema(), good() + "\n" + mark + good(), BodyFormat::ndjson)), Indexes{0});
}

TEST(body_framing, lets_a_broken_line_cost_that_line_only) {
  for (const char* broken : {"x",
                             "{",
                             "}",
                             "[",
                             "\"",
                             "{\"device\":\"",
                             "{\"device\":\"d",
                             R"({"device":"d\)",
                             R"({"device":"d"})",
                             R"({"device":"d",)",
                             R"({"device":"d","time":17145648)",
                             R"({"device":"d","time":1714564800)",
                             R"({"device":"d","time":1714564800}})",
                             R"({"device":"d","time":1714564800} x)",
                             "{{",
                             "[[[",
                             "nul",
                             "\xff",
                             R"({"device":"d","time":1714564800}{"device":"d","time":1714564800})",
                             "{\"device\":\"\xc3\"}",
                             "{\"device\":\"\xed\xa0\x80\"}",
                             "42",
                             "[]",
                             "{}",
                             "null",
                             "\x01",
                             "\\",
                             "\\\"",
                             ":",
                             ","}) {
    const std::string body = good() + "\n" + broken + "\n" + good() + "\n" + broken + "\n" + good();
    for (const auto format : {BodyFormat::detect, BodyFormat::ndjson}) {
      const Decoded decoded = decode(schema(), body, format);
      EXPECT_EQ(decoded.result.status, DecodeStatus::complete) << broken;
      EXPECT_EQ(taken(decoded), (Indexes{0, 2, 4})) << broken;
      ASSERT_EQ(decoded.errors.count(), 2U) << broken;
      EXPECT_EQ(decoded.errors.kept()[0].index, 1U);
      EXPECT_EQ(decoded.errors.kept()[1].index, 3U);
    }
  }
}

TEST(body_framing, tells_a_broken_first_line_from_an_object_over_many_lines) {
  for (const char* broken :
       {"{", "{\"device\":\"d\",", "{\"device\":\"d", "{\"x\":[1,2", "{\"x\":", "garbage", "7"}) {
    const Decoded decoded = decode(schema(), std::string(broken) + "\n" + good() + "\n" + good() + "\n");
    EXPECT_EQ(decoded.result.status, DecodeStatus::complete) << broken;
    EXPECT_EQ(taken(decoded), (Indexes{1, 2})) << broken;
  }
}

TEST(body_framing, calls_an_object_or_array_that_is_cut_short_malformed) {
  const std::vector<std::string> bodies{std::string("{"),
                                        std::string("["),
                                        good().substr(0, 20),
                                        "[" + good(),
                                        "[" + good() + ",",
                                        "[" + good() + ",]",
                                        "[" + good() + good() + "]",
                                        "[" + good() + "] x",
                                        "[" + good() + "]]",
                                        "[" + good() + "}",
                                        good() + "}",
                                        good() + good(),
                                        std::string("{\n\"device\": \"d\",\n\"time\": 1714564800\n"),
                                        "[" + good() + ",{\"a\":1]",
                                        "[" + good() + ",{\"a\":tru}]",
                                        "[" + good() + ", x]",
                                        std::string("[\"\xff\"]"),
                                        std::string("{\n\"a\":1}}"),
                                        "[" + good() + ",{\"a\":\"b\":1}, \"c\":2}]",
                                        "[" + good() + ",{\"a\"}]",
                                        "[,]",
                                        "[{]}"};
  for (const std::string& body : bodies) {
    for (const char padding : {'\0', '}', ']', ',', '"', '{', '1', ' '}) {
      const Decoded decoded = decode(schema(), body, BodyFormat::detect, {}, padding);
      EXPECT_EQ(decoded.result.status, DecodeStatus::malformed_body) << body;
      EXPECT_FALSE(decoded.result.malformed_message.empty());
    }
  }
  EXPECT_EQ(decode(schema(), "[\"\xff\"]").result.malformed_code, Code::invalid_utf8);
}

TEST(body_framing, calls_a_body_without_any_object_malformed) {
  for (const char* body : {"", " \r\n", "\xEF\xBB\xBF"}) {
    EXPECT_EQ(decode(schema(), body).result.status, DecodeStatus::malformed_body);
    EXPECT_EQ(decode(schema(), body).result.malformed_code, Code::malformed_json);
  }
  for (const char* body : {"42", "\"text\"", "null", "true\nfalse", "device=d&time=1"}) {
    EXPECT_EQ(decode(schema(), body).result.status, DecodeStatus::malformed_body);
    EXPECT_EQ(decode(schema(), body).result.malformed_code, Code::not_an_object);
  }
}

TEST(body_framing, lets_a_bad_element_cost_that_element_only) {
  const std::string deep = std::string(1000, '[') + std::string(1000, ']');
  const std::string body =
      "[" + good() + R"(,{"device":7,"time":1714564800,"value":[1,{"a":"}"}]},42,"x",null,[{}],)" + deep +
      R"(,{"device":"d","time":1714564800,"u":)" + deep + "}, {} ," + good() + "]";
  const Decoded decoded = decode(schema(), body);
  EXPECT_EQ(decoded.result.status, DecodeStatus::complete);
  EXPECT_EQ(taken(decoded), (Indexes{0, 9}));
  std::vector<Code> codes;
  for (const RecordError& error : decoded.errors.kept()) codes.push_back(error.code);
  EXPECT_EQ(codes, (std::vector<Code>{Code::wrong_type, Code::not_an_object, Code::not_an_object,
                                      Code::not_an_object, Code::not_an_object, Code::too_deep,
                                      Code::too_deep, Code::missing_field}));
}

TEST(body_framing, reads_no_record_out_of_the_padding_or_the_next_line) {
  for (const std::string padding : {"}", "\"}", "5}", ",\"value\":2}", "\"d\",\"time\":1714564800}"}) {
    for (std::size_t bytes = 0; bytes < good().size(); ++bytes) {
      std::string text = good().substr(0, bytes) + padding;
      text.append(input_padding_bytes, '}');
      Decoder decoder({});
      test::KeepingSink rows;
      RecordErrors errors;
      const DecodeResult result = decoder.decode({.schema = schema(),
                                                  .body = std::string_view(text).substr(0, bytes),
                                                  .format = BodyFormat::ndjson,
                                                  .receive_time_us = test::receive_time_us},
                                                 rows, errors);
      EXPECT_EQ(result.accepted, 0U) << bytes;
      EXPECT_EQ(rows.size(), 0U) << bytes;
    }
  }
}

TEST(body_framing, survives_a_depth_bomb_and_a_giant_line) {
  for (const char* opening : {"[", "{\"a\":", "{\"value\":["}) {
    std::string bomb;
    while (bomb.size() < 2'000'000) bomb += opening;
    EXPECT_EQ(decode(schema(), bomb).result.status,
              opening[0] == '[' ? DecodeStatus::malformed_body : DecodeStatus::complete);
    const Decoded lines = decode(schema(), good() + "\n" + bomb + "\n" + good(), BodyFormat::ndjson);
    EXPECT_EQ(taken(lines), (Indexes{0, 2}));
    EXPECT_EQ(lines.errors.kept().at(0).code, Code::record_too_large);
  }
}

}  // namespace
}  // namespace wellhead
