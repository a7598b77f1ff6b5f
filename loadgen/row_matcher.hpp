// Recognises rows of the database as records of the run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "loadgen/copy_binary.hpp"

namespace wellhead::loadgen {

struct RowMatch {
  std::optional<std::uint64_t> record;  // empty: no record of the run has this device and timestamp
  bool values_equal = false;
  bool already_there = false;  // a row that was in the table before the run
  std::string difference;      // when the values differ: a sentence
};

// One thread.
class RowMatcher {
 public:
  virtual ~RowMatcher() = default;
  // SELECT for all rows that could be the run's, in the column order match() expects.
  [[nodiscard]] virtual std::string select_statement(const std::string& table) const = 0;
  // Whether rows with the run's keys may have been there before; then remember() gets every row before the
  // run.
  [[nodiscard]] virtual bool needs_baseline() const { return false; }
  virtual void remember(const CopyRow& row) { static_cast<void>(row); }
  // Before the first row of each reading after the run: what match() was given before is forgotten.
  virtual void rewind() {}
  [[nodiscard]] virtual RowMatch match(const CopyRow& row) = 0;
};

}  // namespace wellhead::loadgen
