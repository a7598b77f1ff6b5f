#include "scoring/device_state.hpp"

#include <xxhash.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "base/assert.hpp"
#include "codec/scored_columns.hpp"
#include "scoring/judge.hpp"

namespace wellhead {
namespace {

constexpr int clock_shift = 8;

template <typename Unsigned>
Unsigned little_endian(Unsigned value) noexcept {
  if constexpr (std::endian::native == std::endian::little)
    return value;
  else if constexpr (sizeof(Unsigned) == 8)
    return __builtin_bswap64(value);
  else if constexpr (sizeof(Unsigned) == 4)
    return __builtin_bswap32(value);
  else
    return static_cast<Unsigned>(sizeof(Unsigned) == 2 ? __builtin_bswap16(value) : value);
}

class Writer {
 public:
  explicit Writer(std::byte* at) noexcept : at_(at) {}
  template <typename Unsigned>
  void put(Unsigned value) noexcept {
    const Unsigned stored = little_endian(value);
    std::memcpy(at_, &stored, sizeof(stored));
    at_ += sizeof(stored);
  }
  void number(double value) noexcept { put(std::bit_cast<std::uint64_t>(value)); }
  void number(float value) noexcept { put(std::bit_cast<std::uint32_t>(value)); }

 private:
  std::byte* at_;
};

class Reader {
 public:
  explicit Reader(const std::byte* at) noexcept : at_(at) {}
  template <typename Unsigned>
  Unsigned get() noexcept {
    Unsigned stored;
    std::memcpy(&stored, at_, sizeof(stored));
    at_ += sizeof(stored);
    return little_endian(stored);
  }
  void number(double& value) noexcept { value = std::bit_cast<double>(get<std::uint64_t>()); }
  void number(float& value) noexcept { value = std::bit_cast<float>(get<std::uint32_t>()); }

