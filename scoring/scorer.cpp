#include "scoring/scorer.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <ranges>
#include <utility>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"
#include "codec/quality.hpp"
#include "scoring/scorer_state.hpp"

namespace wellhead {
namespace {

// Rows that came later than this behind their device's latest are not compared with its baseline, which may
// have moved on.
constexpr std::int64_t comparable_age_max_us = 3'600'000'000;
constexpr double seconds_per_us = 1e-6;
constexpr double millionths = 1e6;

std::uint32_t device_field_of(const Schema& schema) {
  const auto& columns = schema.columns();
  const auto found = std::ranges::find(columns, schema.config().device_column, &ColumnConfig::name);
  WELLHEAD_ASSERT(found != columns.end());
  return static_cast<std::uint32_t>(found - columns.begin());
}

// Flags without any of these leave the score at 1, and most rows have none: no bits need counting then.
constexpr std::uint64_t fields_mask = (std::uint64_t{1} << scored_fields_max) - 1;
constexpr std::uint64_t costly_flags =
    fields_mask << quality_missing_shift | fields_mask << quality_out_of_range_shift |
    quality_bit(QualityReason::inconsistent) | quality_bit(QualityReason::late);
static_assert(quality_score(~costly_flags) == 1.0);

constexpr bool has(std::uint64_t flags, QualityReason reason) noexcept {
  return (flags & quality_bit(reason)) != 0;
}

// What the decoder found, in the form of quality_flags.
std::uint64_t decoder_flags(const RowHeader& row) noexcept {
  return row.quality_reasons | std::uint64_t{row.quality_missing} << quality_missing_shift |
         std::uint64_t{row.quality_out_of_range} << quality_out_of_range_shift;
}

// By field: the groups' masks side by side.
struct Verdict {
  std::uint32_t anomalous = 0;
  std::uint32_t inconsistent = 0;
  std::uint32_t stuck = 0;
  std::uint32_t quick = 0;
  std::uint32_t warming_up = 0;
  std::uint32_t cautious = 0;
  std::uint32_t taught = 0;

