#include "sink/invalidation_log.hpp"

#include <charconv>

#include "base/assert.hpp"

namespace wellhead {
namespace {

// PostgreSQL counts from 2000-01-01, to_timestamp from 1970-01-01. Whole seconds of its range are exact as
// the double precision that it takes.
constexpr std::int64_t epoch_shift_s = 946'684'800;
constexpr std::int64_t second_us = 1'000'000;

std::string timestamp_of(std::int64_t time_us) {
  return "to_timestamp(" + std::to_string(time_us / second_us + epoch_shift_s) + ")";
}

}  // namespace

// Tables are compared, not names: a stream may name its schema. Aggregates are tables where the node keeps
// them and views where the server does.
DatabaseResult<std::vector<AggregatedStream>> find_aggregated_streams(
    Database& database, std::span<const SchemaPointer> streams) {
  if (streams.empty()) return {};
  std::string values;
  for (std::size_t stream = 0; stream < streams.size(); ++stream)
    values += (values.empty() ? "(" : ", (") + std::to_string(stream) + ", " +
              sql_literal(streams[stream]->quoted_table()) + ")";
  auto rows = database.query(
      "SELECT DISTINCT stream.number, aggregate.source FROM (VALUES " + values +
      ") AS stream (number, table_name) JOIN " + std::string(aggregates_table) +
      " AS aggregate ON to_regclass(quote_ident(aggregate.source)) = to_regclass(stream.table_name) "
      "JOIN pg_class AS kept ON kept.oid = to_regclass(quote_ident(aggregate.view_name)) AND kept.relkind IN "
      "('r', 'p') ORDER BY stream.number");
  if (!rows) return std::unexpected(rows.error());
  std::vector<AggregatedStream> found;
  for (const DatabaseRow& row : *rows) {
    WELLHEAD_ASSERT(row.size() == 2 && row[0] && row[1]);
    AggregatedStream& one = found.emplace_back(0, *row[1]);
    const auto [end, error] = std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), one.stream);
    WELLHEAD_ASSERT(error == std::errc{} && one.stream < streams.size());
  }
  return found;
}

void InvalidationLog::look_at(const Flush& flush) {
  statement_.clear();
  for (const AggregatedStream& told : streams_) {
    touched_.clear();
    for (const SortedRow& row : flush.rows(told.stream)) touched_.add(row.time_us);
    for (const TimeRange& range : touched_.ranges()) {
      statement_ += statement_.empty() ? "INSERT INTO " + std::string(invalidation_table) +
                                             " (source, range_from, range_until) VALUES "
                                       : ", ";
      statement_ += "(" + sql_literal(told.source) + ", " + timestamp_of(range.from_us) + ", " +
                    timestamp_of(range.until_us) + ")";
    }
  }
}

}  // namespace wellhead
