// Readings to JSON lines: the generator's hot path. Keys and punctuation are prepared once, numbers are
// printed from whole numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "loadgen/run_identity.hpp"
#include "loadgen/timestamp_text.hpp"
#include "loadgen/well_model.hpp"

namespace wellhead::loadgen {

inline constexpr std::size_t record_text_bytes_max = 768;  // of a rendered line; checked when it is built

// The ways a record is made bad on purpose. Each breaks one record and leaves its line a line.
enum class BadKind : std::uint8_t {
  truncated,
  missing_device,
  number_as_text,
  device_too_long,
  invalid_timestamp,
  timestamp_out_of_window,
  duplicate_key,
  nested_value,
  not_an_object,
  invalid_utf8,
  nul_character,
};
inline constexpr std::uint64_t bad_kind_count = 11;

// The code the node is to reject each kind with (docs/protocol.md).
[[nodiscard]] std::string_view expected_code(BadKind kind) noexcept;

// One per thread and batch: keeps the last second's timestamp text.
class RecordRenderer {
 public:
  RecordRenderer(StreamKind stream, const WellModel& model, const RunIdentity& identity);

  // Each writes one line with its newline, at most record_text_bytes_max, and returns the end.
  char* write(std::uint64_t record, char* out);
  char* write_bad(std::uint64_t record, BadKind kind, char* out);

 private:
  char* write_telemetry(RecordKey key, char* out);
  char* write_with_id(std::uint64_t record, RecordKey key, char* out);
  char* write_values(RecordKey key, char* out) const;
  char* write_diagnosis(RecordKey key, char* out) const;
  char* write_device(std::uint32_t well, char* out) const;
  [[nodiscard]] std::string spoil(std::string line, BadKind kind) const;

  StreamKind stream_;
  const WellModel& model_;
  const RunIdentity& identity_;
  TimestampWriter timestamps_;
  std::vector<std::string> value_keys_;  // ,"name":
  std::string_view device_key_;
};

// The jsonb text PostgreSQL stores for a diagnostic result's details: keys ordered by length, one blank after
// each colon and comma.
[[nodiscard]] std::string diagnostic_details(RecordKey key);

}  // namespace wellhead::loadgen
