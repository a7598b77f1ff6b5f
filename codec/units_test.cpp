#include "codec/units.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace wellhead {
namespace {

double converted(double value, std::string_view from, std::string_view to) {
  const Unit* const source = find_unit(from);
  const Unit* const target = find_unit(to);
  EXPECT_NE(source, nullptr) << from;
  EXPECT_NE(target, nullptr) << to;
  return source == nullptr || target == nullptr ? 0 : convert(value, *source, *target);
}

TEST(units, convert_temperatures_exactly_at_the_fixed_points) {
  EXPECT_EQ(converted(212, "F", "degC"), 100);
  EXPECT_EQ(converted(32, "degF", "C"), 0);
  EXPECT_EQ(converted(-40, "°F", "°C"), -40);
  EXPECT_EQ(converted(100, "degC", "degF"), 212);
  EXPECT_EQ(converted(273.15, "K", "degC"), 0);
  EXPECT_NEAR(converted(0, "K", "degF"), -459.67, 1e-9);
}

TEST(units, convert_what_an_oil_field_measures) {
  EXPECT_NEAR(converted(1, "bar", "psi"), 14.503773773, 1e-8);
  EXPECT_NEAR(converted(100, "kPa", "bar"), 1, 1e-12);
  EXPECT_NEAR(converted(1, "MPa", "psi"), 145.03773773, 1e-7);
  EXPECT_NEAR(converted(1, "m3/day", "bbl/day"), 6.28981077, 1e-7);
  EXPECT_NEAR(converted(1, "m3/h", "m3/day"), 24, 1e-12);
  EXPECT_NEAR(converted(1, "l/min", "m3/day"), 1.44, 1e-12);
  EXPECT_EQ(converted(25.4, "mm/s", "in/s"), 1);
  EXPECT_EQ(converted(1500, "mA", "A"), 1.5);
  EXPECT_EQ(converted(50, "Hz", "rpm"), 3000);
  EXPECT_NEAR(converted(300, "scf/bbl", "m3/m3"), 53.43, 0.01);
}

TEST(units, survive_the_way_there_and_back) {
  for (const Unit& unit : all_units()) {
    for (const Unit& other : all_units()) {
      if (unit.dimension != other.dimension) continue;
      for (const double value : {-123.456, 0.0, 0.001, 1.0, 98765.4321}) {
        EXPECT_NEAR(convert(convert(value, unit, other), other, unit), value, 1e-12 * (1 + std::abs(value)))
            << unit.name << " " << other.name;
      }
    }
  }
}

TEST(units, have_each_name_once) {
  std::set<std::string_view> names;
  for (const Unit& unit : all_units()) EXPECT_TRUE(names.insert(unit.name).second) << unit.name;
}

TEST(units, know_the_spellings_in_use) {
  EXPECT_EQ(converted(77, "℉", "℃"), 25);
  EXPECT_NEAR(converted(1, "MPa", "kpsi"), 0.14503773773, 1e-10);
  EXPECT_NEAR(converted(1, "m³/d", "bpd"), 6.28981077, 1e-7);
  EXPECT_NEAR(converted(1, "kgf/cm2", "psi"), 14.2233433, 1e-6);
  EXPECT_NEAR(converted(1, "scf/stb", "scf/bbl"), 1, 1e-15);
  EXPECT_NEAR(converted(491.67, "degR", "degC"), 0, 1e-12);
}

TEST(units, have_names_whose_case_counts) {
  EXPECT_EQ(find_unit("mpa"), nullptr);
  EXPECT_EQ(find_unit("Furlong"), nullptr);
  EXPECT_EQ(find_unit(""), nullptr);
  EXPECT_TRUE(find_unit("F")->same_scale(*find_unit("degF")));
  EXPECT_FALSE(find_unit("F")->same_scale(*find_unit("C")));
  EXPECT_FALSE(find_unit("A")->same_scale(*find_unit("V")));
}

}  // namespace
}  // namespace wellhead
