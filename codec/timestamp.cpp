#include "codec/timestamp.hpp"

#include <array>
#include <cmath>
#include <cstddef>

#include "base/clock.hpp"
#include "codec/json_check.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t us_per_second = 1'000'000;
constexpr std::int64_t seconds_per_day = 86'400;
// PostgreSQL's bounds for timestamptz (src/include/datatype/timestamp.h, MIN_TIMESTAMP and END_TIMESTAMP).
constexpr std::int64_t timestamptz_min = -211'813'488'000'000'000;
constexpr std::int64_t timestamptz_end = 9'223'371'331'200'000'000;
constexpr double int64_end = 9'223'372'036'854'775'808.0;  // 2^63

using Result = std::expected<std::int64_t, TimestampFault>;

// Reads a text from the left; once something is missing it stays failed.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : at_(text.data()), end_(at_ + text.size()) {}

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
  [[nodiscard]] char peek() const noexcept { return at_ == end_ ? '\0' : *at_; }
  void skip() noexcept { ++at_; }

  void expect(char wanted) noexcept {
    if (peek() != wanted || at_end()) return fail();
    ++at_;
  }
  [[nodiscard]] bool at_digit() const noexcept { return static_cast<unsigned char>(peek() - '0') < 10; }
  [[nodiscard]] unsigned digit() noexcept {
    if (!at_digit()) {
      fail();
      return 0;
    }
    return static_cast<unsigned>(*at_++ - '0');
  }
  [[nodiscard]] unsigned two_digits() noexcept {
    const unsigned tens = digit();
    return tens * 10 + digit();
  }
  void fail() noexcept { ok_ = false; }

 private:
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

// Digits after a decimal point: the first `places` as a number, the rest only looked at.
struct Fraction {
  std::int64_t value = 0;
  bool cut = false;  // a digit that is not zero was left out
};

Fraction read_fraction(Reader& reader, int places) noexcept {
  Fraction fraction;
  int taken = 0;
  for (; reader.at_digit(); ++taken) {
    const unsigned digit = reader.digit();
    if (taken < places) {
      fraction.value = fraction.value * 10 + digit;
    } else {
      fraction.cut |= digit != 0;
    }
  }
  if (taken == 0) reader.fail();
  for (; taken < places; ++taken) fraction.value *= 10;
  return fraction;
}

struct Civil {
  unsigned year, month, day, hour, minute, second;
};

Civil read_civil(Reader& reader) noexcept {
  Civil civil{};
  civil.year = reader.two_digits() * 100;
  civil.year += reader.two_digits();
  reader.expect('-');
  civil.month = reader.two_digits();
  reader.expect('-');
  civil.day = reader.two_digits();
  const char separator = reader.peek();
  if (separator != 'T' && separator != 't' && separator != ' ') {
    reader.fail();
    return civil;
  }
  reader.skip();
  civil.hour = reader.two_digits();
  reader.expect(':');
  civil.minute = reader.two_digits();
  reader.expect(':');
  civil.second = reader.two_digits();
  return civil;
}

