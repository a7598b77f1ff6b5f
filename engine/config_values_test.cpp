#include "engine/config_values.hpp"

#include <gtest/gtest.h>

namespace wellhead {
namespace {

using std::chrono::milliseconds;

TEST(ConfigValues, DurationsTakeEveryUnit) {
  EXPECT_EQ(parse_duration("20ms"), milliseconds(20));
  EXPECT_EQ(parse_duration("5s"), milliseconds(5'000));
  EXPECT_EQ(parse_duration("10m"), milliseconds(600'000));
  EXPECT_EQ(parse_duration("2h"), milliseconds(7'200'000));
  EXPECT_EQ(parse_duration("3 d"), milliseconds(259'200'000));
  EXPECT_EQ(parse_duration("0"), milliseconds(0));
}

TEST(ConfigValues, ADurationWithoutAUnitIsRefusedWithAnExample) {
  const auto duration = parse_duration("10");
  ASSERT_FALSE(duration);
  EXPECT_EQ(duration.error(), "\"10\" has no unit; write it with ms, s, m, h or d, e.g. \"10s\"");
}

TEST(ConfigValues, WhatIsNoDurationIsRefused) {
  for (const char* text :
       {"", "s", "1.5s", "-1s", "10 seconds", "10S", "99999999999999999999s", "9223372036854775807d"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(ConfigValues, AMomentIsATimeOrAnAge) {
  EXPECT_EQ(parse_moment("2000-01-01T01:00:01+01:00", 77), 1'000'000);
  EXPECT_EQ(parse_moment("90s", 100'000'000), 10'000'000);
  for (const char* text : {"", "yesterday", "2026-03-01", "2026-03-01T12:00:00", "-1h"})
    EXPECT_EQ(parse_moment(text, 0), std::nullopt) << text;
}

TEST(ConfigValues, SizesTakeEveryUnit) {
  EXPECT_EQ(parse_size("512"), 512U);
  EXPECT_EQ(parse_size("512B"), 512U);
  EXPECT_EQ(parse_size("64KiB"), 65'536U);
  EXPECT_EQ(parse_size("16MiB"), 16U << 20);
  EXPECT_EQ(parse_size("2GiB"), 2ULL << 30);
}

TEST(ConfigValues, WhatIsNoSizeIsRefusedAndTheUnitsAreNamed) {
  const auto size = parse_size("64KB");
  ASSERT_FALSE(size);
  EXPECT_EQ(size.error(), "\"64KB\" has an unknown unit \"KB\"; the units are B, KiB, MiB, GiB");
  for (const char* text : {"", "KiB", "1.5MiB", "-1", "9223372036854775807GiB"})
    EXPECT_FALSE(parse_size(text)) << text;
}

TEST(ConfigValues, FormattingChoosesTheLargestUnitThatKeepsTheNumberWhole) {
  EXPECT_EQ(format_duration(milliseconds(90'000)), "90s");
  EXPECT_EQ(format_duration(milliseconds(3'600'000)), "1h");
  EXPECT_EQ(format_duration(milliseconds(1'500)), "1500ms");
  EXPECT_EQ(format_duration(milliseconds(0)), "0ms");
  EXPECT_EQ(format_size(65'536), "64KiB");
  EXPECT_EQ(format_size(65'537), "65537B");
}

TEST(ConfigValues, FormattedValuesReadBackAsThemselves) {
  for (const std::int64_t amount : {0, 1, 999, 1'000, 60'000, 61'000, 86'400'000}) {
    EXPECT_EQ(parse_duration(format_duration(milliseconds(amount))), milliseconds(amount));
    EXPECT_EQ(parse_size(format_size(static_cast<std::uint64_t>(amount))),
              static_cast<std::uint64_t>(amount));
  }
}

TEST(ConfigValues, EndpointsAreNumericAddressesWithAPort) {
  EXPECT_EQ(parse_endpoint("127.0.0.1:8080"), (Endpoint{"127.0.0.1", 8080, true}));
  EXPECT_EQ(parse_endpoint("[::1]:0"), (Endpoint{"::1", 0, true}));
  EXPECT_EQ(parse_endpoint("off"), (Endpoint{"", 0, false}));
  for (const char* text : {"127.0.0.1:8080", "[::]:9090", "off"})
    EXPECT_EQ(format_endpoint(*parse_endpoint(text)), text);
}

TEST(ConfigValues, WhatIsNoEndpointIsRefused) {
  for (const char* text : {"", "8080", ":8080", "localhost:8080", "127.0.0.1", "127.0.0.1:",
                           "127.0.0.1:65536", "::1:80", "[127.0.0.1]:80", "127.0.0.1:80x", "256.0.0.1:80"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

TEST(ConfigValues, QuotingForTomlEscapesWhatABasicStringMayNotHold) {
  EXPECT_EQ(quote_toml("a\"b\\c\n"), R"("a\"b\\c\u000A")");
}

}  // namespace
}  // namespace wellhead
