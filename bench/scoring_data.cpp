// Scores recorded runs and says how the anomaly flag compares with their labels.
//
//   build/release/bin/scoring_data Temperature,Pressure+,Current FILE.csv…
//
// Each file is one run of one device: separated by semicolons, the first line names the columns, `datetime`
// is YYYY-MM-DD hh:mm:ss, `anomaly` (0 or 1) may be missing. The columns given first are scored; one that
// ends in
// + has no values below zero, so those are out of range.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "codec/quality.hpp"
#include "scoring/scorer.hpp"
#include "scoring/test_support.hpp"

namespace wellhead {
namespace {

constexpr std::size_t rows_per_flush = 100;

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> parts;
  std::istringstream text(line);
  for (std::string part; std::getline(text, part, separator);) {
    if (!part.empty() && part.back() == '\r') part.pop_back();
    parts.push_back(part);
  }
  return parts;
}

std::int64_t time_us(const std::string& text) {
  std::tm calendar{};
  if (strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &calendar) == nullptr) return 0;
  return std::int64_t{timegm(&calendar)} * test::second_us;
}

struct Counts {
  std::array<std::array<std::uint64_t, 2>, 2> rows{};  // [labelled][flagged]

  void print(const std::string& name) const {
    const auto part = [](std::uint64_t some, std::uint64_t all) {
      return all == 0 ? 0 : static_cast<double>(some) / static_cast<double>(all);
    };
    std::printf("%s: rows %lu, flagged %lu, precision %.3f, recall %.3f, false positives %.2f %%\n",
                name.c_str(), rows[0][0] + rows[0][1] + rows[1][0] + rows[1][1], rows[0][1] + rows[1][1],
                part(rows[1][1], rows[0][1] + rows[1][1]), part(rows[1][1], rows[1][0] + rows[1][1]),
                100 * part(rows[0][1], rows[0][0] + rows[0][1]));
  }
};

class Runs {
 public:
  explicit Runs(std::vector<std::string> columns)
      : columns_(std::move(columns)),
        schemas_{test::compile(test::watched_stream(static_cast<std::uint32_t>(columns_.size())))},
        scorer_(schemas_, {}, stats_) {}

  void add(const std::string& file) {
    std::ifstream lines(file);
    std::string line;
    if (!std::getline(lines, line)) std::fprintf(stderr, "%s cannot be read\n", file.c_str());
    const std::vector<std::string> names = split(line, ';');
    while (std::getline(lines, line)) {
      std::map<std::string, std::string> record;
      const std::vector<std::string> values = split(line, ';');
      for (std::size_t column = 0; column < names.size() && column < values.size(); ++column)
        record[names[column]] = values[column];
      add_row(file, record);
      if (rows_.size() == rows_per_flush) flush();
    }
    flush();
  }
  void print() const { counts_.print("all"); }

 private:
  void add_row(const std::string& device, const std::map<std::string, std::string>& record) {
    test::Values values;
    unsigned out_of_range = 0;
    for (std::string column : columns_) {
      const bool positive = column.ends_with('+');
      if (positive) column.pop_back();
      const auto found = record.find(column);
      values.emplace_back();
      if (found == record.end() || found->second.empty()) continue;
      const float value = std::strtof(found->second.c_str(), nullptr);
      if (positive && value < 0)
        out_of_range |= 1U << (values.size() - 1);
      else
        values.back() = value;
    }
    const auto time = record.find("datetime");
    RowHeader& row = rows_.add(device, time == record.end() ? 0 : time_us(time->second), values);
    row.quality_out_of_range = static_cast<std::uint16_t>(out_of_range);
    const auto label = record.find("anomaly");
    labels_.push_back(label != record.end() && std::strtod(label->second.c_str(), nullptr) > 0);
  }

  void flush() {
    scorer_.start();
    const auto sorted = rows_.sorted();
    scorer_.score(0, sorted);
    scorer_.commit();
    for (std::size_t row = 0; row < rows_.size(); ++row)
      ++counts_.rows[labels_[row] ? 1 : 0][test::computed_of(rows_.header(row)).anomaly ? 1 : 0];
    rows_.clear();
    labels_.clear();
  }

  std::vector<std::string> columns_;
  std::vector<SchemaPointer> schemas_;
  std::array<StreamScores, 1> stats_;
  Scorer scorer_;
  test::Rows rows_;
  std::vector<bool> labels_;
  Counts counts_;
};

}  // namespace
}  // namespace wellhead

int main(int count, char** arguments) {
  if (count < 3) {
    std::fputs("usage: scoring_data COLUMN,COLUMN,… FILE.csv…\n", stderr);
    return 2;
  }
  wellhead::Runs runs(wellhead::split(arguments[1], ','));
  for (int file = 2; file < count; ++file) runs.add(arguments[file]);
  runs.print();
  return 0;
}