bool possible(const Civil& civil) noexcept {
  constexpr std::array<unsigned, 13> month_days{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (civil.month < 1 || civil.month > 12 || civil.day < 1) return false;
  const bool leap = civil.year % 4 == 0 && (civil.year % 100 != 0 || civil.year % 400 == 0);
  const unsigned days = month_days[civil.month] + (leap && civil.month == 2 ? 1 : 0);
  return civil.day <= days && civil.hour < 24 && civil.minute < 60 && civil.second <= 60;
}

// Seconds east of UTC; fails the reader where there is no offset.
std::expected<std::int64_t, TimestampFault> read_offset(Reader& reader) noexcept {
  if (reader.at_end()) return std::unexpected(TimestampFault::missing_offset);
  const char sign = reader.peek();
  reader.skip();
  if (sign == 'Z' || sign == 'z') return 0;
  if (sign != '+' && sign != '-') return std::unexpected(TimestampFault::malformed);
  const unsigned hours = reader.two_digits();
  unsigned minutes = 0;
  if (reader.peek() == ':') {
    reader.skip();
    minutes = reader.two_digits();
  } else if (!reader.at_end()) {
    minutes = reader.two_digits();
  }
  if (!reader.ok()) return std::unexpected(TimestampFault::malformed);
  if (hours > 23 || minutes > 59) return std::unexpected(TimestampFault::impossible);
  const std::int64_t seconds = hours * 3600 + minutes * 60;
  return sign == '-' ? -seconds : seconds;
}

// The unit in which a clock of our time would have counted so far.
EpochUnit unit_by_magnitude(std::uint64_t magnitude) noexcept {
  if (magnitude < 100'000'000'000) return EpochUnit::seconds;
  if (magnitude < 100'000'000'000'000) return EpochUnit::milliseconds;
  if (magnitude < 100'000'000'000'000'000) return EpochUnit::microseconds;
  return EpochUnit::nanoseconds;
}

// Microseconds in one of the unit; 1 for nanoseconds, which are divided instead.
std::int64_t us_per(EpochUnit unit) noexcept {
  if (unit == EpochUnit::seconds) return us_per_second;
  return unit == EpochUnit::milliseconds ? 1000 : 1;
}

Result from_unix_us(std::int64_t unix_us) noexcept {
  std::int64_t us = 0;
  if (__builtin_sub_overflow(unix_us, postgres_epoch_unix_us, &us) || us < timestamptz_min ||
      us >= timestamptz_end) {
    return std::unexpected(TimestampFault::out_of_range);
  }
  return us;
}

// For numbers with an exponent, which no clock writes but JSON allows; exact to a double's 53 bits.
Result parse_epoch_double(std::string_view number, EpochUnit unit) noexcept {
  const double value = parse_json_number(number).value_or(int64_end);
  if (std::abs(value) >= int64_end) return std::unexpected(TimestampFault::out_of_range);
  if (unit == EpochUnit::by_magnitude) unit = unit_by_magnitude(static_cast<std::uint64_t>(std::abs(value)));
  const double us = unit == EpochUnit::nanoseconds ? value / 1000 : value * static_cast<double>(us_per(unit));
  if (std::abs(us) >= int64_end) return std::unexpected(TimestampFault::out_of_range);
  return from_unix_us(static_cast<std::int64_t>(std::floor(us)));
}

// A decimal number's parts: whole digits and the first six behind the point.
struct Decimal {
  bool negative = false;
  bool fits = true;
  bool has_exponent = false;
  std::uint64_t whole = 0;
  Fraction millionths;
};

Decimal read_decimal(std::string_view number) noexcept {
  Reader reader(number);
  Decimal decimal;
  decimal.negative = reader.peek() == '-';
  if (decimal.negative) reader.skip();
  while (reader.at_digit()) {
    const std::uint64_t digit = reader.digit();
    decimal.fits &= !__builtin_mul_overflow(decimal.whole, std::uint64_t{10}, &decimal.whole);
    decimal.fits &= !__builtin_add_overflow(decimal.whole, digit, &decimal.whole);
  }
  if (reader.peek() == '.') {
    reader.skip();
    decimal.millionths = read_fraction(reader, 6);
  }
  decimal.has_exponent = !reader.at_end();
  return decimal;
}

}  // namespace

std::expected<std::int64_t, TimestampFault> parse_rfc3339(std::string_view text) noexcept {
  Reader reader(text);
  const Civil civil = read_civil(reader);
  Fraction fraction;
  if (reader.peek() == '.') {
    reader.skip();
    fraction = read_fraction(reader, 6);
  }
  if (!reader.ok()) return std::unexpected(TimestampFault::malformed);
  const auto offset_s = read_offset(reader);
  if (!offset_s) return offset_s;
  if (!reader.at_end()) return std::unexpected(TimestampFault::malformed);
  if (!possible(civil)) return std::unexpected(TimestampFault::impossible);
  const std::int64_t seconds = days_from_civil(civil.year, civil.month, civil.day) * seconds_per_day +
                               std::int64_t{civil.hour} * 3600 + std::int64_t{civil.minute} * 60 +
                               civil.second - *offset_s;
  // A leap second is the last of a UTC day, so the second it becomes is the first of the next one.
  if (civil.second == 60 && seconds % seconds_per_day != 0)
    return std::unexpected(TimestampFault::impossible);
  return seconds * us_per_second + fraction.value - postgres_epoch_unix_us;
}

std::expected<std::int64_t, TimestampFault> parse_epoch(std::string_view number, EpochUnit unit) noexcept {
  const Decimal decimal = read_decimal(number);
  if (decimal.has_exponent) return parse_epoch_double(number, unit);
  if (!decimal.fits) return std::unexpected(TimestampFault::out_of_range);
  if (unit == EpochUnit::by_magnitude) unit = unit_by_magnitude(decimal.whole);

  const bool nanoseconds = unit == EpochUnit::nanoseconds;
  const auto scale = static_cast<std::uint64_t>(us_per(unit));
  const auto millionths = static_cast<std::uint64_t>(decimal.millionths.value);
  const std::uint64_t parts = nanoseconds ? decimal.whole % 1000 : millionths * scale % us_per_second;
  const bool cut = parts != 0 || decimal.millionths.cut || (nanoseconds && millionths != 0);
  std::uint64_t magnitude = 0;
  if (nanoseconds) {
    magnitude = decimal.whole / 1000;
  } else if (__builtin_mul_overflow(decimal.whole, scale, &magnitude) ||
             __builtin_add_overflow(magnitude, millionths * scale / us_per_second, &magnitude)) {
    return std::unexpected(TimestampFault::out_of_range);
  }
  if (magnitude > static_cast<std::uint64_t>(timestamptz_end))
    return std::unexpected(TimestampFault::out_of_range);
  const auto unix_us = static_cast<std::int64_t>(magnitude);
  return from_unix_us(decimal.negative ? -unix_us - (cut ? 1 : 0) : unix_us);
}

}  // namespace wellhead
