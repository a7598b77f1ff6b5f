#include "loadgen/replay_record.hpp"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "loadgen/timestamp_text.hpp"

namespace wellhead::loadgen {
namespace {

using Columns = std::vector<ReplayColumn>;
using simdjson::dom::element;

Columns columns_for(StreamKind stream) {
  using enum ReplayColumnKind;
  switch (stream) {
    case StreamKind::telemetry:
      return {{"temperature", real, -50, 200}, {"vibration", real, 0},         {"pressure", real, 0},
              {"flow_rate", real, 0},          {"motor_current", real, 0},     {"rpm", real, 0},
              {"intake_pressure", real, 0},    {"discharge_pressure", real, 0}};
    case StreamKind::esp_telemetry:
      return {{"flow_rate", real}, {"pip", real},           {"motor_current", real}, {"motor_temp", real},
              {"vibration", real}, {"vsd_frequency", real}, {"gor", real},           {"id", bigint}};
    case StreamKind::diagnostic_results:
      return {{"confidence", real, 0, 1},
              {"id", bigint},
              {"severity", text},
              {"diagnosis", text},
              {"details", json}};
  }
  return {};
}

// Numbers since 1970, told apart by magnitude (docs/protocol.md): each bound is the year 5138 in its unit.
std::optional<std::int64_t> epoch_us(double number) {
  const double magnitude = std::fabs(number);
  const double scale = magnitude < 1e11 ? 1e6 : magnitude < 1e14 ? 1e3 : magnitude < 1e17 ? 1.0 : 1e-3;
  return static_cast<std::int64_t>(std::floor(number * scale));
}

std::optional<std::int64_t> timestamp_of(element value) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return parse_timestamp(text);
  double number = 0;
  if (value.get(number) == simdjson::SUCCESS) return epoch_us(number);
  return std::nullopt;
}

// `number` in the unit the record names for its temperature, as °C.
ExpectedNumber temperature_of(element record, double number) {
  std::string_view unit;
  if (record["temperature_unit"].get(unit) != simdjson::SUCCESS) return {.value = number};
  constexpr std::array<std::string_view, 6> fahrenheit{"F", "f", "degF", "°F", "fahrenheit", "Fahrenheit"};
  constexpr std::array<std::string_view, 3> kelvin{"K", "kelvin", "Kelvin"};
  if (std::ranges::find(fahrenheit, unit) != fahrenheit.end()) {
    return {.value = (number - 32.0) * 5.0 / 9.0, .converted = true};
  }
  if (std::ranges::find(kelvin, unit) != kelvin.end()) return {.value = number - 273.15, .converted = true};
  return {.value = number};
}

// The node looks at what the column, a real, would hold.
ExpectedValue valid(const ReplayColumn& column, ExpectedNumber number) {
  constexpr double real_max = std::numeric_limits<float>::max();
  const double stored = std::fabs(number.value) > real_max ? number.value : static_cast<float>(number.value);
  if (stored < column.minimum || stored > column.maximum) return std::monostate{};
  return number;
}

ExpectedValue value_of(element record, const ReplayColumn& column) {
  element value;
  if (record[column.name].get(value) != simdjson::SUCCESS || value.is_null()) return std::monostate{};
  double number = 0;
  std::int64_t whole = 0;
  std::string_view text;
  switch (column.kind) {
    case ReplayColumnKind::real:
      if (value.get(number) != simdjson::SUCCESS) return std::monostate{};
      return valid(column, column.name == "temperature" ? temperature_of(record, number)
                                                        : ExpectedNumber{.value = number});
    case ReplayColumnKind::bigint:
      return value.get(whole) == simdjson::SUCCESS ? ExpectedValue{whole} : ExpectedValue{};
    case ReplayColumnKind::text:
      return value.get(text) == simdjson::SUCCESS ? ExpectedValue{std::string(text)} : ExpectedValue{};
    case ReplayColumnKind::json:
      return simdjson::minify(value);
  }
  return std::monostate{};
}

}  // namespace

const std::vector<ReplayColumn>& replay_columns(StreamKind stream) {
  static const std::array<Columns, 3> columns{columns_for(StreamKind::telemetry),
                                              columns_for(StreamKind::esp_telemetry),
                                              columns_for(StreamKind::diagnostic_results)};
  return columns[static_cast<std::size_t>(stream)];
}

struct ReplayRecordReader::State {
  simdjson::dom::parser parser;
};

ReplayRecordReader::ReplayRecordReader(StreamKind stream)
    : stream_(stream), state_(std::make_unique<State>()) {}
ReplayRecordReader::~ReplayRecordReader() = default;

ReplayKey ReplayRecordReader::key(std::string_view line) {
  ReplayKey key;
  element record;
  if (state_->parser.parse(line.data(), line.size()).get(record) != simdjson::SUCCESS) return key;
  std::string_view device;
  if (record[device_key(stream_)].get(device) == simdjson::SUCCESS) key.device = std::string(device);
  element timestamp;
  if (record["timestamp"].get(timestamp) == simdjson::SUCCESS) key.unix_us = timestamp_of(timestamp);
  return key;
}

std::optional<std::vector<ExpectedValue>> ReplayRecordReader::expected(std::string_view line) {
  element record;
  if (state_->parser.parse(line.data(), line.size()).get(record) != simdjson::SUCCESS) return std::nullopt;
  if (!record.is_object()) return std::nullopt;
  std::vector<ExpectedValue> values;
  for (const ReplayColumn& column : replay_columns(stream_)) values.push_back(value_of(record, column));
  return values;
}

}  // namespace wellhead::loadgen
