#include "loadgen/generated_matcher.hpp"

#include <fmt/core.h>

#include "base/clock.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::size_t device_column = 0;
constexpr std::size_t time_column = 1;
constexpr std::size_t first_value_column = 2;

void note_difference(RowMatch& match, std::string_view column, std::string_view expected,
                     std::string_view found) {
  match.values_equal = false;
  if (match.difference.empty())
    match.difference = fmt::format("{} is {}, sent was {}", column, found, expected);
}

std::string shown(const std::optional<double>& number) {
  return number ? fmt::format("{}", *number) : "not a number";
}

}  // namespace

GeneratedMatcher::GeneratedMatcher(const GeneratedWorkload& workload) : workload_(workload) {
  columns_ = first_value_column + workload.model().fields().size();
  if (workload.stream() != StreamKind::telemetry) columns_ += 1;
  if (workload.stream() == StreamKind::diagnostic_results) columns_ += 3;
}

std::string GeneratedMatcher::select_statement(const std::string& table) const {
  const bool has_id = workload_.stream() != StreamKind::telemetry;
  const std::string_view device = has_id ? "well_id" : "device_id";
  std::string columns = fmt::format("{}, \"timestamp\"", device);
  for (const FieldSpec& field : workload_.model().fields()) columns += fmt::format(", {}", field.name);
  if (has_id) columns += ", id";
  if (workload_.stream() == StreamKind::diagnostic_results) columns += ", severity, diagnosis, details::text";
  // The prefix holds letters, digits and a dash only. All rows with it are read, whatever their time, so that
  // a row with a damaged timestamp is found too.
  return fmt::format("SELECT {} FROM {} WHERE {} LIKE '{}%'", columns, table, device,
                     workload_.identity().device_prefix());
}

RowMatch GeneratedMatcher::match(const CopyRow& row) {
  RowMatch match;
  if (row.size() != columns_) return match;
  const std::optional<std::int64_t> time_us = row.integer(time_column);
  if (!time_us) return match;
  match.record = workload_.identity().find(row.text(device_column), *time_us + postgres_epoch_unix_us);
  if (match.record) compare(row, *match.record, match);
  return match;
}

void GeneratedMatcher::compare(const CopyRow& row, std::uint64_t record, RowMatch& match) const {
  match.values_equal = true;
  const RecordKey key = workload_.identity().key(record);
  const std::span<const FieldSpec> fields = workload_.model().fields();
  Reading reading;
  workload_.model().read(key.well, key.sequence, reading);
  std::size_t column = first_value_column;
  for (std::size_t index = 0; index < fields.size(); ++index, ++column) {
    const double expected = decimal_value(reading[index], fields[index].decimals);
    if (row.equals_number(column, expected)) [[likely]]
      continue;
    note_difference(match, fields[index].name, fmt::format("{}", expected), shown(row.number(column)));
  }
  if (workload_.stream() == StreamKind::telemetry) return;
  const std::int64_t id = workload_.identity().id(record);
  if (row.integer(column) != id) {
    note_difference(match, "id", fmt::format("{}", id), fmt::format("{}", row.integer(column).value_or(0)));
  }
  if (workload_.stream() == StreamKind::diagnostic_results) compare_diagnosis(row, key, column + 1, match);
}

void GeneratedMatcher::compare_diagnosis(const CopyRow& row, RecordKey key, std::size_t column,
                                         RowMatch& match) const {
  const Diagnosis expected = workload_.model().diagnose(key.well, key.sequence);
  const std::string details = diagnostic_details(key);
  const auto compare_text = [&](std::string_view name, std::size_t at, std::string_view text) {
    if (row.text(at) != text) note_difference(match, name, text, row.text(at));
  };
  compare_text("severity", column, expected.severity);
  compare_text("diagnosis", column + 1, expected.text);
  compare_text("details", column + 2, details);
}

}  // namespace wellhead::loadgen
