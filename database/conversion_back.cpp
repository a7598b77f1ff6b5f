// The way back of a conversion: before the names changed nothing but the copy goes, after it what was written
// since is brought to the old table first.
#include <fmt/format.h>

#include "database/conversion.hpp"
#include "database/server.hpp"

namespace wellhead {

using conversion_sql::Direction;

Conversion::Outcome Conversion::roll_back(bool discard) {
  const auto now = current();
  if (!now) return std::unexpected(now.error());
  if (now->state == "swapped") return roll_back_after_swap(discard);
  if (now->state == "copying" || now->state == "copied") return roll_back_before_swap();
  return std::unexpected(
      fmt::format("There is no conversion of {} to take back{}. Nothing was changed.", table_.name,
                  now->state == "finished" ? ": it is finished, and the old table is gone" : ""));
}

Conversion::Outcome Conversion::roll_back_before_swap() {
  const std::string next = conversion_sql::next_table(table_);
  return alone(
      fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", conversion_sql::old_table(table_)),
      "Taking the conversion back", [&]() -> DatabaseResult<void> {
        const auto rows = database_.query(fmt::format(
            "SELECT unnest(later) FROM wellhead_conversion WHERE table_name = {}", sql_literal(table_.name)));
        if (!rows) return std::unexpected(rows.error());
        std::string indexes;
        for (const DatabaseRow& row : *rows) indexes += row[0].value_or("") + "; ";
        return run_all(conversion_sql::stop_noting(table_, conversion_sql::old_table(table_)) +
                       fmt::format("TRUNCATE {}; ", next) + indexes +
                       conversion_sql::drop_kept_columns(table_, next) +
                       set_state("prepared",
                                 ", later = '{}', kept_columns = '{}', dropped_columns = '{}', "
                                 "position = NULL, last_key = NULL, rows_copied = 0"));
      });
}

DatabaseResult<void> Conversion::bring_back_days(const std::vector<std::string>& days) {
  const auto taken = take("BEGIN; " + conversion_sql::take_differing(table_, days));
  if (!taken) return std::unexpected(taken.error());
  tell_(fmt::format("Bringing back {} rows that were changed since.", taken->notes));
  return run_all(conversion_sql::bring_over(table_, Direction::back, taken->first_time, taken->last_time) +
                 "; COMMIT");
}

// Rows that differ on days that differ are brought back; what changes meanwhile is noted, as on the way
// there.
Conversion::Outcome Conversion::bring_back() {
  const std::string live = conversion_sql::old_table(table_);
  if (auto noting =
          alone(fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", live), "Beginning to note changes",
                [&] { return run_all(conversion_sql::start_noting(table_, live)); });
      !noting)
    return noting;
  const auto days =
      database_.query(conversion_sql::compare_days(table_, conversion_sql::before_table(table_), live));
  abandon();
  if (!days) return failed("Comparing", days.error());
  std::vector<std::string> differing;
  for (const DatabaseRow& row : *days)
    // A day that is empty now was dropped for its age: what the old table has of it stays.
    if (row[2] != "0") differing.push_back(row[0].value_or(""));
  if (!differing.empty()) {
    const auto brought = bring_back_days(differing);
    if (!brought) {
      abandon();
      return std::unexpected(
          fmt::format("Rows written to {} since the names changed do not fit the old table: {}. Nothing was "
                      "rolled back; set them "
                      "right, or say --discard to lose what was written on {} days since.",
                      table_.name, describe(brought.error()), differing.size()));
    }
  }
  return catch_up_back();
}

Conversion::Outcome Conversion::catch_up_back() {
  const auto caught_up = catch_up_mostly(Direction::back);
  if (!caught_up) return std::unexpected(caught_up.error());
  if (*caught_up) return {};
  return std::unexpected(
      fmt::format("{0} was truncated while what was written since was brought back. The names were not "
                  "changed, and {0} is "
                  "the new table still; run --rollback again, which leaves the rows from before the "
                  "truncation in the old "
                  "table, or say --discard to lose all that was written since.",
                  table_.name));
}

// What is noted for a way back that is not gone is noted for nobody.
Conversion::Outcome Conversion::roll_back_after_swap(bool discard) {
  Outcome back = discard ? Outcome() : bring_back();
  if (back) back = change_names_back(discard);
  if (back) return {};
  abandon();
  const std::string live = conversion_sql::old_table(table_);
  const Outcome stopped =
      alone(fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", live), "Ending to note changes",
            [&] { return run_all(conversion_sql::stop_noting(table_, live)); });
  if (!stopped)
    tell_(
        fmt::format("Changes to {} are noted on, which costs its writers time, until --rollback is run again "
                    "or the conversion is finished.",
                    table_.name));
  return back;
}

Conversion::Outcome Conversion::change_names_back(bool discard) {
  const std::string locks =
      fmt::format("LOCK TABLE {}, {} IN ACCESS EXCLUSIVE MODE", conversion_sql::old_table(table_),
                  conversion_sql::before_table(table_));
  for (int round = 0; round < catch_up_rounds; ++round) {
    bool settled = discard;
    const Outcome done = alone(locks, "Changing the names back", [&]() -> DatabaseResult<void> {
      if (!discard) {
        const auto brought = bring_over_last(Direction::back);
        if (!brought) return std::unexpected(brought.error());
        settled = *brought;
        if (!settled) return run_all("ROLLBACK; BEGIN");
      }
      return run_all(conversion_sql::swap_back(table_) +
                     set_state("prepared",
                               ", kept_columns = '{}', dropped_columns = '{}', position = NULL, "
                               "last_key = NULL, rows_copied = 0"));
    });
    if (!done || settled) return done;
    if (auto caught_up = catch_up_back(); !caught_up) return caught_up;
  }
  return std::unexpected(
      fmt::format("{0} is changed too fast to change the names back. Nothing was lost and {0} is the new "
                  "table still; run "
                  "the same command again when there is less to do.",
                  table_.name));
}

}  // namespace wellhead
