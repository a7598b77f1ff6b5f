#include "codec/units.hpp"

#include <algorithm>
#include <array>

namespace wellhead {
namespace {

using enum Dimension;

constexpr double litres_per_barrel = 158.987294928;     // exactly 42 US gallons
constexpr double litres_per_us_gallon = 3.785411784;    // exactly
constexpr double litres_per_cubic_foot = 28.316846592;  // exactly
constexpr double minutes_per_day = 1440;
constexpr double pascals_per_psi = 6894.757293168361;  // 4.4482216152605 N / 0.00064516 m²

constexpr auto units = std::to_array<Unit>({
    // base: °C
    {"degC", temperature, 0, 1, 1},
    {"C", temperature, 0, 1, 1},
    {"c", temperature, 0, 1, 1},
    {"°C", temperature, 0, 1, 1},
    {"celsius", temperature, 0, 1, 1},
    {"Celsius", temperature, 0, 1, 1},
    {"deg C", temperature, 0, 1, 1},
    {"℃", temperature, 0, 1, 1},
    {"degF", temperature, -32, 5, 9},
    {"F", temperature, -32, 5, 9},
    {"f", temperature, -32, 5, 9},
    {"°F", temperature, -32, 5, 9},
    {"fahrenheit", temperature, -32, 5, 9},
    {"Fahrenheit", temperature, -32, 5, 9},
    {"deg F", temperature, -32, 5, 9},
    {"℉", temperature, -32, 5, 9},
    {"K", temperature, -273.15, 1, 1},
    {"kelvin", temperature, -273.15, 1, 1},
    {"Kelvin", temperature, -273.15, 1, 1},
    {"degR", temperature, -491.67, 5, 9},
    {"°R", temperature, -491.67, 5, 9},
    // base: Pa
    {"Pa", pressure, 0, 1, 1},
    {"hPa", pressure, 0, 100, 1},
    {"kPa", pressure, 0, 1e3, 1},
    {"MPa", pressure, 0, 1e6, 1},
    {"mbar", pressure, 0, 100, 1},
    {"bar", pressure, 0, 1e5, 1},
    {"atm", pressure, 0, 101'325, 1},
    {"psi", pressure, 0, pascals_per_psi, 1},
    {"PSI", pressure, 0, pascals_per_psi, 1},
    {"psia", pressure, 0, pascals_per_psi, 1},
    {"kpsi", pressure, 0, 1000 * pascals_per_psi, 1},
    {"ksi", pressure, 0, 1000 * pascals_per_psi, 1},
    {"kgf/cm2", pressure, 0, 98'066.5, 1},
    {"kgf/cm²", pressure, 0, 98'066.5, 1},
    // base: litres a day
    {"bbl/day", flow, 0, litres_per_barrel, 1},
    {"bbl/d", flow, 0, litres_per_barrel, 1},
    {"bpd", flow, 0, litres_per_barrel, 1},
    {"BPD", flow, 0, litres_per_barrel, 1},
    {"bopd", flow, 0, litres_per_barrel, 1},
    {"stb/day", flow, 0, litres_per_barrel, 1},
    {"stb/d", flow, 0, litres_per_barrel, 1},
    {"bbl/h", flow, 0, 24 * litres_per_barrel, 1},
    {"bbl/hr", flow, 0, 24 * litres_per_barrel, 1},
    {"m3/day", flow, 0, 1000, 1},
    {"m3/d", flow, 0, 1000, 1},
    {"m³/day", flow, 0, 1000, 1},
    {"m³/d", flow, 0, 1000, 1},
    {"m^3/day", flow, 0, 1000, 1},
    {"m3/h", flow, 0, 24'000, 1},
    {"m³/h", flow, 0, 24'000, 1},
    {"m3/s", flow, 0, 86'400'000, 1},
    {"m³/s", flow, 0, 86'400'000, 1},
    {"l/min", flow, 0, minutes_per_day, 1},
    {"L/min", flow, 0, minutes_per_day, 1},
    {"l/s", flow, 0, minutes_per_day * 60, 1},
    {"L/s", flow, 0, minutes_per_day * 60, 1},
    {"gpm", flow, 0, litres_per_us_gallon* minutes_per_day, 1},
    {"gal/min", flow, 0, litres_per_us_gallon* minutes_per_day, 1},
    // base: mm/s
    {"mm/s", speed, 0, 1, 1},
    {"cm/s", speed, 0, 10, 1},
    {"m/s", speed, 0, 1000, 1},
    {"in/s", speed, 0, 25.4, 1},
    {"ips", speed, 0, 25.4, 1},
    {"inch/s", speed, 0, 25.4, 1},
    {"ft/s", speed, 0, 304.8, 1},
    // base: m/s²
    {"m/s2", acceleration, 0, 1, 1},
    {"m/s²", acceleration, 0, 1, 1},
    {"g", acceleration, 0, 9.80665, 1},
    {"mg", acceleration, 0, 9.80665, 1000},
    {"ft/s2", acceleration, 0, 0.3048, 1},
    // base: A
    {"A", current, 0, 1, 1},
    {"amp", current, 0, 1, 1},
    {"amps", current, 0, 1, 1},
    {"mA", current, 0, 1, 1000},
    {"kA", current, 0, 1000, 1},
    // base: V
    {"V", voltage, 0, 1, 1},
    {"mV", voltage, 0, 1, 1000},
    {"kV", voltage, 0, 1000, 1},
    // base: W
    {"W", power, 0, 1, 1},
    {"kW", power, 0, 1000, 1},
    {"MW", power, 0, 1e6, 1},
    {"hp", power, 0, 745.6998715822702, 1},
    {"HP", power, 0, 745.6998715822702, 1},
    // base: 1/min
    {"1/min", frequency, 0, 1, 1},
    {"rpm", frequency, 0, 1, 1},
    {"RPM", frequency, 0, 1, 1},
    {"r/min", frequency, 0, 1, 1},
    {"Hz", frequency, 0, 60, 1},
    {"1/s", frequency, 0, 60, 1},
    {"kHz", frequency, 0, 60'000, 1},
    // base: mm
    {"mm", length, 0, 1, 1},
    {"cm", length, 0, 10, 1},
    {"m", length, 0, 1000, 1},
    {"km", length, 0, 1e6, 1},
    {"in", length, 0, 25.4, 1},
    {"ft", length, 0, 304.8, 1},
    // base: volume of gas per volume of liquid
    {"m3/m3", gas_liquid_ratio, 0, 1, 1},
    {"m³/m³", gas_liquid_ratio, 0, 1, 1},
    {"sm3/sm3", gas_liquid_ratio, 0, 1, 1},
    {"scf/stb", gas_liquid_ratio, 0, litres_per_cubic_foot, litres_per_barrel},
    {"Mscf/bbl", gas_liquid_ratio, 0, 1000 * litres_per_cubic_foot, litres_per_barrel},
    {"scf/bbl", gas_liquid_ratio, 0, litres_per_cubic_foot, litres_per_barrel},
    // base: 1
    {"1", ratio, 0, 1, 1},
    {"%", ratio, 0, 1, 100},
    {"percent", ratio, 0, 1, 100},
});

}  // namespace

std::span<const Unit> all_units() noexcept {
  return units;
}

const Unit* find_unit(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(units, name, &Unit::name);
  return found == units.end() ? nullptr : found;
}

}  // namespace wellhead
