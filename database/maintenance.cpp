#include "database/maintenance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace wellhead {
namespace {

// Dropping and attaching want a moment alone with the table. Behind a query that runs for long they would
// wait, and everybody else behind them: so they give up soon, and are tried again later.
constexpr const char* lock_timeout = "3s";
constexpr std::string_view lock_not_available = "55P03";
constexpr std::string_view deadlock_detected = "40P01";

constexpr const char* aggregates_question =
    "SELECT view_name, source, greatest(1, extract(epoch FROM refresh_every))::bigint, "
    "greatest(1, extract(epoch FROM late_every))::bigint FROM wellhead_aggregate WHERE source NOT IN "
    "(SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('wellhead_next')) ORDER BY "
    "bucket_width";

// A table that is being converted is not yet one of wellhead's: what is to be lies in wellhead_next.
constexpr const char* tables_question =
    "SELECT table_name FROM wellhead_lifecycle WHERE table_name NOT IN "
    "(SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('wellhead_next')) ORDER BY "
    "table_name";

std::uint64_t number(const std::optional<std::string>& text) {
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

std::string quoted_json(std::string_view text) {
  std::string out = "\"";
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (character == '"' || character == '\\')
      out += '\\';
    else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
      continue;
    }
    out += character;
  }
  return out + '"';
}

template <typename Part, typename Print>
std::string json_list(const std::vector<Part>& parts, Print print) {
  std::string text = "[";
  for (const Part& part : parts) text += (text.size() == 1 ? "" : ",") + print(part);
  return text + "]";
}

}  // namespace

std::uint64_t MaintenanceReport::refused() const noexcept {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(chunks, [](const ChunkReport& chunk) { return !chunk.dropped; }));
}

std::expected<void, std::string> Maintenance::prepare() {
  auto server = detect_server(database_);
  if (!server)
    return std::unexpected("The server's version cannot be read: " + describe(server.error()) + ".");
  server_ = std::move(*server);
  const auto views = database_.query(aggregates_question);
  const auto tables = database_.query(tables_question);
  if (!views || !tables)
    return std::unexpected(
        fmt::format("The tables that say how long data stay cannot be read: {}. No data are aggregated, "
                    "partitioned or dropped; run `wellhead migrate up`.",
                    describe((views ? tables : views).error())));
  aggregates_.clear();
  for (const DatabaseRow& row : *views)
    aggregates_.push_back({row[0].value_or(""), row[1].value_or(""), std::chrono::seconds(number(row[2])),
                           std::chrono::seconds(number(row[3]))});
  tables_.clear();
  for (const DatabaseRow& row : *tables) tables_.push_back(row[0].value_or(""));
  return {};
}

std::expected<std::optional<DatabaseRows>, std::string> Maintenance::step(const std::string& statement,
                                                                          std::string_view what,
                                                                          MaintenanceReport& report) {
  auto rows = database_.query(
      fmt::format("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '{}'; {}; COMMIT",
                  lock_timeout, statement));
  if (rows) return std::move(*rows);
  const DatabaseError& error = rows.error();
  if (database_.in_transaction()) {
    // Where this fails too, the server rolls back when the connection ends.
    [[maybe_unused]] const auto rolled_back = database_.run("ROLLBACK");
  }
  if (error.sqlstate != lock_not_available && error.sqlstate != deadlock_detected)
    return std::unexpected(
        fmt::format("{} failed and was rolled back: {}. It is tried again.", what, describe(error)));
  report.postponed.push_back(
      fmt::format("{} is put off: somebody else holds a lock it needs. It is tried again.", what));
  return std::nullopt;
}

Maintenance::Outcome Maintenance::refresh(const AggregateFacts& aggregate, bool late,
                                          MaintenanceReport& report) {
  if (!server_.has_continuous_aggregates()) return refresh_table(aggregate, late, report);
  // Its window is the server's own policy's; what lies before it that policy never looks at again.
  return late ? refresh_view(aggregate, report) : StepResult::done;
}

