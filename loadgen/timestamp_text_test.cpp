#include "loadgen/timestamp_text.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace wellhead::loadgen {
namespace {

std::string written(TimestampWriter& writer, std::int64_t unix_us) {
  std::string text(timestamp_text_bytes, ' ');
  EXPECT_EQ(writer.write(unix_us, text.data()), text.data() + text.size());
  return text;
}

TEST(TimestampText, prints_known_moments) {
  TimestampWriter writer;
  EXPECT_EQ(written(writer, 0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(written(writer, 951'827'696'000'001), "2000-02-29T12:34:56.000001Z");
  EXPECT_EQ(written(writer, 951'827'696'999'999), "2000-02-29T12:34:56.999999Z");
  EXPECT_EQ(written(writer, 253'402'300'799'999'999), "9999-12-31T23:59:59.999999Z");
}

TEST(TimestampText, reads_back_whatever_it_prints) {
  constexpr std::uint64_t seed = 5;
  std::mt19937_64 random(seed);
  TimestampWriter writer;
  for (int round = 0; round < 10'000; ++round) {
    const auto unix_us = static_cast<std::int64_t>(random() % 253'402'300'800'000'000);
    ASSERT_EQ(parse_timestamp(written(writer, unix_us)), unix_us) << "seed " << seed;
  }
}

TEST(TimestampText, reads_offsets_blanks_and_fractions) {
  EXPECT_EQ(parse_timestamp("1970-01-01T02:00:00+02:00"), 0);
  EXPECT_EQ(parse_timestamp("1969-12-31 19:30:00-04:30"), 0);
  EXPECT_EQ(parse_timestamp("1970-01-01t00:00:00.25z"), 250'000);
  EXPECT_EQ(parse_timestamp("1970-01-01T00:00:00.1234567Z"), 123'456);
}

TEST(TimestampText, refuses_what_is_no_timestamp) {
  for (const char* text : {"", "yesterday", "1970-01-01", "1970-01-01T00:00:00", "1970-02-30T00:00:00Z",
                           "1970-01-01T24:00:00Z", "1970-01-01T00:00:00.Z", "1970-01-01T00:00:00Z ",
                           "1970-01-01T00:00:00+0200", "197-01-01T00:00:00Z"}) {
    EXPECT_FALSE(parse_timestamp(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace wellhead::loadgen
