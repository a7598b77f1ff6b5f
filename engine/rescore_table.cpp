#include "engine/rescore_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/assert.hpp"
#include "codec/quality.hpp"
#include "codec/schema_index.hpp"
#include "codec/sorted_row.hpp"
#include "sink/row_number.hpp"

namespace wellhead {
namespace {

constexpr std::size_t rows_per_lookup = 5'000;
constexpr std::string_view epoch = "TIMESTAMPTZ '2000-01-01 00:00:00Z'";

// What of the flags comes from the device's past.
constexpr std::uint64_t reasons_of_the_past =
    ~std::uint64_t{0} << quality_unusual_shift |
    ((std::uint64_t{1} << quality_missing_shift) - (std::uint64_t{1} << quality_reasons_decoder_end));

// `after`, but with the bits in `kept` as they were.
Verdict merged(const Verdict& after, const Verdict& before, std::uint64_t kept) {
  if (kept == 0) return after;
  Verdict verdict = after;
  verdict.flags = (after.flags & ~kept) | (before.flags & kept);
  verdict.score = quality_score(verdict.flags);
  if ((kept & quality_bit(QualityReason::anomalous)) != 0) verdict.anomaly = before.anomaly;
  return verdict;
}

std::string moment(std::int64_t time_us) {
  return fmt::format("{} + {} * INTERVAL '1 microsecond'", epoch, time_us);
}

std::string column_of(const Schema& schema, ColumnSource source) {
  const auto found = std::ranges::find(schema.columns(), source, &ColumnConfig::source);
  return found == schema.columns().end() ? std::string() : quote_identifier(found->name);
}

// Microseconds since 2000-01-01 UTC; a chunk's bounds are finite.
std::string microseconds(std::string_view moment) {
  return fmt::format("(extract(epoch FROM {} - {}) * 1000000)::bigint", moment, epoch);
}

}  // namespace

RescoreTable::RescoreTable(Database& database, SchemaPointer schema, RescoreReport& report,
                           std::uint64_t kept, bool write)
    : database_(database),
      schema_(std::move(schema)),
      report_(report),
      kept_(kept),
      write_(write),
      device_field_(schema_->lookup().device_column()),
      device_(quote_identifier(schema_->config().device_column)),
      time_(quote_identifier(schema_->config().time_column)),
      score_(column_of(*schema_, ColumnSource::quality_score)),
      anomaly_(column_of(*schema_, ColumnSource::anomaly)),
      flags_(column_of(*schema_, ColumnSource::quality_flags)) {}

DatabaseResult<void> RescoreTable::prepare() {
  const auto facts = database_.query(
      fmt::format("SELECT (to_regclass('timescaledb_information.chunks') IS NOT NULL)::int, "
                  "(to_regclass('wellhead_invalidation') IS NOT NULL)::int, to_regclass({})::oid::bigint",
                  sql_literal(schema_->quoted_table())));
  if (!facts) return std::unexpected(facts.error());
  invalidates_ = number_in<int>(facts->front()[1]) == 1;
  if (number_in<int>(facts->front()[0]) == 0 || !facts->front()[2]) return {};
  const auto chunks = database_.query(fmt::format(
      "SELECT {}, {} FROM timescaledb_information.chunks WHERE is_compressed AND range_start IS NOT NULL AND "
      "to_regclass(format('%I.%I', hypertable_schema, hypertable_name)) = {}::bigint::oid",
      microseconds("range_start"), microseconds("range_end"), *facts->front()[2]));
  if (!chunks) return std::unexpected(chunks.error());
  for (const DatabaseRow& chunk : *chunks)
    compressed_.emplace_back(number_in<std::int64_t>(chunk[0]), number_in<std::int64_t>(chunk[1]));
  return {};
}

// While a device is being learned the table is asked for its rows of before --since too: it tells whether the
// device was known when they came.
bool RescoreTable::Row::looked_up() const noexcept {
  return compare || (after.flags & quality_bit(QualityReason::warming_up)) != 0;
}

DatabaseResult<void> RescoreTable::add(const RowHeader& header, const Verdict& verdict, bool compare) {
  rows_.push_back({std::string(field_of(header, device_field_)), header.time_us, verdict, compare});
  return rows_.size() < rows_per_lookup ? DatabaseResult<void>() : flush();
}

DatabaseResult<void> RescoreTable::flush() {
  DatabaseResult<std::vector<DatabaseRow>> found;
  if (std::ranges::any_of(rows_, &Row::looked_up)) found = database_.query(lookup_statement());
  if (!found) return std::unexpected(found.error());
  std::map<std::pair<std::string_view, std::int64_t>, std::uint64_t> copies;
  for (const Row& row : rows_) ++copies[{row.device, row.time_us}];
  auto next = found->begin();
  for (const Row& row : rows_) {
    if (row.looked_up()) {
      WELLHEAD_ASSERT(next != found->end());
      take(row, *next++, copies.at({row.device, row.time_us}) == 1);
    } else {
      static_cast<void>(half_learned(row, nullptr));
    }
  }
  auto written = write_ ? write() : DatabaseResult<void>();
  rows_.clear();
  changed_.clear();
  return written;
}

std::string RescoreTable::matches() const {
  return fmt::format("t.{} = v.device AND t.{} = {} + v.at * INTERVAL '1 microsecond' AND {}", device_, time_,
                     epoch, bounds());
}

// Lets the planner pass over chunks.
std::string RescoreTable::bounds() const {
  const auto [first, last] = std::ranges::minmax(rows_, {}, &Row::time_us);
  return fmt::format("t.{0} >= {1} AND t.{0} <= {2}", time_, moment(first.time_us), moment(last.time_us));
}

std::string RescoreTable::lookup_statement() const {
  std::string values;
  for (std::size_t row = 0; row < rows_.size(); ++row)
    if (rows_[row].looked_up())
      values += fmt::format("{}({},{},{}::bigint)", values.empty() ? "" : ",", row,
                            sql_literal(rows_[row].device), rows_[row].time_us);
  const auto value = [](const std::string& column, std::string_view form) {
    return column.empty() ? std::string("NULL") : fmt::format(fmt::runtime(form), column);
  };
  return fmt::format(
      "SELECT v.n, count(t.{}), {}, {}, {} FROM (VALUES {}) AS v (n, device, at) LEFT JOIN {} t ON {} GROUP "
      "BY v.n "
      "ORDER BY v.n",
      time_, value(score_, "min(t.{})"), value(anomaly_, "bool_or(t.{})::int"), value(flags_, "min(t.{})"),
      values, schema_->quoted_table(), matches());
}

bool RescoreTable::compressed(std::int64_t time_us) const {
  return std::ranges::any_of(
      compressed_, [=](const auto& chunk) { return chunk.first <= time_us && time_us < chunk.second; });
}

// Whether less is known of the row's device here than was when it came: from the first of its rows on that is
// warming up here and was not then, until as many came as a baseline remembers.
bool RescoreTable::half_learned(const Row& row, const Verdict* before) {
  constexpr std::uint64_t warming_up = quality_bit(QualityReason::warming_up);
  if (before != nullptr && !flags_.empty() && (row.after.flags & ~before->flags & warming_up) != 0) {
    half_learned_[row.device] = schema_->config().scoring.memory;
    return true;
  }
  const auto found = half_learned_.find(row.device);
  if (found == half_learned_.end()) return false;
  if (--found->second == 0) half_learned_.erase(found);
  return true;
}

// `alone`: no other row here has its device and time.
void RescoreTable::take(const Row& row, const DatabaseRow& found, bool alone) {
  const auto count = number_in<std::uint64_t>(found[1]);
  if (count != 1 || !alone) {
    static_cast<void>(half_learned(row, nullptr));
    if (row.compare) ++(count == 0 ? report_.not_found : report_.ambiguous);
    return;
  }
  // What the table has no value for, or no column, cannot differ.
  Verdict before = row.after;
  if (found[2]) before.score = static_cast<double>(number_in<float>(found[2]));
  if (found[3]) before.anomaly = number_in<int>(found[3]) == 1;
  if (found[4]) before.flags = static_cast<std::uint64_t>(number_in<std::int64_t>(found[4]));
  const bool unjudged = half_learned(row, &before);
  if (row.compare) judge(row, before, unjudged);
}

// Which rows a node flushed together cannot be known: one that was out of order then and is not now, or the
// other way round, was compared with another baseline and the row before it with another one.
void RescoreTable::judge(const Row& row, const Verdict& before, bool unjudged) {
  const bool reordered = ((row.after.flags ^ before.flags) & quality_bit(QualityReason::out_of_order)) != 0;
  if (unjudged)
    ++report_.unjudged;
  else if (reordered)
    ++report_.reordered;
  const Verdict after = merged(row.after, before, kept_ | (unjudged || reordered ? reasons_of_the_past : 0));
  const std::uint64_t changed_before = report_.changed;
  report_.note({row.device, row.time_us, before, after});
  if (report_.changed == changed_before) return;
  if (compressed(row.time_us))
    ++report_.compressed;
  else
    changed_.push_back({row.device, row.time_us, after, true});
}

DatabaseResult<void> RescoreTable::write() {
  if (changed_.empty()) return {};
  auto done = update();
  if (!done && database_.in_transaction()) static_cast<void>(database_.run("ROLLBACK"));
  return done;
}

DatabaseResult<void> RescoreTable::update() {
  std::string values;
  for (const Row& row : changed_)
    values += fmt::format("{}({},{}::bigint,{}::real,{},{}::bigint)", values.empty() ? "" : ",",
                          sql_literal(row.device), row.time_us, static_cast<float>(row.after.score),
                          row.after.anomaly, static_cast<std::int64_t>(row.after.flags));
  std::string sets;
  for (const auto& [column, value] :
       {std::pair{&score_, "v.score"}, std::pair{&anomaly_, "v.anomaly"}, std::pair{&flags_, "v.flags"}})
    if (!column->empty()) sets += fmt::format("{}{} = {}", sets.empty() ? "" : ", ", *column, value);
  const auto updated = database_.run(fmt::format(
      "BEGIN; UPDATE {} t SET {} FROM (VALUES {}) AS v (device, at, score, anomaly, flags) WHERE {}",
      schema_->quoted_table(), sets, values, matches()));
  if (!updated) return std::unexpected(updated.error());
  const std::uint64_t written = updated->rows_updated;
  const auto [first, last] = std::ranges::minmax(changed_, {}, &Row::time_us);
  std::string end = "COMMIT";
  if (invalidates_)
    end = fmt::format(
        "INSERT INTO wellhead_invalidation (source, range_from, range_until) SELECT {0}, {1}, {2} "
        "WHERE EXISTS (SELECT FROM wellhead_aggregate WHERE source = {0}); COMMIT",
        sql_literal(schema_->config().table), moment(first.time_us), moment(last.time_us + 1));
  if (const auto committed = database_.run(end); !committed) return std::unexpected(committed.error());
  report_.written += written;
  return {};
}

}  // namespace wellhead
