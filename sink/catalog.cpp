#include "sink/catalog.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "sink/baselines.hpp"
#include "sink/direct_compress.hpp"
#include "sink/invalidation_log.hpp"
#include "sink/progress.hpp"

namespace wellhead {
namespace {

using namespace std::string_view_literals;

struct TableColumn {
  std::string name;
  std::string type;
  bool not_null = false;
  bool filled_by_server = false;  // a default or an identity
  bool generated = false;
  bool insertable = false;  // by this role
};

// Types whose binary form is text's (their receive functions take the same bytes).
constexpr std::array text_like{"text"sv, "character varying"sv, "character"sv};

DatabaseRow one_row(DatabaseRows rows) {
  WELLHEAD_ASSERT(rows.size() == 1);
  return std::move(rows.front());
}

bool is_true(const std::optional<std::string>& value) {
  return value == "t";
}

std::string quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

// The columns of a table found by name in the search path; none where there is no such table.
DatabaseResult<std::vector<TableColumn>> columns_of(Database& database, const std::string& table_name) {
  // A domain is written as the type under it.
  auto rows = database.query(
      "SELECT a.attname, format_type(COALESCE(NULLIF(t.typbasetype, 0), t.oid), NULL), a.attnotnull, "
      "a.atthasdef OR a.attidentity <> '', a.attgenerated <> '', has_column_privilege(a.attrelid, a.attnum, "
      "'INSERT') "
      "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
      "WHERE a.attrelid = to_regclass(" +
      sql_literal(table_name) + ") AND a.attnum > 0 AND NOT a.attisdropped");
  if (!rows) return std::unexpected(rows.error());
  std::vector<TableColumn> columns;
  for (const DatabaseRow& row : *rows)
    columns.push_back({row[0].value_or(""), row[1].value_or(""), is_true(row[2]), is_true(row[3]),
                       is_true(row[4]), is_true(row[5])});
  return columns;
}

bool type_fits(ColumnType wanted, std::string_view found) {
  if (wanted == ColumnType::text) return std::ranges::find(text_like, found) != text_like.end();
  return found == sql_type_name(wanted);
}

// Collects the problems of one stream.
class StreamCheck {
 public:
  StreamCheck(const Schema& schema, const std::string& role, std::vector<std::string>& problems)
      : schema_(schema), role_(role), problems_(problems) {}

  void against(const std::vector<TableColumn>& table) {
    if (table.empty()) {
      say(table_name() +
          " does not exist in the search path: run `wellhead migrate up` for the streams that ship, or "
          "create the "
          "table");
      return;
    }
    for (const ColumnConfig& column : schema_.columns()) check_column(column, table);
    for (const TableColumn& column : table) check_unfilled(column);
  }

 private:
  [[nodiscard]] std::string table_name() const { return "table " + quoted(schema_.config().table); }

  void say(const std::string& what) { problems_.push_back("stream " + quoted(schema_.name()) + ": " + what); }

  void check_column(const ColumnConfig& wanted, const std::vector<TableColumn>& table) {
    const auto found = std::ranges::find(table, wanted.name, &TableColumn::name);
    if (found == table.end()) {
      say(table_name() + " has no column " + quoted(wanted.name) +
          ": add the column to the table, or take it out of the stream");
      return;
    }
    if (found->generated)
      say(table_name() + " computes column " + quoted(wanted.name) +
          " itself (it is generated): take the column out of the stream");
    else if (!type_fits(wanted.type, found->type))
      say(table_name() + " has column " + quoted(wanted.name) + " of type " + found->type +
          ", the stream writes " + std::string(sql_type_name(wanted.type)) +
          ": change the stream's type or the column");
    else if (!found->insertable)
      say("role " + quoted(role_) + " may not insert into column " + quoted(wanted.name) + " of " +
          table_name() + ": GRANT INSERT ON " + schema_.quoted_table() + " TO " + quoted(role_));
  }

  void check_unfilled(const TableColumn& column) {
    if (!column.not_null || column.filled_by_server || column.generated) return;
    if (std::ranges::find(schema_.columns(), column.name, &ColumnConfig::name) != schema_.columns().end())
      return;
    say(table_name() + " wants a value for column " + quoted(column.name) +
        " (NOT NULL without a default), which the stream does not fill: add the column to the stream, or "
        "give it a "
        "default");
  }

