// Whole streams of made-up readings: what is ordinary is hardly ever called an anomaly, whatever its noise is
// like, and spikes are found.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <vector>

#include "scoring/judge.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t fields = 8;
constexpr std::uint32_t groups = groups_of(fields);
// Of rows on ordinary data; the configured target is half of it.
constexpr double flagged_max = 0.02;
constexpr double precision_min = 0.7;

// One device with eight fields.
class Judged {
 public:
  // Whether the row has an anomaly.
  bool row(const std::vector<double>& values) {
    bool anomalous = false;
    std::uint32_t cautious = 0;
    for (std::uint32_t group = 0; group < groups; ++group) {
      GroupReading reading;
      for (std::uint32_t lane = 0; lane < group_fields; ++lane)
        reading.value[lane] = static_cast<float>(values[group * group_fields + lane]);
      const GroupVerdict verdict =
          judge_and_learn(groups_[group], reading, no_rates, limits_, 1, 15, cautious_);
      anomalous |= verdict.anomalous != 0;
      cautious += static_cast<std::uint32_t>(__builtin_popcount(verdict.cautious));
    }
    cautious_ = cautious;
    return anomalous;
  }

 private:
  static constexpr float unlimited = std::numeric_limits<float>::infinity();
  static constexpr GroupRates no_rates{{unlimited, unlimited, unlimited, unlimited}};

  JudgeLimits limits_{ScoringConfig{}, fields};
  FieldGroup groups_[groups];
  std::uint32_t cautious_ = 0;
};

struct Noise {
  std::mt19937 random;
  std::normal_distribution<double> normal;
  std::vector<double> levels = std::vector<double>(fields);  // of the field, for what has a past

  double gauss() { return normal(random); }
};

// Value of a field at a reading.
using Signal = std::function<double(Noise&, int reading, std::uint32_t field)>;

struct Ordinary {
  const char* name;
  Signal signal;
};

Signal autoregressive(double memory) {
  return [memory](Noise& noise, int, std::uint32_t field) {
    double& level = noise.levels[field];
    level = memory * level + std::sqrt(1 - memory * memory) * noise.gauss();
    return level;
  };
}

Signal quantized(double steps) {
  return [steps](Noise& noise, int, std::uint32_t) { return std::round(noise.gauss() * steps); };
}

