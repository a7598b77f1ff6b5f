// What simulated wells measure: domain.md's typical ranges, a level of its own for each well, slow drift and
// noise.
//
// A reading is a pure function of (seed, well, sequence), in whole numbers only, so that the verifier
// computes the same value again, bit for bit, hours later and on another thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "loadgen/options.hpp"

namespace wellhead::loadgen {

// A column of real numbers and where its values lie. Values are whole numbers in units of 10^-decimals.
struct FieldSpec {
  std::string_view name;
  std::uint32_t low;
  std::uint32_t high;
  unsigned decimals;
};

inline constexpr std::size_t fields_max = 8;
// One value per field of the stream, in units of its 10^-decimals.
using Reading = std::array<std::uint32_t, fields_max>;

// What a diagnostic result says besides its confidence.
struct Diagnosis {
  std::string_view severity;
  std::string_view text;
};

// The value a reading's text stands for: 10^decimals is exact in a double, so the quotient is the double
// nearest to the decimal number, as a correct JSON parser reads it.
[[nodiscard]] double decimal_value(std::uint32_t scaled, unsigned decimals) noexcept;

// Immutable; any thread.
class WellModel {
 public:
  WellModel(StreamKind stream, std::uint64_t seed);

  [[nodiscard]] std::span<const FieldSpec> fields() const noexcept { return fields_; }
  void read(std::uint32_t well, std::uint64_t sequence, Reading& reading) const noexcept;
  [[nodiscard]] Diagnosis diagnose(std::uint32_t well, std::uint64_t sequence) const noexcept;

 private:
  [[nodiscard]] std::uint64_t well_hash(std::uint32_t well) const noexcept;

  std::span<const FieldSpec> fields_;
  std::uint64_t seed_;
};

// Spreads the bits of `value` over all 64 (the finalizer of splitmix64).
[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t value) noexcept {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EB;
  return value ^ (value >> 31U);
}

}  // namespace wellhead::loadgen
