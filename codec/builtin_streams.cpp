// The streams that ship. The computed columns come last, as they do in every stream
// (codec/scored_columns.hpp).
#include <utility>

#include "codec/schema.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t device_bytes_max = 64;
constexpr std::uint32_t diagnosis_bytes_max = 8192;
constexpr std::uint32_t details_bytes_max = 65'536;

ColumnConfig timestamp_column() {
  return {.name = "timestamp", .type = ColumnType::timestamptz, .required = true};
}

ColumnConfig device_column(std::string name) {
  ColumnConfig column{.name = std::move(name), .type = ColumnType::text, .required = true};
  column.text_bytes_max = device_bytes_max;
  column.text_bytes_min = 1;
  return column;
}

ColumnConfig id_column() {
  return {.name = "id", .type = ColumnType::bigint, .required = true};
}

ColumnConfig text_column(std::string name, std::uint32_t bytes_max) {
  ColumnConfig column{.name = std::move(name), .type = ColumnType::text};
  column.text_bytes_max = bytes_max;
  return column;
}

enum class Importance : std::uint8_t { primary, secondary };

ColumnConfig measurement(std::string name, std::string unit, Importance importance = Importance::secondary) {
  ColumnConfig column{.name = std::move(name), .type = ColumnType::real, .scored = true};
  column.primary = importance == Importance::primary;
  column.unit = std::move(unit);
  return column;
}

ColumnConfig positive_measurement(std::string name, std::string unit,
                                  Importance importance = Importance::secondary) {
  ColumnConfig column = measurement(std::move(name), std::move(unit), importance);
  column.minimum = 0;
  return column;
}

ColumnConfig receive_time_column() {
  return {
      .name = "ingestion_timestamp", .type = ColumnType::timestamptz, .source = ColumnSource::receive_time};
}

ColumnConfig source_column() {
  ColumnConfig column = text_column("source_system", device_bytes_max);
  column.default_value = "scada";
  return column;
}

void add_computed_columns(StreamConfig& stream) {
  stream.columns.push_back({.name = "data_quality_score", .source = ColumnSource::quality_score});
  stream.columns.push_back(
      {.name = "is_anomaly", .type = ColumnType::boolean, .source = ColumnSource::anomaly});
  stream.columns.push_back(
      {.name = "quality_flags", .type = ColumnType::bigint, .source = ColumnSource::quality_flags});
}

StreamConfig telemetry() {
  using enum Importance;
  ColumnConfig temperature = measurement("temperature", "degC", primary);
  temperature.unit_key = "temperature_unit";
  temperature.minimum = -50;
  temperature.maximum = 200;
  StreamConfig stream{
      .name = "telemetry",
      .table = "telemetry",
      .device_column = "device_id",
      .time_column = "timestamp",
      .columns = {timestamp_column(), device_column("device_id"), std::move(temperature),
                  positive_measurement("vibration", "in/s", primary),
                  positive_measurement("pressure", "psi", primary),
                  positive_measurement("flow_rate", "bbl/day", primary),
                  positive_measurement("motor_current", "A"), positive_measurement("rpm", "1/min"),
                  positive_measurement("intake_pressure", "psi"),
                  positive_measurement("discharge_pressure", "psi"), receive_time_column(), source_column()}};
  add_computed_columns(stream);
  return stream;
}

// What is typical of a well is not a range: a value outside of it is stored, and its score says what the
// well's own past makes of it.
StreamConfig esp_telemetry() {
  using enum Importance;
  StreamConfig stream{
      .name = "esp_telemetry",
      .table = "esp_telemetry",
      .device_column = "well_id",
      .time_column = "timestamp",
      .columns = {id_column(), device_column("well_id"), timestamp_column(),
                  measurement("flow_rate", "bbl/day", primary), measurement("pip", "psi", primary),
                  measurement("motor_current", "A", primary), measurement("motor_temp", "degF", primary),
                  measurement("vibration", "in/s", primary), measurement("vsd_frequency", "Hz"),
                  measurement("gor", "scf/bbl"), receive_time_column(), source_column()}};
  add_computed_columns(stream);
  return stream;
}

StreamConfig diagnostic_results() {
  ColumnConfig severity = text_column("severity", device_bytes_max);
  severity.one_of = {"info", "warning", "critical"};
  severity.required = true;
  ColumnConfig confidence{.name = "confidence", .type = ColumnType::real};
  confidence.minimum = 0;
  confidence.maximum = 1;
  ColumnConfig details{.name = "details", .type = ColumnType::jsonb};
  details.text_bytes_max = details_bytes_max;
  return {
      .name = "diagnostic_results",
      .table = "diagnostic_results",
      .device_column = "well_id",
      .time_column = "timestamp",
      .columns = {id_column(), device_column("well_id"), timestamp_column(), std::move(severity),
                  text_column("diagnosis", diagnosis_bytes_max), std::move(confidence), std::move(details)}};
}

}  // namespace

std::vector<StreamConfig> builtin_streams() {
  return {telemetry(), esp_telemetry(), diagnostic_results()};
}

}  // namespace wellhead
