// One table's side of an audit: the rows the journal holds for it are copied into a temporary table and
// compared there, as multisets over the stream's columns.
//
// Rows are compared by device, time and a 128-bit hash of their text form, so that jsonb, NaN and any other
// type compare as they print. Both sides are read in the transaction's one snapshot. Computed columns are
// left out: the journal has of them what the decoder left room with, the table what the shard made of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "engine/audit_report.hpp"
#include "sink/copy_stream.hpp"
#include "sink/database.hpp"

namespace wellhead {

// One thread. Errors are the database's; the transaction is then over.
class AuditTable {
 public:
  // `number` tells this one from others of the session. `database` outlives it and is in a transaction of
  // isolation level REPEATABLE READ from prepare() to finish().
  AuditTable(Database& database, SchemaPointer schema, std::size_t number);

  // Another stream whose rows go to the same columns.
  void add_name(const std::string& stream);
  [[nodiscard]] const Schema& schema() const noexcept { return *schema_; }

  // A row of a batch that is committed. It goes to the database with others, a few MiB at a time.
  [[nodiscard]] DatabaseResult<void> add_committed(std::span<const std::byte> tuple);
  void add_queued() noexcept {
    ++result_.journaled;
    ++result_.queued;
  }
  // Compares. Letters of refused rows count from `letters_since_us` on (microseconds since 2000-01-01 UTC).
  [[nodiscard]] DatabaseResult<StreamAudit> finish(const std::string& node_id, std::int64_t letters_since_us);

 private:
  // Whole days of the rows' time, UTC, [first, last] since 1970-01-01.
  struct Slice {
    std::int64_t first_day;
    std::int64_t last_day;
    std::uint64_t rows;
  };

  [[nodiscard]] DatabaseResult<void> prepare();
  [[nodiscard]] DatabaseResult<void> flush();
  // Copies rows [begin, end) of the buffer; where the database refuses one for its data, all others.
  [[nodiscard]] DatabaseResult<void> load(std::size_t begin, std::size_t end);
  [[nodiscard]] DatabaseResult<void> copy(std::size_t begin, std::size_t end);
  // A row that not even a table without constraints takes: no hypertable has it.
  [[nodiscard]] DatabaseResult<void> note_unstorable(std::span<const std::byte> tuple);
  [[nodiscard]] DatabaseResult<void> compare();
  [[nodiscard]] DatabaseResult<std::vector<Slice>> slices();
  [[nodiscard]] DatabaseResult<void> compare(const Slice& slice);
  // The bounds of the receive times, as a condition on the table; empty where the stream has none.
  [[nodiscard]] DatabaseResult<std::string> receive_condition();
  [[nodiscard]] DatabaseResult<void> explain_missing(const std::string& node_id,
                                                     std::int64_t letters_since_us);

  Database& database_;
  SchemaPointer schema_;
  std::vector<std::string> names_;
  std::string rows_table_;     // of what the journal holds
  std::string missing_table_;  // device, at, copies
  std::string columns_;        // quoted
  std::string compared_;       // those of them that are not computed
  std::string device_;         // quoted
  std::string time_;           // quoted
  std::string receive_time_;   // quoted; empty: none
  std::string receive_bounds_;
  bool prepared_ = false;
  std::vector<std::byte> buffer_;
  std::vector<std::size_t> row_ends_;  // in the buffer
  CopyStream copy_stream_;
  StreamAudit result_;
};

}  // namespace wellhead
