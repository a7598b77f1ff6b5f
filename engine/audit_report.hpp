// What an audit found, and how it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "queue/lane.hpp"

namespace wellhead {

struct LaneAudit {
  LaneId lane;
  std::uint64_t first;  // sequence of the first batch the journal holds
  std::uint64_t last;   // and of the last
  std::optional<std::uint64_t>
      progress;                   // of the last batch committed; none: the database has no row of the lane
  std::uint64_t rows = 0;         // within the range
  std::uint64_t rows_queued = 0;  // of them, behind the progress

  // Batches that are in neither: gone from the journal before they were committed.
  [[nodiscard]] std::uint64_t batches_trimmed_too_early() const noexcept;
};

// A row that is in the journal and not in the table.
struct MissingRow {
  std::string device;
  std::string time;  // as the database prints it
  std::uint64_t copies;
};

// Of the streams that write the same columns of one table. All counts are rows.
struct StreamAudit {
  std::string name;
  std::string table;
  std::uint64_t journaled = 0;
  std::uint64_t queued = 0;       // not committed yet
  std::uint64_t quarantined = 0;  // committed, refused by the database, and in dead_letter
  std::uint64_t found = 0;        // committed, and in the table
  std::uint64_t missing = 0;      // committed, and in neither
  std::uint64_t duplicated = 0;   // in the table more often than in the journal
  // In the table, of the same receive times, and not in the journal; none where rows have no receive time.
  std::optional<std::uint64_t> others;
  std::vector<MissingRow> examples;  // a few of what is missing or quarantined

  [[nodiscard]] std::uint64_t committed() const noexcept { return journaled - queued - quarantined; }
};

struct AuditReport {
  std::string journal_id;
  std::string node_id;
  std::int64_t first_written_us = 0;  // of what was compared; wall time, microseconds since 2000-01-01 UTC
  std::int64_t last_written_us = 0;
  bool exclusive = false;  // others are a fault
  std::vector<LaneAudit> lanes;
  std::vector<StreamAudit> streams;
  std::uint64_t lost_rows = 0;         // in damaged blocks, as far as their headers tell
  std::uint64_t lost_batches = 0;      // damaged or gone, known by their number
  std::uint64_t damaged_places = 0;    // of which nobody knows what was there
  std::uint64_t segments_trimmed = 0;  // by the node while it was read: their rows were not compared
  std::vector<std::string> notes;      // sentences

  struct Totals {
    std::uint64_t journaled = 0, committed = 0, queued = 0, quarantined = 0, lost = 0;
    std::uint64_t found = 0, missing = 0, duplicated = 0;
  };
  // `journaled` with the rows that are lost.
  [[nodiscard]] Totals totals() const noexcept;
  // What is wrong, a sentence each; empty: every row the journal holds is where it must be, once.
  [[nodiscard]] std::vector<std::string> faults() const;
};

[[nodiscard]] std::string print_audit(const AuditReport& report);
[[nodiscard]] std::string print_audit_json(const AuditReport& report);

// 2026-03-01T12:00:00.123456Z.
[[nodiscard]] std::string wall_time_text(std::int64_t wall_us);

}  // namespace wellhead
