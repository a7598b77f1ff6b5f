// Whether everything a journal holds is where it must be: compares journal, progress and tables.
//
// The order of the steps makes the answer exact on a running node. First the journal is looked at; then a
// transaction takes one snapshot, of which both the progress and all tables are read. So what the progress
// calls committed is in the tables of the same moment, or missing; and what was committed after the look is
// not asked for.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "engine/audit_report.hpp"
#include "engine/audit_table.hpp"
#include "engine/stream_history.hpp"
#include "journal/audit_reader.hpp"
#include "sink/database.hpp"

namespace wellhead {

struct AuditOptions {
  WrittenRange range = {};  // of what the journal holds
  bool exclusive = false;   // rows that are not of this journal are a fault
};

// One thread, once. Changes nothing in the journal, nor in the database but temporary tables.
class Audit {
 public:
  // `today` are the configured streams, Schema::index() being the position. `files` and `database`, which is
  // connected, outlive the audit.
  Audit(FileSystem& files, Database& database, std::span<const SchemaPointer> today,
        const AuditOptions& options)
      : files_(files), database_(database), today_(today), options_(options) {}

  // The error is a sentence: nothing was found out.
  [[nodiscard]] std::expected<AuditReport, std::string> run();

 private:
  using Step = std::expected<void, std::string>;

  [[nodiscard]] Step look(AuditReader& reader);
  void make_tables();
  [[nodiscard]] Step read_progress();
  [[nodiscard]] Step read_rows(AuditReader& reader);
  [[nodiscard]] Step take(const AuditSection& section);
  [[nodiscard]] Step take_row(const RowHeader& header, std::span<const std::byte> tuple, LaneId lane,
                              bool committed);
  [[nodiscard]] Step compare();
  void count_lost(const AuditReader& reader);
  void note();

  FileSystem& files_;
  Database& database_;
  std::span<const SchemaPointer> today_;
  AuditOptions options_;
  StreamHistory streams_;
  std::vector<std::unique_ptr<AuditTable>> tables_;
  std::vector<AuditTable*> table_of_stream_;  // by position in streams_.schemas
  std::map<LaneId, LaneAudit> lanes_;
  std::uint64_t sections_ = 0;
  AuditReport report_;
};

}  // namespace wellhead
