// What is sent: numbered records, rendered as NDJSON lines, and how to recognise them in the database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace wellhead::loadgen {

class RowMatcher;

struct RecordRange {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};

// Immutable while the workers run; any thread.
class Workload {
 public:
  virtual ~Workload() = default;
  // An upper bound for what render() writes.
  [[nodiscard]] virtual std::size_t text_bytes_max(RecordRange range) const = 0;
  // Writes the range's records to `out`, one a line, and returns the end. The offsets of those that are bad
  // on purpose are appended to `bad_offsets`, ascending.
  virtual char* render(RecordRange range, char* out, std::vector<std::uint32_t>& bad_offsets) const = 0;
  // Whether every bad record is one that was made bad: then a rejected good record is a failure.
  [[nodiscard]] virtual bool knows_bad_records() const = 0;
  // The workload outlives the matcher.
  [[nodiscard]] virtual std::unique_ptr<RowMatcher> make_matcher() const = 0;
};

}  // namespace wellhead::loadgen