Maintenance::Outcome Maintenance::refresh_table(const AggregateFacts& aggregate, bool late,
                                                MaintenanceReport& report) {
  RefreshReport done;
  done.view = aggregate.view;
  StepResult result = StepResult::done;
  // From the newest slice that is due to the oldest, each once: what is written to one meanwhile is left to
  // the next turn. Otherwise a turn would have no end, and no rest after it, while late data stream in.
  std::string computed_from = "'infinity'";
  for (;;) {
    const auto rows = step(
        fmt::format("SELECT rows_inserted, range_from FROM wellhead_refresh({}, late => {}, until => {})",
                    sql_literal(aggregate.view), late, computed_from),
        "Computing " + aggregate.view, report);
    if (!rows) return std::unexpected(rows.error());
    if (!*rows) result = StepResult::postponed;
    if (!*rows || (*rows)->empty()) break;
    const DatabaseRow& slice = (*rows)->front();
    ++done.slices;
    done.rows += number(slice[0]);
    computed_from = sql_literal(slice[1].value_or(""));
  }
  if (done.slices != 0) report.refreshes.push_back(std::move(done));
  return result;
}

// The server computes only what was written to since, so that this costs nothing where nothing came late.
// What was dropped at the source keeps what was computed of it.
Maintenance::Outcome Maintenance::refresh_view(const AggregateFacts& aggregate, MaintenanceReport& report) {
  const auto window = database_.query(
      fmt::format("SELECT quote_nullable(wellhead_ceiling(a.bucket_width, l.dropped_before)), "
                  "quote_literal(now() - a.refresh_until) FROM wellhead_aggregate a "
                  "JOIN wellhead_lifecycle l ON l.table_name = a.source WHERE a.view_name = {}",
                  sql_literal(aggregate.view)));
  if (!window) return std::unexpected(describe(window.error()));
  if (window->empty()) return StepResult::done;
  const auto ran =
      database_.run(fmt::format("CALL refresh_continuous_aggregate({}, {}, {})", sql_literal(aggregate.view),
                                window->front()[0].value_or("NULL"), window->front()[1].value_or("NULL")));
  // The server's own policy, or another node, may be at the same stretch.
  if (!ran && ran.error().sqlstate == lock_not_available) {
    report.postponed.push_back(
        fmt::format("Computing {} for late data is put off to the next turn: it is being computed by "
                    "somebody else.",
                    aggregate.view));
    return StepResult::postponed;
  }
  if (!ran)
    return std::unexpected(fmt::format("Computing {} for late data failed: {}. It is tried again.",
                                       aggregate.view, describe(ran.error())));
  report.refreshes.push_back({aggregate.view, 1, 0});
  return StepResult::done;
}

Maintenance::Outcome Maintenance::make_partitions_of(const std::string& table, MaintenanceReport& report) {
  const bool chunks = server_.edition != Edition::plain;
  const auto rows =
      chunks
          ? step(fmt::format("SELECT chunk, 0 FROM wellhead_make_chunks({})", sql_literal(table)),
                 "Making chunks of " + table, report)
          : step(fmt::format("SELECT part, rows_moved FROM wellhead_make_partitions({})", sql_literal(table)),
                 "Making partitions of " + table, report);
  if (!rows) return std::unexpected(rows.error());
  if (!*rows) return StepResult::postponed;
  for (const DatabaseRow& row : **rows)
    report.partitions.push_back({table, row[0].value_or(""), number(row[1]), chunks});
  return StepResult::done;
}

Maintenance::Outcome Maintenance::make_partitions(MaintenanceReport& report) {
  Outcome all = StepResult::done;
  for (const std::string& table : tables_) {
    // Nobody but this one writes to aggregates, and the server's own are none of the node's.
    const bool computed = std::ranges::find(aggregates_, table, &AggregateFacts::view) != aggregates_.end();
    if (server_.edition != Edition::plain && computed) continue;
    Outcome made = make_partitions_of(table, report);
    if (all && (!made || *made == StepResult::postponed)) all = std::move(made);
    if (!database_.connected()) break;
  }
  return all;
}

Maintenance::Outcome Maintenance::drop_expired_of(const std::string& table, bool force,
                                                  MaintenanceReport& report) {
  const auto rows = step(
      fmt::format("SELECT chunk, range_until, dropped, reason FROM wellhead_drop_expired({}, force => {})",
                  sql_literal(table), force),
      "Dropping old data of " + table, report);
  if (!rows) return std::unexpected(rows.error());
  if (!*rows) return StepResult::postponed;
  for (const DatabaseRow& row : **rows)
    report.chunks.push_back(
        {table, row[0].value_or(""), row[1].value_or(""), row[2] == "t", row[3].value_or("")});
  return StepResult::done;
}

