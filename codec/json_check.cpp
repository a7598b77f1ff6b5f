#include "codec/json_check.hpp"

#include <algorithm>
#include <charconv>

#include "codec/body_framing.hpp"

namespace wellhead {
namespace {

// What PostgreSQL's numeric holds (documentation, "Arbitrary Precision Numbers"). Slightly stricter at the
// edge: leading and trailing zeros count.
constexpr std::int64_t numeric_whole_digits_max = 131'072;
constexpr std::int64_t numeric_fraction_digits_max = 16'383;
constexpr std::int64_t exponent_clamp = 1'000'000;  // past both limits; keeps the sum from overflowing

constexpr bool is_digit(char byte) noexcept {
  return static_cast<unsigned char>(byte - '0') < 10;
}
// The value of four hexadecimal digits, or -1.
std::int32_t hex4(const char* at, const char* end) noexcept {
  if (end - at < 4) return -1;
  std::int32_t value = 0;
  for (int place = 0; place < 4; ++place) {
    const char byte = at[place];
    const char lower = static_cast<char>(byte | 0x20);
    if (is_digit(byte)) {
      value = value * 16 + (byte - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + (lower - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

// One escape after its backslash: the code point it stands for and where it ends.
struct Escape {
  JsonFault fault = JsonFault::none;
  std::uint32_t code_point = 0;
  const char* end = nullptr;
};

constexpr bool is_high_surrogate(std::int32_t unit) noexcept {
  return unit >= 0xD800 && unit < 0xDC00;
}
constexpr bool is_low_surrogate(std::int32_t unit) noexcept {
  return unit >= 0xDC00 && unit < 0xE000;
}

Escape read_unicode_escape(const char* at, const char* end) noexcept {
  const std::int32_t first = hex4(at, end);
  if (first < 0) return {JsonFault::malformed};
  at += 4;
  if (first == 0) return {JsonFault::nul_character, 0, at};
  if (is_low_surrogate(first)) return {JsonFault::lone_surrogate, 0, at};
  if (!is_high_surrogate(first)) return {JsonFault::none, static_cast<std::uint32_t>(first), at};
  if (end - at < 2 || at[0] != '\\' || at[1] != 'u') return {JsonFault::lone_surrogate, 0, at};
  const std::int32_t second = hex4(at + 2, end);
  if (second < 0) return {JsonFault::malformed};
  if (!is_low_surrogate(second)) return {JsonFault::lone_surrogate, 0, at};
  const auto code_point = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  return {JsonFault::none, static_cast<std::uint32_t>(code_point), at + 6};
}

// REQUIRES at < end.
Escape read_escape(const char* at, const char* end) noexcept {
  switch (*at) {
    case '"':
      return {JsonFault::none, '"', at + 1};
    case '\\':
      return {JsonFault::none, '\\', at + 1};
    case '/':
      return {JsonFault::none, '/', at + 1};
    case 'b':
      return {JsonFault::none, '\b', at + 1};
    case 'f':
      return {JsonFault::none, '\f', at + 1};
    case 'n':
      return {JsonFault::none, '\n', at + 1};
    case 'r':
      return {JsonFault::none, '\r', at + 1};
    case 't':
      return {JsonFault::none, '\t', at + 1};
    case 'u':
      return read_unicode_escape(at + 1, end);
    default:
      return {JsonFault::malformed};
  }
}

char* put_utf8(char* out, std::uint32_t code_point) noexcept {
  const auto put = [&out](std::uint32_t byte) { *out++ = static_cast<char>(byte); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
  return out;
}

class Checker {
 public:
  Checker(std::string_view text, std::uint32_t depth_max, JsonPurpose purpose) noexcept
      : at_(text.data()), end_(at_ + text.size()), depth_max_(depth_max), purpose_(purpose) {}

  JsonFault run() noexcept {
    skip_space();
    value(0);
    skip_space();
    if (fault_ == JsonFault::none && at_ != end_) fail(JsonFault::malformed);
    return fault_;
  }

  bool run_number() noexcept {
    number();
    return fault_ == JsonFault::none && at_ == end_;
  }

  // How many digits a number has before its decimal point once the exponent is applied; negative: zeros
  // behind it.
  std::int64_t run_magnitude() noexcept {
    take('-');
    const char* const whole = at_;
    const std::int64_t whole_digits = digits();
    std::int64_t zeros = std::find_if(whole, at_, [](char digit) { return digit != '0'; }) - whole;
    if (take('.')) {
      const char* const fraction = at_;
      digits();
      if (zeros == whole_digits) {
        zeros += std::find_if(fraction, at_, [](char digit) { return digit != '0'; }) - fraction;
      }
    }
    return whole_digits - zeros + exponent();
  }

 private:
  // The first fault stays, except that a broken text is worse than one that PostgreSQL refuses.
  void fail(JsonFault fault) noexcept {
    if (fault_ == JsonFault::none || fault == JsonFault::malformed) fault_ = fault;
  }
  [[nodiscard]] bool stopped() const noexcept {
    return fault_ == JsonFault::malformed || fault_ == JsonFault::too_deep;
  }
  [[nodiscard]] char peek() const noexcept { return at_ == end_ ? '\0' : *at_; }
  void skip_space() noexcept {
    while (at_ != end_ && is_json_space(*at_)) ++at_;
  }
  bool take(char wanted) noexcept {
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  void literal(std::string_view word) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < word.size() || std::string_view(at_, word.size()) != word) {
      return fail(JsonFault::malformed);
    }
    at_ += word.size();
  }

  std::int64_t digits() noexcept {
    const char* const start = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    if (at_ == start) fail(JsonFault::malformed);
    return at_ - start;
  }

  std::int64_t exponent() noexcept {
    if (!take('e') && !take('E')) return 0;
    const bool negative = peek() == '-';
    if (negative || peek() == '+') ++at_;
    const char* digit = at_;
    digits();
    std::int64_t value = 0;
    for (; digit != at_; ++digit) value = std::min(value * 10 + (*digit - '0'), exponent_clamp);
    return negative ? -value : value;
  }

  void number() noexcept {
    take('-');
    const bool leading_zero = peek() == '0';
    const std::int64_t whole = digits();
    if (leading_zero && whole > 1) fail(JsonFault::malformed);
    const std::int64_t fraction = take('.') ? digits() : 0;
    const std::int64_t power = exponent();
    if (purpose_ == JsonPurpose::jsonb &&
        (whole + power > numeric_whole_digits_max || fraction - power > numeric_fraction_digits_max)) {
      fail(JsonFault::number_too_large);
    }
  }

  void string() noexcept {
    ++at_;
    while (!stopped()) {
      if (at_ == end_ || static_cast<unsigned char>(*at_) < 0x20) return fail(JsonFault::malformed);
      const char byte = *at_++;
      if (byte == '"') return;
      if (byte == '\\') escape();
    }
  }

  void escape() noexcept {
    if (at_ == end_) return fail(JsonFault::malformed);
    const Escape escape = read_escape(at_, end_);
    if (escape.fault == JsonFault::malformed) return fail(JsonFault::malformed);
    if (purpose_ == JsonPurpose::jsonb && escape.fault != JsonFault::none) fail(escape.fault);
    at_ = escape.end;
  }

  void value(std::uint32_t depth) noexcept {
    switch (peek()) {
      case '{':
        return object(depth + 1);
      case '[':
        return array(depth + 1);
      case '"':
        return string();
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      default:
        return number();
    }
  }

  void array(std::uint32_t depth) noexcept {
    if (depth > depth_max_) return fail(JsonFault::too_deep);
    ++at_;
    skip_space();
    if (take(']')) return;
    do {
      skip_space();
      value(depth);
      skip_space();
    } while (!stopped() && take(','));
    if (!stopped() && !take(']')) fail(JsonFault::malformed);
  }

  void object(std::uint32_t depth) noexcept {
    if (depth > depth_max_) return fail(JsonFault::too_deep);
    ++at_;
    skip_space();
    if (take('}')) return;
    do {
      member(depth);
      skip_space();
    } while (!stopped() && take(','));
    if (!stopped() && !take('}')) fail(JsonFault::malformed);
  }

  void member(std::uint32_t depth) noexcept {
    skip_space();
    if (peek() != '"') return fail(JsonFault::malformed);
    string();
    skip_space();
    if (!take(':')) return fail(JsonFault::malformed);
    skip_space();
    value(depth);
  }

  const char* at_;
  const char* end_;
  std::uint32_t depth_max_;
  JsonPurpose purpose_;
  JsonFault fault_ = JsonFault::none;
};

}  // namespace

JsonFault check_json(std::string_view text, std::uint32_t depth_max, JsonPurpose purpose) noexcept {
  return Checker(text, depth_max, purpose).run();
}

bool is_json_number(std::string_view text) noexcept {
  return Checker(text, 0, JsonPurpose::discard).run_number();
}

std::optional<double> parse_json_number(std::string_view number) noexcept {
  double value = 0;
  if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc{}) return value;
  // Out of a double's range: too large, or so small that zero is nearest.
  if (Checker(number, 0, JsonPurpose::discard).run_magnitude() > 0) return std::nullopt;
  return number.front() == '-' ? -0.0 : 0.0;
}

UnescapeResult unescape_json(std::string_view content, char* out) noexcept {
  const char* at = content.data();
  const char* const end = at + content.size();
  char* const start = out;
  while (at != end) {
    const char* const backslash = std::find(at, end, '\\');
    out = std::copy(at, backslash, out);
    if (backslash == end) break;
    if (backslash + 1 == end) return {JsonFault::malformed, 0};
    const Escape escape = read_escape(backslash + 1, end);
    if (escape.fault != JsonFault::none) return {escape.fault, 0};
    out = put_utf8(out, escape.code_point);
    at = escape.end;
  }
  return {JsonFault::none, static_cast<std::size_t>(out - start)};
}

}  // namespace wellhead
