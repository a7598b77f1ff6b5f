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
// Fewer readings say nothing about a deviation; they move the moments by up to twice the threshold.
constexpr float deviations_known_after = 8;
constexpr float young_limit = 2;
// The first two readings, which nothing can be compared with yet, are looked at again with the third.
constexpr float compared_after = 2;
// While all readings of a new field were equal, one that differs moves it by this share of them, at most.
constexpr float unknown_limit = 0.1F;
constexpr float unlimited = 4e18F;
static_assert(unlimited > 2 * judged_value_max);
// A field that changes less often than this rests: it is not known to vary by less than a thousandth.
constexpr float rest_factor = 16;
constexpr float rest_deviation = 1e-3F;
// Less than any sensor resolves, and more than zero.
constexpr float deviation_min = 1e-30F;
// Of the usual length of runs, at each change.
constexpr float usual_kept = 0.99F;
constexpr float usual_growth = 8;

constexpr std::uint32_t all_lanes = (1U << group_fields) - 1;

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
  Doubles value;  // no further from zero than is judged; 0 where there is none
  Doubles deviation;
  Floats average;  // of what is known, without its sign
  Mask rests;
  Floats standard_deviation;  // above 0
  Floats z;                   // 0 where it is not known
  Floats threshold;
  Mask judged;   // there is a reading,
  Mask teaches;  // and it is not further from zero than is judged
  Mask scaled;   // the standard deviation is what was measured
  Mask known;
  Mask over;
  Mask inconsistent;
  Mask warming_up;
};

// All lanes: a value that is judged.
constexpr Mask every_lane = {-1, -1, -1, -1};

[[gnu::always_inline]] inline Sight look(const FieldGroup& group, Doubles value, Mask judged, Mask teaches,
                                         const JudgeLimits& limits) noexcept {
  Sight sight;
  const Doubles anchor = load(group.anchor);
  const Doubles mean = load(group.mean);
  sight.judged = judged;
  sight.teaches = teaches;
  sight.value = value;
  sight.deviation = choose(judged, (value - anchor) - mean, all(0.0));
  const Floats away = absolute(narrow(sight.deviation));
  const Floats count = load(group.count);
  sight.average = absolute(narrow(anchor + mean));
  sight.rests = rest_factor * load(group.changes) < count;
  const Floats resolution = choose(sight.rests, rest_deviation * sight.average, all(0.0F)) + deviation_min;
  const Floats measured = lanes::square_root(narrow(load(group.variance)));
  sight.scaled = measured > resolution;
  sight.standard_deviation = larger(measured, resolution);
  sight.known = (count >= deviations_known_after) & sight.scaled;
  sight.z = choose(sight.known, away / sight.standard_deviation, all(0.0F));
  const Floats calibrated =
      load(group.caution) * (load(group.tail_start) + load(group.tail_excess) * limits.tail_reach);
  sight.threshold = smaller(larger(calibrated, all(limits.z_min)), all(limits.threshold_max));
  const Mask warm = count >= limits.warm_up;
  // Without waiting for the division: the next reading waits for what this one decides.
  sight.over = judged & (count >= limits.judged_after) & (away > sight.threshold * sight.standard_deviation);
  // No share of an average of zero is anything.
  sight.inconsistent =
      judged & warm & (away > limits.consistency_ratio * sight.average) & (sight.average > 0);
  sight.warming_up = judged & ~warm;
  return sight;
}