Maintenance::Outcome Maintenance::drop_expired(bool force, MaintenanceReport& report,
                                               const std::set<std::string>& uncomputed) {
  StepResult all = StepResult::done;
  for (const std::string& table : tables_) {
    if (uncomputed.contains(table)) {
      report.postponed.push_back(fmt::format(
          "Dropping old data of {} is put off to the next turn: an aggregate is yet to be computed of them.",
          table));
      all = StepResult::postponed;
      continue;
    }
    const Outcome dropped = drop_expired_of(table, force, report);
    if (!dropped) return dropped;
    if (*dropped == StepResult::postponed) all = StepResult::postponed;
  }
  return all;
}

// Aggregates first: what is dropped then cannot be computed any more. Without chunks made ahead, writers make
// them.
MaintenanceReport Maintenance::run_all(bool force) {
  MaintenanceReport report;
  const auto account = [&report](Outcome outcome) {
    if (!outcome) report.failures.push_back(std::move(outcome.error()));
    return outcome;
  };
  bool failed = false;
  std::set<std::string> uncomputed;
  account(make_partitions(report));
  for (const AggregateFacts& aggregate : aggregates_) {
    if (!database_.connected()) break;
    const Outcome computed = account(refresh(aggregate, true, report));
    failed = failed || !computed;
    if (computed == StepResult::postponed) uncomputed.insert(aggregate.source);
  }
  if (!database_.connected()) return report;
  if (!failed)
    account(drop_expired(force, report, uncomputed));
  else
    report.postponed.emplace_back(
        "Dropping old data is put off: an aggregate failed, and could not be computed of them any more.");
  return report;
}

std::string print(const MaintenanceReport& report) {
  std::string text;
  for (const PartitionReport& partition : report.partitions)
    text += partition.chunk ? fmt::format("Made the chunk {} of {}, ahead of its time.\n",
                                          partition.partition, partition.table)
                            : fmt::format("Made the partition {}, with {} rows that waited for it.\n",
                                          partition.partition, partition.rows_moved);
  for (const RefreshReport& refresh : report.refreshes)
    text +=
        fmt::format("Computed {}: {} rows in {} transactions.\n", refresh.view, refresh.rows, refresh.slices);
  for (const ChunkReport& chunk : report.chunks)
    text += fmt::format("{} {} of {}, data before {}: {}.\n",
                        chunk.dropped ? "Dropped" : "KEPT, though its time is up,", chunk.chunk, chunk.table,
                        chunk.until, chunk.reason);
  for (const std::string& sentence : report.postponed) text += sentence + '\n';
  for (const std::string& sentence : report.failures) text += sentence + '\n';
  return text.empty() ? "Nothing to do.\n" : text;
}

std::string print_json(const MaintenanceReport& report) {
  const std::string refreshes = json_list(report.refreshes, [](const RefreshReport& refresh) {
    return fmt::format(R"({{"aggregate":{},"transactions":{},"rows":{}}})", quoted_json(refresh.view),
                       refresh.slices, refresh.rows);
  });
  const std::string partitions = json_list(report.partitions, [](const PartitionReport& partition) {
    return fmt::format(R"({{"table":{},"partition":{},"rows_moved":{}}})", quoted_json(partition.table),
                       quoted_json(partition.partition), partition.rows_moved);
  });
  const std::string chunks = json_list(report.chunks, [](const ChunkReport& chunk) {
    return fmt::format(R"({{"table":{},"chunk":{},"until":{},"dropped":{},"reason":{}}})",
                       quoted_json(chunk.table), quoted_json(chunk.chunk), quoted_json(chunk.until),
                       chunk.dropped, quoted_json(chunk.reason));
  });
  const std::string postponed = json_list(report.postponed, quoted_json);
  const std::string failures = json_list(report.failures, quoted_json);
  return fmt::format(
             R"({{"refreshes":{},"partitions":{},"chunks":{},"refused":{},"postponed":{},"failures":{}}})",
             refreshes, partitions, chunks, report.refused(), postponed, failures) +
         '\n';
}

}  // namespace wellhead
