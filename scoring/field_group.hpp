// What is known of four fields of one device. Four because that is what one vector instruction of every
// x86-64 goes over; a stream's scored fields are rounded up to whole groups, and lanes without a field see
// readings that are missing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wellhead {

inline constexpr std::uint32_t group_fields = 4;

[[nodiscard]] constexpr std::uint32_t groups_of(std::uint32_t fields) noexcept {
  return (fields + group_fields - 1) / group_fields;
}

// Tails before a reading was seen: near the normal distribution's, and a little wary.
inline constexpr float tail_start_initial = 1.96F;
inline constexpr float tail_excess_initial = 0.6F;

// All numbers are finite, variances not negative.
struct alignas(16) FieldGroup {
  double anchor[group_fields] = {};    // the first reading
  double mean[group_fields] = {};      // relative to the anchor
  double variance[group_fields] = {};  // in double like the mean: they gather millions of readings
  double last[group_fields] = {};      // the latest reading

  // The tail of |z|: where its outer part begins, and how far beyond that it reaches on the average.
  float tail_start[group_fields] = {tail_start_initial, tail_start_initial, tail_start_initial,
                                    tail_start_initial};
  float tail_excess[group_fields] = {tail_excess_initial, tail_excess_initial, tail_excess_initial,
                                     tail_excess_initial};
  // Factor of the threshold, 1 or more: grows with each anomaly, shrinks with all else.
  float caution[group_fields] = {1, 1, 1, 1};
  float count[group_fields] = {};    // readings, up to readings_max
  float streak[group_fields] = {};   // anomalous readings less those that were not, 0 or more
  float same[group_fields] = {};     // readings equal to the one before, in a row
  float usual[group_fields] = {};    // how long such runs get
  float changes[group_fields] = {};  // readings not equal to the one before, up to readings_max
};
static_assert(sizeof(FieldGroup) == std::size_t{64} * group_fields,
              "64 bytes a field: docs/scoring.md states it");

// Exact as a float, and more than any memory.
inline constexpr float readings_max = 1 << 24;

}  // namespace wellhead
