#include "codec/json_check.hpp"

#include <gtest/gtest.h>

#include <string>

namespace wellhead {
namespace {

constexpr std::uint32_t depth = 8;

JsonFault checked(std::string_view text, JsonPurpose purpose = JsonPurpose::discard) {
  return check_json(text, depth, purpose);
}

TEST(json_check, takes_json) {
  for (const char* text : {"0", "-0", "10", "1.5", "-1.5e+10", "1E-3", "true", "false", "null", R"("")",
                           R"("a\"b\\\/\b\f\n\r\t\u00e9")", "{}", "[]", " [ ] ",
                           R"({"a":1,"b":[1,2,{"c":null}],"":{}})", R"([1 , "x" ,true])", "\t\r\n1\n"}) {
    EXPECT_EQ(checked(text), JsonFault::none) << text;
  }
}

TEST(json_check, refuses_what_is_not_json) {
  for (const char* text : {"",         " ",        "01",          "-",           "+1",
                           ".5",       "1.",       "1e",          "1e+",         "0x1",
                           "NaN",      "Infinity", "tru",         "truex",       "nul",
                           "'a'",      R"(")",     R"("a)",       R"("\x")",     R"("\u12g4")",
                           R"("\u12)", R"("\)",    "\"a\nb\"",    "[",           "]",
                           "[1",       "[1,]",     "[,1]",        "[1 2]",       "{",
                           "}",        R"({"a"})", R"({"a":})",   R"({"a":1,})", "{,}",
                           R"({a:1})", R"({1:1})", "[}",          "{]",          R"([{"a":1]})",
                           "1 2",      "[] []",    R"({"a":1}x)", "\x01"}) {
    EXPECT_EQ(checked(text), JsonFault::malformed) << text;
  }
}

TEST(json_check, counts_arrays_and_objects_as_depth) {
  const std::string deepest = std::string(depth, '[') + std::string(depth, ']');
  EXPECT_EQ(checked(deepest), JsonFault::none);
  EXPECT_EQ(checked("[" + deepest + "]"), JsonFault::too_deep);
  EXPECT_EQ(check_json("1", 0, JsonPurpose::discard), JsonFault::none);
  EXPECT_EQ(check_json("[]", 0, JsonPurpose::discard), JsonFault::too_deep);
  EXPECT_EQ(checked(std::string(1'000'000, '[')), JsonFault::too_deep);
}

TEST(json_check, looks_for_what_postgresql_refuses_in_jsonb_only) {
  for (const auto& [text, fault] : {std::pair{R"("\u0000")", JsonFault::nul_character},
                                    {R"({"\u0000":1})", JsonFault::nul_character},
                                    {R"("\ud800")", JsonFault::lone_surrogate},
                                    {R"("\ud800\u0041")", JsonFault::lone_surrogate},
                                    {R"("\udc00\ud800")", JsonFault::lone_surrogate},
                                    {"1e131073", JsonFault::number_too_large},
                                    {"[1e-99999999999999999999]", JsonFault::number_too_large}}) {
    EXPECT_EQ(checked(text, JsonPurpose::jsonb), fault) << text;
    EXPECT_EQ(checked(text), JsonFault::none) << text;
  }
  EXPECT_EQ(checked(R"(["\ud83d\ude00", 1e131000, 1e-16000])", JsonPurpose::jsonb), JsonFault::none);
  EXPECT_EQ(checked(R"(["\u0000", )", JsonPurpose::jsonb), JsonFault::malformed);
}

TEST(json_check, tells_a_number_from_what_only_starts_like_one) {
  for (const char* text : {"0", "-1.5e3", "123456789012345678901234567890"})
    EXPECT_TRUE(is_json_number(text)) << text;
  for (const char* text : {"", "1 ", "1x", "00", "true", "[1]"}) EXPECT_FALSE(is_json_number(text)) << text;
}

std::string unescaped(std::string_view content) {
  std::string out(content.size(), '#');
  const UnescapeResult result = unescape_json(content, out.data());
  EXPECT_EQ(result.fault, JsonFault::none) << content;
  return out.substr(0, result.bytes);
}

TEST(json_check, removes_escapes) {
  EXPECT_EQ(unescaped("plain"), "plain");
  EXPECT_EQ(unescaped(R"(a\"b\\c\/d\b\f\n\r\te)"), "a\"b\\c/d\b\f\n\r\te");
  EXPECT_EQ(unescaped(R"(\u0041\u00e9\u20AC\ud83d\ude00)"), "Aé€😀");
  EXPECT_EQ(unescaped(R"(\\u0041)"), "\\u0041");
}

TEST(json_check, does_not_make_characters_of_broken_escapes) {
  std::string out(32, '#');
  for (const auto& [content, fault] : {std::pair{R"(\)", JsonFault::malformed},
                                       {R"(a\q)", JsonFault::malformed},
                                       {R"(\u00)", JsonFault::malformed},
                                       {R"(\ud83d\u00)", JsonFault::malformed},
                                       {R"(\u0000)", JsonFault::nul_character},
                                       {R"(\ud83d)", JsonFault::lone_surrogate},
                                       {R"(\ud83dx)", JsonFault::lone_surrogate},
                                       {R"(\ude00)", JsonFault::lone_surrogate}}) {
    EXPECT_EQ(unescape_json(content, out.data()).fault, fault) << content;
  }
}

}  // namespace
}  // namespace wellhead
