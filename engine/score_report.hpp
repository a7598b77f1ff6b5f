// What scoring a file found, and how it compares with the labels the file has.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wellhead {

// A line that became no row.
struct BadLine {
  std::uint64_t number;  // from 1
  std::string code;      // as in the protocol
  std::string field;     // empty where no single one is at fault
  std::string message;
};

struct ScoreReport {
  static constexpr std::size_t bad_lines_max = 10;

  std::uint64_t rows = 0;
  std::uint64_t rejected = 0;
  std::uint64_t repaired = 0;  // rows with NULL for what was out of range
  std::uint64_t flagged = 0;   // rows that are anomalies
  double score_sum = 0;
  std::array<std::uint64_t, 64> by_bit{};  // rows by bit of quality_flags
  // Rows that have a label, by [labelled an anomaly][flagged].
  std::array<std::array<std::uint64_t, 2>, 2> labelled{};
  std::vector<BadLine> bad_lines;  // the first bad_lines_max

  void count_label(bool label, bool flag) noexcept { ++labelled[label ? 1 : 0][flag ? 1 : 0]; }

  // Nothing where there is nothing to take the share of: no label, or none of its kind.
  [[nodiscard]] std::optional<double> mean_score() const noexcept;
  [[nodiscard]] std::optional<double> precision() const noexcept;
  [[nodiscard]] std::optional<double> recall() const noexcept;
  [[nodiscard]] std::optional<double> f1() const noexcept;
  [[nodiscard]] std::optional<double> false_positive_rate() const noexcept;
};

[[nodiscard]] std::string print_score_json(const ScoreReport& report);

}  // namespace wellhead
