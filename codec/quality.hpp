// What is known of a reading's quality, as the column quality_flags (bigint) holds it:
//
//   bits  0 … 15   reasons that hold for the record as a whole (QualityReason)
//   bits 16 … 30   scored field i (Schema's order) is primary and missing
//   bits 32 … 46   scored field i was out of its range
//   bits 48 … 62   scored field i is unusual for its device: anomalous, inconsistent, stuck or too quick
//
// The decoder finds what one record tells by itself (reasons 0 … 7, missing, out of range) and puts it into
// the row's header. The shard that owns the device adds the rest, computes the score, and writes all three
// computed columns into the end of the tuple.
#pragma once

#include <cstdint>

namespace wellhead {

// Bits of the reasons.
enum class QualityReason : std::uint8_t {
  late = 0,            // older than scoring.late_after on arrival
  clock_ahead = 1,     // further in the future than scoring.ahead_after
  unit_converted = 2,  // a value came in another unit than the record's stream expects
  repaired = 3,        // a value out of range was replaced by NULL; the original is in dead_letter
  unknown_device = 4,  // there are attributes by device, and none for this one
  // From here on found by the shard.
  inconsistent = 8,      // a value is far from the device's recent average
  anomalous = 9,         // |z| above the field's threshold
  stuck = 10,            // a value has not changed for longer than it used to
  changed_quickly = 11,  // a value changed more in a second than the column allows
  out_of_order = 12,     // older than the device's latest reading: it moved no baseline
  warming_up = 13,       // too few readings of the device to judge by
};
inline constexpr std::uint32_t quality_reasons_decoder_end = 8;

// Scored fields of one stream.
inline constexpr std::uint32_t scored_fields_max = 15;

inline constexpr std::uint32_t quality_missing_shift = 16;
inline constexpr std::uint32_t quality_out_of_range_shift = 32;
inline constexpr std::uint32_t quality_unusual_shift = 48;

[[nodiscard]] constexpr std::uint64_t quality_bit(QualityReason reason) noexcept {
  return std::uint64_t{1} << static_cast<std::uint32_t>(reason);
}

// What the decoder found, put together; the masks are by scored field.
[[nodiscard]] constexpr std::uint64_t quality_flags(std::uint8_t reasons, std::uint16_t missing,
                                                    std::uint16_t out_of_range) noexcept {
  return std::uint64_t{reasons} | std::uint64_t{missing} << quality_missing_shift |
         std::uint64_t{out_of_range} << quality_out_of_range_shift;
}

// The formula: 1.0 at the start, and never below 0. Source: the quality model of the original platform's ETL
// service. Missing and out of range cost each time, the others once a record.
inline constexpr double quality_cost_missing = 0.15;
inline constexpr double quality_cost_out_of_range = 0.25;
inline constexpr double quality_cost_inconsistent = 0.20;
inline constexpr double quality_cost_late = 0.10;

// The score of a record with these flags, 0 to 1. A field that was out of range and made NULL is not missing.
[[nodiscard]] constexpr double quality_score(std::uint64_t flags) noexcept {
  const auto count = [flags](std::uint32_t shift) {
    return static_cast<double>(__builtin_popcountll((flags >> shift) & ((1U << scored_fields_max) - 1)));
  };
  double score = 1.0 - quality_cost_missing * count(quality_missing_shift) -
                 quality_cost_out_of_range * count(quality_out_of_range_shift);
  if ((flags & quality_bit(QualityReason::inconsistent)) != 0) score -= quality_cost_inconsistent;
  if ((flags & quality_bit(QualityReason::late)) != 0) score -= quality_cost_late;
  return score > 0 ? score : 0;
}

}  // namespace wellhead
