#include "loadgen/report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/json_text.hpp"
#include "loadgen/progress.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::size_t bar_columns = 50;

struct Percentile {
  const char* name;  // in JSON
  const char* shown;
  double value;
};
constexpr Percentile percentiles[] = {
    {"p50", "p50", 50}, {"p90", "p90", 90}, {"p99", "p99", 99}, {"p999", "p99.9", 99.9}};

// 1, 2, 5, 10, 20, 50 …
std::uint64_t next_bound(std::uint64_t bound) {
  const std::uint64_t leading =
      bound / static_cast<std::uint64_t>(std::pow(10, std::floor(std::log10(bound))));
  return leading == 2 ? bound / 2 * 5 : bound * 2;
}

std::string bar(double share) {
  const double columns = share * static_cast<double>(bar_columns);
  std::string text;
  for (std::size_t column = 0; column < static_cast<std::size_t>(columns); ++column) text += "█";
  if (text.empty() && share > 0) text = "▏";
  return text;
}

void add_line(std::string& text, std::string_view name, const std::string& value) {
  text += fmt::format("  {:<26} {:>14}\n", name, value);
}

void add_count(std::string& text, std::string_view name, std::uint64_t count) {
  add_line(text, name, shown_count(count));
}

void add_count_unless_zero(std::string& text, std::string_view name, std::uint64_t count) {
  if (count != 0) add_count(text, name, count);
}

void add_records(std::string& text, const Summary& summary) {
  add_count(text, "sent", summary.sent);
  add_count(text, "acknowledged", summary.acknowledged);
  add_count(text, "rejected", summary.rejected);
  for (const auto& [code, count] : summary.reject_codes) add_count(text, "  " + code, count);
  add_count_unless_zero(text, "bad ones acknowledged", summary.bad_acknowledged);
  add_count_unless_zero(text, "good ones rejected", summary.good_rejected);
  add_count_unless_zero(text, "failed", summary.failed);
  add_count_unless_zero(text, "of unknown fate", summary.unknown);
  for (const auto& [reason, count] : summary.problems) add_count(text, "  " + reason, count);
}

void add_verification(std::string& text, const Summary& summary) {
  if (!summary.verification) return;
  const Verification& verified = *summary.verification;
  add_count(text, "rows in the table", verified.committed);
  add_count(text, "lost", verified.lost);
  add_count(text, "duplicated", verified.duplicated);
  add_count(text, "mismatched", verified.mismatched);
  add_count(text, "never sent, but there", verified.foreign);
  add_count(text, "refused, but there", verified.rejected_present);
  if (verified.unknown_committed + verified.unknown_absent != 0) {
    add_count(text, "unknown: there after all", verified.unknown_committed);
    add_count(text, "unknown: not there", verified.unknown_absent);
  }
}

void add_rates(std::string& text, const Summary& summary) {
  const auto whole = [](double value) {
    return shown_count(static_cast<std::uint64_t>(std::llround(value)));
  };
  add_line(text, "duration", fmt::format("{:.2f} s", summary.duration_s));
  add_line(text, "records/s", whole(summary.rate));
  if (summary.target_rate > 0) {
    add_line(text, "target records/s",
             whole(summary.target_rate) + (summary.rate_held ? " held" : " NOT held"));
  }
  const double megabytes = static_cast<double>(summary.bytes) / 1e6;
  add_line(text, "sent in all", fmt::format("{:.1f} MB", megabytes));
  add_count_unless_zero(text, "batches told to wait", summary.backpressure);
  add_count_unless_zero(text, "batches sent again", summary.retries);
  add_count_unless_zero(text, "reconnects", summary.reconnects);
  for (const auto& [name, seconds] : summary.cpu_seconds) {
    add_line(text, "CPU seconds, " + name, fmt::format("{:.2f}", seconds));
  }
}

std::string json_string(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return quoted;
}

std::string json_latency(const Histogram& histogram) {
  std::string text = "{";
  for (const Percentile& percentile : percentiles) {
    text += fmt::format("\"{}\":{},", percentile.name, histogram.value_at_percentile(percentile.value));
  }
  return text + fmt::format("\"max\":{},\"mean\":{:.1f}}}", histogram.max(), histogram.mean());
}

std::string json_reasons(const Ledger::Reasons& reasons) {
  std::string text;
  for (const auto& [reason, count] : reasons) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", json_string(reason), count);
  }
  return "{" + text + "}";
}

std::string json_cpu(const Summary& summary) {
  std::string text;
  for (const auto& [name, seconds] : summary.cpu_seconds) {
    text += fmt::format("{}{}:{:.2f}", text.empty() ? "" : ",", json_string(name), seconds);
  }
  return "{" + text + "}";
}

std::string json_list(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : ",") + json_string(sentence);
  return "[" + text + "]";
}

