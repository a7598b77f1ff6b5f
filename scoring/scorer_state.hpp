// What a Scorer works with; its own files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "codec/scored_columns.hpp"
#include "codec/stream_rules.hpp"
#include "scoring/device_state.hpp"
#include "scoring/device_table.hpp"
#include "scoring/judge.hpp"
#include "scoring/readings.hpp"
#include "scoring/scorer.hpp"

namespace wellhead {

// What a flush adds to StreamScores once it is committed.
struct ScoreTotals {
  std::uint64_t rows = 0;
  std::uint64_t score_millionths = 0;
  std::uint64_t anomalous = 0;
  std::uint64_t inconsistent = 0;
  std::uint64_t stuck = 0;
  std::uint64_t late = 0;
  std::uint64_t repaired = 0;
};

// A stream with computed columns.
struct ScoredStream {
  ScoredStream(SchemaPointer stream, StreamScores& stats);

  // Takes over how readings are judged from here on, where that was changed.
  void follow_rules();

  SchemaPointer schema;
  RulesHold rules;
  ComputedPlaces places;
  std::uint32_t device_field;
  ReadingPlan plan;
  JudgeLimits limits;
  GroupRates rates[groups_max];
  StateFields state_fields;
  DeviceTable devices;
  ScoreTotals totals;  // of this flush
  StreamScores* stats;

  // Streams without a scored field have scores, but no baselines.
  [[nodiscard]] bool has_baselines() const noexcept { return plan.fields() > 0; }
  [[nodiscard]] std::size_t learned_bytes() const noexcept {
    return sizeof(DeviceLearned) + plan.groups() * sizeof(FieldGroup);
  }
};

struct Scorer::State {
  ScorerLimits limits;
  std::vector<std::unique_ptr<ScoredStream>> streams;  // null: passed over
  SeenDevices seen;
  UnsavedDevices unsaved;  // in the order in which they first learned something that is not saved

  // A device of this flush, as it was before.
  struct Before {
    Device* device;
    std::size_t learned;  // where in `learned_before`
    bool created;
    bool unsaved;
  };
  std::uint64_t flush = 1;
  std::uint64_t flush_rows = 0;
  std::vector<Before> before;
  std::vector<std::byte> learned_before;

  std::vector<Device*> leaving;
  std::vector<Device*> saving;
  std::vector<std::byte> state_bytes;
  std::vector<DeviceState> states;

  [[nodiscard]] ScoredStream& stream_of(const Device& device) { return *streams[device.stream]; }
  [[nodiscard]] std::size_t devices() const noexcept { return seen.size(); }

  Device& touch(ScoredStream& stream, std::uint16_t number, std::uint64_t hash, std::string_view text);
  void remember(ScoredStream& stream, Device& device, bool created);
  void remove(Device& device);

  void choose_leaving();
  void choose_saving(std::size_t count_max);
  std::span<const DeviceState> encode_saving();
  void forget_choice();
  void undo();
};

}  // namespace wellhead
