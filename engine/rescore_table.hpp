// The table's side of scoring again: looks up what it has, compares, and writes what differs.
//
// Rows are found by device and time; where that names several, none of them is touched, since nobody could
// say which is which. A row in a compressed chunk is compared and not written: that would decompress it.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codec/schema.hpp"
#include "engine/quality_words.hpp"
#include "engine/rescore_report.hpp"
#include "sink/database.hpp"

namespace wellhead {

// One thread. Errors are the database's; rows written before are committed.
class RescoreTable {
 public:
  // `database`, connected and outside of a transaction, and `report` outlive it. Bits of quality_flags in
  // `kept` stay as the table has them. Without `write` nothing is changed.
  RescoreTable(Database& database, SchemaPointer schema, RescoreReport& report, std::uint64_t kept,
               bool write);

  // Finds out which chunks are compressed. To be called once, first.
  [[nodiscard]] DatabaseResult<void> prepare();
  // A row with its new verdict; one that is not to be compared still tells what is known of its device. Rows
  // go to the database some thousands at a time, each time in a transaction.
  [[nodiscard]] DatabaseResult<void> add(const RowHeader& header, const Verdict& verdict,
                                         bool compare = true);
  // What add() gathered.
  [[nodiscard]] DatabaseResult<void> flush();

 private:
  struct Row {
    std::string device;
    std::int64_t time_us;
    Verdict after;
    bool compare;

    [[nodiscard]] bool looked_up() const noexcept;
  };

  [[nodiscard]] std::string matches() const;
  [[nodiscard]] std::string bounds() const;
  [[nodiscard]] std::string lookup_statement() const;
  [[nodiscard]] bool compressed(std::int64_t time_us) const;
  [[nodiscard]] bool half_learned(const Row& row, const Verdict* before);
  void take(const Row& row, const DatabaseRow& found, bool alone);
  void judge(const Row& row, const Verdict& before, bool unjudged);
  [[nodiscard]] DatabaseResult<void> write();
  [[nodiscard]] DatabaseResult<void> update();

  Database& database_;
  SchemaPointer schema_;
  RescoreReport& report_;
  std::uint64_t kept_;
  bool write_;
  std::uint16_t device_field_;
  std::string device_, time_;                                      // quoted
  std::string score_, anomaly_, flags_;                            // quoted; empty: no such column
  bool invalidates_ = false;                                       // aggregates are told by a log
  std::vector<std::pair<std::int64_t, std::int64_t>> compressed_;  // stretches of time, the end left out
  // Of devices that the table knew earlier than this run: rows until as much is known of them here.
  std::unordered_map<std::string, std::uint32_t> half_learned_;
  std::vector<Row> rows_;
  std::vector<Row> changed_;
};

}  // namespace wellhead
