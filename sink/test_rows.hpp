// For tests: rows of the shipped streams, made by hand.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"
#include "codec/schema.hpp"
#include "queue/batch.hpp"

namespace wellhead::test {

inline constexpr std::uint16_t telemetry_stream = 0;
inline constexpr std::uint16_t esp_stream = 1;
inline constexpr std::uint16_t diagnostic_stream = 2;
// 2026-01-01 00:00 UTC, microseconds since 2000-01-01.
inline constexpr std::int64_t base_time_us = 820'540'800'000'000;

inline std::vector<SchemaPointer> shipped_schemas() {
  std::vector<SchemaPointer> schemas;
  for (StreamConfig& config : builtin_streams()) {
    auto compiled = Schema::compile(std::move(config), static_cast<std::uint16_t>(schemas.size()));
    WELLHEAD_ASSERT(compiled.has_value());
    schemas.push_back(*compiled);
  }
  return schemas;
}

// A tuple, field after field.
class Tuple {
 public:
  Tuple& null() { return put(copy_binary::null_length); }
  Tuple& text(std::string_view value) {
    put(static_cast<std::int32_t>(value.size()));
    bytes_ += value;
    return *this;
  }
  Tuple& bigint(std::int64_t value) { return put(std::int32_t{8}).raw(static_cast<std::uint64_t>(value)); }
  Tuple& boolean(bool value) {
    put(std::int32_t{1});
    bytes_ += static_cast<char>(value);
    return *this;
  }
  Tuple& timestamptz(std::int64_t value) { return bigint(value); }
  Tuple& real(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return put(std::int32_t{4}).raw(bits);
  }
  Tuple& jsonb(std::string_view value) { return text("\x01" + std::string(value)); }
  // The computed columns as the decoder leaves them: a perfect reading's.
  Tuple& unscored() { return real(1).boolean(false).bigint(0); }
  [[nodiscard]] std::string bytes() const { return Tuple().raw(fields_).bytes_ + bytes_; }

 private:
  template <typename Unsigned>
  Tuple& raw(Unsigned value) {
    std::byte stored[sizeof value];
    static_cast<void>(copy_binary::put(stored, value));
    bytes_.append(reinterpret_cast<const char*>(stored), sizeof stored);
    return *this;
  }
  Tuple& put(std::int32_t length) {
    ++fields_;
    return raw(static_cast<std::uint32_t>(length));
  }

  std::string bytes_;
  std::uint16_t fields_ = 0;
};

inline std::unique_ptr<Batch> make_batch(std::size_t capacity_bytes = 1U << 20, std::uint32_t reactor = 0) {
  return std::make_unique<Batch>(capacity_bytes, reactor);
}

// Adds a row; its index within its request is its number within the batch.
inline void add_row(Batch& batch, std::uint16_t stream, std::string_view device, std::int64_t time_us,
                    const Tuple& tuple) {
  const std::string bytes = tuple.bytes();
  const RowHeader header{.device_hash = std::hash<std::string_view>{}(device),
                         .time_us = time_us,
                         .tuple_bytes = static_cast<std::uint32_t>(bytes.size()),
                         .record_index = batch.row_count(),
                         .stream = stream};
  WELLHEAD_ASSERT(batch.fits(row_bytes(bytes.size())));
  std::byte* row = batch.append(1, 1, header.tuple_bytes);
  std::memcpy(row, &header, sizeof header);
  std::memcpy(row + sizeof header, bytes.data(), bytes.size());
}

// One reading of the telemetry stream; a negative pressure violates the table's CHECK.
inline void add_telemetry(Batch& batch, std::string_view device, std::int64_t time_us, float pressure) {
  Tuple tuple;
  tuple.timestamptz(time_us).text(device).real(61.5F).real(0.25F).real(pressure).real(900).real(50).real(
      3500);
  tuple.real(1900).null().timestamptz(time_us + 1'000'000).text("scada").unscored();
  add_row(batch, telemetry_stream, device, time_us, tuple);
}

inline void add_esp(Batch& batch, std::int64_t id, std::string_view well, std::int64_t time_us) {
  Tuple tuple;
  tuple.bigint(id).text(well).timestamptz(time_us).real(1000).real(2000).real(50).real(200).real(0.3F).real(
      60);
  tuple.real(300).timestamptz(time_us + 1'000'000).text("scada").unscored();
  add_row(batch, esp_stream, well, time_us, tuple);
}

inline void add_diagnostic(Batch& batch, std::int64_t id, std::string_view well, std::int64_t time_us,
                           std::string_view severity = "warning") {
  Tuple tuple;
  tuple.bigint(id).text(well).timestamptz(time_us).text(severity).text("gas lock").real(0.75F);
  tuple.jsonb(R"({"source": "rules"})");
  add_row(batch, diagnostic_stream, well, time_us, tuple);
}

// A stream of one scored field, with all computed columns; its only one.
inline std::vector<SchemaPointer> scored_schemas() {
  StreamConfig config{.name = "scored", .table = "scored", .device_column = "device", .time_column = "time"};
  config.columns = {{.name = "time", .type = ColumnType::timestamptz},
                    {.name = "device", .type = ColumnType::text},
                    {.name = "value", .scored = true, .primary = true},
                    {.name = "score", .type = ColumnType::real, .source = ColumnSource::quality_score},
                    {.name = "odd", .type = ColumnType::boolean, .source = ColumnSource::anomaly},
                    {.name = "flags", .type = ColumnType::bigint, .source = ColumnSource::quality_flags}};
  auto compiled = Schema::compile(std::move(config), 0);
  WELLHEAD_ASSERT(compiled.has_value());
  return {*compiled};
}

inline void add_scored(Batch& batch, std::string_view device, std::int64_t time_us, float value,
                       std::uint16_t stream = 0) {
  Tuple tuple;
  tuple.timestamptz(time_us).text(device).real(value).unscored();
  add_row(batch, stream, device, time_us, tuple);
}

}  // namespace wellhead::test
