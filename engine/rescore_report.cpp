#include "engine/rescore_report.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

#include "base/clock.hpp"
#include "base/json_text.hpp"
#include "engine/dead_letter_print.hpp"

namespace wellhead {
namespace {

constexpr std::size_t middle = RescoreReport::change_bins / 2;
constexpr std::size_t bar_cells = 40;

void count_bits(std::array<std::uint64_t, 64>& counts, std::uint64_t bits) {
  for (; bits != 0; bits &= bits - 1) ++counts[static_cast<std::size_t>(__builtin_ctzll(bits))];
}

std::string words(const Schema& schema, std::uint64_t flags) {
  const auto reasons = quality_reasons(schema, flags);
  return reasons.empty() ? "nothing" : fmt::format("{}", fmt::join(reasons, ", "));
}

double mean(double sum, std::uint64_t rows) {
  return rows == 0 ? 0 : sum / static_cast<double>(rows);
}

void print_left_out(const RescoreReport& report, std::string& text) {
  const auto line = [&](std::uint64_t rows, std::string_view why) {
    if (rows > 0) text += fmt::format("{:>12}  {}\n", rows, why);
  };
  line(report.learned, "rows before --since: only learned from");
  line(report.unjudged, "rows compared by themselves only: too little of their device comes before them");
  line(report.reordered, "rows compared by themselves only: they came in another order");
  line(report.not_found, "rows left out: not in the table, or not yet");
  line(report.ambiguous, "rows left out: several of one device and time");
  line(report.other_form, "rows left out: written when other columns were scored");
  line(report.segments_trimmed, "segments of the journal were trimmed before they were read");
  line(report.places_lost, "places of the journal are damaged, and their rows not looked at");
}

void print_histogram(const RescoreReport& report, std::string& text) {
  const std::uint64_t most = *std::ranges::max_element(report.score_changes);
  text += "\nchange of the score, rows\n";
  for (std::size_t bin = 0; bin < report.score_changes.size(); ++bin) {
    const std::uint64_t rows = report.score_changes[bin];
    if (rows == 0) continue;
    const auto cells = std::max<std::size_t>(1, static_cast<std::size_t>(bar_cells * rows / most));
    text += fmt::format("{:>+6.2f} {:>12}  ", (static_cast<double>(bin) - static_cast<double>(middle)) / 20,
                        rows);
    for (std::size_t cell = 0; cell < cells; ++cell) text += "█";
    text += '\n';
  }
}

void print_reasons(const Schema& schema, const RescoreReport& report, std::string& text) {
  text += fmt::format("\n{:<32} {:>10} {:>10}\n", "reason", "gained by", "lost by");
  for (std::size_t bit = 0; bit < report.gained.size(); ++bit)
    if (report.gained[bit] + report.lost[bit] > 0)
      text += fmt::format("{:<32} {:>10} {:>10}\n", words(schema, std::uint64_t{1} << bit),
                          report.gained[bit], report.lost[bit]);
}

void print_examples(const Schema& schema, const RescoreReport& report, std::string& text) {
  text += "\nfor example\n";
  for (const RescoreExample& row : report.examples)
    text += fmt::format("{}  {}  {:.2f} -> {:.2f}{}  {} -> {}\n", moment_text(row.time_us),
                        escaped(row.device), row.before.score, row.after.score,
                        row.before.anomaly == row.after.anomaly ? ""
                        : row.after.anomaly                     ? "  now an anomaly"
                                                                : "  no anomaly any more",
                        words(schema, row.before.flags), words(schema, row.after.flags));
}

}  // namespace

std::string moment_text(std::int64_t time_us) {
  const auto since_1970 = std::chrono::microseconds(time_us + postgres_epoch_unix_us);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", std::chrono::sys_time<std::chrono::microseconds>(since_1970));
}

void RescoreReport::note(const RescoreExample& row) {
  ++compared;
  anomalies_before += row.before.anomaly ? 1U : 0U;
  anomalies_after += row.after.anomaly ? 1U : 0U;
  score_sum_before += row.before.score;
  score_sum_after += row.after.score;
  const double change = row.after.score - row.before.score;
  const bool other_score = static_cast<float>(row.after.score) != static_cast<float>(row.before.score);
  const bool other_anomaly = row.after.anomaly != row.before.anomaly;
  const bool other_flags = row.after.flags != row.before.flags;
  if (!other_score && !other_anomaly && !other_flags) return;
  ++changed;
  score_changed += other_score ? 1U : 0U;
  anomaly_changed += other_anomaly ? 1U : 0U;
  flags_changed += other_flags ? 1U : 0U;
  if (other_score)
    ++score_changes[static_cast<std::size_t>(std::lround(std::clamp(change, -1.0, 1.0) * 20) + long{middle})];
  count_bits(gained, row.after.flags & ~row.before.flags);
  count_bits(lost, row.before.flags & ~row.after.flags);
  if (examples.size() < examples_max) examples.push_back(row);
}

std::string print_difference(const Schema& schema, const RescoreReport& report) {
  std::string text = fmt::format("{}: {} rows scored again, {} of them compared with the table\n",
                                 schema.name(), report.rows, report.compared);
  print_left_out(report, text);
  text += fmt::format(
      "\n{} rows differ: {} in the score, {} in the anomaly flag, {} in the quality flags\n"
      "mean score {:.4f} -> {:.4f}, anomalies {} -> {}\n",
      report.changed, report.score_changed, report.anomaly_changed, report.flags_changed,
      mean(report.score_sum_before, report.compared), mean(report.score_sum_after, report.compared),
      report.anomalies_before, report.anomalies_after);
  if (report.changed > 0) {
    if (report.score_changed > 0) print_histogram(report, text);
    print_reasons(schema, report, text);
    print_examples(schema, report, text);
  }
  if (report.compressed > 0)
    text +=
        fmt::format("\n{} of them lie in compressed chunks and are left as they are\n", report.compressed);
  return text;
}

std::string print_rescore(const Schema& schema, const RescoreReport& report, bool wrote) {
  return print_difference(schema, report) +
         (wrote ? fmt::format("\n{} rows written\n", report.written) : "\nnothing was written\n");
}

std::string print_rescore_json(const Schema& schema, const RescoreReport& report) {
  std::string name;
  append_json_string(name, schema.name());
  return fmt::format(
      R"({{"stream":{},"rows":{},"learned":{},"compared":{},"unjudged":{},"reordered":{},"not_found":{},"ambiguous":{},)"
      R"("other_form":{},"changed":{},"score_changed":{},"anomaly_changed":{},"flags_changed":{},)"
      R"("anomalies_before":{},"anomalies_after":{},"mean_score_before":{},"mean_score_after":{},)"
      R"("score_changes":[{}],"compressed":{},"written":{},"segments_trimmed":{},"places_lost":{}}})"
      "\n",
      name, report.rows, report.learned, report.compared, report.unjudged, report.reordered, report.not_found,
      report.ambiguous, report.other_form, report.changed, report.score_changed, report.anomaly_changed,
      report.flags_changed, report.anomalies_before, report.anomalies_after,
      mean(report.score_sum_before, report.compared), mean(report.score_sum_after, report.compared),
      fmt::join(report.score_changes, ","), report.compressed, report.written, report.segments_trimmed,
      report.places_lost);
}

}  // namespace wellhead
