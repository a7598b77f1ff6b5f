// What a flush taught: kept, undone, saved. The devices themselves learn at once; what they were before is
// kept beside them until the flush is committed or not.
#include <algorithm>
#include <cstring>
#include <ranges>
#include <tuple>

#include "base/assert.hpp"
#include "scoring/scorer_state.hpp"

namespace wellhead {
namespace {

template <typename Totals>
void add_totals(Totals& totals, StreamScores& stats) noexcept {
  stats.rows.add(totals.rows);
  stats.score_millionths.add(totals.score_millionths);
  stats.anomalous.add(totals.anomalous);
  stats.inconsistent.add(totals.inconsistent);
  stats.stuck.add(totals.stuck);
  stats.late.add(totals.late);
  stats.repaired.add(totals.repaired);
  totals = {};
}

}  // namespace

// The device of the name, found or made, as one of this flush.
Device& Scorer::State::touch(ScoredStream& stream, std::uint16_t number, std::uint64_t hash,
                             std::string_view text) {
  Device* device = stream.devices.find(hash, text);
  const bool created = device == nullptr;
  if (created) {
    device = &stream.devices.add(hash, text);
    WELLHEAD_ASSERT(device->stream == number);
    seen.add_newest(*device);
  }
  if (device->flush != flush) remember(stream, *device, created);
  return *device;
}

void Scorer::State::remember(ScoredStream& stream, Device& device, bool created) {
  const std::size_t at = learned_before.size();
  before.push_back({&device, at, created, device.unsaved});
  learned_before.resize(at + stream.learned_bytes());
  std::memcpy(&learned_before[at], &device.learned, sizeof(DeviceLearned));
  std::memcpy(&learned_before[at + sizeof(DeviceLearned)], device.groups(),
              stream.learned_bytes() - sizeof(DeviceLearned));
  device.flush = flush;
  seen.remove(device);
  seen.add_newest(device);
  if (!device.unsaved) {
    device.unsaved = true;
    unsaved.add_newest(device);
  }
}

void Scorer::State::remove(Device& device) {
  seen.remove(device);
  if (device.unsaved) unsaved.remove(device);
  stream_of(device).devices.remove(device);
}

void Scorer::State::undo() {
  for (const Before& was : std::views::reverse(before)) {
    Device& device = *was.device;
    if (was.created) {
      remove(device);
      continue;
    }
    const std::size_t groups_bytes = stream_of(device).learned_bytes() - sizeof(DeviceLearned);
    std::memcpy(&device.learned, &learned_before[was.learned], sizeof(DeviceLearned));
    std::memcpy(device.groups(), &learned_before[was.learned + sizeof(DeviceLearned)], groups_bytes);
    if (!was.unsaved) {
      device.unsaved = false;
      unsaved.remove(device);
    }
  }
}

void Scorer::start() {
  discard();
  for (const auto& stream : state_->streams)
    if (stream != nullptr) stream->follow_rules();
}

void Scorer::discard() {
  State& state = *state_;
  state.forget_choice();
  state.undo();
  state.before.clear();
  state.learned_before.clear();
  for (const auto& stream : state.streams)
    if (stream != nullptr) stream->totals = {};
  state.flush_rows = 0;
  ++state.flush;
}

void Scorer::commit() {
  State& state = *state_;
  for (Device* const device : state.saving) {
    device->saving = false;
    state.unsaved.remove(*device);
    if (device->not_saved) state.unsaved.add_newest(*device);
    device->unsaved = device->not_saved;
    device->not_saved = false;
  }
  state.saving.clear();
  for (Device* const device : state.leaving) state.remove(*device);
  state.leaving.clear();
  state.states.clear();
  state.before.clear();
  state.learned_before.clear();
  for (const auto& stream : state.streams)
    if (stream != nullptr) add_totals(stream->totals, *stream->stats);
  state.flush_rows = 0;
  ++state.flush;
}

bool Scorer::restore(const DeviceState& saved) {
  if (!scores(saved.device.stream)) return false;
  ScoredStream& stream = *state_->streams[saved.device.stream];
  if (!stream.has_baselines() || !valid_state(saved.bytes, stream.state_fields)) return false;
  // A device that is in memory knows at least as much.
  if (stream.devices.find(saved.device.hash, saved.device.text) != nullptr) return true;
  Device& device = stream.devices.add(saved.device.hash, saved.device.text);
  decode_state(saved.bytes, stream.state_fields, device);
  state_->seen.add_newest(device);
  return true;
}

void Scorer::not_saved(std::size_t index) {
  WELLHEAD_ASSERT(index < state_->saving.size() && state_->states.size() == state_->saving.size());
  state_->saving[index]->not_saved = true;
}

void Scorer::State::forget_choice() {
  for (Device* const device : saving) device->saving = device->not_saved = false;
  for (Device* const device : leaving) device->leaving = false;
  saving.clear();
  leaving.clear();
  states.clear();
}

// The least recently seen beyond the bound. A flush of more devices than that loses some of its own, which
// are saved as it leaves them.
void Scorer::State::choose_leaving() {
  Device* device = seen.oldest();
  for (std::size_t count = devices(); count > limits.devices_max; --count) {
    device->leaving = true;
    leaving.push_back(device);
    if (device->unsaved) {
      device->saving = true;
      saving.push_back(device);
    }
    device = SeenDevices::newer(*device);
  }
}

void Scorer::State::choose_saving(std::size_t count_max) {
  Device* device = unsaved.oldest();
  for (std::size_t count = 0; device != nullptr && count < count_max;
       device = UnsavedDevices::newer(*device)) {
    if (device->saving) continue;
    device->saving = true;
    saving.push_back(device);
    ++count;
  }
}

std::span<const DeviceState> Scorer::State::encode_saving() {
  std::ranges::sort(saving, [](const Device* left, const Device* right) {
    return std::tuple(left->stream, left->text()) < std::tuple(right->stream, right->text());
  });
  std::size_t bytes = 0;
  for (const Device* const device : saving)
    bytes += device_state_bytes(stream_of(*device).state_fields.count);
  state_bytes.resize(bytes);
  std::span<std::byte> rest = state_bytes;
  for (const Device* const device : saving) {
    const StateFields& fields = stream_of(*device).state_fields;
    const auto state = rest.first(device_state_bytes(fields.count));
    rest = rest.subspan(state.size());
    encode_state(*device, fields, state);
    states.push_back({{device->stream, device->hash, device->text()}, state});
  }
  return states;
}

std::span<const DeviceState> Scorer::states_to_save() {
  State& state = *state_;
  state.forget_choice();
  state.choose_leaving();
  const std::uint64_t by_rows = state.flush_rows / std::max(state.limits.rows_per_save, 1U);
  state.choose_saving(std::max<std::size_t>(state.limits.saves_min, by_rows));
  return state.encode_saving();
}

std::size_t Scorer::unsaved() const noexcept {
  return state_->unsaved.size();
}

std::span<const DeviceState> Scorer::unsaved_states(std::size_t count_max) {
  state_->forget_choice();
  state_->choose_saving(count_max);
  return state_->encode_saving();
}

}  // namespace wellhead
