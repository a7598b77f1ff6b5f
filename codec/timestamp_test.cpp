#include "codec/timestamp.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>

#include "base/clock.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t us_per_second = 1'000'000;

// The C library's calendar, which shares no code with ours.
std::int64_t expected_us(int year, int month, int day, int hour, int minute, int second) {
  std::tm civil{};
  civil.tm_year = year - 1900;
  civil.tm_mon = month - 1;
  civil.tm_mday = day;
  civil.tm_hour = hour;
  civil.tm_min = minute;
  civil.tm_sec = second;
  return static_cast<std::int64_t>(timegm(&civil)) * us_per_second - postgres_epoch_unix_us;
}

std::int64_t parsed(std::string_view text) {
  const auto time_us = parse_rfc3339(text);
  EXPECT_TRUE(time_us.has_value()) << text;
  return time_us.value_or(-1);
}

TimestampFault fault_of(std::string_view text) {
  const auto time_us = parse_rfc3339(text);
  EXPECT_FALSE(time_us.has_value()) << text;
  return time_us.has_value() ? TimestampFault::out_of_range : time_us.error();
}

TEST(timestamp, counts_from_the_first_of_january_2000) {
  EXPECT_EQ(parsed("2000-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parsed("2000-01-01T00:00:00.000001Z"), 1);
  EXPECT_EQ(parsed("1999-12-31T23:59:59.999999Z"), -1);
}

TEST(timestamp, agrees_with_the_c_library_on_every_day_of_ten_thousand_years) {
  constexpr std::int64_t seconds_per_day = 86'400;
  std::tm civil{};
  civil.tm_year = -1900;
  civil.tm_mday = 1;
  std::time_t midnight = timegm(&civil);
  for (; gmtime_r(&midnight, &civil)->tm_year + 1900 < 10'000; midnight += seconds_per_day) {
    const auto days = days_from_civil(civil.tm_year + 1900, static_cast<unsigned>(civil.tm_mon + 1),
                                      static_cast<unsigned>(civil.tm_mday));
    ASSERT_EQ(days * seconds_per_day, midnight) << civil.tm_year + 1900 << '-' << civil.tm_mon + 1;
  }
}

TEST(timestamp, agrees_with_the_c_library_on_random_moments_and_offsets) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto between = [&](int low, int high) { return std::uniform_int_distribution(low, high)(random); };
  for (int round = 0; round < 20'000; ++round) {
    const int year = between(0, 9999), month = between(1, 12), day = between(1, 28);
    const int hour = between(0, 23), minute = between(0, 59), second = between(0, 59),
              micro = between(0, 999'999);
    const int offset_minutes = between(-23 * 60 - 59, 23 * 60 + 59);
    const int size = std::abs(offset_minutes);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%06d%c%02d:%02d", year, month, day,
                  hour, minute, second, micro, offset_minutes < 0 ? '-' : '+', size / 60, size % 60);
    const std::int64_t expected = expected_us(year, month, day, hour, minute, second) + micro -
                                  std::int64_t{offset_minutes} * 60 * us_per_second;
    ASSERT_EQ(parsed(text.data()), expected) << text.data();
  }
}

TEST(timestamp, takes_the_forms_clients_write) {
  const std::int64_t noon = expected_us(2024, 5, 1, 12, 0, 0);
  for (const char* text :
       {"2024-05-01T12:00:00Z", "2024-05-01t12:00:00z", "2024-05-01 12:00:00Z", "2024-05-01T14:00:00+02:00",
        "2024-05-01T14:00:00+0200", "2024-05-01T14:00:00+02", "2024-05-01T06:30:00-05:30",
        "2024-05-01T12:00:00-00:00", "2024-05-01T12:00:00.0Z"}) {
    EXPECT_EQ(parsed(text), noon) << text;
  }
}

TEST(timestamp, cuts_digits_below_the_microsecond) {
  const std::int64_t noon = expected_us(2024, 5, 1, 12, 0, 0);
  EXPECT_EQ(parsed("2024-05-01T12:00:00.1Z"), noon + 100'000);
  EXPECT_EQ(parsed("2024-05-01T12:00:00.123456Z"), noon + 123'456);
  EXPECT_EQ(parsed("2024-05-01T12:00:00.123456999Z"), noon + 123'456);
  EXPECT_EQ(parsed("2024-05-01T12:00:00.999999999Z"), noon + 999'999);
}

TEST(timestamp, turns_a_leap_second_into_the_second_after_it) {
  EXPECT_EQ(parsed("2016-12-31T23:59:60Z"), expected_us(2017, 1, 1, 0, 0, 0));
  EXPECT_EQ(parsed("2017-01-01T00:59:60+01:00"), expected_us(2017, 1, 1, 0, 0, 0));
  EXPECT_EQ(parsed("2016-12-31T23:59:60.5Z"), expected_us(2017, 1, 1, 0, 0, 0) + 500'000);
  EXPECT_EQ(fault_of("2016-12-31T12:59:60Z"), TimestampFault::impossible);
}

TEST(timestamp, knows_the_calendar) {
  EXPECT_EQ(parsed("2024-02-29T00:00:00Z"), expected_us(2024, 2, 29, 0, 0, 0));
  EXPECT_EQ(parsed("2000-02-29T00:00:00Z"), expected_us(2000, 2, 29, 0, 0, 0));
  for (const char* text :
       {"2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
        "2024-04-31T00:00:00Z", "2024-04-00T00:00:00Z", "2024-04-01T24:00:00Z", "2024-04-01T00:60:00Z",
        "2024-04-01T00:00:61Z", "2024-04-01T00:00:00+24:00", "2024-04-01T00:00:00+00:60"}) {
    EXPECT_EQ(fault_of(text), TimestampFault::impossible) << text;
  }
}

TEST(timestamp, names_what_is_wrong_with_a_text) {
  EXPECT_EQ(fault_of("2024-05-01T12:00:00"), TimestampFault::missing_offset);
  EXPECT_EQ(fault_of("2024-05-01T12:00:00.123"), TimestampFault::missing_offset);
  for (const char* text :
       {"", "yesterday", "2024-05-01", "2024-05-01T12:00Z", "2024-5-1T12:00:00Z", "20240501T120000Z",
        "2024-05-01T12:00:00.Z", "2024-05-01T12:00:00Z ", " 2024-05-01T12:00:00Z", "2024-05-01T12:00:00ZZ",
        "2024-05-01T12:00:00+", "2024-05-01T12:00:00+2",
        "2024-05-01T12:00:00+02:", "2024-05-01T12:00:00+02:0", "2024-05-01_12:00:00Z", "-024-05-01T12:00:00Z",
        "2024-05-01T12:00:00 UTC", "12024-05-01T12:00:00Z"}) {
    EXPECT_EQ(fault_of(text), TimestampFault::malformed) << text;
  }
}

TEST(timestamp, refuses_every_prefix_of_a_timestamp) {
  const std::string text = "2024-05-01T12:30:45.123456+02:00";
  for (std::size_t bytes = 0; bytes < text.size(); ++bytes) {
    const auto time_us = parse_rfc3339(std::string_view(text).substr(0, bytes));
    const bool whole_hours_offset = bytes == text.size() - 3;  // …+02 is a form of its own
    EXPECT_EQ(time_us.has_value(), whole_hours_offset) << text.substr(0, bytes);
  }
}

std::int64_t epoch(std::string_view number, EpochUnit unit = EpochUnit::by_magnitude) {
  const auto time_us = parse_epoch(number, unit);
  EXPECT_TRUE(time_us.has_value()) << number;
  return time_us.value_or(-1) + postgres_epoch_unix_us;
}

TEST(timestamp, tells_the_unit_of_a_number_by_its_size) {
  EXPECT_EQ(epoch("1714564800"), 1'714'564'800'000'000);
  EXPECT_EQ(epoch("1714564800123"), 1'714'564'800'123'000);
  EXPECT_EQ(epoch("1714564800123456"), 1'714'564'800'123'456);
  EXPECT_EQ(epoch("1714564800123456789"), 1'714'564'800'123'456);
  EXPECT_EQ(epoch("0"), 0);
  EXPECT_EQ(epoch("-1"), -1'000'000);
  EXPECT_EQ(epoch("99999999999"), 99'999'999'999'000'000);
  EXPECT_EQ(epoch("100000000000"), 100'000'000'000'000);
}

TEST(timestamp, reads_numbers_in_the_configured_unit) {
  EXPECT_EQ(epoch("1714564800", EpochUnit::seconds), 1'714'564'800'000'000);
  EXPECT_EQ(epoch("1714564800", EpochUnit::milliseconds), 1'714'564'800'000);
  EXPECT_EQ(epoch("1714564800", EpochUnit::microseconds), 1'714'564'800);
  EXPECT_EQ(epoch("1714564800", EpochUnit::nanoseconds), 1'714'564);
}

TEST(timestamp, reads_fractions_exactly_and_cuts_towards_the_past) {
  EXPECT_EQ(epoch("1714564800.123456"), 1'714'564'800'123'456);
  EXPECT_EQ(epoch("1714564800.1234569"), 1'714'564'800'123'456);
  EXPECT_EQ(epoch("1714564800123.4567"), 1'714'564'800'123'456);
  EXPECT_EQ(epoch("1714564800123456.9"), 1'714'564'800'123'456);
  EXPECT_EQ(epoch("-0.5"), -500'000);
  EXPECT_EQ(epoch("-0.0000001"), -1);
  EXPECT_EQ(epoch("-1500.5", EpochUnit::nanoseconds), -2);
  EXPECT_EQ(epoch("1.7145648e9"), 1'714'564'800'000'000);
}

TEST(timestamp, refuses_numbers_no_timestamp_can_hold) {
  for (const char* number : {"1e300", "1e999", "99999999999999999999", "-99999999999999999999"}) {
    EXPECT_EQ(parse_epoch(number, EpochUnit::by_magnitude).error(), TimestampFault::out_of_range) << number;
  }
  EXPECT_EQ(parse_epoch("9300000000000", EpochUnit::seconds).error(), TimestampFault::out_of_range);
  EXPECT_EQ(parse_epoch("-300000000000", EpochUnit::seconds).error(), TimestampFault::out_of_range);
}

}  // namespace
}  // namespace wellhead
