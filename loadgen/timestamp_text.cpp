#include "loadgen/timestamp_text.hpp"

#include <chrono>

#include "loadgen/decimal_text.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::int64_t microseconds_per_second = 1'000'000;
constexpr std::int64_t seconds_per_day = 86'400;

// Takes `digits` digits from the front of `text`; -1 when they are not there.
int take_digits(std::string_view& text, std::size_t digits) noexcept {
  if (text.size() < digits) return -1;
  int value = 0;
  for (std::size_t index = 0; index < digits; ++index) {
    const char character = text[index];
    if (character < '0' || character > '9') return -1;
    value = value * 10 + (character - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char wanted) noexcept {
  if (text.empty() || text.front() != wanted) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::int64_t> take_date(std::string_view& text) noexcept {
  const int year = take_digits(text, 4);
  if (year < 0 || !take(text, '-')) return std::nullopt;
  const int month = take_digits(text, 2);
  if (month < 0 || !take(text, '-')) return std::nullopt;
  const int day = take_digits(text, 2);
  if (day < 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count() * seconds_per_day;
}

std::optional<std::int64_t> take_time_of_day(std::string_view& text) noexcept {
  const int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ':')) return std::nullopt;
  const int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59 || !take(text, ':')) return std::nullopt;
  const int second = take_digits(text, 2);
  if (second < 0 || second > 59) return std::nullopt;
  return hour * 3'600 + minute * 60 + second;
}

std::optional<std::int64_t> take_fraction_us(std::string_view& text) noexcept {
  if (!take(text, '.')) return 0;
  std::int64_t fraction = 0;
  std::int64_t weight = microseconds_per_second;
  std::size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits) {
    weight /= 10;
    fraction += weight * (text.front() - '0');
  }
  if (digits == 0) return std::nullopt;
  return fraction;
}

std::optional<std::int64_t> take_offset_s(std::string_view& text) noexcept {
  if (take(text, 'Z') || take(text, 'z')) return 0;
  const int sign = take(text, '+') ? 1 : take(text, '-') ? -1 : 0;
  const int hour = sign == 0 ? -1 : take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take(text, ':')) return std::nullopt;
  const int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59) return std::nullopt;
  return sign * (hour * 3'600 + minute * 60);
}

}  // namespace

char* TimestampWriter::write(std::int64_t unix_us, char* out) noexcept {
  const std::int64_t second = unix_us / microseconds_per_second;
  if (second != second_) {
    second_ = second;
    const std::chrono::sys_seconds moment{std::chrono::seconds{second}};
    const auto day = std::chrono::floor<std::chrono::days>(moment);
    const std::chrono::year_month_day date{day};
    const auto of_day = static_cast<std::uint64_t>((moment - day).count());
    char* text = write_padded(static_cast<std::uint64_t>(static_cast<int>(date.year())), 4, prefix_.data());
    *text++ = '-';
    text = write_pair(static_cast<unsigned>(date.month()), text);
    *text++ = '-';
    text = write_pair(static_cast<unsigned>(date.day()), text);
    *text++ = 'T';
    text = write_pair(of_day / 3'600, text);
    *text++ = ':';
    text = write_pair(of_day / 60 % 60, text);
    *text++ = ':';
    write_pair(of_day % 60, text);
  }
  std::memcpy(out, prefix_.data(), prefix_.size());
  out += prefix_.size();
  *out++ = '.';
  out = write_padded(static_cast<std::uint64_t>(unix_us % microseconds_per_second), 6, out);
  *out++ = 'Z';
  return out;
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) noexcept {
  const auto date_s = take_date(text);
  if (!date_s || !(take(text, 'T') || take(text, 't') || take(text, ' '))) return std::nullopt;
  const auto time_s = take_time_of_day(text);
  if (!time_s) return std::nullopt;
  const auto fraction_us = take_fraction_us(text);
  if (!fraction_us) return std::nullopt;
  const auto offset_s = take_offset_s(text);
  if (!offset_s || !text.empty()) return std::nullopt;
  return (*date_s + *time_s - *offset_s) * microseconds_per_second + *fraction_us;
}

}  // namespace wellhead::loadgen
