#include "database/conversion.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "database/server.hpp"

namespace wellhead {
namespace {

using conversion_sql::Direction;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view lock_not_available = "55P03";
constexpr std::string_view deadlock_detected = "40P01";
// So few are brought over while everybody waits.
constexpr std::uint64_t noted_small = 2'000;
constexpr milliseconds tell_every{2'000};
constexpr milliseconds lock_pause{200};
constexpr milliseconds lock_pause_max{5'000};
constexpr std::size_t days_told = 5;

constexpr const char* status_question =
    "SELECT state, rows_expected, rows_copied FROM wellhead_conversion WHERE table_name = {}";

std::uint64_t number(const std::optional<std::string>& text) {
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

std::string array_of(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ", ") + sql_literal(value);
  return fmt::format("ARRAY[{}]::text[]", text);
}

// What the copying of so many of so many rows has come to.
std::string progress(std::uint64_t copied, std::uint64_t expected, std::uint64_t here, milliseconds elapsed) {
  const double seconds = std::max(0.001, static_cast<double>(elapsed.count()) / 1'000);
  const double rate = static_cast<double>(here) / seconds;
  const double left = rate > 0 && expected > copied ? static_cast<double>(expected - copied) / rate : 0;
  return fmt::format("Copied {} of {} rows, {:.0f} rows/s, {:.0f} s left.", copied,
                     std::max(copied, expected), rate, left);
}

milliseconds since(steady_clock::time_point begun) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun);
}

}  // namespace

Conversion::Conversion(Database& database, ConversionTable table, ConversionOptions options,
                       std::function<void(std::string_view)> tell)
    : database_(database), table_(std::move(table)), options_(std::move(options)), tell_(std::move(tell)) {}

std::expected<ConversionStatus, std::string> Conversion::status(Database& database,
                                                                const std::string& table) {
  ConversionStatus status;
  status.table = table;
  const auto refuse = [&](const DatabaseError& error) {
    return std::unexpected(
        fmt::format("Where the conversion of {} stands cannot be read: {}.", table, describe(error)));
  };
  const auto exists = database.query("SELECT to_regclass('wellhead_conversion') IS NOT NULL");
  if (!exists) return refuse(exists.error());
  if (exists->front().front() != "t") return status;
  const auto rows = database.query(fmt::format(fmt::runtime(status_question), sql_literal(table)));
  if (!rows) return refuse(rows.error());
  if (rows->empty()) return status;
  const DatabaseRow& row = rows->front();
  status.state = row[0].value_or("");
  status.rows_expected = number(row[1]);
  status.rows_copied = number(row[2]);
  for (const auto& [column, values] : {std::pair{"position", &status.position},
                                       {"last_key", &status.last_key},
                                       {"dropped_columns", &status.dropped_columns}}) {
    const auto parts = database.query(fmt::format(
        "SELECT unnest({}) FROM wellhead_conversion WHERE table_name = {}", column, sql_literal(table)));
    if (!parts) return refuse(parts.error());
    for (const DatabaseRow& part : *parts) values->push_back(part[0].value_or(""));
  }
  ConversionTable named;
  named.name = table;
  const std::string noted = conversion_sql::noted_table(named);
  const auto noting = database.query(fmt::format("SELECT to_regclass({}) IS NOT NULL", sql_literal(noted)));
  if (!noting) return refuse(noting.error());
  if (noting->front().front() != "t") return status;
  const auto count = database.query(fmt::format("SELECT count(*) FROM {}", noted));
  if (!count) return refuse(count.error());
  status.noted = number(count->front()[0]);
  return status;
}

std::expected<ConversionStatus, std::string> Conversion::current() {
  return status(database_, table_.name);
}

std::unexpected<std::string> Conversion::failed(std::string_view what, const DatabaseError& error) const {
  return std::unexpected(fmt::format(
      "{} failed, and this step was rolled back: {}. The table {} is as it was; set right what the server "
      "names and "
      "run the same command again, which goes on from here, or take the conversion back with --rollback.",
      what, describe(error), table_.name));
}

void Conversion::abandon() {
  if (!database_.in_transaction()) return;
  // Where this fails too, the server rolls back when the connection ends.
  [[maybe_unused]] const auto rolled_back = database_.run("ROLLBACK");
}

DatabaseResult<void> Conversion::run_all(std::string_view statements) {
  const auto ran = database_.query(statements);
  if (!ran) return std::unexpected(ran.error());
  return {};
}

std::string Conversion::set_state(std::string_view state, std::string_view more) const {
  return fmt::format(
      "UPDATE wellhead_conversion SET state = {}{}, changed_at = now() WHERE table_name = {}; ",
      sql_literal(state), more, sql_literal(table_.name));
}

Conversion::Outcome Conversion::alone(std::string_view locks, std::string_view what, const Step& step) {
  const auto until = steady_clock::now() + options_.lock_patience;
  milliseconds pause = lock_pause;
  for (;;) {
    auto done =
        run_all(fmt::format("BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL lock_timeout = {}; {}",
                            options_.lock_timeout.count(), locks));
    if (done) done = step();
    if (done) done = run_all("COMMIT");
    if (done) return {};
    abandon();
    const std::string& code = done.error().sqlstate;
    if (code != lock_not_available && code != deadlock_detected) return failed(what, done.error());
    if (steady_clock::now() >= until)
      return std::unexpected(fmt::format(
          "{} needs a moment alone with {}, and others held it for {} s. The step was rolled back, and "
          "nobody waits "
          "for it; look in pg_stat_activity for long transactions on it, then run the same command again.",
          what, table_.name, options_.lock_patience.count() / 1'000));
    tell_(fmt::format("{} waits for others to let go of {}.", what, table_.name));
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, lock_pause_max);
  }
}

// Of one that was not interrupted: nobody knows how long the others took.
void Conversion::tell_rate(steady_clock::time_point begun) {
  const auto now = current();
  if (!now || now->rows_copied == 0) return;
  const double seconds = std::max(0.001, static_cast<double>(since(begun).count()) / 1'000);
  tell_(fmt::format("Converted {} rows in {:.1f} s, {:.0f} rows/s with indexes and comparison.",
                    now->rows_copied, seconds, static_cast<double>(now->rows_copied) / seconds));
}

Conversion::Outcome Conversion::run(std::uint64_t rows_expected) {
  const auto begun = steady_clock::now();
  const auto before = current();
  if (!before) return std::unexpected(before.error());
  const Outcome done = run_steps(rows_expected);
  if (done && before->state == "prepared") tell_rate(begun);
  return done;
}

Conversion::Outcome Conversion::run_steps(std::uint64_t rows_expected) {
  // A truncation takes it back to the copying.
  const auto anew = [&] {
    const auto now = current();
    return now && now->state == "copying";
  };
  for (;;) {
    const auto now = current();
    if (!now) return std::unexpected(now.error());
    Outcome done;
    if (now->state == "prepared")
      done = begin(rows_expected);
    else if (now->state == "copying")
      done = copy();
    else if (now->state == "copied") {
      done = make_indexes();
      if (done) done = catch_up();
      if (done && !anew()) done = compare();
      if (done && !anew()) return swap();
    } else
      return std::unexpected(fmt::format("The conversion of {} is {}.", table_.name, now->state));
    if (!done) return done;
  }
}

// Indexes are made when the rows are there: in one go over each chunk, instead of row by row.
DatabaseResult<std::string> Conversion::deferred_indexes() {
  const std::string next = sql_literal(conversion_sql::next_table(table_));
  const auto rows = database_.query(fmt::format(
      "SELECT CASE WHEN c.oid IS NULL THEN replace(pg_get_indexdef(x.indexrelid), ' ON ONLY ', ' ON ') ELSE "
      "format('ALTER TABLE %s ADD CONSTRAINT %s %s', c.conrelid::regclass, quote_ident(c.conname), "
      "pg_get_constraintdef(c.oid)) END, CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', "
      "x.indexrelid::regclass) "
      "ELSE format('ALTER TABLE %s DROP CONSTRAINT %s', c.conrelid::regclass, quote_ident(c.conname)) END "
      "FROM pg_index x LEFT JOIN pg_constraint c ON c.conindid = "
      "x.indexrelid AND c.contype IN ('p', 'u') WHERE x.indrelid = {}::regclass ORDER BY c.conname NULLS "
      "LAST, 1",
      next));
  if (!rows) return std::unexpected(rows.error());
  std::vector<std::string> later = conversion_sql::require_kept_columns(table_);
  std::string drop;
  for (const DatabaseRow& row : *rows) {
    later.push_back(row[0].value_or(""));
    drop += row[1].value_or("") + "; ";
  }
  return drop + set_state("copying", ", later = " + array_of(later));
}

Conversion::Outcome Conversion::begin(std::uint64_t rows_expected) {
  if (table_.partitioned) {
    if (const auto made = run_all(conversion_sql::make_partitions(table_)); !made) {
      abandon();
      return failed("Making the partitions", made.error());
    }
  }
  std::vector<std::string> kept;
  for (const ConversionColumn& column : table_.columns)
    if (column.kept || !column.default_expression.empty() ||
        std::ranges::find(table_.sequences, column.name, &ConversionTable::Sequence::column) !=
            table_.sequences.end())
      kept.push_back(column.name);
  const std::string old_name = conversion_sql::old_table(table_);
  std::string last;
  for (const std::string& part : table_.key)
    last += fmt::format("{}{}::text", last.empty() ? "" : ", ", sql_identifier(part));
  std::string order;
  for (const std::string& part : table_.key)
    order += fmt::format("{}{} DESC", order.empty() ? "" : ", ", sql_identifier(part));
  return alone(
      fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", old_name), "Beginning to note changes",
      [&]() -> DatabaseResult<void> {
        if (auto noting = run_all(conversion_sql::start_noting(table_, old_name)); !noting) return noting;
        const auto indexes = deferred_indexes();
        if (!indexes) return std::unexpected(indexes.error());
        return run_all(
            conversion_sql::run_jobs(table_, "wellhead_next", false) +
            conversion_sql::add_kept_columns(table_) + *indexes +
            set_state(
                "copying",
                fmt::format(", position = NULL, rows_copied = 0, rows_expected = {}, kept_columns = {}, "
                            "dropped_columns = {}, last_key = (SELECT ARRAY[{}] FROM {} ORDER BY {} LIMIT 1)",
                            rows_expected, array_of(kept), array_of(options_.dropped_columns), last, old_name,
                            order)));
      });
}

Conversion::Outcome Conversion::copy() {
  auto now = current();
  if (!now) return std::unexpected(now.error());
  const auto begun = steady_clock::now();
  const std::uint64_t copied_before = now->rows_copied;
  auto told = begun;
  bool last = now->last_key.empty() || now->position == now->last_key;
  if (now->rows_copied != 0) tell_(fmt::format("Going on behind {} rows that are copied.", now->rows_copied));
  const auto fail = [&](const DatabaseError& error) {
    abandon();
    return failed("Copying", error);
  };
  while (!last) {
    auto ends =
        database_.query(conversion_sql::batch_end(table_, now->position, now->last_key, options_.batch_rows));
    if (!ends) return fail(ends.error());
    last = ends->empty();
    std::vector<std::string> until = now->last_key;
    for (std::size_t part = 0; !last && part < until.size(); ++part)
      until[part] = ends->front()[part].value_or("");
    const auto copied = database_.run("BEGIN; SET LOCAL synchronous_commit = off; " +
                                      conversion_sql::copy_batch(table_, now->position, until));
    if (!copied) return fail(copied.error());
    now->rows_copied += copied->rows_updated;
    now->position = until;
    const auto recorded = run_all(set_state("copying", fmt::format(", position = {}, rows_copied = {}",
                                                                   array_of(until), now->rows_copied)) +
                                  "COMMIT");
    if (!recorded) return fail(recorded.error());
    if (!last && steady_clock::now() - told >= tell_every) {
      told = steady_clock::now();
      tell_(progress(now->rows_copied, now->rows_expected, now->rows_copied - copied_before, since(begun)));
    }
  }
  tell_(progress(now->rows_copied, now->rows_expected, now->rows_copied - copied_before, since(begun)));
  if (const auto done = run_all(set_state("copied")); !done) return fail(done.error());
  return {};
}

// One transaction each with its removal from the list, so that a list that is empty means they are all there.
Conversion::Outcome Conversion::make_indexes() {
  const auto begun = steady_clock::now();
  const auto rows = database_.query(fmt::format(
      "SELECT unnest(later) FROM wellhead_conversion WHERE table_name = {}", sql_literal(table_.name)));
  if (!rows) return failed("Making the indexes", rows.error());
  for (const DatabaseRow& row : *rows) {
    const auto made = run_all(fmt::format(
        "BEGIN; {}; UPDATE wellhead_conversion SET later = array_remove(later, {}) WHERE table_name = {}; "
        "COMMIT",
        row[0].value_or(""), sql_literal(row[0].value_or("")), sql_literal(table_.name)));
    if (made) continue;
    abandon();
    return failed("Making an index", made.error());
  }
  if (rows->empty()) return {};
  if (const auto analyzed = run_all("ANALYZE " + conversion_sql::next_table(table_)); !analyzed)
    return failed("Analyzing the new table", analyzed.error());
  tell_(fmt::format("Made {} indexes in {:.1f} s.", rows->size(),
                    static_cast<double>(since(begun).count()) / 1'000));
  return {};
}

DatabaseResult<Conversion::Taken> Conversion::take(const std::string& statements) {
  const auto rows = database_.query(statements);
  if (!rows) return std::unexpected(rows.error());
  const DatabaseRow& row = rows->front();
  return Taken{number(row[0]), number(row[1]) != 0, row[2].value_or(""), row[3].value_or("")};
}

DatabaseResult<Conversion::Taken> Conversion::bring_over_noted(Direction direction) {
  auto taken = take(conversion_sql::take_noted(table_, options_.batch_notes));
  if (!taken || taken->notes == 0 || taken->truncated || taken->first_time.empty()) return taken;
  const auto brought =
      run_all(conversion_sql::bring_over(table_, direction, taken->first_time, taken->last_time));
  if (!brought) return std::unexpected(brought.error());
  return taken;
}

std::expected<Conversion::Taken, std::string> Conversion::catch_up_once(Direction direction) {
  DatabaseResult<Taken> taken;
  if (const auto begun = run_all("BEGIN; SET LOCAL synchronous_commit = off"); begun)
    taken = bring_over_noted(direction);
  else
    taken = std::unexpected(begun.error());
  if (taken && taken->truncated) {
    abandon();
    return *taken;
  }
  const auto committed = taken ? run_all("COMMIT") : DatabaseResult<void>(std::unexpected(taken.error()));
  if (committed) return *taken;
  abandon();
  return failed("Bringing over what was changed meanwhile", committed.error());
}

// Somebody emptied the old table: what was copied of it is nothing any more.
Conversion::Outcome Conversion::restart() {
  tell_(fmt::format("{} was truncated meanwhile: copying begins anew.", table_.name));
  const auto now = current();
  if (!now) return std::unexpected(now.error());
  if (auto back = roll_back_before_swap(); !back) return back;
  return begin(now->rows_expected);
}

Conversion::Outcome Conversion::catch_up() {
  const auto caught_up = catch_up_mostly(Direction::forward);
  if (!caught_up) return std::unexpected(caught_up.error());
  return *caught_up ? Outcome() : restart();
}

std::expected<bool, std::string> Conversion::catch_up_mostly(Direction direction) {
  std::uint64_t brought = 0;
  for (int round = 0; round < catch_up_rounds; ++round) {
    const auto taken = catch_up_once(direction);
    if (!taken) return std::unexpected(taken.error());
    if (taken->truncated) return false;
    brought += taken->notes;
    if (taken->notes <= noted_small && taken->notes < options_.batch_notes) {
      if (brought != 0) tell_(fmt::format("Brought over {} changes that were made meanwhile.", brought));
      return true;
    }
  }
  return std::unexpected(
      fmt::format("{} is changed faster than the changes can be brought over. Nothing is lost; run the same "
                  "command again when "
                  "there is less to do.",
                  table_.name));
}

// In a snapshot of its own: one from before a truncation finds the table empty, and no note of it.
DatabaseResult<bool> Conversion::truncation_noted() {
  const auto rows =
      database_.query(fmt::format("SELECT EXISTS (SELECT FROM {} WHERE {} IS NULL)",
                                  conversion_sql::noted_table(table_), sql_identifier(table_.key.front())));
  if (!rows) return std::unexpected(rows.error());
  return rows->front().front() == "t";
}

Conversion::Outcome Conversion::compare() {
  const auto begun = steady_clock::now();
  const auto days = database_.query(conversion_sql::compare_days(table_, conversion_sql::old_table(table_),
                                                                 conversion_sql::next_table(table_)));
  abandon();
  if (!days) return failed("Comparing", days.error());
  if (days->empty()) {
    tell_(fmt::format("Both tables hold the same rows on every day, compared in {:.1f} s.",
                      static_cast<double>(since(begun).count()) / 1'000));
    return {};
  }
  const auto truncated = truncation_noted();
  if (!truncated) return failed("Comparing", truncated.error());
  if (*truncated) return restart();
  std::string told;
  bool fewer = true;
  for (const DatabaseRow& row : *days) fewer = fewer && number(row[1]) < number(row[2]);
  for (std::size_t index = 0; index < std::min(days->size(), days_told); ++index) {
    const DatabaseRow& row = (*days)[index];
    told += fmt::format("{}on the day from {} {} rows and {}", told.empty() ? "" : ", ", row[0].value_or(""),
                        row[1].value_or(""), row[2].value_or(""));
  }
  return std::unexpected(fmt::format(
      "The old table and the new one differ on {} days: {}{}. The names were not changed, and the "
      "conversion did not touch {}; {}: take the conversion back with --rollback, and begin anew.",
      days->size(), told, days->size() > days_told ? ", …" : "", table_.name,
      fewer ? fmt::format("{} has fewer rows than were copied of it, so it was emptied or rows were "
                          "deleted while its triggers were off, or somebody wrote to the new table",
                          table_.name)
            : "somebody wrote to the new table, or to the old one while its triggers were off"));
}

// Notes that are dropped while there are any are changes that are lost: so they are looked for once more.
DatabaseResult<bool> Conversion::bring_over_last(Direction direction) {
  const auto taken = bring_over_noted(direction);
  if (!taken) return std::unexpected(taken.error());
  if (taken->truncated) return false;
  const auto left =
      database_.query(fmt::format("SELECT EXISTS (SELECT FROM {})", conversion_sql::noted_table(table_)));
  if (!left) return std::unexpected(left.error());
  return left->front().front() == "f";
}

DatabaseResult<void> Conversion::look_for_changed_columns() {
  const auto rows = database_.query(conversion_sql::changed_columns(table_));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return {};
  std::string changed;
  for (const DatabaseRow& row : *rows)
    changed += fmt::format("{}{} {}", changed.empty() ? "" : ", ", row[0].value_or(""), row[1].value_or(""));
  return std::unexpected(
      DatabaseError{"",
                    fmt::format("columns of {} were changed since the conversion began ({}), which the new "
                                "table knows nothing of; change them back, or take the conversion back and "
                                "begin anew",
                                table_.name, changed),
                    ""});
}

Conversion::Outcome Conversion::swap() {
  for (int round = 0; round < catch_up_rounds; ++round) {
    bool settled = false;
    steady_clock::time_point locked;
    const auto step = [&]() -> DatabaseResult<void> {
      locked = steady_clock::now();
      if (const auto same = look_for_changed_columns(); !same) return same;
      const auto brought = bring_over_last(Direction::forward);
      if (!brought) return std::unexpected(brought.error());
      settled = *brought;
      if (!settled) return run_all("ROLLBACK; BEGIN");  // nobody is to wait for so much
      return run_all(conversion_sql::swap(table_) + set_state("swapped"));
    };
    const Outcome done =
        alone(fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", conversion_sql::old_table(table_)),
              "Changing the names", step);
    if (!done) return done;
    if (settled) {
      tell_(fmt::format(
          "{0} is the new table; writers waited {1:.2f} s. The old one is kept as {0}_before, until "
          "`wellhead migrate convert {0} --finish`.",
          table_.name, static_cast<double>(since(locked).count()) / 1'000));
      return {};
    }
    if (auto caught_up = catch_up(); !caught_up) return caught_up;
    if (const auto now = current(); now && now->state == "copying") return run_steps(0);
  }
  return std::unexpected(fmt::format("{} is changed too fast to change the names.", table_.name));
}

Conversion::Outcome Conversion::finish() {
  const auto now = current();
  if (!now) return std::unexpected(now.error());
  if (now->state != "swapped")
    return std::unexpected(
        fmt::format("The conversion of {} is not at its end, so nothing can be finished. Nothing was "
                    "changed; `wellhead migrate convert {} --status` tells where it stands.",
                    table_.name, table_.name));
  return alone(fmt::format("LOCK TABLE {}, {} IN ACCESS EXCLUSIVE MODE", conversion_sql::old_table(table_),
                           conversion_sql::before_table(table_)),
               "Removing the old table", [&] {
                 return run_all(conversion_sql::finish(table_, now->dropped_columns) + set_state("finished"));
               });
}

}  // namespace wellhead