// For readings of which some are missing, or too far from zero: those are judged as the last that is not.
[[gnu::always_inline]] inline Sight look(const FieldGroup& group, Doubles value,
                                         const JudgeLimits& limits) noexcept {
  const Doubles bound = all(judged_value_max);
  const Mask judged = lanes::equal(value, value);
  const Doubles bounded = larger(smaller(value, bound), all(0.0) - bound);
  return look(group, choose(judged, bounded, all(0.0)), judged, lanes::within(value, bound), limits);
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
[[gnu::always_inline]] inline Mask learn_runs(FieldGroup& group, Mask equal,
                                              const JudgeLimits& limits) noexcept {
  const Floats same = load(group.same);
  const Floats usual = load(group.usual);
  const Floats changes = load(group.changes);
  const Floats run = choose(equal, smaller(same + 1.0F, all(readings_max)), all(0.0F));
  // A run that ended makes runs of its length usual, but a sensor that was stuck once not all at once.
  const Floats ended = smaller(same, 2.0F * usual + usual_growth);
  store(group.same, run);
  store(group.usual, choose(equal, usual, larger(ended, usual * usual_kept)));
  store(group.changes, choose(equal, changes, smaller(changes + 1.0F, all(readings_max))));
  return equal & (changes >= stuck_changes_min) & (run >= limits.stuck_after) & (run >= stuck_factor * usual);
}

// Of a field that is not warm: there are few readings to compare one with. A share of the average is little
// enough for a spike to be outgrown, and more than most fields vary by.
[[gnu::always_inline]] inline Floats limit_while_warming(const FieldGroup& group, const Sight& sight,
                                                         Floats limit) noexcept {
  const Mask young = load(group.count) < deviations_known_after;
  const Floats share = unknown_limit * sight.average;
  const Floats few = choose(young, larger(young_limit * limit, share), limit);
  return choose(sight.scaled, few, share);
}

// The furthest from the mean that a reading counts as being.
template <bool usual>
[[gnu::always_inline]] inline Floats moving_limit(const FieldGroup& group, const Sight& sight,
                                                  Mask repeated) noexcept {
  if constexpr (usual) return sight.threshold * sight.standard_deviation;
  const Floats anomalous_limit = choose(repeated, all(repeated_limit), all(first_limit));
  const Floats deviations = choose(sight.over, anomalous_limit, sight.threshold);
  const Floats limit = deviations * sight.standard_deviation;
  // Nothing is too far from zero, nor from a single reading, while that is all that was seen.
  const Mask incomparable =
      (load(group.count) < compared_after) | (~sight.scaled & (sight.average <= deviation_min));
  const Floats warming = choose(sight.warming_up, limit_while_warming(group, sight, limit), limit);
  return choose(incomparable, all(unlimited), warming);
}

[[gnu::always_inline]] inline void learn_moments(FieldGroup& group, const Sight& sight, Floats most,
                                                 Doubles weight) noexcept {
  const Doubles limit = widen(most);
  const Doubles bounded = larger(smaller(sight.deviation, limit), all(0.0) - limit);
  Doubles mean = load(group.mean);
  Doubles variance = load(group.variance);
  learn_deviation(mean, variance, bounded, weight, all(1.0));
  store(group.mean, mean);
  store(group.variance, variance);
}

[[gnu::always_inline]] inline Mask learn_caution(FieldGroup& group, const Sight& sight, float up,
                                                 float down) noexcept {
  const Floats before = load(group.caution);
  const Floats moved = before * choose(sight.over, all(up), all(down));
  const Floats bounded = smaller(larger(moved, all(1.0F)), all(caution_max));
  const Floats caution = choose(sight.judged & ~sight.warming_up, bounded, before);
  store(group.caution, caution);
  return caution > 1.0F;
}

// What lasted is the new level; how much the field varies is taken to be as it was. A field that rests is at
// its new level when it rests there.
void accept_lasting(FieldGroup& group, const FieldGroup& before, const Sight& sight,
                    const JudgeLimits& limits) noexcept {
  const Floats streak = load(group.streak);
  const Mask rested = sight.rests & (smaller(streak, load(group.same)) >= limits.stuck_after);
  const Mask accepted = (streak >= limits.patience) | rested;
  if (lanes::bits_of(accepted) == 0) return;
  store(group.anchor, choose(accepted, sight.value, load(group.anchor)));
  store(group.mean, choose(accepted, all(0.0), load(group.mean)));
  store(group.variance, choose(accepted, load(before.variance), load(group.variance)));
  store(group.streak, choose(accepted, all(0.0F), streak));
  store(group.count, choose(accepted, all(accepted_count), load(group.count)));
  store(group.changes, choose(accepted & sight.rests, all(0.0F), load(group.changes)));
}

// The field knows one reading.
void begin_lane(FieldGroup& group, std::uint32_t lane, double reading) noexcept {
  group.anchor[lane] = reading;
  group.mean[lane] = 0;
  group.variance[lane] = 0;
}

// One of the first two readings that is far from the other and from the third, which are alike, is forgotten.
void forget_outlier(FieldGroup& group, std::uint32_t lane, double third, const JudgeLimits& limits) noexcept {
  const double first = group.anchor[lane];
  const double second = group.last[lane];
  const double alike = std::min(std::abs(third - first), std::abs(third - second));
  const double far = std::abs(second - first);
  if (far <= limits.outlier_factor * alike || (alike <= 0 && far <= unknown_limit * std::abs(third))) return;
  begin_lane(group, lane, std::abs(third - first) < std::abs(third - second) ? first : second);
  group.count[lane] = 1;
}

// A field that rests has been at one value for as long as is remembered: that is all there is to know,
// whatever a spike made of its deviation.
void settle(FieldGroup& group, std::uint32_t lane) noexcept {
  const bool rests = rest_factor * group.changes[lane] < group.count[lane];
  if (rests && group.streak[lane] <= 0) begin_lane(group, lane, group.last[lane]);
}

// What only some of a field's readings cause, before they are looked at.
void pass_milestones(FieldGroup& group, const GroupReading& reading, const JudgeLimits& limits) noexcept {
  for (std::uint32_t lane = 0; lane < group_fields; ++lane) {
    const double value = reading.value[lane];
    if (!(std::abs(value) <= judged_value_max)) continue;
    if (group.count[lane] == 0) group.anchor[lane] = value;
    if (group.count[lane] == compared_after) forget_outlier(group, lane, value, limits);
    if (group.same[lane] == limits.patience) settle(group, lane);
  }
}

template <typename Number>
void keep_missing(Number (&lanes)[group_fields], const Number (&before)[group_fields],
                  Mask present) noexcept {
  store(lanes, choose(present, load(lanes), load(before)));
}

// Lanes without a reading learn nothing.
void keep_missing(FieldGroup& group, const FieldGroup& before, Mask present) noexcept {
  keep_missing(group.anchor, before.anchor, present);
  keep_missing(group.mean, before.mean, present);
  keep_missing(group.variance, before.variance, present);
  keep_missing(group.last, before.last, present);
  keep_missing(group.tail_start, before.tail_start, present);
  keep_missing(group.tail_excess, before.tail_excess, present);
  keep_missing(group.caution, before.caution, present);
  keep_missing(group.count, before.count, present);
  keep_missing(group.streak, before.streak, present);
  keep_missing(group.same, before.same, present);
  keep_missing(group.usual, before.usual, present);
  keep_missing(group.changes, before.changes, present);
}

// Learns in all lanes, and gives the verdict on those that have a reading. `usual`: all have one that
// teaches, are warm and not over their thresholds.
template <bool usual>
[[gnu::always_inline]] inline GroupVerdict learn(FieldGroup& group, const Sight& sight,
                                                 const GroupRates& rates, const JudgeLimits& limits,
                                                 float seconds, std::uint32_t had_last,
                                                 std::uint32_t cautious_fields) noexcept {
  const Doubles last = load(group.last);
  const Floats change = absolute(narrow(sight.value - last));
  const float change_seconds = seconds > 0 ? seconds : std::numeric_limits<float>::infinity();
  const Mask quick = sight.judged & (change > load(rates.rate_max) * change_seconds);

  const Floats streak_before = load(group.streak);
  const Mask repeated = sight.over & (streak_before > 0);
  const Floats streak = choose(sight.over, streak_before + 1.0F, larger(streak_before - 1.0F, all(0.0F)));
  const Floats count = smaller(load(group.count) + 1.0F, all(readings_max));
  const Doubles inverse_count = all(1.0) / widen(count);

  const Floats most = moving_limit<usual>(group, sight, repeated);
  learn_tail(group, sight, usual ? sight.known : sight.known & ~repeated, narrow(inverse_count));
  learn_moments(group, sight, most, larger(inverse_count, all(limits.weight_min)));
  const Mask stuck = sight.teaches & learn_runs(group, lanes::equal(sight.value, last), limits);
  store(group.streak, streak);
  store(group.count, count);
  store(group.last, sight.value);
  GroupVerdict verdict{
      lanes::bits_of(sight.over),       lanes::bits_of(sight.inconsistent), lanes::bits_of(stuck),
      lanes::bits_of(quick) & had_last, lanes::bits_of(sight.warming_up),   0,
      lanes::bits_of(sight.teaches)};
  // Most devices are at 1, and stay there.
  if (cautious_fields != 0 || verdict.anomalous != 0)
    verdict.cautious =
        lanes::bits_of(learn_caution(group, sight, limits.caution_up, limits.caution_down[cautious_fields]));
  return verdict;
}

// For readings of which some are missing, anomalous, or of a field that is not warm.
[[gnu::noinline]] GroupVerdict learn_some(FieldGroup& group, const GroupReading& reading,
                                          const GroupRates& rates, const JudgeLimits& limits, float seconds,
                                          std::uint32_t had_last, std::uint32_t cautious_fields) noexcept {
  pass_milestones(group, reading, limits);
  const FieldGroup before = group;
  const Sight sight = look(group, load(reading.value), limits);
  const GroupVerdict verdict = learn<false>(group, sight, rates, limits, seconds, had_last, cautious_fields);
  accept_lasting(group, before, sight, limits);
  keep_missing(group, before, sight.teaches);
  return verdict;
}

}  // namespace

