#include "loadgen/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {

std::string shown_time(std::uint64_t microseconds) {
  const auto value = static_cast<double>(microseconds);
  if (microseconds < 1'000) return fmt::format("{} µs", microseconds);
  if (microseconds < 100'000) return fmt::format("{:.1f} ms", value / 1e3);
  if (microseconds < 1'000'000) return fmt::format("{:.0f} ms", value / 1e3);
  return fmt::format("{:.2f} s", value / 1e6);
}

std::string shown_count(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t position = text.size(); position > 3;) text.insert(position -= 3, 1, ',');
  return text;
}

Progress::Progress(const std::vector<std::unique_ptr<Worker>>& workers, std::int64_t start_ns)
    : workers_(workers), start_ns_(start_ns), last_ns_(start_ns), last_buckets_(Histogram::bucket_count) {}

Progress::Totals Progress::totals() const {
  Totals totals;
  for (const auto& worker : workers_) {
    const LedgerCounters& counters = worker->ledger().counters();
    // What was settled is read before what was sent: the difference, in flight, then never falls below zero.
    const std::uint64_t answered = counters.acknowledged.value() + counters.rejected.value();
    const std::uint64_t errors = counters.failed.value() + counters.unknown.value();
    totals.answered += answered;
    totals.errors += errors;
    totals.settled += answered + errors;
    totals.sent += counters.sent.value();
  }
  return totals;
}

std::unique_ptr<Histogram> Progress::interval_latency() {
  auto interval = std::make_unique<Histogram>();
  for (std::size_t bucket = 0; bucket < Histogram::bucket_count; ++bucket) {
    std::uint64_t count = 0;
    for (const auto& worker : workers_) count += worker->ledger().ack_us().count_in(bucket);
    const std::uint64_t fresh = count - last_buckets_[bucket];
    if (fresh != 0) interval->record(Histogram::bucket_highest(bucket), fresh);
    last_buckets_[bucket] = count;
  }
  return interval;
}

std::string Progress::line(std::int64_t now_ns) {
  const Totals now = totals();
  const auto latency = interval_latency();
  const double seconds = std::max(1e-3, ns_to_seconds(now_ns - last_ns_));
  const auto rate = [seconds](std::uint64_t to, std::uint64_t from) {
    return shown_count(static_cast<std::uint64_t>(std::llround(static_cast<double>(to - from) / seconds)));
  };
  std::string text = fmt::format(
      "{:5.0f} s  sent {}/s  answered {}/s  p50 {}  p99 {}  in flight {}  errors {}",
      ns_to_seconds(now_ns - start_ns_), rate(now.sent, last_.sent), rate(now.answered, last_.answered),
      shown_time(latency->value_at_percentile(50)), shown_time(latency->value_at_percentile(99)),
      shown_count(now.sent - std::min(now.sent, now.settled)), shown_count(now.errors));
  last_ = now;
  last_ns_ = now_ns;
  return text;
}

ProgressPrinter::ProgressPrinter(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressPrinter::~ProgressPrinter() {
  if (open_line_) std::fputc('\n', stderr);
}

void ProgressPrinter::print(const std::string& line) {
  if (quiet_) return;
  if (terminal_) {
    fmt::print(stderr, "\r{}\x1b[K", line);  // erase what is left of a longer line
    std::fflush(stderr);
    open_line_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
}

}  // namespace wellhead::loadgen
