// Rows of the database against the recorded file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "loadgen/replay_record.hpp"
#include "loadgen/replay_workload.hpp"
#include "loadgen/row_matcher.hpp"

namespace wellhead::loadgen {

// A recording's device ids and timestamps are its own, so the table may hold such rows from before: an
// earlier replay, or the field itself. They are counted before the run and set off afterwards.
class ReplayMatcher final : public RowMatcher {
 public:
  explicit ReplayMatcher(const ReplayWorkload& workload);

  // Columns: device, timestamp, then replay_columns().
  [[nodiscard]] std::string select_statement(const std::string& table) const override;
  [[nodiscard]] bool needs_baseline() const override { return true; }
  void remember(const CopyRow& row) override;
  void rewind() override;
  [[nodiscard]] RowMatch match(const CopyRow& row) override;

 private:
  struct Entry {
    std::uint64_t key_hash;
    std::uint64_t record;
  };
  // The record of this key whose values equal the row's and that has not had a row yet; else the best there
  // is.
  [[nodiscard]] RowMatch find(const CopyRow& row);
  [[nodiscard]] std::string difference(const CopyRow& row, std::uint64_t record);

  const ReplayWorkload& workload_;
  ReplayRecordReader reader_;
  std::vector<Entry> entries_;  // sorted by hash
  std::vector<std::string> devices_;
  std::int64_t time_us_min_ = 0;  // since 1970
  std::int64_t time_us_max_ = 0;
  std::vector<std::uint32_t> there_before_;  // rows per record
  std::uint64_t foreign_before_ = 0;
  // Of this reading: what of the two above has not been met yet, and which records were.
  std::vector<std::uint32_t> there_left_;
  std::uint64_t foreign_left_ = 0;
  std::vector<bool> had_row_;
};

}  // namespace wellhead::loadgen