JudgeLimits::JudgeLimits(const ScoringConfig& config, std::uint32_t fields)
    : z_min(static_cast<float>(config.z_min)),
      warm_up(static_cast<float>(std::max(config.warm_up, 1U))),
      judged_after(std::max(warm_up, deviations_known_after)),
      patience(static_cast<float>(std::max(config.memory, 2U))),
      stuck_after(static_cast<float>(std::max(config.stuck_after, 1U))),
      consistency_ratio(static_cast<float>(config.consistency_ratio)),
      weight_min(1.0 / std::max(config.memory, 2U)),
      caution_up(1.0F + caution_gain),
      threshold_max(std::max(z_min, threshold_highest)),
      outlier_factor(8 * config.z_min) {
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
  const Doubles value = load(reading.value);
  const Mask settled = (load(group.count) >= limits.judged_after) & (load(group.same) != limits.patience);
  if (lanes::bits_of(settled & lanes::within(value, all(judged_value_max))) == all_lanes) {
    Sight sight = look(group, value, every_lane, every_lane, limits);
    if (lanes::bits_of(sight.over) == 0) {
      sight.over = Mask{};
      sight.warming_up = Mask{};
      return learn<true>(group, sight, rates, limits, seconds, had_last, cautious_fields);
    }
  }
  return learn_some(group, reading, rates, limits, seconds, had_last, cautious_fields);
}

GroupVerdict judge(const FieldGroup& group, const GroupReading& reading, const JudgeLimits& limits) noexcept {
  const Sight sight = look(group, load(reading.value), limits);
  GroupVerdict verdict;
  verdict.anomalous = lanes::bits_of(sight.over);
  verdict.inconsistent = lanes::bits_of(sight.inconsistent);
  verdict.warming_up = lanes::bits_of(sight.warming_up);
  return verdict;
}

}  // namespace wellhead
