// Numbers to text on the path of every record: fixed decimals from whole numbers, two digits at a time.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace wellhead::loadgen {

// "00" "01" … "99"
inline constexpr std::array<char, 200> digit_pairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t value = 0; value < 100; ++value) {
    pairs[2 * value] = static_cast<char>('0' + value / 10);
    pairs[2 * value + 1] = static_cast<char>('0' + value % 10);
  }
  return pairs;
}();

inline char* write_pair(std::uint64_t value_below_100, char* out) noexcept {
  std::memcpy(out, &digit_pairs[2 * value_below_100], 2);
  return out + 2;
}

// Exactly `digits` digits, with leading zeros.
inline char* write_padded(std::uint64_t value, unsigned digits, char* out) noexcept {
  unsigned position = digits;
  for (; position >= 2; position -= 2) {
    write_pair(value % 100, out + position - 2);
    value /= 100;
  }
  if (position == 1) out[0] = static_cast<char>('0' + value % 10);
  return out + digits;
}

[[nodiscard]] constexpr unsigned decimal_digits(std::uint64_t value) noexcept {
  unsigned digits = 1;
  for (; value >= 10; value /= 10) ++digits;
  return digits;
}

inline char* write_unsigned(std::uint64_t value, char* out) noexcept {
  return write_padded(value, decimal_digits(value), out);
}

// `scaled` / 10^decimals, with exactly that many decimals.
inline char* write_fixed(std::uint32_t scaled, unsigned decimals, char* out) noexcept {
  std::array<char, 12> digits;
  std::size_t first = digits.size();
  std::uint32_t rest = scaled;
  for (; rest >= 100; rest /= 100) write_pair(rest % 100, &digits[first -= 2]);
  write_pair(rest, &digits[first -= 2]);
  if (rest < 10) ++first;                                              // drop the pair's leading zero …
  while (digits.size() - first < decimals + 1) digits[--first] = '0';  // … unless the whole part needs one
  const std::size_t whole = digits.size() - first - decimals;
  std::memcpy(out, &digits[first], whole);
  if (decimals == 0) return out + whole;
  out[whole] = '.';
  std::memcpy(out + whole + 1, &digits[first + whole], decimals);
  return out + whole + 1 + decimals;
}

}  // namespace wellhead::loadgen
