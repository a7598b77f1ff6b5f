// Units of measurement and the linear conversion between those of one dimension.
//
// Names are matched exactly, case and all, because case carries meaning in units (mPa is not MPa). The
// spellings commonly met are listed as names of their own: "F", "degF", "°F", "fahrenheit".
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace wellhead {

enum class Dimension : std::uint8_t {
  temperature,
  pressure,
  flow,
  speed,
  acceleration,
  current,
  voltage,
  power,
  frequency,
  length,
  gas_liquid_ratio,
  ratio,
};

// A value in the unit is (value + shift) * numerator / denominator in its dimension's base unit. Numerator
// and denominator stay apart so that 212 °F is exactly 100 °C.
struct Unit {
  std::string_view name;
  Dimension dimension;
  double shift;
  double numerator;
  double denominator;

  [[nodiscard]] bool same_scale(const Unit& other) const noexcept {
    return dimension == other.dimension && shift == other.shift && numerator == other.numerator &&
           denominator == other.denominator;
  }
};

// Null when there is no such unit. The units live as long as the process.
[[nodiscard]] const Unit* find_unit(std::string_view name) noexcept;
// All of them, those of one dimension together.
[[nodiscard]] std::span<const Unit> all_units() noexcept;

// REQUIRES both of the same dimension. May overflow to infinity.
[[nodiscard]] inline double convert(double value, const Unit& from, const Unit& to) noexcept {
  const double base = (value + from.shift) * from.numerator / from.denominator;
  return base * to.denominator / to.numerator - to.shift;
}

}  // namespace wellhead
