#include "engine/metrics_database.hpp"

namespace wellhead {
namespace {

double scaled(double value, FigureKind kind) {
  if (kind == FigureKind::percent) return value / 100;
  if (kind == FigureKind::milliseconds) return value / 1'000;
  return value;
}

MetricLabels labels_of(const ReportLayout& layout, const DatabaseRow& row) {
  MetricLabels labels;
  for (std::size_t index = 0; index < layout.columns.size(); ++index) {
    const ReportColumn& column = layout.columns[index];
    if (column.label) labels.push_back({std::string(column.metric), row[index].value_or("")});
  }
  return labels;
}

void add_row(Exposition& exposition, const ReportLayout& layout, const DatabaseRow& row) {
  const MetricLabels labels = labels_of(layout, row);
  for (std::size_t index = 0; index < layout.columns.size(); ++index) {
    const ReportColumn& column = layout.columns[index];
    const auto value = figure_of(row[index]);
    if (column.label || column.metric.empty() || !value) continue;
    if (column.metric.ends_with("_total"))
      exposition.counter_of_fractions(column.metric, column.help, labels, scaled(*value, column.kind));
    else
      exposition.gauge(column.metric, column.help, labels, scaled(*value, column.kind));
  }
}

}  // namespace

void add_database_metrics(Exposition& exposition, const DatabaseReport& report) {
  for (const ReportSection& section : report.sections) {
    for (const DatabaseRow& row : section.rows) add_row(exposition, *section.layout, row);
    exposition.gauge("wellhead_database_report_incomplete",
                     "1 where the database did not tell this part, or more of it than is shown.",
                     {{"part", std::string(section.layout->name)}},
                     section.cut || !section.problem.empty() ? 1 : 0);
  }
  const std::chrono::duration<double> age = std::chrono::steady_clock::now() - report.read_at;
  exposition.gauge("wellhead_database_report_age_seconds",
                   "Time since the database was last asked for all of this.", {}, age.count());
}

}  // namespace wellhead
