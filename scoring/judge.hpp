// Whether readings are usual for their device, by the statistics of four fields at a time. docs/scoring.md
// has the model and the figures the constants come from.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "codec/quality.hpp"
#include "codec/schema.hpp"
#include "scoring/field_group.hpp"

namespace wellhead {

// A value further from zero is judged as this one and teaches nothing: squares of larger ones do not fit a
// float.
inline constexpr double judged_value_max = 1e18;
// What follows from it for a variance, and more than the tail's numbers and caution ever are.
inline constexpr double judged_variance_max = 16 * judged_value_max * judged_value_max;
inline constexpr float tail_number_max = 1e6F;
// A field's baseline that is accepted anew after a lasting change is as sure of itself as after so many.
inline constexpr float accepted_count = 20;
// A field that hardly ever changes is not stuck when it does not.
inline constexpr float stuck_changes_min = 16;
// Longer than so many times the longest usual run.
inline constexpr float stuck_factor = 8;

// Numbers of a stream's ScoringConfig as the judge uses them.
struct JudgeLimits {
  // `fields`: scored ones of the stream, 1 or more.
  JudgeLimits(const ScoringConfig& config, std::uint32_t fields);

  float z_min;
  float tail_reach;  // how many mean excesses beyond the tail's start the threshold lies
  float warm_up;
  float judged_after;  // readings after which |z| is: the warm-up, and enough for a deviation
  float patience;      // anomalous readings after which they are the new normal
  float stuck_after;
  float consistency_ratio;
  double weight_min;  // of a new reading
  float caution_up;
  float threshold_max;
  double outlier_factor;  // of the first three, one so many times as far from the others as they are alike
  // Factors of caution for a reading that is not anomalous, by the number of the device's cautious fields.
  std::array<float, scored_fields_max + 1> caution_down;
};

// Readings of four fields. A missing one is not a number.
struct GroupReading {
  double value[group_fields];
};
inline constexpr double missing_reading = std::numeric_limits<double>::quiet_NaN();

// Most change a second, by lane; infinite where there is no limit.
struct GroupRates {
  float rate_max[group_fields];
};

// Bit i of each is lane i.
struct GroupVerdict {
  std::uint32_t anomalous = 0;
  std::uint32_t inconsistent = 0;
  std::uint32_t stuck = 0;
  std::uint32_t quick = 0;
  std::uint32_t warming_up = 0;
  std::uint32_t cautious = 0;  // after the reading
  std::uint32_t taught = 0;    // judge_and_learn() only
};

// Judges a reading `seconds` after the device's one before and learns from it. `seconds` of 0: the rate is
// not judged, and so it is for lanes that are not in `had_last`.
[[nodiscard]] GroupVerdict judge_and_learn(FieldGroup& group, const GroupReading& reading,
                                           const GroupRates& rates, const JudgeLimits& limits, float seconds,
                                           std::uint32_t had_last, std::uint32_t cautious_fields) noexcept;
// Judges by |z| and consistency only, and learns nothing.
[[nodiscard]] GroupVerdict judge(const FieldGroup& group, const GroupReading& reading,
                                 const JudgeLimits& limits) noexcept;

}  // namespace wellhead
