#include "loadgen/record_renderer.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "loadgen/decimal_text.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::string_view telemetry_start = R"({"timestamp":")";
constexpr std::string_view telemetry_device = R"(","device_id":")";
constexpr std::string_view id_start = R"({"id":)";
constexpr std::string_view id_well = R"(,"well_id":")";
constexpr std::string_view id_timestamp = R"(","timestamp":")";

// Of the devices in the tables of the built-in streams.
constexpr std::size_t device_bytes_max = 64;

char* write_text(std::string_view text, char* out) noexcept {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

void replace_once(std::string& line, std::string_view wanted, std::string_view replacement) {
  const std::size_t position = line.find(wanted);
  WELLHEAD_ASSERT(position != std::string::npos);
  line.replace(position, wanted.size(), replacement);
}

// Replaces what stands between `key` and the end of its string or number.
void replace_value(std::string& line, std::string_view key, std::string_view value) {
  const std::size_t start = line.find(key);
  WELLHEAD_ASSERT(start != std::string::npos);
  const std::size_t from = start + key.size();
  const std::size_t until = line[from] == '"' ? line.find('"', from + 1) + 1 : line.find_first_of(",}", from);
  line.replace(from, until - from, value);
}

}  // namespace

std::string_view expected_code(BadKind kind) noexcept {
  switch (kind) {
    case BadKind::truncated:
      return "malformed_json";
    case BadKind::missing_device:
      return "missing_field";
    case BadKind::number_as_text:
      return "wrong_type";
    case BadKind::device_too_long:
      return "text_too_long";
    case BadKind::invalid_timestamp:
      return "invalid_timestamp";
    case BadKind::timestamp_out_of_window:
      return "timestamp_out_of_window";
    case BadKind::duplicate_key:
      return "duplicate_key";
    case BadKind::nested_value:
      return "nested_value";
    case BadKind::not_an_object:
      return "not_an_object";
    case BadKind::invalid_utf8:
      return "invalid_utf8";
    case BadKind::nul_character:
      return "nul_character";
  }
  return {};
}

RecordRenderer::RecordRenderer(StreamKind stream, const WellModel& model, const RunIdentity& identity)
    : stream_(stream),
      model_(model),
      identity_(identity),
      device_key_(stream == StreamKind::telemetry ? R"("device_id":)" : R"("well_id":)") {
  std::size_t bytes = identity.device_prefix().size() + 300;  // everything but keys and values
  for (const FieldSpec& field : model.fields()) {
    value_keys_.push_back(fmt::format(",\"{}\":", field.name));
    bytes += value_keys_.back().size() + 12;
  }
  WELLHEAD_ASSERT(bytes <= record_text_bytes_max);
}

char* RecordRenderer::write(std::uint64_t record, char* out) {
  const RecordKey key = identity_.key(record);
  return stream_ == StreamKind::telemetry ? write_telemetry(key, out) : write_with_id(record, key, out);
}

char* RecordRenderer::write_device(std::uint32_t well, char* out) const {
  return write_padded(well, well_digits, write_text(identity_.device_prefix(), out));
}

char* RecordRenderer::write_values(RecordKey key, char* out) const {
  Reading reading;
  model_.read(key.well, key.sequence, reading);
  const std::span<const FieldSpec> fields = model_.fields();
  for (std::size_t index = 0; index < fields.size(); ++index) {
    out = write_text(value_keys_[index], out);
    out = write_fixed(reading[index], fields[index].decimals, out);
  }
  return out;
}

char* RecordRenderer::write_telemetry(RecordKey key, char* out) {
  out = timestamps_.write(identity_.timestamp_us(key), write_text(telemetry_start, out));
  out = write_device(key.well, write_text(telemetry_device, out));
  *out++ = '"';
  return write_text("}\n", write_values(key, out));
}

char* RecordRenderer::write_with_id(std::uint64_t record, RecordKey key, char* out) {
  out = write_unsigned(static_cast<std::uint64_t>(identity_.id(record)), write_text(id_start, out));
  out = write_device(key.well, write_text(id_well, out));
  out = timestamps_.write(identity_.timestamp_us(key), write_text(id_timestamp, out));
  *out++ = '"';
  out = write_values(key, out);
  if (stream_ == StreamKind::diagnostic_results) out = write_diagnosis(key, out);
  return write_text("}\n", out);
}

char* RecordRenderer::write_diagnosis(RecordKey key, char* out) const {
  const Diagnosis diagnosis = model_.diagnose(key.well, key.sequence);
  out = write_text(diagnosis.severity, write_text(R"(,"severity":")", out));
  out = write_text(diagnosis.text, write_text(R"(","diagnosis":")", out));
  out = write_unsigned(key.sequence, write_text(R"(","details":{"sequence":)", out));
  out = write_unsigned(key.well, write_text(R"(,"well":)", out));
  *out++ = '}';
  return out;
}

char* RecordRenderer::write_bad(std::uint64_t record, BadKind kind, char* out) {
  const char* end = write(record, out);
  const std::string line = spoil(std::string(out, static_cast<std::size_t>(end - out) - 1), kind);
  WELLHEAD_ASSERT(line.size() < record_text_bytes_max);
  return write_text("\n", write_text(line, out));
}

std::string RecordRenderer::spoil(std::string line, BadKind kind) const {
  const std::string& number_key = value_keys_.front();
  const std::string device_value = fmt::format("{}\"{}", device_key_, identity_.device_prefix());
  switch (kind) {
    case BadKind::truncated:
      line.resize(line.size() / 2);
      break;
    case BadKind::missing_device:
      replace_once(line, device_key_, R"("unknown_device":)");
      break;
    case BadKind::number_as_text:
      replace_value(line, number_key, R"("high")");
      break;
    case BadKind::device_too_long:
      replace_once(line, device_value, device_value + std::string(device_bytes_max, 'x'));
      break;
    case BadKind::invalid_timestamp:
      replace_value(line, R"("timestamp":)", R"("yesterday")");
      break;
    case BadKind::timestamp_out_of_window:
      replace_value(line, R"("timestamp":)", R"("1971-03-01T00:00:00Z")");
      break;
    case BadKind::duplicate_key:
      line.insert(line.size() - 1, number_key + "1");
      break;
    case BadKind::nested_value:
      replace_value(line, number_key, R"({"value":1})");
      break;
    case BadKind::not_an_object:
      line = "17";
      break;
    case BadKind::invalid_utf8:
      replace_once(line, device_value, device_value + "\xff");
      break;
    case BadKind::nul_character:
      replace_once(line, device_value, device_value + "\\u0000");
      break;
  }
  return line;
}

std::string diagnostic_details(RecordKey key) {
  return fmt::format(R"({{"well": {}, "sequence": {}}})", key.well, key.sequence);
}

}  // namespace wellhead::loadgen