const std::vector<Ordinary>& ordinary_signals() {
  static const std::vector<Ordinary> signals = {
      {"normal", [](Noise& noise, int, std::uint32_t) { return 70 + noise.gauss(); }},
      {"student_t_3",
       [](Noise& noise, int, std::uint32_t) { return std::student_t_distribution<double>(3)(noise.random); }},
      {"autoregressive_0.9", autoregressive(0.9)},
      {"autoregressive_0.99", autoregressive(0.99)},
      {"autoregressive_0.999", autoregressive(0.999)},
      {"daily_cycle",
       [](Noise& noise, int reading, std::uint32_t) {
         return 5 * std::sin(reading * 2 * std::numbers::pi / 1440) + noise.gauss();
       }},
      {"quantized", quantized(0.7)},
      {"quantized_mostly_one_value", quantized(0.25)},
      {"slow_drift",
       [](Noise& noise, int reading, std::uint32_t) { return 1e3 + reading * 0.001 + noise.gauss(); }},
      {"drift",
       [](Noise& noise, int reading, std::uint32_t) { return 1e3 + reading * 0.01 + noise.gauss(); }},
      {"random_walk",
       [](Noise& noise, int, std::uint32_t field) { return noise.levels[field] += noise.gauss(); }},
      {"constant", [](Noise&, int, std::uint32_t) { return 32.0; }},
      // A setpoint among sensors: it rests for days.
      {"constant_with_rare_steps",
       [](Noise& noise, int reading, std::uint32_t field) {
         return field == 0 ? (reading < 9'000 ? 60.0 : 57.0) : 70 + noise.gauss();
       }},
      {"constant_with_small_steps",
       [](Noise& noise, int reading, std::uint32_t field) {
         return field < 4 ? 60 + 0.1 * (reading / 1'500 % 3) : 70 + noise.gauss();
       }},
      {"constant_with_quanta",
       [](Noise& noise, int, std::uint32_t) { return 60 + (noise.random() % 200 == 0 ? 0.1 : 0); }},
      {"quantized_large",
       [](Noise& noise, int, std::uint32_t) { return 1e3 + 5 * std::round(noise.gauss()); }},
      {"quantized_by_a_tenth_of_a_level",
       [](Noise& noise, int reading, std::uint32_t field) {
         double& level = noise.levels[field];
         if (reading % 20 == 0) level = 0.9 * level + noise.gauss();
         return 60 + 0.1 * std::round(level);
       }},
  };
  return signals;
}

double flagged_share(const Signal& signal, std::uint32_t seed, int readings) {
  Judged device;
  Noise noise{std::mt19937(seed), {}};
  std::vector<double> values(fields);
  int flagged = 0;
  for (int reading = 0; reading < readings; ++reading) {
    for (std::uint32_t field = 0; field < fields; ++field) values[field] = signal(noise, reading, field);
    flagged += device.row(values) ? 1 : 0;
  }
  return static_cast<double>(flagged) / readings;
}

TEST(synthetic_readings, ordinary_ones_are_hardly_ever_anomalous) {
  constexpr std::uint32_t seeds = 5;
  for (const Ordinary& ordinary : ordinary_signals())
    for (const int readings : {2'000, 20'000}) {
      double share = 0;
      for (std::uint32_t seed = 1; seed <= seeds; ++seed)
        share += flagged_share(ordinary.signal, seed, readings) / seeds;
      EXPECT_LT(share, flagged_max) << ordinary.name << ", " << readings << " readings, seeds 1 to " << seeds;
    }
}

struct Found {
  int spikes = 0;
  int found = 0;
  int flagged = 0;
};

// A spike of ten standard deviations in one field every 200 readings or so.
void find_spikes(const Signal& signal, std::uint32_t seed, Found& found) {
  Judged device;
  Noise noise{std::mt19937(seed), {}};
  std::vector<double> values(fields);
  for (int reading = 0; reading < 20'000; ++reading) {
    for (std::uint32_t field = 0; field < fields; ++field) values[field] = signal(noise, reading, field);
    const bool spike = reading > 1'000 && noise.random() % 200 == 0;
    if (spike) values[noise.random() % fields] += noise.random() % 2 == 0 ? 10 : -10;
    const bool flagged = device.row(values);
    found.spikes += spike ? 1 : 0;
    found.found += spike && flagged ? 1 : 0;
    found.flagged += flagged && reading > 1'000 ? 1 : 0;
  }
}

TEST(synthetic_readings, spikes_of_ten_deviations_are_found) {
  for (const Ordinary& ordinary : ordinary_signals()) {
    const std::string name = ordinary.name;
    if (name != "normal" && name != "autoregressive_0.9" && name != "quantized" && name != "slow_drift")
      continue;
    SCOPED_TRACE(name);
    Found found;
    for (std::uint32_t seed = 1; seed <= 5; ++seed) find_spikes(ordinary.signal, seed, found);
    ASSERT_GT(found.spikes, 300);
    EXPECT_GE(found.found, precision_min * found.flagged);
    EXPECT_GE(found.found, 0.9 * found.spikes);
  }
}

TEST(synthetic_readings, a_constant_field_that_begins_to_vary_is_told_of_and_then_accepted) {
  Judged device;
  Noise noise{std::mt19937(1), {}};
  const auto flagged = [&](int readings, double deviation) {
    int count = 0;
    for (int reading = 0; reading < readings; ++reading) {
      std::vector<double> values(fields);
      for (double& value : values) value = 70 + noise.gauss();
      values[0] = 70 + deviation * noise.gauss();
      count += device.row(values) ? 1 : 0;
    }
    return count;
  };
  flagged(2'000, 0);
  EXPECT_GT(flagged(10, 1), 5);
  flagged(2'000, 1);
  EXPECT_LT(flagged(10'000, 1), flagged_max * 10'000);
}

TEST(synthetic_readings, a_lasting_step_is_told_of_and_then_accepted) {
  Judged device;
  Noise noise{std::mt19937(1), {}};
  std::vector<double> values(fields);
  const auto flagged = [&](double level, int readings) {
    int count = 0;
    for (int reading = 0; reading < readings; ++reading) {
      for (double& value : values) value = level + noise.gauss();
      count += device.row(values) ? 1 : 0;
    }
    return count;
  };
  flagged(100, 2'000);
  EXPECT_GT(flagged(130, 100), 95);
  flagged(130, 1'000);
  EXPECT_LT(flagged(130, 1'000), 20);
}

}  // namespace
}  // namespace wellhead