  const Schema& schema_;
  const std::string& role_;
  std::vector<std::string>& problems_;
};

// A table that the node keeps for itself.
struct OwnTable {
  std::string_view name;
  std::string_view without;  // what is not possible without it
  std::span<const std::string_view> columns;
  std::span<const std::string_view> rights;
};

constexpr std::array progress_columns{"journal_id"sv, "epoch"sv,    "reactor"sv,   "shard"sv,
                                      "node_id"sv,    "sequence"sv, "updated_at"sv};
constexpr std::array progress_rights{"SELECT"sv, "INSERT"sv, "UPDATE"sv, "DELETE"sv};
constexpr OwnTable progress{progress_table, "nothing can be stored exactly once", progress_columns,
                            progress_rights};

constexpr std::array baseline_columns{"stream"sv, "device_id"sv, "state"sv, "saved_at"sv};
constexpr std::array baseline_rights{"SELECT"sv, "INSERT"sv, "UPDATE"sv};
constexpr OwnTable baselines{baselines_table, "what scoring learns of the devices cannot be kept",
                             baseline_columns, baseline_rights};

constexpr std::array aggregate_columns{"view_name"sv, "source"sv};
constexpr std::array aggregate_rights{"SELECT"sv};
constexpr OwnTable aggregates{aggregates_table, "nobody knows which tables have aggregates",
                              aggregate_columns, aggregate_rights};

constexpr std::array invalidation_columns{"source"sv, "range_from"sv, "range_until"sv};
constexpr std::array invalidation_rights{"INSERT"sv};
constexpr OwnTable invalidations{invalidation_table, "aggregates would miss what is written",
                                 invalidation_columns, invalidation_rights};

DatabaseResult<void> check_own_table(Database& database, const OwnTable& wanted, const std::string& role,
                                     std::vector<std::string>& problems) {
  const std::string table(wanted.name);
  auto columns = columns_of(database, table);
  if (!columns) return std::unexpected(columns.error());
  for (const std::string_view name : wanted.columns) {
    if (std::ranges::find(*columns, name, &TableColumn::name) != columns->end()) continue;
    problems.push_back("table " + quoted(table) +
                       (columns->empty() ? " does not exist" : " is not this version's") + ": without it " +
                       std::string(wanted.without) + "; run `wellhead migrate up`");
    return {};
  }
  std::string question = "SELECT true";
  std::string rights;
  for (const std::string_view right : wanted.rights) {
    question += " AND has_table_privilege(" + sql_literal(table) + ", " + sql_literal(right) + ")";
    rights += (rights.empty() ? "" : ", ") + std::string(right);
  }
  auto answer = database.query(question);
  if (!answer) return std::unexpected(answer.error());
  if (!is_true(one_row(std::move(*answer))[0]))
    problems.push_back("role " + quoted(role) + " may not read and write table " + quoted(table) +
                       ": GRANT " + rights + " ON " + table + " TO " + quoted(role));
  return {};
}

// Where the server keeps the aggregates, nothing is told and no right is needed.
DatabaseResult<void> check_invalidation_log(Database& database, std::span<const SchemaPointer> streams,
                                            const std::string& role, std::vector<std::string>& problems) {
  const std::size_t problems_before = problems.size();
  if (auto checked = check_own_table(database, aggregates, role, problems); !checked) return checked;
  if (problems.size() > problems_before) return {};
  const auto told = find_aggregated_streams(database, streams);
  if (!told) return std::unexpected(told.error());
  if (told->empty()) return {};
  return check_own_table(database, invalidations, role, problems);
}

}  // namespace

DatabaseResult<CatalogReport> check_catalog(Database& database, std::span<const SchemaPointer> streams,
                                            bool scored) {
  auto known =
      database.query("SELECT current_user, to_regclass(" + sql_literal(invalidation_table) +
                     ") IS NOT NULL AND to_regclass(" + sql_literal(aggregates_table) + ") IS NOT NULL, " +
                     "to_regclass('_timescaledb_catalog.dimension_slice') IS NOT NULL, " +
                     std::string(direct_compress_offered));
  if (!known) return std::unexpected(known.error());
  const DatabaseRow row = one_row(std::move(*known));
  const std::string role_name = row[0].value_or("");
  CatalogReport report{.problems = {},
                       .has_invalidation_log = is_true(row[1]),
                       .has_chunks = is_true(row[2]),
                       .has_direct_compress = is_true(row[3])};
  for (const SchemaPointer& schema : streams) {
    const auto columns = columns_of(database, schema->quoted_table());
    if (!columns) return std::unexpected(columns.error());
    StreamCheck(*schema, role_name, report.problems).against(*columns);
  }
  auto checked = check_own_table(database, progress, role_name, report.problems);
  if (checked && scored) checked = check_own_table(database, baselines, role_name, report.problems);
  if (checked && report.has_invalidation_log)
    checked = check_invalidation_log(database, streams, role_name, report.problems);
  if (!checked) return std::unexpected(checked.error());
  return report;
}

}  // namespace wellhead