 private:
  const std::byte* at_;
};

// Writer and reader go over the numbers of a lane in the same order.
template <typename Numbers, typename Group>
void lane_numbers(Numbers& numbers, Group& group, std::uint32_t lane) {
  numbers.number(group.anchor[lane]);
  numbers.number(group.mean[lane]);
  numbers.number(group.variance[lane]);
  numbers.number(group.last[lane]);
  numbers.number(group.tail_start[lane]);
  numbers.number(group.tail_excess[lane]);
  numbers.number(group.caution[lane]);
  numbers.number(group.count[lane]);
  numbers.number(group.streak[lane]);
  numbers.number(group.same[lane]);
  numbers.number(group.usual[lane]);
  numbers.number(group.changes[lane]);
}

std::uint32_t checksum_of(std::span<const std::byte> bytes) noexcept {
  return static_cast<std::uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
}

bool sensible(const FieldGroup& group, std::uint32_t lane) noexcept {
  const auto bounded = [](double value, double bound) { return std::fabs(value) <= bound; };
  const auto counted = [](float value) { return value >= 0 && value <= readings_max; };
  const auto between = [](float value, float low, float high) { return value >= low && value <= high; };
  return bounded(group.anchor[lane], judged_value_max) && bounded(group.mean[lane], 4 * judged_value_max) &&
         bounded(group.last[lane], judged_value_max) && group.variance[lane] >= 0 &&
         group.variance[lane] <= judged_variance_max && between(group.tail_start[lane], 0, tail_number_max) &&
         between(group.tail_excess[lane], 0, tail_number_max) &&
         between(group.caution[lane], 1, tail_number_max) && counted(group.count[lane]) &&
         counted(group.streak[lane]) && counted(group.same[lane]) && counted(group.usual[lane]) &&
         counted(group.changes[lane]);
}

// Whether the clock was ahead, and by how much more than zero the latest reading is later than the latest
// with a right clock, where that is known; see the header.
std::uint64_t clock_of(const DeviceLearned& learned) noexcept {
  if (!learned.clock_was_ahead) return 0;
  if (learned.right_time_us == never_us) return 1;
  const std::uint64_t behind_us =
      static_cast<std::uint64_t>(learned.time_us) - static_cast<std::uint64_t>(learned.right_time_us);
  return behind_us >> (64 - clock_shift) == 0 ? behind_us << clock_shift | 1 : 1;
}

bool sensible_clock(std::uint64_t clock, std::int64_t time_us) noexcept {
  const auto behind_us = static_cast<std::int64_t>(clock >> clock_shift);
  const bool ahead = clock % (1U << clock_shift) == 1;
  return clock == 0 || (ahead && (behind_us == 0 || time_us > never_us + behind_us));
}

void take_clock(std::uint64_t clock, DeviceLearned& learned) noexcept {
  learned.clock_was_ahead = clock != 0;
  const auto behind_us = static_cast<std::int64_t>(clock >> clock_shift);
  learned.right_time_us = learned.time_us - behind_us;
  if (clock == 1) learned.right_time_us = never_us;
}

std::uint32_t fingerprint_of(const Schema& schema) {
  std::string names;
  for (const ScoredColumn& scored : scored_columns(schema))
    names.append(schema.columns()[scored.column].name).push_back('\0');
  return static_cast<std::uint32_t>(XXH3_64bits(names.data(), names.size()));
}

}  // namespace

StateFields::StateFields(const Schema& schema)
    : count(static_cast<std::uint32_t>(scored_columns(schema).size())), fingerprint(fingerprint_of(schema)) {}

void encode_state(const Device& device, const StateFields& fields, std::span<std::byte> state) noexcept {
  WELLHEAD_ASSERT(state.size() == device_state_bytes(fields.count));
  Writer writer(state.data());
  writer.put(device_state_version);
  writer.put(static_cast<std::uint8_t>(fields.count));
  writer.put(device.learned.had_last);
  writer.put(fields.fingerprint);
  writer.put(static_cast<std::uint64_t>(device.learned.time_us));
  writer.put(clock_of(device.learned));
  for (std::uint32_t field = 0; field < fields.count; ++field)
    lane_numbers(writer, device.groups()[field / group_fields], field % group_fields);
  seal_state(state);
}

void seal_state(std::span<std::byte> state) noexcept {
  WELLHEAD_ASSERT(state.size() > device_state_checksum_bytes);
  const std::size_t body_bytes = state.size() - device_state_checksum_bytes;
  Writer(&state[body_bytes]).put(checksum_of(state.first(body_bytes)));
}

bool valid_state(std::span<const std::byte> state, const StateFields& fields) noexcept {
  if (state.size() != device_state_bytes(fields.count)) return false;
  const auto body = state.first(state.size() - device_state_checksum_bytes);
  Reader reader(state.data());
  if (reader.get<std::uint8_t>() != device_state_version || reader.get<std::uint8_t>() != fields.count)
    return false;
  if ((reader.get<std::uint16_t>() >> fields.count) != 0) return false;
  if (reader.get<std::uint32_t>() != fields.fingerprint) return false;
  const auto time_us = static_cast<std::int64_t>(reader.get<std::uint64_t>());
  if (!sensible_clock(reader.get<std::uint64_t>(), time_us)) return false;
  FieldGroup group;
  for (std::uint32_t field = 0; field < fields.count; ++field) {
    lane_numbers(reader, group, 0);
    if (!sensible(group, 0)) return false;
  }
  return reader.get<std::uint32_t>() == checksum_of(body);
}

void decode_state(std::span<const std::byte> state, const StateFields& fields, Device& device) noexcept {
  Reader reader(state.data() + 2);
  device.learned.had_last = reader.get<std::uint16_t>();
  reader.get<std::uint32_t>();
  device.learned.time_us = static_cast<std::int64_t>(reader.get<std::uint64_t>());
  take_clock(reader.get<std::uint64_t>(), device.learned);
  std::uint8_t cautious = 0;
  for (std::uint32_t field = 0; field < fields.count; ++field) {
    FieldGroup& group = device.groups()[field / group_fields];
    lane_numbers(reader, group, field % group_fields);
    if (group.caution[field % group_fields] > 1) ++cautious;
  }
  device.learned.cautious = cautious;
}

}  // namespace wellhead
