// Scores what a journal holds again, by the rules of today, and tells or writes what differs in the table.
//
// Rows are taken in the order they were written to the journal, across its reactors, as far as its clock can
// tell; devices begin unknown. Reads the journal as the audit does: also beside a running node.
#pragma once

#include <expected>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "engine/config.hpp"
#include "engine/offline_flush.hpp"
#include "engine/rescore_report.hpp"
#include "engine/rescore_table.hpp"
#include "engine/stored_rules.hpp"
#include "engine/stream_history.hpp"
#include "journal/audit_reader.hpp"

namespace wellhead {

struct RescoreOptions {
  // Rows written to the journal before are only learned from; microseconds since 2000-01-01 UTC.
  std::int64_t since_us = std::numeric_limits<std::int64_t>::min();
  bool write = false;
};

// One thread, once. Memory: slices of the journal, a flush and the devices.
class Rescore {
 public:
  using Progress = std::function<void(const RescoreReport&)>;

  // Everything outlives it. `stream` is one of loaded.schemas, with a computed column.
  Rescore(FileSystem& files, Database& database, const LoadedConfig& loaded, SchemaPointer stream,
          const RescoreOptions& options);

  // `progress` is called now and then. The error is a sentence; what it had written by then stays.
  [[nodiscard]] std::expected<RescoreReport, std::string> run(const Progress& progress);

 private:
  using Step = std::expected<void, std::string>;
  struct Section {
    LaneId lane;
    std::int64_t written_us;
    std::uint32_t row_count;
    std::vector<std::byte> rows;
  };

  [[nodiscard]] Step find_slices(AuditReader& reader);
  [[nodiscard]] Step read_slice(AuditReader& reader, const WrittenRange& range);
  [[nodiscard]] Step take(const Section& section);
  void add_row(const RowHeader& header, std::span<const std::byte> tuple, bool compare);
  [[nodiscard]] Step flush();
  [[nodiscard]] Step finish();

  FileSystem& files_;
  const LoadedConfig& loaded_;
  SchemaPointer stream_;
  RescoreOptions options_;
  StreamHistory streams_;
  StoredRules rules_;
  OfflineFlush flush_;
  VerdictReader verdicts_;
  RescoreReport report_;
  RescoreTable table_;
  std::vector<WrittenRange> slices_;
  std::vector<bool> compares_;  // by row of the flush
};

}  // namespace wellhead
