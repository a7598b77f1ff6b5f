// What is told of a database: the views of migration 0019, column by column, once for the report that people
// read, its JSON, and the node's metrics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace wellhead {

// What a column's values are: how they are printed, and how they are scaled as metrics.
enum class FigureKind : std::uint8_t {
  text,
  flag,
  count,
  bytes,
  seconds,
  milliseconds,  // as a metric in seconds
  percent,       // as a metric a ratio, 0 to 1
  time,          // RFC 3339, UTC; never a metric
};

struct ReportColumn {
  std::string_view name;     // of the view's column, and in JSON
  std::string_view heading;  // in the table for people; empty: only in JSON
  FigureKind kind = FigureKind::text;
  // Of a text or an identifying number: the label that each metric of the row has. Of others: the metric's
  // name, a counter's where it ends in _total. Empty: no metric.
  std::string_view metric = {};
  std::string_view help = {};
  bool label = false;
};

struct ReportLayout {
  std::string_view name;   // in JSON
  std::string_view title;  // for people
  std::string_view view;
  std::string_view selection;  // WHERE and ORDER BY
  std::size_t rows_max;        // and so the most label values of its metrics
  bool watched;                // the node asks for it again and again
  std::span<const ReportColumn> columns;
};

// In the order in which they are told.
[[nodiscard]] std::span<const ReportLayout> report_layouts();

}  // namespace wellhead