  void add(const GroupVerdict& verdict, std::uint32_t group) noexcept {
    const std::uint32_t shift = group * group_fields;
    anomalous |= verdict.anomalous << shift;
    inconsistent |= verdict.inconsistent << shift;
    stuck |= verdict.stuck << shift;
    quick |= verdict.quick << shift;
    warming_up |= verdict.warming_up << shift;
    cautious |= verdict.cautious << shift;
    taught |= verdict.taught << shift;
  }
  [[nodiscard]] std::uint64_t flags() const noexcept {
    const auto reason = [](std::uint32_t fields, QualityReason bit) {
      return fields != 0 ? quality_bit(bit) : 0;
    };
    return reason(anomalous, QualityReason::anomalous) | reason(inconsistent, QualityReason::inconsistent) |
           reason(stuck, QualityReason::stuck) | reason(quick, QualityReason::changed_quickly) |
           reason(warming_up, QualityReason::warming_up) |
           std::uint64_t{anomalous | inconsistent | stuck | quick} << quality_unusual_shift;
  }
};

Verdict judge_old(const ScoredStream& stream, const Device& device, const RowHeader& row) noexcept {
  GroupReading readings[groups_max];
  stream.plan.read(row, readings);
  Verdict verdict;
  for (std::uint32_t group = 0; group < stream.plan.groups(); ++group)
    verdict.add(judge(device.groups()[group], readings[group], stream.limits), group);
  return verdict;
}

Verdict judge_new(const ScoredStream& stream, Device& device, const RowHeader& row) noexcept {
  GroupReading readings[groups_max];
  DeviceLearned& learned = device.learned;
  stream.plan.read(row, readings);
  const bool first = learned.time_us == never_us;
  const float seconds =
      first ? 0.0F : static_cast<float>(static_cast<double>(row.time_us - learned.time_us) * seconds_per_us);
  Verdict verdict;
  for (std::uint32_t group = 0; group < stream.plan.groups(); ++group) {
    const std::uint32_t had_last = std::uint32_t{learned.had_last} >> (group * group_fields);
    verdict.add(judge_and_learn(device.groups()[group], readings[group], stream.rates[group], stream.limits,
                                seconds, had_last, learned.cautious),
                group);
  }
  learned.time_us = row.time_us;
  learned.had_last = static_cast<std::uint16_t>(verdict.taught);
  learned.cautious = static_cast<std::uint8_t>(std::popcount(verdict.cautious));
  learned.clock_was_ahead = has(row.quality_reasons, QualityReason::clock_ahead);
  if (!learned.clock_was_ahead) learned.right_time_us = row.time_us;
  return verdict;
}

// Moves the readings of `fields` from `readings` to the result.
void take_fields(GroupReading (&readings)[groups_max], std::uint32_t fields,
                 GroupReading (&taken)[groups_max]) noexcept {
  for (std::uint32_t field = 0; field < groups_max * group_fields; ++field) {
    double& reading = readings[field / group_fields].value[field % group_fields];
    double& place = taken[field / group_fields].value[field % group_fields];
    place = missing_reading;
    if ((fields >> field & 1U) != 0) std::swap(reading, place);
  }
}

// A record may be split over several rows of one time: each teaches what the ones before did not have. What
// they had is only judged, as in a row that comes twice.
Verdict judge_same_time(const ScoredStream& stream, Device& device, const RowHeader& row) noexcept {
  GroupReading readings[groups_max];
  DeviceLearned& learned = device.learned;
  const std::uint32_t fresh = stream.plan.read(row, readings) & ~std::uint32_t{learned.had_last};
  if (fresh == 0) return judge_old(stream, device, row);
  GroupReading taken[groups_max];
  take_fields(readings, fresh, taken);
  Verdict verdict;
  for (std::uint32_t group = 0; group < stream.plan.groups(); ++group) {
    verdict.add(judge(device.groups()[group], readings[group], stream.limits), group);
    verdict.add(judge_and_learn(device.groups()[group], taken[group], stream.rates[group], stream.limits, 0,
                                0, learned.cautious),
                group);
  }
  learned.had_last = static_cast<std::uint16_t>(learned.had_last | verdict.taught);
  learned.cautious = static_cast<std::uint8_t>(std::popcount(verdict.cautious));
  return verdict;
}

// A reading of the present moves the baseline; others are compared with it at most. A device whose clock ran
// ahead has no lasting claim on what the present is: readings with a right clock go on from the latest of
// their own, and one that is older than that is late as ever.
std::uint64_t judge_row(const ScoredStream& stream, Device& device, const RowHeader& row) noexcept {
  const DeviceLearned& learned = device.learned;
  const bool clock_ahead = has(row.quality_reasons, QualityReason::clock_ahead);
  const std::int64_t present_us = clock_ahead ? learned.time_us : learned.right_time_us;
  if (row.time_us > present_us) return judge_new(stream, device, row).flags();
  if (row.time_us == present_us && row.time_us == learned.time_us)
    return judge_same_time(stream, device, row).flags();
  const std::uint64_t order =
      row.time_us < present_us ? quality_bit(QualityReason::out_of_order) : std::uint64_t{0};
  if (row.time_us < present_us - comparable_age_max_us) return order;
  return order | judge_old(stream, device, row).flags();
}

bool anomaly(std::uint64_t flags) noexcept {
  return has(flags, QualityReason::anomalous) || has(flags, QualityReason::changed_quickly);
}

void write_computed(const ComputedPlaces& places, const RowHeader& row, std::uint64_t flags, double score) {
  // The sink's rows are its own to write to; they are handed about as const for all who only read.
  auto* const end = const_cast<std::byte*>(reinterpret_cast<const std::byte*>(&row + 1)) + row.tuple_bytes;
  const auto put = [end](std::optional<std::uint32_t> place, auto value) {
    if (place) static_cast<void>(copy_binary::put(end - *place, value));
  };
  put(places.quality_score, std::bit_cast<std::uint32_t>(static_cast<float>(score)));
  if (places.anomaly) *(end - *places.anomaly) = anomaly(flags) ? std::byte{1} : std::byte{0};
  put(places.quality_flags, flags);
}

void count(ScoreTotals& totals, std::uint64_t flags, double score) noexcept {
  ++totals.rows;
  // From 0 to 1,000,000, so that this rounds right, without a call.
  totals.score_millionths +=
      static_cast<std::uint64_t>(score * millionths + 0.5);  // NOLINT(bugprone-incorrect-roundings)
  totals.anomalous += anomaly(flags) ? 1U : 0U;
  totals.inconsistent += has(flags, QualityReason::inconsistent) ? 1U : 0U;
  totals.stuck += has(flags, QualityReason::stuck) ? 1U : 0U;
  totals.late += has(flags, QualityReason::late) ? 1U : 0U;
  totals.repaired += has(flags, QualityReason::repaired) ? 1U : 0U;
}

// Sorted rows lie all over their batches, which another processor wrote: each is asked for this many rows
// before it is looked at.
constexpr std::size_t prefetch_distance = 16;
constexpr std::size_t prefetched_bytes = 192;
constexpr std::size_t cache_line_bytes = 64;

void prefetch(const RowHeader* row) noexcept {
  const auto* const at = reinterpret_cast<const std::byte*>(row);
  for (std::size_t offset = 0; offset < prefetched_bytes; offset += cache_line_bytes)
    __builtin_prefetch(at + offset, 1);
}

// Calls on_device(text, rows) for each device's run. The sink sorts by hash as well, so two devices with one
// 64-bit hash in one flush are taken for one; asking each row for its name would cost more than that is
// worth.
template <typename OnDevice>
void for_each_device(std::uint32_t device_field, std::span<const SortedRow> rows, OnDevice on_device) {
  for (std::size_t row = 0; row < std::min(prefetch_distance, rows.size()); ++row) prefetch(rows[row].header);
  std::size_t first = 0;
  while (first < rows.size()) {
    const std::uint64_t hash = rows[first].header->device_hash;
    std::size_t end = first;
    do {
      if (end + prefetch_distance < rows.size()) prefetch(rows[end + prefetch_distance].header);
      ++end;
    } while (end < rows.size() && rows[end].header->device_hash == hash);
    on_device(field_of(*rows[first].header, device_field), rows.subspan(first, end - first));
    first = end;
  }
}

}  // namespace

ScoredStream::ScoredStream(SchemaPointer stream, StreamScores& scores)
    : schema(std::move(stream)),
      places(computed_places(*schema)),
      device_field(device_field_of(*schema)),
      plan(*schema),
      limits(schema->config().scoring, plan.fields()),
      state_fields(*schema),
      devices(schema->index(), plan.groups()),
      stats(&scores) {
  follow_rules();
}

void ScoredStream::follow_rules() {
  if (!rules.refresh(*schema)) return;
  limits = JudgeLimits(rules.config().scoring, plan.fields());
  for (GroupRates& group : rates) std::ranges::fill(group.rate_max, std::numeric_limits<float>::infinity());
  for (const ScoredColumn& scored : scored_columns(*schema))
    if (const auto& rate = rules.config().columns[scored.column].rate_max)
      rates[scored.bit / group_fields].rate_max[scored.bit % group_fields] = static_cast<float>(*rate);
}

Scorer::Scorer(std::span<const SchemaPointer> schemas, ScorerLimits limits, std::span<StreamScores> stats)
    : state_(std::make_unique<State>()) {
  WELLHEAD_ASSERT(stats.size() == schemas.size());
  state_->limits = limits;
  for (std::size_t stream = 0; stream < schemas.size(); ++stream) {
    WELLHEAD_ASSERT(schemas[stream]->index() == stream);
    const bool scored = computed_places(*schemas[stream]).any();
    state_->streams.push_back(scored ? std::make_unique<ScoredStream>(schemas[stream], stats[stream])
                                     : nullptr);
  }
}

Scorer::~Scorer() = default;
Scorer::Scorer(Scorer&& other) noexcept = default;
Scorer& Scorer::operator=(Scorer&& other) noexcept = default;

bool Scorer::scores(std::uint16_t stream) const noexcept {
  return stream < state_->streams.size() && state_->streams[stream] != nullptr;
}

void Scorer::find_unknown(std::uint16_t stream, std::span<const SortedRow> rows,
                          std::vector<DeviceName>& unknown) const {
  if (!scores(stream) || !state_->streams[stream]->has_baselines()) return;
  const ScoredStream& scored = *state_->streams[stream];
  for_each_device(scored.device_field, rows, [&](std::string_view text, std::span<const SortedRow> run) {
    const std::uint64_t hash = run.front().header->device_hash;
    if (scored.devices.find(hash, text) == nullptr) unknown.push_back({stream, hash, text});
  });
}

void Scorer::score(std::uint16_t stream, std::span<const SortedRow> rows) {
  if (!scores(stream)) return;
  ScoredStream& scored = *state_->streams[stream];
  state_->flush_rows += rows.size();
  for_each_device(scored.device_field, rows, [&](std::string_view text, std::span<const SortedRow> run) {
    Device* const device = scored.has_baselines()
                               ? &state_->touch(scored, stream, run.front().header->device_hash, text)
                               : nullptr;
    for (const SortedRow& row : std::views::reverse(run)) {
      std::uint64_t flags = decoder_flags(*row.header);
      if (device != nullptr) flags |= judge_row(scored, *device, *row.header);
      const double score = (flags & costly_flags) == 0 ? 1.0 : quality_score(flags);
      write_computed(scored.places, *row.header, flags, score);
      count(scored.totals, flags, score);
    }
  });
}

std::size_t Scorer::devices() const noexcept {
  return state_->devices();
}

std::size_t Scorer::device_bytes(std::uint16_t stream) const noexcept {
  return scores(stream) ? state_->streams[stream]->devices.device_bytes() : 0;
}

std::size_t Scorer::memory_bytes() const noexcept {
  const State& state = *state_;
  std::size_t bytes = state.before.capacity() * sizeof(State::Before) + state.learned_before.capacity() +
                      (state.leaving.capacity() + state.saving.capacity()) * sizeof(Device*) +
                      state.state_bytes.capacity() + state.states.capacity() * sizeof(DeviceState);
  for (const auto& stream : state.streams)
    if (stream != nullptr) bytes += sizeof(ScoredStream) + stream->devices.memory_bytes();
  return bytes;
}

}  // namespace wellhead
