#include "sink/chunk_guard.hpp"

#include <cstddef>

#include "sink/database.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t stretch_us = 3'600'000'000;  // an hour
// A year of hours; past it the guard starts over, which costs a lock per stretch.
constexpr std::size_t stretches_max = 8'784;
constexpr unsigned stream_shift = 48;  // a stretch's number needs 28 bits within PostgreSQL's range of times

// Rows are counted from 2000-01-01, chunks from 1970-01-01.
constexpr std::int64_t epoch_us = 946'684'800'000'000;
// More are not worth looking for one by one: such a flush catches up, and creates chunks.
constexpr std::size_t looked_for_max = 200;

// The keys are those of every version, so that nodes of several keep out of each other's way.
constexpr const char* lock = "SELECT pg_advisory_xact_lock(2003135596, 1)";

constexpr const char* where_no_chunk =
    ") AS fresh (table_name, low, high) JOIN pg_class AS c ON c.oid = to_regclass(fresh.table_name) "
    "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
    "JOIN _timescaledb_catalog.hypertable AS h ON h.schema_name = n.nspname AND h.table_name = c.relname "
    "WHERE NOT EXISTS (SELECT FROM _timescaledb_catalog.dimension AS d "
    "JOIN _timescaledb_catalog.dimension_slice AS s ON s.dimension_id = d.id "
    "WHERE d.hypertable_id = h.id AND d.interval_length IS NOT NULL AND s.range_start <= fresh.low "
    "AND s.range_end >= fresh.high))";

// The stretch's number, counted from 2000-01-01.
std::int64_t number_of(std::uint64_t stretch) noexcept {
  constexpr unsigned unused_bits = 64 - stream_shift;
  return static_cast<std::int64_t>(stretch << unused_bits) >> unused_bits;
}

std::uint64_t stretch_of(std::size_t stream, std::int64_t time_us) noexcept {
  const std::int64_t number = time_us >= 0 ? time_us / stretch_us : (time_us + 1) / stretch_us - 1;
  const std::uint64_t mask = (std::uint64_t{1} << stream_shift) - 1;
  return (static_cast<std::uint64_t>(stream) << stream_shift) | (static_cast<std::uint64_t>(number) & mask);
}

}  // namespace

void ChunkGuard::look_at(const Flush& flush, std::size_t stream) {
  std::uint64_t last = ~std::uint64_t{0};  // no stretch: streams have 16 bits, and this one is never reached
  for (const SortedRow& row : flush.rows(stream)) {
    const std::uint64_t stretch = stretch_of(stream, row.time_us);
    if (stretch == last) continue;
    last = stretch;
    if (!known_.contains(stretch)) fresh_.push_back(stretch);
  }
}

bool ChunkGuard::knows(const Flush& flush) {
  fresh_.clear();
  for (std::size_t stream = 0; stream < flush.stream_count(); ++stream) look_at(flush, stream);
  return fresh_.empty();
}

bool ChunkGuard::knows(const Flush& flush, std::span<const std::size_t> streams) {
  fresh_.clear();
  for (const std::size_t stream : streams) look_at(flush, stream);
  return fresh_.empty();
}

std::string ChunkGuard::unconditional_lock_statement() {
  return std::string(lock) + "; ";
}

std::string ChunkGuard::lock_statement(std::span<const SchemaPointer> streams) const {
  if (fresh_.empty()) return "";
  if (fresh_.size() > looked_for_max) return unconditional_lock_statement();
  std::string values;
  for (const std::uint64_t stretch : fresh_) {
    const std::int64_t low = number_of(stretch) * stretch_us + epoch_us;
    values += (values.empty() ? "(" : ", (") +
              sql_literal(streams[static_cast<std::size_t>(stretch >> stream_shift)]->quoted_table()) + ", " +
              std::to_string(low) + ", " + std::to_string(low + stretch_us) + ")";
  }
  return std::string(lock) + " WHERE EXISTS (SELECT FROM (VALUES " + values + where_no_chunk + "; ";
}

void ChunkGuard::remember() {
  if (known_.size() + fresh_.size() > stretches_max) known_.clear();
  known_.insert(fresh_.begin(), fresh_.end());
  fresh_.clear();
}

}  // namespace wellhead
