#include "engine/audit_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "codec/row_json.hpp"
#include "sink/sqlstate.hpp"

namespace wellhead {
namespace {

// Rows that are copied in one go.
constexpr std::size_t buffer_bytes_max = 4U << 20;
// Days are compared together up to about this many rows, so that the sorting of one comparison stays small.
constexpr std::uint64_t slice_rows_wanted = 1'000'000;
constexpr unsigned examples_max = 10;
constexpr std::int64_t us_per_second = 1'000'000;

std::uint64_t count_in(const std::optional<std::string>& text) {
  WELLHEAD_ASSERT(text.has_value());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  WELLHEAD_ASSERT(error == std::errc{} && end == text->data() + text->size());
  return number;
}

void add_name_to(std::string& list, const std::string& column) {
  if (!list.empty()) list += ", ";
  list += quote_identifier(column);
}

std::string day_text(std::int64_t day) {
  return fmt::format("to_timestamp({}::bigint * 86400)", day);
}

}  // namespace

AuditTable::AuditTable(Database& database, SchemaPointer schema, std::size_t number)
    : database_(database),
      schema_(std::move(schema)),
      rows_table_(fmt::format("pg_temp.wellhead_audit_rows_{}", number)),
      missing_table_(fmt::format("pg_temp.wellhead_audit_missing_{}", number)) {
  for (const ColumnConfig& column : schema_->columns()) {
    add_name_to(columns_, column.name);
    if (!computed(column.source)) add_name_to(compared_, column.name);
    if (column.source == ColumnSource::receive_time) receive_time_ = quote_identifier(column.name);
  }
  device_ = quote_identifier(schema_->config().device_column);
  time_ = quote_identifier(schema_->config().time_column);
  result_.table = schema_->config().table;
  add_name(schema_->name());
}

void AuditTable::add_name(const std::string& stream) {
  if (std::ranges::find(names_, stream) != names_.end()) return;
  names_.push_back(stream);
  result_.name += (result_.name.empty() ? "" : ", ") + stream;
}

DatabaseResult<void> AuditTable::add_committed(std::span<const std::byte> tuple) {
  ++result_.journaled;
  if (buffer_.size() + tuple.size() > buffer_bytes_max)
    if (auto flushed = flush(); !flushed) return flushed;
  buffer_.insert(buffer_.end(), tuple.begin(), tuple.end());
  row_ends_.push_back(buffer_.size());
  return {};
}

DatabaseResult<void> AuditTable::prepare() {
  if (prepared_) return {};
  prepared_ = true;
  auto step = database_.run(fmt::format(
      "CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA; CREATE TEMPORARY TABLE {} "
      "(device text, at timestamptz, copies bigint) ON COMMIT DROP",
      rows_table_, columns_, schema_->quoted_table(), missing_table_));
  if (!step) return std::unexpected(std::move(step.error()));
  return {};
}

DatabaseResult<void> AuditTable::flush() {
  if (row_ends_.empty()) return {};
  if (auto prepared = prepare(); !prepared) return prepared;
  auto loaded = load(0, row_ends_.size());
  buffer_.clear();
  row_ends_.clear();
  return loaded;
}

DatabaseResult<void> AuditTable::copy(std::size_t begin, std::size_t end) {
  auto step = database_.run(
      fmt::format("SAVEPOINT audit; COPY {} ({}) FROM STDIN (FORMAT binary); RELEASE SAVEPOINT audit",
                  rows_table_, columns_));
  if (!step) return std::unexpected(std::move(step.error()));
  const std::size_t first = begin == 0 ? 0 : row_ends_[begin - 1];
  auto sent = copy_stream_.send(
      database_, std::span<const std::byte>(buffer_).subspan(first, row_ends_[end - 1] - first));
  if (!sent) return std::unexpected(std::move(sent.error()));
  step = database_.copy_end();
  if (!step) return std::unexpected(std::move(step.error()));
  return {};
}

DatabaseResult<void> AuditTable::load(std::size_t begin, std::size_t end) {
  auto copied = copy(begin, end);
  if (copied || classify_sqlstate(copied.error().sqlstate) != ErrorKind::rows_refused) return copied;
  if (auto back = database_.run("ROLLBACK TO SAVEPOINT audit; RELEASE SAVEPOINT audit"); !back)
    return std::unexpected(std::move(back.error()));
  const std::size_t first = begin == 0 ? 0 : row_ends_[begin - 1];
  if (end - begin == 1)
    return note_unstorable(std::span<const std::byte>(buffer_).subspan(first, row_ends_[begin] - first));
  const std::size_t middle = begin + (end - begin) / 2;
  if (auto front = load(begin, middle); !front) return front;
  return load(middle, end);
}

DatabaseResult<void> AuditTable::note_unstorable(std::span<const std::byte> tuple) {
  const auto& columns = schema_->columns();
  const auto device_column = std::ranges::find(columns, schema_->config().device_column, &ColumnConfig::name);
  const auto device = tuple_field(tuple, static_cast<std::size_t>(device_column - columns.begin()));
  const bool plain = std::ranges::all_of(device, [](char byte) { return byte >= ' ' && byte <= '~'; });
  auto step = database_.run(fmt::format("INSERT INTO {} VALUES ({}, NULL, 1)", missing_table_,
                                        plain ? sql_literal(device) : "NULL"));
  if (!step) return std::unexpected(std::move(step.error()));
  ++result_.missing;
  return {};
}

DatabaseResult<std::vector<AuditTable::Slice>> AuditTable::slices() {
  const auto days = database_.query(fmt::format(
      "SELECT floor(extract(epoch FROM {0}) / 86400)::bigint, count(*) FROM {1} GROUP BY 1 ORDER BY 1", time_,
      rows_table_));
  if (!days) return std::unexpected(days.error());
  std::vector<Slice> slices;
  for (const DatabaseRow& row : *days) {
    const std::int64_t day = std::strtoll(row[0]->c_str(), nullptr, 10);
    const std::uint64_t rows = count_in(row[1]);
    if (!slices.empty() && slices.back().last_day + 1 == day &&
        slices.back().rows + rows <= slice_rows_wanted) {
      slices.back().last_day = day;
      slices.back().rows += rows;
    } else {
      slices.push_back({day, day, rows});
    }
  }
  return slices;
}

DatabaseResult<std::string> AuditTable::receive_condition() {
  if (receive_time_.empty()) return std::string();
  const auto bounds = database_.query(fmt::format(
      "SELECT quote_literal(min({0})), quote_literal(max({0})) FROM {1}", receive_time_, rows_table_));
  if (!bounds) return std::unexpected(bounds.error());
  const DatabaseRow& row = bounds->front();
  if (!row[0]) return std::string();
  return fmt::format(" AND {} BETWEEN {}::timestamptz AND {}::timestamptz", receive_time_, *row[0], *row[1]);
}

DatabaseResult<void> AuditTable::compare(const Slice& slice) {
  const std::string within =
      fmt::format("{0} >= {1} AND {0} < {2}", time_, day_text(slice.first_day), day_text(slice.last_day + 1));
  const auto side = [&](const std::string& table, const std::string& condition) {
    return fmt::format(
        "SELECT {} AS device, {} AS at, hashtextextended(ROW({})::text, 0) AS content, "
        "hashtextextended(ROW({})::text, 1) AS content_too, count(*) AS copies FROM {} WHERE {} GROUP BY 1, "
        "2, 3, 4",
        device_, time_, compared_, compared_, table, condition);
  };
  const auto counts = database_.query(fmt::format(
      "WITH journaled AS ({}), held AS ({}), compared AS MATERIALIZED (SELECT device, at, "
      "coalesce(journaled.copies, 0) AS journaled, coalesce(held.copies, 0) AS held FROM journaled FULL JOIN "
      "held USING "
      "(device, at, content, content_too)), noted AS (INSERT INTO {} SELECT device, at, journaled - held "
      "FROM compared "
      "WHERE journaled > held) SELECT coalesce(sum(least(journaled, held)), 0), "
      "coalesce(sum(greatest(journaled - held, "
      "0)), 0), coalesce(sum(held - journaled) FILTER (WHERE journaled > 0 AND held > journaled), 0), "
      "coalesce(sum(held) FILTER (WHERE journaled = 0), 0) FROM compared",
      side(rows_table_, within), side(schema_->quoted_table(), within + receive_bounds_), missing_table_));
  if (!counts) return std::unexpected(counts.error());
  const DatabaseRow& row = counts->front();
  result_.found += count_in(row[0]);
  result_.missing += count_in(row[1]);
  result_.duplicated += count_in(row[2]);
  if (result_.others) *result_.others += count_in(row[3]);
  return {};
}

DatabaseResult<void> AuditTable::compare() {
  auto step = database_.run(fmt::format("CREATE INDEX ON {0} ({1}); ANALYZE {0}", rows_table_, time_));
  if (!step) return std::unexpected(std::move(step.error()));
  auto bounds = receive_condition();
  if (!bounds) return std::unexpected(std::move(bounds.error()));
  receive_bounds_ = std::move(*bounds);
  if (!receive_bounds_.empty()) result_.others = 0;
  const auto days = slices();
  if (!days) return std::unexpected(days.error());
  for (const Slice& slice : *days)
    if (auto compared = compare(slice); !compared) return compared;
  return {};
}

// A letter is written in the transaction that would have held the row, so as many as there are for a device
// excuse as many of its rows.
DatabaseResult<void> AuditTable::explain_missing(const std::string& node_id, std::int64_t letters_since_us) {
  const auto there = database_.query("SELECT to_regclass('dead_letter') IS NOT NULL");
  if (!there) return std::unexpected(there.error());
  if (there->front()[0] == "t") {
    std::string names;
    for (const std::string& name : names_) names += (names.empty() ? "" : ", ") + sql_literal(name);
    const auto excused =
        database_.query(fmt::format("SELECT coalesce(sum(least(missing.copies, letters.copies)), 0) FROM "
                                    "(SELECT coalesce(device, '') AS device, "
                                    "sum(copies) AS copies FROM {} GROUP BY 1) AS missing JOIN (SELECT "
                                    "coalesce(device_id, '') AS device, count(*) AS "
                                    "copies FROM dead_letter WHERE stream IN ({}) AND node_id = {} AND "
                                    "sqlstate IS NOT NULL AND received_at >= "
                                    "to_timestamp({}) GROUP BY 1) AS letters USING (device)",
                                    missing_table_, names, sql_literal(node_id),
                                    (letters_since_us + postgres_epoch_unix_us) / us_per_second));
    if (!excused) return std::unexpected(excused.error());
    result_.quarantined = count_in(excused->front()[0]);
    result_.missing -= result_.quarantined;
  }
  const auto examples = database_.query(fmt::format(
      "SELECT coalesce(device, '?'), coalesce(at::text, '?'), copies FROM {} ORDER BY 1, 2 LIMIT {}",
      missing_table_, examples_max));
  if (!examples) return std::unexpected(examples.error());
  for (const DatabaseRow& row : *examples) result_.examples.push_back({*row[0], *row[1], count_in(row[2])});
  return {};
}

DatabaseResult<StreamAudit> AuditTable::finish(const std::string& node_id, std::int64_t letters_since_us) {
  if (auto flushed = flush(); !flushed) return std::unexpected(std::move(flushed.error()));
  if (prepared_) {
    if (auto compared = compare(); !compared) return std::unexpected(std::move(compared.error()));
    if (result_.missing > 0)
      if (auto explained = explain_missing(node_id, letters_since_us); !explained)
        return std::unexpected(std::move(explained.error()));
  }
  return result_;
}

}  // namespace wellhead
