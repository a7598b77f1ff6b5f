// Timestamps in, PostgreSQL's microseconds since 2000-01-01 UTC out.
//
// Digits below the microsecond are cut off towards the past: a reading never gets a time later than it
// claims.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "codec/schema.hpp"

namespace wellhead {

enum class TimestampFault : std::uint8_t {
  malformed,       // not of the form
  missing_offset,  // a local time: nobody can tell which moment it is
  impossible,      // a month 13, a February 30, an hour 24, a leap second at another time than 23:59:60 UTC
  out_of_range,    // outside what timestamptz can hold
};

// RFC 3339: 2024-05-01T12:30:45.123456+02:00. Also taken: a space or a lower-case t for T, z for Z, an offset
// without its colon (+0200) or minutes (+02). A leap second becomes the second after it, as in PostgreSQL.
[[nodiscard]] std::expected<std::int64_t, TimestampFault> parse_rfc3339(std::string_view text) noexcept;

// A JSON number counting from 1970-01-01 UTC, an exponent included. By magnitude: below 1e11 it is seconds
// (until the year 5138), below 1e14 milliseconds (from 1973), below 1e17 microseconds, else nanoseconds.
// REQUIRES is_json_number(number).
[[nodiscard]] std::expected<std::int64_t, TimestampFault> parse_epoch(std::string_view number,
                                                                      EpochUnit unit) noexcept;

// Days from 1970-01-01 in the proleptic Gregorian calendar. REQUIRES year >= 0, month 1 to 12.
[[nodiscard]] constexpr std::int64_t days_from_civil(std::int64_t year, unsigned month,
                                                     unsigned day) noexcept {
  // Years are counted from March: the leap day is then the last of its year, and the days before a month
  // follow one linear formula (March to July and August to December both run 31, 30, 31, 30, 31: 153 days in
  // 5 months). One whole cycle of 400 years is added so that January of the year 0 does not make the
  // divisions negative.
  constexpr std::int64_t cycle_days = 146'097;
  constexpr std::int64_t march_of_year_0_to_1970 = 719'468;
  const std::int64_t march_year = year + 400 - (month > 2 ? 0 : 1);
  const std::int64_t march_month = month > 2 ? month - 3 : month + 9;
  const std::int64_t day_of_year = (153 * march_month + 2) / 5 + day - 1;
  return march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year - cycle_days -
         march_of_year_0_to_1970;
}
static_assert(days_from_civil(1970, 1, 1) == 0);
static_assert(days_from_civil(2000, 3, 1) == 11'017);

}  // namespace wellhead
