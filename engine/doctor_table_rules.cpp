#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/database_report_print.hpp"
#include "engine/doctor_database.hpp"

namespace wellhead {
namespace {

using enum FindingLevel;

// A segment holds up to 1,000 rows; with fewer than this many the columns hardly compress.
constexpr double rows_per_segment_good = 100;
constexpr double hour_seconds = 3'600;

Finding finding(FindingLevel level, const TableFacts& table, std::string_view subject, std::string seen,
                std::string reason = {}, std::string fix = {}) {
  return {level,           "database",        fmt::format("{} of {}", subject, table.table),
          std::move(seen), std::move(reason), std::move(fix)};
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void judge_unique(const ServerFacts& facts, const TableFacts& table, Findings& findings) {
  if (table.unique_indexes.empty()) return;
  const bool direct = facts.server.has_direct_compress();
  findings.push_back(finding(
      advice, table, "unique index", joined(table.unique_indexes),
      direct ? "each insert has to look it up, and rows are never written compressed at once; the node needs "
               "none to "
               "store a record once"
             : "each insert has to look it up; the node needs none to store a record once",
      fmt::format("ALTER TABLE {} DROP CONSTRAINT {};   (keep it where rows are corrected by their key)",
                  table.table, table.unique_indexes.front())));
}

void judge_triggers(const TableFacts& table, Findings& findings) {
  if (!table.row_triggers.empty())
    findings.push_back(
        finding(warning, table, "trigger", joined(table.row_triggers),
                "it runs for each row, and COPY may then insert row by row: many times slower",
                fmt::format("DROP TRIGGER {} ON {};   (or do it in a statement trigger, or later)",
                            table.row_triggers.front(), table.table)));
  if (!table.exclusions.empty())
    findings.push_back(
        finding(warning, table, "exclusion constraint", joined(table.exclusions),
                "each row is compared with others by an index scan, and writers wait for each other",
                fmt::format("ALTER TABLE {} DROP CONSTRAINT {};", table.table, table.exclusions.front())));
  if (!table.foreign_keys.empty())
    findings.push_back(
        finding(advice, table, "foreign key", joined(table.foreign_keys),
                "each row looks up and locks the row it refers to, and a row without one is refused",
                fmt::format("ALTER TABLE {} DROP CONSTRAINT {};", table.table, table.foreign_keys.front())));
}

// A chunk whose indexes are twice the room is to be half as long; never below an hour, and of round hours.
double better_interval_seconds(double now_seconds, double share) {
  const double wanted = now_seconds / share;
  constexpr double day = 24 * hour_seconds;
  if (wanted >= day) return std::floor(wanted / day) * day;
  return std::max(1.0, std::floor(wanted / hour_seconds)) * hour_seconds;
}

std::string interval_fix(const ServerFacts& facts, const TableFacts& table, double share) {
  if (facts.server.edition == Edition::plain)
    return fmt::format(
        "UPDATE wellhead_lifecycle SET chunk_interval = chunk_interval / {:.0f} WHERE table_name = '{}';",
        std::ceil(share), table.table);
  const double seconds =
      better_interval_seconds(table.chunk_interval_seconds.value_or(24 * hour_seconds), share);
  return fmt::format("SELECT set_chunk_time_interval('{}', INTERVAL '{:.0f} hours');", table.table,
                     seconds / hour_seconds);
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

void judge_segments(const ServerFacts& facts, const TableFacts& table, Findings& findings) {
  if (!facts.server.has_compression() || !table.rows_per_segment) return;
  const std::string seen = fmt::format("{:.0f} rows in a compressed one", *table.rows_per_segment);
  if (*table.rows_per_segment >= rows_per_segment_good)
    return findings.push_back(finding(ok, table, "segments", seen));
  const char* setting =
      facts.server.has_columnstore_names() ? "timescaledb.segmentby" : "timescaledb.compress_segmentby";
  findings.push_back(
      finding(warning, table, "segments", seen,
              "segments of few rows hardly compress, and each costs a row of its own",
              fmt::format("ALTER TABLE {} SET ({} = 'ONE COLUMN WITH FEWER VALUES');   (or a longer "
                          "chunk: SELECT set_chunk_time_interval('{}', INTERVAL '7 days');)",
                          table.table, setting, table.table)));
}

}  // namespace

Findings judge_tables(const ServerFacts& facts, const DatabaseWishes& wishes) {
  Findings findings;
  for (const TableFacts& table : facts.tables) {
    if (!table.there) continue;  // the catalog's check tells
    if (!table.divided)
      findings.push_back(
          finding(advice, table, "chunks", "it is one plain table",
                  "old data can only be deleted row by row, and its indexes outgrow memory",
                  facts.server.edition == Edition::plain
                      ? fmt::format("SELECT wellhead_partition_table('{}');", table.table)
                      : fmt::format("SELECT create_hypertable('{}', by_range('timestamp'), migrate_data "
                                    "=> true);   (it locks the table)",
                                    table.table)));
    judge_unique(facts, table, findings);
    judge_triggers(table, findings);
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
