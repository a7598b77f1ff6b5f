#include "loadgen/well_model.hpp"

#include "base/assert.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::array<FieldSpec, 8> telemetry_fields{{
    {"temperature", 82'22, 104'44, 2},            // °C; 180 to 220 °F
    {"vibration", 1'000, 5'000, 4},               // in/s
    {"pressure", 1'400'0, 1'600'0, 1},            // psi
    {"flow_rate", 800'0, 1'200'0, 1},             // bbl/day
    {"motor_current", 45'00, 55'00, 2},           // A
    {"rpm", 3'380'0, 3'620'0, 1},                 // 1/min; a two-pole motor at 58 to 62 Hz, less slip
    {"intake_pressure", 1'800'0, 2'200'0, 1},     // psi
    {"discharge_pressure", 2'900'0, 3'300'0, 1},  // psi
}};
constexpr std::array<FieldSpec, 7> esp_telemetry_fields{{
    {"flow_rate", 800'0, 1'200'0, 1},
    {"pip", 1'800'0, 2'200'0, 1},
    {"motor_current", 45'00, 55'00, 2},
    {"motor_temp", 180'00, 220'00, 2},  // °F
    {"vibration", 1'000, 5'000, 4},
    {"vsd_frequency", 58'000, 62'000, 3},
    {"gor", 200'0, 400'0, 1},
}};
constexpr std::array<FieldSpec, 1> diagnostic_fields{{{"confidence", 5'000, 10'000, 4}}};

constexpr std::array<std::string_view, 6> diagnoses{"pump off",     "gas interference", "scale build-up",
                                                    "worn bearing", "broken shaft",     "tubing leak"};

// Of a field's span: the middle 60 % hold the wells' levels, drift moves ±15 % around them, noise ±5 %. So
// every value stays within the field's range.
constexpr std::uint64_t level_percent = 60;
constexpr std::uint64_t drift_percent = 30;
constexpr std::uint64_t noise_percent = 10;
static_assert(level_percent + drift_percent + noise_percent == 100);

constexpr unsigned lane_bits = 16;  // of a 64-bit hash: four fields take their share from one
constexpr std::uint64_t lane_mask = (1U << lane_bits) - 1;
constexpr unsigned drift_period_bits = 13;  // readings; each field's is longer than the one before
constexpr unsigned drift_period_variants = 4;

// A triangle wave of 0 … 65,535, which costs a mask and a shift where a sine would cost a call.
std::uint64_t triangle(std::uint64_t step, unsigned period_bits) noexcept {
  const std::uint64_t half = std::uint64_t{1} << (period_bits - 1);
  const std::uint64_t position = step & (2 * half - 1);
  const std::uint64_t height = position < half ? position : 2 * half - 1 - position;
  return height << (lane_bits - (period_bits - 1));
}
static_assert(drift_period_bits + drift_period_variants - 1 <= lane_bits + 1);

std::uint64_t lane(std::uint64_t hash, std::size_t index) noexcept {
  return (hash >> (lane_bits * index)) & lane_mask;
}

}  // namespace

double decimal_value(std::uint32_t scaled, unsigned decimals) noexcept {
  constexpr std::array<double, 6> powers{1, 10, 100, 1'000, 10'000, 100'000};
  return static_cast<double>(scaled) / powers[decimals];
}

WellModel::WellModel(StreamKind stream, std::uint64_t seed) : seed_(mix_bits(seed)) {
  switch (stream) {
    case StreamKind::telemetry:
      fields_ = telemetry_fields;
      break;
    case StreamKind::esp_telemetry:
      fields_ = esp_telemetry_fields;
      break;
    case StreamKind::diagnostic_results:
      fields_ = diagnostic_fields;
      break;
  }
  WELLHEAD_ASSERT(!fields_.empty() && fields_.size() <= fields_max);
}

std::uint64_t WellModel::well_hash(std::uint32_t well) const noexcept {
  return mix_bits(seed_ ^ well);
}

void WellModel::read(std::uint32_t well, std::uint64_t sequence, Reading& reading) const noexcept {
  constexpr std::size_t lanes = 64 / lane_bits;
  const std::uint64_t of_well = well_hash(well);
  std::uint64_t levels = of_well;
  std::uint64_t noises = mix_bits(of_well + sequence);
  for (std::size_t index = 0; index < fields_.size(); ++index) {
    if (index == lanes) {
      levels = mix_bits(levels);
      noises = mix_bits(noises);
    }
    const FieldSpec& field = fields_[index];
    const std::uint64_t span = field.high - field.low;
    const unsigned period_bits = drift_period_bits + static_cast<unsigned>(index % drift_period_variants);
    const std::uint64_t drift = triangle(sequence + (of_well >> 7U), period_bits);
    const std::uint64_t share = lane(levels, index % lanes) * level_percent + drift * drift_percent +
                                lane(noises, index % lanes) * noise_percent;
    reading[index] = field.low + static_cast<std::uint32_t>(span * share / (100U << lane_bits));
  }
}

Diagnosis WellModel::diagnose(std::uint32_t well, std::uint64_t sequence) const noexcept {
  const std::uint64_t hash = mix_bits(~(well_hash(well) + sequence));
  const std::uint64_t percent = (hash >> 32U) % 100;
  const std::string_view severity = percent < 80 ? "info" : percent < 95 ? "warning" : "critical";
  return {.severity = severity, .text = diagnoses[hash % diagnoses.size()]};
}

}  // namespace wellhead::loadgen
