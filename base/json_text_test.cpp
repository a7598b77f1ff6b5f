#include "base/json_text.hpp"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>

namespace wellhead {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonText, appends_behind_what_is_there) {
  std::string out = "[";
  append_json_string(out, "a");
  EXPECT_EQ(out, "[\"a\"");
}

TEST(JsonText, escapes_quotes_backslashes_and_control_characters) {
  EXPECT_EQ(as_json(""), R"("")");
  EXPECT_EQ(as_json("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(as_json(std::string_view("\n\t\0\x1f", 4)), R"("\u000a\u0009\u0000\u001f")");
}

TEST(JsonText, leaves_valid_utf8_as_it_is) {
  for (const char* text : {"plain", "µs", "\u20ac", "\U0001F6E2", "\x7f"}) {
    EXPECT_EQ(as_json(text), "\"" + std::string(text) + "\"");
  }
}

TEST(JsonText, replaces_each_invalid_byte) {
  EXPECT_EQ(as_json("a\xff"), R"("a\ufffd")");
  EXPECT_EQ(as_json("\xc0\xaf"), R"("\ufffd\ufffd")");                                        // overlong
  EXPECT_EQ(as_json("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");                              // a surrogate
  EXPECT_EQ(as_json("\xf4\x90\x80\x80").size(), 2 + 4 * std::string_view("\\ufffd").size());  // past U+10FFFF
  EXPECT_EQ(as_json("\xe2\x82"), R"("\ufffd\ufffd")");                                        // cut short
}

TEST(JsonText, any_bytes_become_json_that_a_parser_takes) {
  constexpr std::uint64_t seed = 11;
  std::mt19937_64 random(seed);
  simdjson::dom::parser parser;
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 40, '\0');
    for (char& character : text) character = static_cast<char>(random() % 256);
    std::string_view read;
    ASSERT_EQ(parser.parse(as_json(text)).get(read), simdjson::SUCCESS)
        << "seed " << seed << " round " << round;
  }
}

}  // namespace
}  // namespace wellhead