class JsonObject {
 public:
  void add(std::string_view key, const std::string& value) {
    text_ += fmt::format("{}\n  \"{}\": {}", text_.empty() ? "" : ",", key, value);
  }
  void add(std::string_view key, std::uint64_t value) { add(key, std::to_string(value)); }
  void add(std::string_view key, double value) { add(key, fmt::format("{:.3f}", value)); }
  void add_flag(std::string_view key, bool value) { add(key, std::string(value ? "true" : "false")); }
  [[nodiscard]] std::string text() const { return "{" + text_ + "\n}\n"; }

 private:
  std::string text_;
};

void add_json_verification(JsonObject& json, const Summary& summary) {
  const auto add = [&](std::string_view key, std::uint64_t Verification::* member) {
    const bool known = summary.verification.has_value();
    json.add(key, known ? std::to_string((*summary.verification).*member) : std::string("null"));
  };
  add("committed", &Verification::committed);
  add("lost", &Verification::lost);
  add("duplicated", &Verification::duplicated);
  add("mismatched", &Verification::mismatched);
  add("foreign", &Verification::foreign);
  add("rejected_present", &Verification::rejected_present);
  add("unknown_committed", &Verification::unknown_committed);
  add("unknown_absent", &Verification::unknown_absent);
}

}  // namespace

std::string latency_chart(const Histogram& latency_us) {
  std::string text;
  std::uint64_t low = 0;
  std::uint64_t peak = 0;
  struct Row {
    std::uint64_t below;
    std::uint64_t count;
  };
  std::vector<Row> rows;
  for (std::uint64_t bound = 10; low < latency_us.count(); bound = next_bound(bound)) {
    const std::uint64_t covered = latency_us.count_at_or_below(bound - 1);
    if (!rows.empty() || covered != 0) rows.push_back({.below = bound, .count = covered - low});
    peak = std::max(peak, covered - low);
    low = covered;
  }
  for (const Row& row : rows) {
    const double share = static_cast<double>(row.count) / static_cast<double>(peak);
    text += fmt::format("  < {:>8} {:>14}  {}\n", shown_time(row.below), shown_count(row.count), bar(share));
  }
  text += " ";
  for (const Percentile& percentile : percentiles) {
    text += fmt::format(" {} {} ", percentile.shown,
                        shown_time(latency_us.value_at_percentile(percentile.value)));
  }
  return text + fmt::format(" max {}\n", shown_time(latency_us.max()));
}

std::string text_report(const Summary& summary, const Options& options) {
  std::string text =
      fmt::format("\nwellhead-loadgen {} run {} seed {}\n", options.url, options.run_id, options.seed);
  add_records(text, summary);
  add_verification(text, summary);
  add_rates(text, summary);
  text += "\nAcknowledge latency, from the scheduled time\n" + latency_chart(*summary.ack_us);
  text += "Service time, from the first byte sent\n ";
  for (const Percentile& percentile : percentiles) {
    text += fmt::format(" {} {} ", percentile.shown,
                        shown_time(summary.service_us->value_at_percentile(percentile.value)));
  }
  text += fmt::format(" max {}\n\n", shown_time(summary.service_us->max()));
  if (summary.verification) {
    for (const std::string& example : summary.verification->examples) text += "  " + example + "\n";
  }
  const std::vector<std::string> failures = summary.failures();
  for (const std::string& failure : failures) text += "FAILED: " + failure + "\n";
  if (failures.empty())
    text += summary.verification ? "OK: every acknowledged record is there once\n" : "OK\n";
  return text;
}

std::string json_report(const Summary& summary, const Options& options) {
  JsonObject json;
  json.add("url", json_string(options.url));
  json.add("run_id", json_string(options.run_id));
  json.add("stream", json_string(options.stream_name));
  json.add("seed", options.seed);
  json.add("sent", summary.sent);
  json.add("acknowledged", summary.acknowledged);
  json.add("rejected", summary.rejected);
  json.add("failed", summary.failed);
  json.add("unknown", summary.unknown);
  add_json_verification(json, summary);
  json.add("bad_acknowledged", summary.bad_acknowledged);
  json.add("good_rejected", summary.good_rejected);
  json.add("rejected_unlisted", summary.unlisted);
  json.add("reject_codes", json_reasons(summary.reject_codes));
  json.add("problems", json_reasons(summary.problems));
  json.add("rate", summary.rate);
  json.add("target_rate", summary.target_rate > 0 ? fmt::format("{:.3f}", summary.target_rate) : "null");
  json.add_flag("rate_held", summary.rate_held);
  json.add("duration_s", summary.duration_s);
  json.add_flag("interrupted", summary.interrupted);
  json.add("batches", summary.batches);
  json.add("bytes", summary.bytes);
  json.add("backpressure", summary.backpressure);
  json.add("retries", summary.retries);
  json.add("reconnects", summary.reconnects);
  json.add("protocol_errors", summary.protocol_errors);
  json.add("ack_latency_us", json_latency(*summary.ack_us));
  json.add("service_time_us", json_latency(*summary.service_us));
  json.add("cpu_seconds", json_cpu(summary));
  json.add("failures", json_list(summary.failures()));
  return json.text();
}

}  // namespace wellhead::loadgen
