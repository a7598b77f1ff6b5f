// Finds exactly the rows the database refuses, inside one transaction, so that all others commit with the
// flush.
//
// A row is refused only when a COPY of it alone fails for its data. The way there: try a window of rows;
// where it fails, the server's "COPY …, line N" says how many rows before it are likely good (where it does
// not say, bisect); then that row alone; then go on behind it with a window twice the distance to the last
// bad row, so that rare bad rows cost a few round trips each and dense ones do not send everything again and
// again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schema.hpp"
#include "sink/copy_stream.hpp"
#include "sink/database.hpp"
#include "sink/flush.hpp"

namespace wellhead {

struct Refusal {
  std::uint32_t arrival;    // SortedRow::arrival
  const RowHeader* header;  // the row itself, in its batch
  std::string sqlstate;
  std::string message;
};

// The row a COPY failed at, counted from 1, by the error's context; none where it does not say.
[[nodiscard]] std::optional<std::uint64_t> copy_line_from(std::string_view context) noexcept;

class Salvage {
 public:
  explicit Salvage(Database& database) : database_(database) {}

  // Statements for the transaction's start, behind the progress row: deferred constraints shall show at their
  // COPY.
  static constexpr std::string_view preparation = "SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT salvage";

  // REQUIRES a transaction in which `preparation` ran. Puts every good row of one stream into the transaction
  // and adds the others to `refusals`. `first_bad_line` is where an earlier try of all rows failed, if known.
  // An error is one that is not about the data; the transaction is then of no use.
  [[nodiscard]] DatabaseResult<void> put(const Schema& schema, std::span<const SortedRow> rows,
                                         std::optional<std::uint64_t> first_bad_line,
                                         std::vector<Refusal>& refusals);

  [[nodiscard]] std::uint64_t bytes_copied() const noexcept { return bytes_copied_; }

 private:
  [[nodiscard]] DatabaseResult<void> attempt(const Schema& schema, std::span<const SortedRow> rows);

  Database& database_;
  CopyStream stream_;
  bool failed_ = false;  // the transaction waits for its ROLLBACK TO SAVEPOINT
  std::uint64_t bytes_copied_ = 0;
};

}  // namespace wellhead
