// Makes a plain table what the migrations give, while others go on writing to it.
//
// The way: the new table lies beside, in the schema wellhead_next (state `prepared`, made by the migrations).
// From begin() on a trigger notes which rows of the old one change. Rows are copied in the order of the key,
// each batch in a transaction with the position it reached; then what was noted is brought over, until there
// is little of it; days are compared; and in one moment alone with the table the last of it is brought over
// and the names change.
//
// What holds from the end of copying on, at every moment and in every snapshot: rows whose locator (key,
// device, time) is not noted are the same in both tables. A change notes the locator before it and the one
// after it, in the transaction that changes; whoever takes a locator from the notes makes both tables the
// same there, in one transaction. So the notes may be taken in any order, and a locator twice.
//
// Every step is a transaction with the row of wellhead_conversion that records it: an end at any moment
// leaves steps that are done and steps that are not. One thread; REQUIRES that no one else converts, by the
// lock of migrations.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "database/conversion_sql.hpp"
#include "database/conversion_table.hpp"
#include "sink/database.hpp"

namespace wellhead {

// A row of wellhead_conversion.
struct ConversionStatus {
  std::string table;
  std::string state;  // empty: there is none
  std::uint64_t rows_expected = 0;
  std::uint64_t rows_copied = 0;
  std::uint64_t noted = 0;            // changes to be brought over
  std::vector<std::string> position;  // empty: before the first row
  std::vector<std::string> last_key;  // empty: there was no row
  std::vector<std::string> dropped_columns;
};

struct ConversionOptions {
  std::uint64_t batch_rows = 200'000;
  std::uint64_t batch_notes = 100'000;       // taken in one transaction
  std::vector<std::string> dropped_columns;  // kept ones that go with the old table
  std::chrono::milliseconds lock_timeout{1'000};
  std::chrono::milliseconds lock_patience{
      300'000};  // to be alone with the table, in attempts of lock_timeout
};

class Conversion {
 public:
  using Outcome = std::expected<void, std::string>;  // the errors are sentences

  // `tell` takes sentences for the operator, as things happen. `database` outlives it.
  Conversion(Database& database, ConversionTable table, ConversionOptions options,
             std::function<void(std::string_view)> tell);

  // Changes nothing.
  [[nodiscard]] static std::expected<ConversionStatus, std::string> status(Database& database,
                                                                           const std::string& table);

  // From `prepared`, `copying` or `copied` to `swapped`: goes on where it stands.
  [[nodiscard]] Outcome run(std::uint64_t rows_expected);
  // The steps of run().
  [[nodiscard]] Outcome begin(std::uint64_t rows_expected);
  [[nodiscard]] Outcome copy();
  [[nodiscard]] Outcome make_indexes();
  [[nodiscard]] Outcome catch_up();
  // An error names the days on which the tables differ. Where the old one was truncated, that is the reason:
  // it goes back to the copying.
  [[nodiscard]] Outcome compare();
  [[nodiscard]] Outcome swap();

  // To `prepared`. Before the swap the old table only loses its trigger. After it, rows that were written
  // since are brought back first; with `discard` they are not.
  [[nodiscard]] Outcome roll_back(bool discard);
  // From `swapped` to `finished`: the old table goes for good.
  [[nodiscard]] Outcome finish();

 private:
  struct Taken {
    std::uint64_t notes = 0;
    bool truncated = false;
    std::string first_time, last_time;
  };
  using Step = std::function<DatabaseResult<void>()>;

  // Then the table is changed faster than its changes are brought over.
  static constexpr int catch_up_rounds = 10'000;

  [[nodiscard]] std::expected<ConversionStatus, std::string> current();
  [[nodiscard]] Outcome run_steps(std::uint64_t rows_expected);
  void tell_rate(std::chrono::steady_clock::time_point begun);
  // `step` in a transaction that begins alone with the tables: again, until their locks are had.
  [[nodiscard]] Outcome alone(std::string_view locks, std::string_view what, const Step& step);
  [[nodiscard]] DatabaseResult<Taken> take(const std::string& statements);
  [[nodiscard]] DatabaseResult<Taken> bring_over_noted(conversion_sql::Direction direction);
  [[nodiscard]] std::expected<Taken, std::string> catch_up_once(conversion_sql::Direction direction);
  // Until there is little left; false where the table was truncated, and then nothing was taken last.
  [[nodiscard]] std::expected<bool, std::string> catch_up_mostly(conversion_sql::Direction direction);
  // REQUIRES to be alone with the table. False where that is too much for others to wait for, or the table
  // was truncated; true: the notes are empty, and both tables the same.
  [[nodiscard]] DatabaseResult<bool> bring_over_last(conversion_sql::Direction direction);
  [[nodiscard]] Outcome bring_back();
  [[nodiscard]] DatabaseResult<void> bring_back_days(const std::vector<std::string>& days);
  [[nodiscard]] Outcome restart();
  [[nodiscard]] DatabaseResult<bool> truncation_noted();
  [[nodiscard]] Outcome roll_back_before_swap();
  [[nodiscard]] Outcome roll_back_after_swap(bool discard);
  [[nodiscard]] Outcome change_names_back(bool discard);
  [[nodiscard]] Outcome catch_up_back();
  [[nodiscard]] DatabaseResult<std::string> deferred_indexes();
  // An error names columns of the live table that were changed since the conversion began.
  [[nodiscard]] DatabaseResult<void> look_for_changed_columns();
  [[nodiscard]] std::string set_state(std::string_view state, std::string_view more = "") const;
  [[nodiscard]] DatabaseResult<void> run_all(std::string_view statements);
  void abandon();
  [[nodiscard]] std::unexpected<std::string> failed(std::string_view what, const DatabaseError& error) const;

  Database& database_;
  ConversionTable table_;
  ConversionOptions options_;
  std::function<void(std::string_view)> tell_;
};

}  // namespace wellhead
