#include "loadgen/well_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>

#include "loadgen/run_identity.hpp"
#include "loadgen/timestamp_text.hpp"

namespace wellhead::loadgen {
namespace {

constexpr StreamKind all_streams[] = {StreamKind::telemetry, StreamKind::esp_telemetry,
                                      StreamKind::diagnostic_results};

TEST(WellModel, gives_the_same_reading_for_the_same_seed_well_and_sequence) {
  const WellModel one(StreamKind::telemetry, 7);
  const WellModel other(StreamKind::telemetry, 7);
  for (std::uint32_t well = 0; well < 50; ++well) {
    for (std::uint64_t sequence = 0; sequence < 200; sequence += 13) {
      Reading left{};
      Reading right{};
      one.read(well, sequence, left);
      other.read(well, sequence, right);
      ASSERT_EQ(left, right);
    }
  }
}

TEST(WellModel, seeds_wells_and_sequences_make_different_readings) {
  Reading base{};
  Reading changed{};
  const WellModel model(StreamKind::telemetry, 7);
  model.read(3, 10, base);
  model.read(4, 10, changed);
  EXPECT_NE(base, changed);
  model.read(3, 11, changed);
  EXPECT_NE(base, changed);
  WellModel(StreamKind::telemetry, 8).read(3, 10, changed);
  EXPECT_NE(base, changed);
}

TEST(WellModel, stays_within_the_typical_ranges) {
  for (const StreamKind stream : all_streams) {
    const WellModel model(stream, 99);
    for (std::uint32_t well = 0; well < 200; ++well) {
      for (std::uint64_t sequence = 0; sequence < 70'000; sequence += 997) {
        Reading reading{};
        model.read(well, sequence, reading);
        for (std::size_t index = 0; index < model.fields().size(); ++index) {
          ASSERT_GE(reading[index], model.fields()[index].low);
          ASSERT_LE(reading[index], model.fields()[index].high);
        }
      }
    }
  }
}

TEST(WellModel, drifts_slowly_and_never_jumps) {
  const WellModel model(StreamKind::telemetry, 1);
  Reading before{};
  Reading after{};
  for (std::uint64_t sequence = 0; sequence < 40'000; ++sequence) {
    model.read(5, sequence, before);
    model.read(5, sequence + 1, after);
    for (std::size_t index = 0; index < model.fields().size(); ++index) {
      const FieldSpec& field = model.fields()[index];
      const double step = std::fabs(static_cast<double>(after[index]) - static_cast<double>(before[index]));
      ASSERT_LE(step, 0.11 * (field.high - field.low)) << field.name << " at " << sequence;
    }
  }
}

TEST(WellModel, diagnoses_are_mostly_harmless_and_sometimes_critical) {
  const WellModel model(StreamKind::diagnostic_results, 1);
  std::set<std::string_view> severities;
  int harmless = 0;
  for (std::uint64_t sequence = 0; sequence < 2'000; ++sequence) {
    const Diagnosis diagnosis = model.diagnose(1, sequence);
    severities.insert(diagnosis.severity);
    if (diagnosis.severity == "info") ++harmless;
  }
  EXPECT_EQ(severities, (std::set<std::string_view>{"critical", "info", "warning"}));
  EXPECT_GT(harmless, 1'400);
}

Options options_for(std::uint32_t wells, double rate) {
  Options options;
  options.run_id = "abc123";
  options.wells = wells;
  options.rate = rate;
  return options;
}

TEST(RunIdentity, every_record_has_a_device_and_time_of_its_own_that_lead_back_to_it) {
  for (const std::uint32_t wells : {1U, 7U, 1'000U}) {
    for (const double rate : {3.0, 10'000.0, 5e6}) {
      const RunIdentity identity(options_for(wells, rate), 1'770'000'000'000'000);
      std::set<std::pair<std::uint32_t, std::int64_t>> keys;
      for (std::uint64_t record = 0; record < 5'000; ++record) {
        const RecordKey key = identity.key(record);
        ASSERT_TRUE(keys.emplace(key.well, identity.timestamp_us(key)).second) << record;
        const std::string number = std::to_string(key.well);
        const std::string device = "wabc123-" + std::string(6 - number.size(), '0') + number;
        ASSERT_EQ(identity.find(device, identity.timestamp_us(key)), record);
      }
    }
  }
}

TEST(RunIdentity, timestamps_follow_the_schedule_of_the_rate) {
  const RunIdentity identity(options_for(1'000, 10'000), 1'770'000'000'000'000);
  EXPECT_EQ(identity.timestamp_us(identity.key(0)), 1'770'000'000'000'000);
  EXPECT_EQ(identity.timestamp_us(identity.key(10'000)), 1'770'000'001'000'000);
  EXPECT_EQ(identity.timestamp_us(identity.key(10'005)), 1'770'000'001'000'500);
}

TEST(RunIdentity, knows_what_is_not_of_this_run) {
  const RunIdentity identity(options_for(10, 10), 1'770'000'000'000'000);
  const std::int64_t known_us = identity.timestamp_us({.well = 3, .sequence = 4});
  EXPECT_EQ(identity.find("wabc123-000003", known_us), 43U);
  EXPECT_FALSE(identity.find("wabc123-000003", known_us + 1).has_value());
  EXPECT_FALSE(identity.find("wabc123-000003", 5).has_value());
  EXPECT_FALSE(identity.find("wabc123-000010", known_us).has_value());
  EXPECT_FALSE(identity.find("wabc123-3", known_us).has_value());
  EXPECT_FALSE(identity.find("wabc124-000003", known_us).has_value());
}

}  // namespace
}  // namespace wellhead::loadgen
