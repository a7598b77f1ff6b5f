#include "engine/score_report.hpp"

#include <fmt/format.h>

namespace wellhead {
namespace {

std::optional<double> share(double some, double all) noexcept {
  return all > 0 ? std::optional(some / all) : std::nullopt;
}

std::optional<double> share(std::uint64_t some, std::uint64_t all) noexcept {
  return share(static_cast<double>(some), static_cast<double>(all));
}

std::string or_null(const std::optional<double>& number) {
  return number ? fmt::format("{}", *number) : "null";
}

}  // namespace

std::optional<double> ScoreReport::mean_score() const noexcept {
  return share(score_sum, static_cast<double>(rows));
}

std::optional<double> ScoreReport::precision() const noexcept {
  return share(labelled[1][1], labelled[0][1] + labelled[1][1]);
}

std::optional<double> ScoreReport::recall() const noexcept {
  return share(labelled[1][1], labelled[1][0] + labelled[1][1]);
}

std::optional<double> ScoreReport::f1() const noexcept {
  return share(2 * labelled[1][1], 2 * labelled[1][1] + labelled[0][1] + labelled[1][0]);
}

std::optional<double> ScoreReport::false_positive_rate() const noexcept {
  return share(labelled[0][1], labelled[0][0] + labelled[0][1]);
}

std::string print_score_json(const ScoreReport& report) {
  return fmt::format(
      R"({{"rows":{},"flagged":{},"precision":{},"recall":{},"f1":{},"false_positive_rate":{},"rejected":{},"repaired":{},"mean_score":{}}})"
      "\n",
      report.rows, report.flagged, or_null(report.precision()), or_null(report.recall()),
      or_null(report.f1()), or_null(report.false_positive_rate()), report.rejected, report.repaired,
      or_null(report.mean_score()));
}

}  // namespace wellhead
