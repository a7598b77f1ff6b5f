// Four fields at a time (scoring/lanes.hpp), so there are no branches: a condition is a choice between two
// values, and what is written is written for every lane.
#include "scoring/judge.hpp"

#include <algorithm>
#include <cmath>

#include "scoring/lanes.hpp"
#include "scoring/moments.hpp"

namespace wellhead {
namespace {

// The outer part of the tail: this share of all |z|.
constexpr float tail_share = 0.05F;
// The threshold aims at half of what may be flagged; the other half is for what calibration lags behind.
constexpr double aim = 0.5;
constexpr float threshold_highest = 40;
constexpr float caution_gain = 0.001F;
constexpr float caution_max = 10;
constexpr float tail_start_min = 1.2F;
constexpr float tail_excess_min = 0.3F;
// The tail moves fast at first, then by a fiftieth at a time.
constexpr float tail_gain_min = 0.02F;
constexpr float tail_gain_max = 0.3F;
constexpr float tail_start_readings = 5;
constexpr float tail_excess_readings = 10;
// No excess teaches more than up to twice the threshold.
constexpr float tail_limit = 2;
// The first anomalous reading of a row of them moves the moments like one at three standard deviations, the
// others hardly: a fault must not become the baseline while it lasts.
constexpr float first_limit = 3;
constexpr float repeated_limit = 0.5F;
// Fewer readings say nothing about a deviation.
constexpr float deviations_known_after = 8;
// Of the usual length of runs, at each change.
constexpr float usual_kept = 0.99F;
constexpr float usual_growth = 8;

using lanes::absolute;
using lanes::all;
using lanes::choose;
using lanes::Doubles;
using lanes::Floats;
using lanes::larger;
using lanes::load;
using lanes::Mask;
using lanes::narrow;
using lanes::smaller;
using lanes::store;
using lanes::widen;
static_assert(lanes::lane_count == group_fields);

// What a reading looks like beside what is known.
struct Sight {
  Doubles value;  // 0 where there is none
  Doubles deviation;
  Floats standard_deviation;
  Floats z;  // 0 where it is not known
  Floats threshold;
  Mask present;
  Mask known;
  Mask over;
  Mask inconsistent;
  Mask warming_up;
};

[[gnu::always_inline]] inline Sight look(const FieldGroup& group, Doubles anchor, const GroupReading& reading,
                                         const JudgeLimits& limits) noexcept {
  Sight sight;
  const Doubles value = load(reading.value);
  const Doubles mean = load(group.mean);
  sight.present = lanes::within(value, all(judged_value_max));
  sight.value = choose(sight.present, value, all(0.0));
  sight.deviation = choose(sight.present, (value - anchor) - mean, all(0.0));
  const Floats away = absolute(narrow(sight.deviation));
  const Floats count = load(group.count);
  sight.standard_deviation = lanes::square_root(narrow(load(group.variance)));
  sight.known = (count >= deviations_known_after) & (sight.standard_deviation > 0);
  sight.z = choose(sight.known, away / choose(sight.known, sight.standard_deviation, all(1.0F)), all(0.0F));
  const Floats calibrated =
      load(group.caution) * (load(group.tail_start) + load(group.tail_excess) * limits.tail_reach);
  sight.threshold = smaller(larger(calibrated, all(limits.z_min)), all(limits.threshold_max));
  const Mask warm = count >= limits.warm_up;
  // Without waiting for the division: the next reading waits for what this one decides.
  sight.over = sight.known & sight.present & warm & (away > sight.threshold * sight.standard_deviation);
  const Floats average = absolute(narrow(anchor + mean));
  sight.inconsistent = sight.present & warm & (away > limits.consistency_ratio * average) &
                       (average > average_deviations_min * sight.standard_deviation);
  sight.warming_up = sight.present & ~warm;
  return sight;
}

[[gnu::always_inline]] inline Floats gain(Floats inverse_count, float readings) noexcept {
  return larger(smaller(readings * inverse_count, all(tail_gain_max)), all(tail_gain_min));
}

[[gnu::always_inline]] inline void learn_tail(FieldGroup& group, const Sight& sight, Mask teaches,
                                              Floats inverse_count) noexcept {
  const Floats start = load(group.tail_start);
  const Floats excess = load(group.tail_excess);
  const Floats z = smaller(sight.z, tail_limit * sight.threshold);
  const Mask beyond = z > start;
  const Floats toward = gain(inverse_count, tail_excess_readings) * (z - start - excess);
  const Floats excess_new = larger(excess + choose(beyond, toward, all(0.0F)), all(tail_excess_min));
  const Floats direction = choose(beyond, all(1.0F), all(0.0F)) - tail_share;
  const Floats factor = 1.0F + gain(inverse_count, tail_start_readings) * direction;
  store(group.tail_excess, choose(teaches, excess_new, excess));
  store(group.tail_start, choose(teaches, larger(start * factor, all(tail_start_min)), start));
}

// Gives the lanes that are stuck.
[[gnu::always_inline]] inline Mask learn_runs(FieldGroup& group, const Sight& sight, Mask equal_last,
                                              const JudgeLimits& limits) noexcept {
  const Mask equal = sight.present & equal_last;
  const Mask changed = sight.present & ~equal_last;
  const Floats same = load(group.same);
  const Floats usual = load(group.usual);
  const Floats changes = load(group.changes);
  const Floats run = choose(changed, all(0.0F), choose(equal, smaller(same + 1.0F, all(readings_max)), same));
  // A run that ended makes runs of its length usual, but a sensor that was stuck once not all at once.
  const Floats ended = smaller(same, 2.0F * usual + usual_growth);
  store(group.same, run);
  store(group.usual, choose(changed, larger(ended, usual * usual_kept), usual));
  store(group.changes, choose(changed, smaller(changes + 1.0F, all(readings_max)), changes));
  return equal & (changes >= stuck_changes_min) & (run >= limits.stuck_after) & (run >= stuck_factor * usual);
}

[[gnu::always_inline]] inline void learn_moments(FieldGroup& group, const Sight& sight, Mask repeated,
                                                 Mask accepted, Doubles weight) noexcept {
  const Floats anomalous_limit = choose(repeated, all(repeated_limit), all(first_limit));
  const Floats deviations = choose(sight.over, anomalous_limit, sight.threshold);
  const Doubles limit =
      choose(sight.known, widen(deviations * sight.standard_deviation), all(4 * judged_value_max));
  const Doubles bounded = larger(smaller(sight.deviation, limit), all(0.0) - limit);
  const Doubles mean_before = load(group.mean);
  const Doubles variance_before = load(group.variance);
  Doubles mean = mean_before;
  Doubles variance = variance_before;
  learn_deviation(mean, variance, bounded, weight, all(1.0));
  // What lasted is the new level; how much the field varies is taken to be as it was.
  mean = choose(accepted, mean_before + sight.deviation, mean);
  store(group.mean, choose(sight.present, mean, mean_before));
  store(group.variance, choose(sight.present & ~accepted, variance, variance_before));
}

[[gnu::always_inline]] inline Mask learn_caution(FieldGroup& group, const Sight& sight, float up,
                                                 float down) noexcept {
  const Floats before = load(group.caution);
  const Floats moved = before * choose(sight.over, all(up), all(down));
  const Floats bounded = smaller(larger(moved, all(1.0F)), all(caution_max));
  const Floats caution = choose(sight.present & ~sight.warming_up, bounded, before);
  store(group.caution, caution);
  return caution > 1.0F;
}

}  // namespace

JudgeLimits::JudgeLimits(const ScoringConfig& config, std::uint32_t fields)
    : z_min(static_cast<float>(config.z_min)),
      warm_up(static_cast<float>(std::max(config.warm_up, 1U))),
      patience(static_cast<float>(std::max(config.memory, 2U))),
      stuck_after(static_cast<float>(std::max(config.stuck_after, 1U))),
      consistency_ratio(static_cast<float>(config.consistency_ratio)),
      weight_min(1.0 / std::max(config.memory, 2U)),
      caution_up(1.0F + caution_gain),
      threshold_max(std::max(z_min, threshold_highest)) {
  const double share = std::max(config.false_positives_max, 1e-9) * aim / std::max(fields, 1U);
  // An exponential tail: beyond its start, each mean excess further on leaves 1/e of what was there.
  tail_reach = static_cast<float>(std::max(0.0, std::log(static_cast<double>(tail_share) / share)));
  // Where caution neither grows nor shrinks, cautious fields together flag what may be flagged of the rows.
  for (std::uint32_t cautious = 0; cautious < caution_down.size(); ++cautious)
    caution_down[cautious] =
        1.0F - caution_gain * static_cast<float>(config.false_positives_max / std::max(cautious, 1U));
}

GroupVerdict judge_and_learn(FieldGroup& group, const GroupReading& reading, const GroupRates& rates,
                             const JudgeLimits& limits, float seconds, std::uint32_t had_last,
                             std::uint32_t cautious_fields) noexcept {
  const Floats count = load(group.count);
  const Doubles value = load(reading.value);
  const Mask first = (count == 0) & lanes::within(value, all(judged_value_max));
  const Doubles anchor = choose(first, value, load(group.anchor));
  store(group.anchor, anchor);
  const Sight sight = look(group, anchor, reading, limits);

  const Doubles last = load(group.last);
  const Floats change = absolute(narrow(sight.value - last));
  const float change_seconds = seconds > 0 ? seconds : std::numeric_limits<float>::infinity();
  const Mask quick = sight.present & (change > load(rates.rate_max) * change_seconds);

  const Floats streak_before = load(group.streak);
  const Mask repeated = sight.over & (streak_before > 0);
  const Floats streak = choose(sight.over, streak_before + 1.0F, larger(streak_before - 1.0F, all(0.0F)));
  const Mask accepted = streak >= limits.patience;
  const Floats count_next = smaller(count + 1.0F, all(readings_max));
  const Doubles inverse_count = all(1.0) / widen(count_next);

  learn_tail(group, sight, sight.present & sight.known & ~repeated, narrow(inverse_count));
  learn_moments(group, sight, repeated, accepted, larger(inverse_count, all(limits.weight_min)));
  const Mask cautious = learn_caution(group, sight, limits.caution_up, limits.caution_down[cautious_fields]);
  const Mask stuck = learn_runs(group, sight, lanes::equal(sight.value, last) & (count > 0), limits);
  const Floats streak_after = choose(accepted, all(0.0F), streak);
  const Floats count_after = choose(accepted, all(accepted_count), count_next);
  store(group.streak, choose(sight.present, streak_after, streak_before));
  store(group.count, choose(sight.present, count_after, count));
  store(group.last, choose(sight.present, sight.value, last));
  return {lanes::bits_of(sight.over),       lanes::bits_of(sight.inconsistent), lanes::bits_of(stuck),
          lanes::bits_of(quick) & had_last, lanes::bits_of(sight.warming_up),   lanes::bits_of(cautious)};
}

GroupVerdict judge(const FieldGroup& group, const GroupReading& reading, const JudgeLimits& limits) noexcept {
  const Sight sight = look(group, load(group.anchor), reading, limits);
  GroupVerdict verdict;
  verdict.anomalous = lanes::bits_of(sight.over);
  verdict.inconsistent = lanes::bits_of(sight.inconsistent);
  verdict.warming_up = lanes::bits_of(sight.warming_up);
  return verdict;
}

}  // namespace wellhead
