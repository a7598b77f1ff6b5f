#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "database/conversion_table.hpp"
#include "engine/database_report_print.hpp"
#include "engine/doctor_database.hpp"

namespace wellhead {
namespace {

using enum FindingLevel;

// What `wellhead migrate convert` knows how to make of a plain table.
constexpr std::array<std::string_view, 3> tables_of_migrations{"telemetry", "esp_telemetry",
                                                               "diagnostic_results"};

// A segment holds up to 1,000 rows; with fewer than this many the columns hardly compress.
constexpr double rows_per_segment_good = 100;
constexpr double hour_seconds = 3'600;

Finding finding(FindingLevel level, const TableFacts& table, std::string_view subject, std::string seen,
                std::string reason = {}, std::string fix = {}) {
  return {level,           "database",        fmt::format("{} of {}", subject, table.table),
          std::move(seen), std::move(reason), std::move(fix)};
}

// "schema.table" names a table of another schema.
std::string quoted(std::string_view table) {
  const std::size_t dot = table.find('.');
  if (dot == std::string_view::npos) return sql_identifier(table);
  return sql_identifier(table.substr(0, dot)) + '.' + sql_identifier(table.substr(dot + 1));
}

std::string as_literal(const TableFacts& table) {
  return sql_literal(quoted(table.table));
}

// Other tables, upserts and programs may count on what a constraint keeps out.
constexpr std::string_view relied_on = "-- keep it where something else relies on it";

std::string drop_constraints(const TableFacts& table, const std::vector<std::string>& names,
                             std::string_view remark) {
  std::string text;
  for (const std::string& name : names)
    text += fmt::format("ALTER TABLE {} DROP CONSTRAINT {}; ", quoted(table.table), sql_identifier(name));
  return text.append(remark);
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void judge_unique(const ServerFacts& facts, const TableFacts& table, Findings& findings) {
  const std::string reason =
      facts.server.has_direct_compress()
          ? "each insert has to look it up, and rows are never written compressed at once; the node needs "
            "none to store a record once"
          : "each insert has to look it up; the node needs none to store a record once";
  constexpr std::string_view remark =
      "-- keep it where rows are corrected by their key, or something else relies on it";
  if (!table.unique_constraints.empty())
    findings.push_back(finding(advice, table, "unique constraint", joined(table.unique_constraints), reason,
                               drop_constraints(table, table.unique_constraints, remark)));
  // These names are quoted already.
  if (!table.unique_indexes.empty())
    findings.push_back(finding(advice, table, "unique index", joined(table.unique_indexes), reason,
                               fmt::format("DROP INDEX {}; {}", joined(table.unique_indexes), remark)));
}

void judge_triggers(const TableFacts& table, Findings& findings) {
  if (table.row_triggers.empty()) return;
  std::string fix;
  for (const std::string& name : table.row_triggers)
    fix += fmt::format("DROP TRIGGER {} ON {}; ", sql_identifier(name), quoted(table.table));
  findings.push_back(finding(warning, table, "trigger", joined(table.row_triggers),
                             "it runs for each row, and COPY may then insert row by row: many times slower",
                             fix + "-- do what it does in a statement trigger, or later"));
}

void judge_constraints(const TableFacts& table, Findings& findings) {
  if (!table.exclusions.empty())
    findings.push_back(
        finding(warning, table, "exclusion constraint", joined(table.exclusions),
                "each row is compared with others by an index scan, and writers wait for each other",
                drop_constraints(table, table.exclusions, relied_on)));
  if (!table.foreign_keys.empty())
    findings.push_back(
        finding(advice, table, "foreign key", joined(table.foreign_keys),
                "each row looks up and locks the row it refers to, and a row without one is refused",
                drop_constraints(table, table.foreign_keys, relied_on)));
}

// A chunk whose indexes are twice the room is to be half as long; never below an hour, and of round hours.
double better_interval_seconds(double now_seconds, double share) {
  const double wanted = now_seconds / share;
  constexpr double day = 24 * hour_seconds;
  if (wanted >= day) return std::floor(wanted / day) * day;
  return std::max(1.0, std::floor(wanted / hour_seconds)) * hour_seconds;
}

std::string set_interval(const TableFacts& table, double seconds) {
  return fmt::format("SELECT set_chunk_time_interval({}, INTERVAL '{:.0f} hours');", as_literal(table),
                     seconds / hour_seconds);
}

std::string interval_fix(const ServerFacts& facts, const TableFacts& table, double share) {
  if (facts.server.edition == Edition::plain)
    return fmt::format(
        "UPDATE wellhead_lifecycle SET chunk_interval = chunk_interval / {:.0f} WHERE table_name = {};",
        std::ceil(share), sql_literal(table.table));
  const double seconds =
      better_interval_seconds(table.chunk_interval_seconds.value_or(24 * hour_seconds), share);
  return set_interval(table, seconds);
}

// Rows of the newest chunk come for every device in turn: its indexes are touched all over.
void judge_interval(const ServerFacts& facts, const DatabaseWishes& wishes, Findings& findings) {
  const bool known = facts.local && wishes.memory_bytes != 0;
  const double room = known ? static_cast<double>(wishes.memory_bytes) / 4 : facts.setting("shared_buffers");
  double all = 0;
  for (const TableFacts& table : facts.tables) all += static_cast<double>(table.recent_index_bytes);
  if (room <= 0) return;
  for (const TableFacts& table : facts.tables) {
    const auto bytes = static_cast<double>(table.recent_index_bytes);
    if (bytes == 0) continue;
    const std::string seen = fmt::format(
        "indexes of a recent chunk take {}, those of all streams {}; the room for them is {} ({})",
        readable_bytes(bytes), readable_bytes(all), readable_bytes(room),
        known ? "a quarter of the memory" : "shared_buffers");
    // A small table beside a large one is not what is to be changed.
    if (all <= room || bytes < all / 4)
      findings.push_back(finding(ok, table, "chunk interval", seen));
    else
      findings.push_back(finding(warning, table, "chunk interval", seen,
                                 "inserts wait for pages of indexes to be read from disk",
                                 interval_fix(facts, table, all / room)));
  }
}

// A chunk that is longer by what the segments lack, by whole days up to a month.
std::string segments_fix(const ServerFacts& facts, const TableFacts& table) {
  constexpr double day = 24 * hour_seconds;
  const double wanted = table.chunk_interval_seconds.value_or(day) * rows_per_segment_good /
                        std::max(1.0, *table.rows_per_segment);
  const char* setting =
      facts.server.has_columnstore_names() ? "timescaledb.segmentby" : "timescaledb.compress_segmentby";
  return fmt::format("{} -- for new chunks; or set {} to a column with fewer values",
                     set_interval(table, std::clamp(std::ceil(wanted / day), 1.0, 30.0) * day), setting);
}

void judge_segments(const ServerFacts& facts, const TableFacts& table, Findings& findings) {
  if (!facts.server.has_compression() || !table.rows_per_segment) return;
  const std::string seen = fmt::format("{:.0f} rows in a compressed one", *table.rows_per_segment);
  findings.push_back(*table.rows_per_segment >= rows_per_segment_good
                         ? finding(ok, table, "segments", seen)
                         : finding(warning, table, "segments", seen,
                                   "segments of few rows hardly compress, and each costs a row of its own",
                                   segments_fix(facts, table)));
}

std::string division_fix(const ServerFacts& facts, const TableFacts& table) {
  if (std::ranges::find(tables_of_migrations, table.table) != tables_of_migrations.end())
    return fmt::format(
        "wellhead migrate convert {}   # tells what it would do; with --yes it does it, while "
        "the table is written to",
        table.table);
  if (facts.server.edition == Edition::plain)
    return fmt::format(
        "CREATE TABLE … (LIKE {} INCLUDING DEFAULTS) PARTITION BY RANGE (…); -- and move the "
        "rows to it",
        quoted(table.table));
  return fmt::format(
      "SELECT create_hypertable({}, by_range('timestamp'), migrate_data => true); -- it locks "
      "the table while rows move, and every unique key must have the time",
      as_literal(table));
}

void judge_division(const ServerFacts& facts, const TableFacts& table, Findings& findings) {
  if (table.divided) return;
  findings.push_back(finding(advice, table, "chunks", "it is one plain table",
                             "old data can only be deleted row by row, and its indexes outgrow memory",
                             division_fix(facts, table)));
}

}  // namespace

Findings judge_tables(const ServerFacts& facts, const DatabaseWishes& wishes) {
  Findings findings;
  for (const TableFacts& table : facts.tables) {
    if (!table.there) continue;  // the catalog's check tells
    judge_division(facts, table, findings);
    judge_unique(facts, table, findings);
    judge_triggers(table, findings);
    judge_constraints(table, findings);
    judge_segments(facts, table, findings);
  }
  judge_interval(facts, wishes, findings);
  const bool free = std::ranges::none_of(findings, [](const Finding& each) { return each.level == warning; });
  if (free)
    findings.push_back(
        {ok, "database", "fast paths", "no trigger or exclusion constraint is in the way", "", ""});
  return findings;
}

}  // namespace wellhead
