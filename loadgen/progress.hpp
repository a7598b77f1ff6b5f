// One line a second on standard error while a run is on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/histogram.hpp"
#include "loadgen/ledger.hpp"
#include "loadgen/worker.hpp"

namespace wellhead::loadgen {

// The main thread's.
class Progress {
 public:
  Progress(const std::vector<std::unique_ptr<Worker>>& workers, std::int64_t start_ns);

  // What happened since the last call, as a line without its end.
  [[nodiscard]] std::string line(std::int64_t now_ns);

 private:
  struct Totals {
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;  // acknowledged or rejected
    std::uint64_t settled = 0;   // those, failed and unknown
    std::uint64_t errors = 0;    // failed and unknown
  };
  [[nodiscard]] Totals totals() const;
  [[nodiscard]] std::unique_ptr<Histogram> interval_latency();

  const std::vector<std::unique_ptr<Worker>>& workers_;
  std::int64_t start_ns_;
  std::int64_t last_ns_;
  Totals last_;
  std::vector<std::uint64_t> last_buckets_;
};

// Prints lines: one below the other, or over each other on a terminal.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(bool quiet);
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  void print(const std::string& line);

 private:
  bool quiet_;
  bool terminal_;
  bool open_line_ = false;
};

// "850 µs", "12.3 ms", "4.56 s".
[[nodiscard]] std::string shown_time(std::uint64_t microseconds);
// "1,234,567".
[[nodiscard]] std::string shown_count(std::uint64_t count);

}  // namespace wellhead::loadgen
