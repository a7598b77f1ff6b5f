// A recorded line, read for checking: its key and the values its columns should have.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "loadgen/options.hpp"
#include "loadgen/replay_workload.hpp"

namespace wellhead::loadgen {

// monostate: NULL.
struct ExpectedNumber {
  double value;
  bool converted = false;  // from another unit: the last digits depend on how
};
using ExpectedValue = std::variant<std::monostate, ExpectedNumber, std::int64_t, std::string>;

enum class ReplayColumnKind : std::uint8_t { real, bigint, text, json };

// `minimum`, `maximum`: the node stores NULL in the place of a value outside of them.
struct ReplayColumn {
  std::string_view name;
  ReplayColumnKind kind;
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
};

// The stream's columns that come from a record, without device and timestamp, in the order of expected().
[[nodiscard]] const std::vector<ReplayColumn>& replay_columns(StreamKind stream);

// One per thread.
class ReplayRecordReader {
 public:
  explicit ReplayRecordReader(StreamKind stream);
  ~ReplayRecordReader();

  [[nodiscard]] ReplayKey key(std::string_view line);
  // One value per column of replay_columns(); empty when the line is not an object.
  [[nodiscard]] std::optional<std::vector<ExpectedValue>> expected(std::string_view line);

 private:
  struct State;
  StreamKind stream_;
  std::unique_ptr<State> state_;
};

}  // namespace wellhead::loadgen
