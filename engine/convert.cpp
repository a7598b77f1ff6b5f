#include "engine/convert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json_text.hpp"
#include "database/server.hpp"

namespace wellhead {
namespace {

// A runner that was killed leaves a statement behind that the server may still be at.
constexpr std::chrono::seconds lock_patience{20};
// For the estimate only.
constexpr std::uint64_t rows_per_second = 200'000;

// Keys and days are printed by the server and given back to it, by another session as well.
constexpr const char* session_settings =
    "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; "
    "SET extra_float_digits = 1; SET bytea_output = 'hex'; SET default_transaction_isolation = 'read "
    "committed'";
constexpr std::uint64_t mebibyte = 1'048'576;
// Before it, a hypertable whose compression is on takes neither a unique constraint nor SET NOT NULL, and
// both are given to the new table when its rows are there.
constexpr ExtensionVersion constraints_where_compressed{2, 18};

std::string comma_separated(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string columns_line(const ConversionTable& table, const ConversionOptions& options) {
  std::vector<std::string> added;
  std::vector<std::string> kept;
  std::vector<std::string> changed;
  for (const ConversionColumn& column : table.columns) {
    if (column.old_type.empty())
      added.push_back(column.name);
    else if (column.kept)
      kept.push_back(column.name +
                     (std::ranges::find(options.dropped_columns, column.name) != options.dropped_columns.end()
                          ? " (until --finish)"
                          : ""));
    else if (column.old_type != column.new_type)
      changed.push_back(fmt::format("{} ({} becomes {})", column.name, column.old_type, column.new_type));
  }
  std::string text;
  if (!added.empty()) text += fmt::format("  new columns, with their defaults: {}\n", comma_separated(added));
  if (!changed.empty()) text += fmt::format("  columns of another type: {}\n", comma_separated(changed));
  if (!kept.empty())
    text += fmt::format("  columns carried along, which no migration makes: {}\n", comma_separated(kept));
  return text;
}

}  // namespace

std::string print_plan(const ConversionPlan& plan, const ConversionOptions& options) {
  const ConversionTable& table = plan.table;
  std::string text = fmt::format(
      "{} becomes {}, by {} in steps of {}.\n  {} rows of {} MiB with indexes, from {} to {}: {} {}\n",
      table.name, table.partitioned ? "a partitioned table" : "a hypertable", table.time_column,
      table.chunk_interval, plan.size.rows, plan.size.bytes / mebibyte,
      plan.size.first.empty() ? "nothing" : plan.size.first,
      plan.size.last.empty() ? "nothing" : plan.size.last, plan.size.chunks,
      table.partitioned ? "partitions" : "chunks");
  text += columns_line(table, options);
  if (!table.left_behind.empty())
    text += fmt::format("  not carried along: {}\n", comma_separated(table.left_behind));
  text += fmt::format(
      "  time: about {} s to copy at {} rows/s, as much again for indexes and comparing\n"
      "  disk: about {} MiB more at the server until --finish, and as much again where its log is kept\n"
      "Writers go on; they wait for a moment when it begins and when the names change. The old table stays "
      "as "
      "{}_before.\n",
      plan.size.rows / rows_per_second + 1, rows_per_second, plan.size.bytes / mebibyte + 1, table.name);
  return text;
}

std::string print_status(const ConversionStatus& status) {
  if (status.state.empty()) return fmt::format("{}: no conversion was begun.\n", status.table);
  return fmt::format("{}: {}, {} of {} rows copied, {} changes to be brought over.\n", status.table,
                     status.state, status.rows_copied, status.rows_expected, status.noted);
}

std::string print_status_json(const ConversionStatus& status) {
  return fmt::format(R"({{"table":{},"state":{},"rows_copied":{},"rows_expected":{},"changes_noted":{}}})",
                     json_string(status.table), json_string(status.state.empty() ? "none" : status.state),
                     status.rows_copied, status.rows_expected, status.noted) +
         '\n';
}

Converter::Converter(Database& database, Migrator& migrator, std::string table, ConversionOptions options,
                     std::function<void(std::string_view)> tell)
    : database_(database),
      migrator_(migrator),
      table_(std::move(table)),
      options_(std::move(options)),
      tell_(std::move(tell)) {}

std::expected<ConversionTable, std::string> Converter::read(const std::string& old_name) {
  if (const auto set = database_.run(session_settings); !set) return std::unexpected(describe(set.error()));
  const auto schema = database_.query("SELECT current_schema()");
  if (!schema) return std::unexpected(describe(schema.error()));
  if (!schema->front().front())
    return std::unexpected(
        "There is no schema that this role may use first. Nothing was changed; set its search_path.");
  std::expected<ConversionTable, std::string> table;
  const Outcome looked = migrator_.in_scratch([&]() -> Outcome {
    table = read_conversion_table(database_, table_, *schema->front().front(), old_name,
                                  Migrator::scratch_schema);
    return {};
  });
  if (!looked) return std::unexpected(looked.error());
  return table;
}

Converter::Outcome Converter::check_dropped(const ConversionTable& table) const {
  for (const std::string& name : options_.dropped_columns) {
    const auto column = std::ranges::find(table.columns, name, &ConversionColumn::name);
    if (column == table.columns.end())
      return std::unexpected(
          fmt::format("{} has no column named {} that could go. Nothing was changed.", table_, name));
    if (!column->kept)
      return std::unexpected(
          fmt::format("The column {} is one of those the migrations make, so it cannot go. Nothing "
                      "was changed.",
                      name));
  }
  return {};
}

Converter::Outcome Converter::check_server() {
  const auto server = detect_server(database_);
  if (!server) return std::unexpected(describe(server.error()));
  if (!server->has_compression() || server->timescaledb_version >= constraints_where_compressed) return {};
  return std::unexpected(fmt::format(
      "The conversion of {} needs TimescaleDB 2.18 or newer on the Community edition, and this is "
      "{}, which takes no constraints on a table whose compression is on. Nothing was changed; "
      "install a newer one and run ALTER EXTENSION timescaledb UPDATE, then run this again.",
      table_, describe(*server)));
}

Converter::Outcome Converter::check_names(const ConversionTable& table) {
  const auto taken = database_.query(conversion_sql::taken_names(table));
  if (!taken) return std::unexpected(describe(taken.error()));
  std::string problems;
  for (const DatabaseRow& row : *taken)
    problems += fmt::format(
        "{}There is {} named {}, a name that the conversion gives to another. Nothing was changed; rename "
        "or drop it.",
        problems.empty() ? "" : "\n", row[0].value_or(""), row[1].value_or(""));
  if (problems.empty()) return {};
  return std::unexpected(problems);
}

std::expected<ConversionTable, std::string> Converter::read_to_convert() {
  if (const Outcome fits = check_server(); !fits) return std::unexpected(fits.error());
  auto table = read(table_);
  if (!table) return table;
  if (const Outcome free = check_names(*table); !free) return std::unexpected(free.error());
  return table;
}

std::expected<ConversionStatus, std::string> Converter::status() {
  return Conversion::status(database_, table_);
}

std::expected<ConversionPlan, std::string> Converter::plan() {
  ConversionPlan plan;
  auto now = status();
  if (!now) return std::unexpected(now.error());
  plan.status = std::move(*now);
  if (plan.status.state == "swapped" || plan.status.state == "finished")
    return std::unexpected(fmt::format(
        "{0} is converted{1}. Nothing was changed.", table_,
        plan.status.state == "swapped"
            ? fmt::format(
                  ", and the old table is kept as {0}_before: `wellhead migrate convert {0} --finish` "
                  "removes it, --rollback brings it back",
                  table_)
            : ""));
  auto table = read_to_convert();
  if (!table) return std::unexpected(table.error());
  if (const Outcome fits = check_dropped(*table); !fits) return std::unexpected(fits.error());
  plan.table = std::move(*table);
  const auto size = measure_conversion(database_, plan.table);
  if (!size) return std::unexpected(size.error());
  plan.size = *size;
  return plan;
}

Converter::Outcome Converter::lock() {
  const auto locked = migrator_.try_lock(lock_patience);
  if (!locked) return std::unexpected(locked.error());
  if (*locked) return {};
  return std::unexpected(
      "A conversion or a migration of this database is under way by another runner (pg_locks shows who holds "
      "the "
      "advisory lock). Nothing was changed; let it come to its end, or end its session, then run this "
      "again.");
}

Converter::Outcome Converter::start() {
  const auto planned = plan();
  if (!planned) return std::unexpected(planned.error());
  if (const auto applied = migrator_.up_beside(); !applied) return std::unexpected(applied.error());
  // The migrations may have made the extension, and with it another table.
  auto table = read_to_convert();
  if (!table) return std::unexpected(table.error());
  return Conversion(database_, std::move(*table), options_, tell_).run(planned->size.rows);
}

Converter::Outcome Converter::run() {
  if (const Outcome locked = lock(); !locked) return locked;
  const auto now = status();
  if (!now) return std::unexpected(now.error());
  if (now->state != "copying" && now->state != "copied") return start();
  tell_(fmt::format("Going on with the conversion of {}, which is {}.", table_, now->state));
  auto table = read_to_convert();
  if (!table) return std::unexpected(table.error());
  return Conversion(database_, std::move(*table), options_, tell_).run(now->rows_expected);
}

Converter::Outcome Converter::roll_back(bool discard) {
  if (const Outcome locked = lock(); !locked) return locked;
  const auto now = status();
  if (!now) return std::unexpected(now.error());
  if (now->state.empty() || now->state == "prepared" || now->state == "finished")
    return std::unexpected(
        fmt::format("There is no conversion of {} to take back{}. Nothing was changed.", table_,
                    now->state == "finished" ? ": it is finished, and the old table is gone" : ""));
  auto table = read(now->state == "swapped" ? table_ + "_before" : table_);
  if (!table) return std::unexpected(table.error());
  return Conversion(database_, std::move(*table), options_, tell_).roll_back(discard);
}

Converter::Outcome Converter::finish() {
  if (const Outcome locked = lock(); !locked) return locked;
  const auto now = status();
  if (!now) return std::unexpected(now.error());
  if (now->state != "swapped")
    return std::unexpected(
        fmt::format("The conversion of {} is not at its end, so nothing can be finished. Nothing was "
                    "changed; --status tells where it stands.",
                    table_));
  auto table = read(table_ + "_before");
  if (!table) return std::unexpected(table.error());
  return Conversion(database_, std::move(*table), options_, tell_).finish();
}

}  // namespace wellhead
