// Rows of the database against the well model.
#pragma once

#include "loadgen/generated_workload.hpp"
#include "loadgen/row_matcher.hpp"

namespace wellhead::loadgen {

class GeneratedMatcher final : public RowMatcher {
 public:
  explicit GeneratedMatcher(const GeneratedWorkload& workload);

  // Columns: device, timestamp, the stream's values; then id where the stream has one; then severity,
  // diagnosis and details of diagnostic results.
  [[nodiscard]] std::string select_statement(const std::string& table) const override;
  [[nodiscard]] RowMatch match(const CopyRow& row) override;

 private:
  void compare(const CopyRow& row, std::uint64_t record, RowMatch& match) const;
  void compare_diagnosis(const CopyRow& row, RecordKey key, std::size_t column, RowMatch& match) const;

  const GeneratedWorkload& workload_;
  std::size_t columns_;
};

}  // namespace wellhead::loadgen
