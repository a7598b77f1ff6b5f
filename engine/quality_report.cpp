#include "engine/quality_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/json_text.hpp"
#include "engine/dead_letter_print.hpp"
#include "sink/row_number.hpp"

namespace wellhead {
namespace {

constexpr std::string_view undefined_function = "42883";
constexpr std::string_view time_form = R"('YYYY-MM-DD"T"HH24:MI:SS"Z"')";
// Cells of a bar for 100 %.
constexpr double bar_cells = 20;

std::string sentence_of(const DatabaseError& error) {
  if (error.sqlstate == undefined_function)
    return "There is no report: the database has no function for it yet. Run `wellhead migrate up`.";
  return fmt::format(
      "There is no report: the database says{}{}: {}. The role needs SELECT on the stream's table.",
      error.sqlstate.empty() ? "" : " ", error.sqlstate, error.message);
}

std::optional<double> figure_in(const std::optional<std::string>& text) {
  return text ? std::optional(number_in<double>(text)) : std::nullopt;
}

std::string or_null(const std::optional<double>& number) {
  return number ? fmt::format("{}", *number) : "null";
}

std::string bar(double share) {
  const auto cells = static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * bar_cells));
  std::string text;
  for (std::size_t cell = 0; cell < static_cast<std::size_t>(bar_cells); ++cell)
    text += cell < cells ? "█" : "·";
  return text;
}

std::array<std::pair<std::string_view, const std::optional<double>*>, 5> figures(
    const QualityOverview& overview) {
  return {{{"completeness", &overview.completeness},
           {"validity", &overview.validity},
           {"consistency", &overview.consistency},
           {"timeliness", &overview.timeliness},
           {"overall", &overview.overall}}};
}

void print_devices(const QualityReport& report, std::string& text) {
  auto out = std::back_inserter(text);
  std::size_t width = 6;
  for (const DeviceQuality& device : report.devices) width = std::max(width, escaped(device.device).size());
  fmt::format_to(out, "\n{:<{}}  {:>7}  {:<20}  {:>10}  {:>12}  {}\n", "device", width, "quality", "",
                 "anomalies", "rows", "last reading");
  for (const DeviceQuality& device : report.devices)
    fmt::format_to(out, "{:<{}}  {:>7}  {:<20}  {:>10}  {:>12}  {}\n", escaped(device.device), width,
                   device.mean_score ? fmt::format("{:.3f}", *device.mean_score) : "none",
                   bar(device.mean_score.value_or(0)), device.anomalies, device.rows, device.last_reading);
}

}  // namespace

std::expected<QualityReport, std::string> read_quality_report(Database& database, const std::string& stream,
                                                              double hours, std::uint64_t device_limit) {
  const std::string arguments = fmt::format("({}, {})", sql_literal(stream), hours);
  const auto overview = database.query(
      "SELECT row_count, completeness, validity, consistency, timeliness, overall FROM "
      "wellhead_quality_overview" +
      arguments);
  if (!overview) return std::unexpected(sentence_of(overview.error()));
  if (overview->empty())
    return std::unexpected(fmt::format(
        "There is no report of the stream {}; there is one of telemetry and of esp_telemetry.", stream));
  const DatabaseRow& figure = overview->front();
  QualityReport report{stream,
                       hours,
                       {number_in<std::uint64_t>(figure[0]), figure_in(figure[1]), figure_in(figure[2]),
                        figure_in(figure[3]), figure_in(figure[4]), figure_in(figure[5])},
                       {}};
  if (device_limit == 0) return report;
  const auto devices = database.query(fmt::format(
      "SELECT device_id, mean_quality, anomaly_count, row_count, to_char(last_reading AT TIME ZONE "
      "'UTC', {}) FROM wellhead_quality_by_device{} LIMIT {}",
      time_form, arguments, device_limit));
  if (!devices) return std::unexpected(sentence_of(devices.error()));
  for (const DatabaseRow& row : *devices)
    report.devices.push_back({row[0].value_or(""), figure_in(row[1]), number_in<std::uint64_t>(row[2]),
                              number_in<std::uint64_t>(row[3]), row[4].value_or("")});
  return report;
}

std::string print_quality(const QualityReport& report) {
  std::string text =
      fmt::format("{}, last {} h, {} rows\n\n", report.stream, report.hours, report.overview.rows);
  for (const auto& [name, figure] : figures(report.overview))
    text += *figure ? fmt::format("{:<14} {:>6.2f} %  {}\n", name, **figure, bar(**figure / 100))
                    : fmt::format("{:<14} {:>6}\n", name, "none");
  if (!report.devices.empty()) print_devices(report, text);
  return text;
}

std::string print_quality_json(const QualityReport& report) {
  const auto quoted = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  std::string text = fmt::format(R"({{"stream":{},"hours":{},"rows":{})", quoted(report.stream), report.hours,
                                 report.overview.rows);
  for (const auto& [name, figure] : figures(report.overview))
    text += fmt::format(R"(,"{}":{})", name, or_null(*figure));
  text += R"(,"devices":[)";
  for (std::size_t index = 0; index < report.devices.size(); ++index) {
    const DeviceQuality& device = report.devices[index];
    text += fmt::format(R"({}{{"device":{},"mean_score":{},"anomalies":{},"rows":{},"last_reading":{}}})",
                        index == 0 ? "" : ",", quoted(device.device), or_null(device.mean_score),
                        device.anomalies, device.rows, quoted(device.last_reading));
  }
  return text + "]}\n";
}

}  // namespace wellhead
