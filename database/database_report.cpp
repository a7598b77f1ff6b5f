#include "database/database_report.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "database/server.hpp"

namespace wellhead {
namespace {

constexpr std::string_view undefined_table = "42P01";
constexpr std::string_view insufficient_privilege = "42501";
constexpr std::string_view lock_timeout = "3s";

std::string expression(const ReportColumn& column) {
  if (column.kind != FigureKind::time) return fmt::format("{}::text", column.name);
  return fmt::format(R"(to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))", column.name);
}

// One more row than is shown tells that there are more.
std::string question(const ReportLayout& layout, std::chrono::milliseconds timeout) {
  std::string columns;
  for (const ReportColumn& column : layout.columns)
    columns += (columns.empty() ? "" : ", ") + expression(column);
  return fmt::format(
      "BEGIN READ ONLY; SET LOCAL lock_timeout = '{}'; SET LOCAL statement_timeout = {}; SET LOCAL jit = "
      "off; "
      "SELECT {} FROM (SELECT * FROM {} {} LIMIT {}) AS chosen; COMMIT",
      lock_timeout, timeout.count(), columns, layout.view, layout.selection, layout.rows_max + 1);
}

std::string problem_of(const ReportLayout& layout, DatabaseError error) {
  error.context.clear();  // lines of functions' bodies, which say nothing to whoever is to act
  if (error.sqlstate == insufficient_privilege)
    return fmt::format(
        "{} cannot be read: {}. Let the tables' owner GRANT the role SELECT on what is named there and on "
        "{}.",
        layout.view, describe(error), layout.view);
  return fmt::format("{} cannot be read: {}.", layout.view, describe(error));
}

// Where it fails the connection is gone, which is told.
void end_transaction(Database& database) {
  if (!database.in_transaction()) return;
  [[maybe_unused]] const auto rolled_back = database.run("ROLLBACK");
}

}  // namespace

std::expected<DatabaseReport, std::string> read_database_report(Database& database, ReportScope scope,
                                                                std::chrono::milliseconds section_timeout) {
  DatabaseReport report;
  for (const ReportLayout& layout : report_layouts()) {
    if (scope == ReportScope::watched && !layout.watched) continue;
    ReportSection section{&layout, {}, false, ""};
    auto rows = database.query(question(layout, section_timeout));
    if (rows) {
      section.cut = rows->size() > layout.rows_max;
      if (section.cut) rows->resize(layout.rows_max);
      section.rows = std::move(*rows);
    } else {
      end_transaction(database);
      if (rows.error().sqlstate == undefined_table && report.sections.empty())
        return std::unexpected(
            fmt::format("There is no report: the database has no {}, or it is not in the role's search_path. "
                        "Run `wellhead migrate up`.",
                        layout.view));
      if (!database.connected())
        return std::unexpected(
            fmt::format("There is no report: the connection was lost: {}.", describe(rows.error())));
      section.problem = problem_of(layout, rows.error());
    }
    report.sections.push_back(std::move(section));
  }
  report.read_at = std::chrono::steady_clock::now();
  return report;
}

std::optional<double> figure_of(const std::optional<std::string>& field) {
  if (!field) return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(field->data(), field->data() + field->size(), number);
  if (error != std::errc{} || end != field->data() + field->size() || !std::isfinite(number))
    return std::nullopt;
  return number;
}

}  // namespace wellhead
