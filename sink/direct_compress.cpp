#include "sink/direct_compress.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::string_view switched_on = "SET LOCAL timescaledb.enable_direct_compress_copy = on; ";
constexpr std::string_view switched_off = "; SET LOCAL timescaledb.enable_direct_compress_copy = off";

// What the server's configuration may have said, for all sessions, is decided here.
constexpr std::string_view decide_here =
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN "
    "('timescaledb.enable_direct_compress_copy', 'timescaledb.enable_direct_compress_copy_client_sorted'); ";

// TimescaleDB's own trigger, of older versions, is none of those it minds.
constexpr std::string_view tables_question =
    ") AS stream (number, table_name) JOIN pg_class c ON c.oid = to_regclass(stream.table_name) "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN timescaledb_information.hypertables h ON h.hypertable_schema = n.nspname AND h.hypertable_name = "
    "c.relname AND h.compression_enabled "
    "WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR "
    "i.indisexclusion)) "
    "AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname <> 'ts_insert_blocker') "
    // Before 2.23 a trigger of theirs stands in the way, in 2.23 they do themselves.
    "AND ((SELECT (regexp_match(extversion, '^(\\d+)\\.(\\d+)'))::int[] >= '{2,24}' FROM pg_extension WHERE "
    "extname = 'timescaledb') OR NOT EXISTS (SELECT FROM timescaledb_information.continuous_aggregates a "
    "WHERE a.hypertable_schema = n.nspname AND a.hypertable_name = c.relname)) "
    "ORDER BY stream.number";

bool contains(const std::vector<std::size_t>& streams, std::size_t stream) noexcept {
  return std::ranges::find(streams, stream) != streams.end();
}

bool mostly_read_back(std::span<Batch* const> batches) noexcept {
  std::uint64_t rows = 0;
  std::uint64_t read_back = 0;
  for (const Batch* batch : batches) {
    rows += batch->row_count();
    if (batch->reactor() == Batch::no_reactor) read_back += batch->row_count();
  }
  return 2 * read_back > rows;
}

bool mostly_late(std::span<const SortedRow> rows, std::int64_t now_us) noexcept {
  const auto late = std::ranges::count_if(rows, [&](const SortedRow& row) {
    return row.time_us < now_us - DirectCompressOptions::late_after_us;
  });
  return 2 * static_cast<std::size_t>(late) > rows.size();
}

}  // namespace

DatabaseResult<std::vector<std::size_t>> find_compressible_streams(Database& database,
                                                                   std::span<const SchemaPointer> streams) {
  std::string values;
  for (std::size_t stream = 0; stream < streams.size(); ++stream)
    values += (values.empty() ? "(" : ", (") + std::to_string(stream) + ", " +
              sql_literal(streams[stream]->quoted_table()) + ")";
  std::vector<std::size_t> found;
  if (values.empty()) return found;
  const auto rows = database.query(std::string(decide_here) + "SELECT stream.number FROM (VALUES " + values +
                                   std::string(tables_question));
  if (!rows) return std::unexpected(rows.error());
  for (const DatabaseRow& row : *rows) {
    WELLHEAD_ASSERT(row.size() == 1 && row[0]);
    std::size_t& stream = found.emplace_back(0);
    const auto [end, error] = std::from_chars(row[0]->data(), row[0]->data() + row[0]->size(), stream);
    WELLHEAD_ASSERT(error == std::errc{} && stream < streams.size());
  }
  return found;
}

bool DirectCompress::pays(std::span<const SortedRow> rows, std::size_t devices, bool read_back,
                          std::int64_t now_us) const noexcept {
  if (rows.empty()) return false;
  if (options_.use == DirectCompressUse::always) return true;
  if (rows.size() >= devices * options_.rows_per_device_min) return true;
  return rows.size() >= DirectCompressOptions::catch_up_rows_min &&
         rows.size() >= devices * DirectCompressOptions::catch_up_rows_per_device_min &&
         (read_back || mostly_late(rows, now_us));
}

void DirectCompress::choose(const Flush& flush, std::span<Batch* const> batches, std::int64_t now_us) {
  chosen_.clear();
  if (allowed_.empty()) return;
  const bool read_back = mostly_read_back(batches);
  for (const std::size_t stream : allowed_)
    if (pays(flush.rows(stream), flush.device_count(stream), read_back, now_us)) chosen_.push_back(stream);
}

bool DirectCompress::chosen(std::size_t stream) const noexcept {
  return contains(chosen_, stream);
}

std::string_view DirectCompress::before_copy(std::size_t stream) const noexcept {
  return chosen(stream) ? switched_on : std::string_view();
}

std::string_view DirectCompress::after_copy(std::size_t stream) const noexcept {
  return chosen(stream) ? switched_off : std::string_view();
}

bool DirectCompress::says_skipped(const DatabaseNotice& notice) noexcept {
  return notice.severity == "WARNING" && notice.message.starts_with("disabling direct compress");
}

void DirectCompress::skipped(std::size_t stream) {
  std::erase(allowed_, stream);
  std::erase(chosen_, stream);
}

}  // namespace wellhead
