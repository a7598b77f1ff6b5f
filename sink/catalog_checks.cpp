#include "sink/catalog_checks.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/assert.hpp"
#include "codec/stream_rules.hpp"

namespace wellhead {
namespace {

// Beyond what any sensor measures, and within what a real holds.
constexpr double floating_limit = 1e30;
// The largest double below 2^63 has more digits than anybody wants to read.
constexpr double bigint_limit = 9e18;

struct Constraint {
  std::string name;
  std::string column;
  std::string column_type;
  std::string expression;
};

std::string quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

double limit_of(ColumnType type) {
  if (type == ColumnType::integer) return std::numeric_limits<std::int32_t>::max();
  return type == ColumnType::bigint ? bigint_limit : floating_limit;
}

bool is_whole(ColumnType type) {
  return type == ColumnType::integer || type == ColumnType::bigint;
}

bool has_range(const ColumnConfig& column) {
  const bool from_outside = column.source == ColumnSource::field || column.source == ColumnSource::attribute;
  return from_outside && (is_whole(column.type) || column.type == ColumnType::real ||
                          column.type == ColumnType::double_precision);
}

// The largest value the column's rule lets through, as the column stores it.
double largest(ColumnType type, std::optional<double> bound) {
  const double limit = limit_of(type);
  if (!bound) return limit;
  const double value = std::clamp(*bound, -limit, limit);
  if (is_whole(type)) return std::floor(value);
  if (type == ColumnType::double_precision) return value;
  const auto narrow = static_cast<float>(value);
  return narrow > value ? std::nextafter(narrow, -std::numeric_limits<float>::infinity()) : narrow;
}

double least(ColumnType type, std::optional<double> bound) {
  return -largest(type, bound ? std::optional(-*bound) : std::nullopt);
}

// No exponent in a whole number: the server takes none there.
std::string number_literal(ColumnType type, double value) {
  if (is_whole(type)) return sql_literal(std::to_string(static_cast<std::int64_t>(value)));
  std::array<char, 32> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value);
  WELLHEAD_ASSERT(written.ec == std::errc{});
  return sql_literal(std::string_view(text.data(), written.ptr));
}

// An error that leaves the connection is about what was asked, and that stays unknown.
DatabaseResult<DatabaseRows> ask(Database& database, const std::string& question) {
  auto rows = database.query(question);
  if (!rows && database.connected()) return DatabaseRows{};
  return rows;
}

// Of the table, those on one column. (Before version 18 the server enforces all of them.)
DatabaseResult<std::vector<Constraint>> constraints_of(Database& database, const Schema& schema) {
  const auto rows = ask(
      database,
      "SELECT c.conname, a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(c.conbin, c.conrelid) "
      "FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
      "WHERE c.conrelid = to_regclass(" +
          sql_literal(schema.quoted_table()) +
          ") AND c.contype = 'c' AND cardinality(c.conkey) = 1 AND a.attnum > 0 "
          "AND COALESCE(to_jsonb(c) ->> 'conenforced', 'true') = 'true' ORDER BY a.attnum, c.conname");
  if (!rows) return std::unexpected(rows.error());
  std::vector<Constraint> constraints;
  for (const DatabaseRow& row : *rows)
    constraints.push_back(
        {row[0].value_or(""), row[1].value_or(""), row[2].value_or(""), row[3].value_or("")});
  return constraints;
}

// Those of the two outermost values that the constraint refuses, as text. It is asked of a row that has only
// its column, so nothing of the table is read.
DatabaseResult<std::string> refused_values(Database& database, const Constraint& constraint,
                                           const ColumnConfig& rule) {
  const bool keeps = rule.out_of_range == OutOfRange::keep;
  const double low = least(rule.type, keeps ? std::nullopt : rule.minimum);
  const double high = largest(rule.type, keeps ? std::nullopt : rule.maximum);
  const std::string cast = "::" + constraint.column_type;
  const std::string column = quote_identifier(constraint.column);
  const auto rows =
      ask(database, "SELECT string_agg(" + column + "::text, ' and ') FROM (VALUES (" +
                        number_literal(rule.type, low) + cast + "), (" + number_literal(rule.type, high) +
                        cast + ")) AS outermost (" + column + ") WHERE NOT (" + constraint.expression + ")");
  if (!rows) return std::unexpected(rows.error());
  return rows->empty() ? "" : rows->front()[0].value_or("");
}

std::string sentence(const Schema& schema, const Constraint& constraint, const ColumnConfig& rule,
                     const std::string& refused) {
  const std::string fix = rule.out_of_range == OutOfRange::keep
                              ? "set out_of_range of the column to \"null\" or \"reject\", "
                              : "set min and max of the column to what it takes, ";
  return "stream " + quoted(schema.name()) + ": the rules of column " + quoted(rule.name) + " let through " +
         refused + ", which CHECK constraint " + quoted(constraint.name) + " of table " +
         quoted(schema.config().table) + " refuses: a row with such a value becomes a dead letter; " + fix +
         "or change the constraint";
}

}  // namespace

DatabaseResult<std::vector<std::string>> find_narrower_checks(Database& database,
                                                              std::span<const SchemaPointer> streams) {
  std::vector<std::string> found;
  for (const SchemaPointer& schema : streams) {
    if (schema->config().internal) continue;
    RulesHold rules;
    rules.refresh(*schema);
    const auto constraints = constraints_of(database, *schema);
    if (!constraints) return std::unexpected(constraints.error());
    for (const Constraint& constraint : *constraints) {
      const auto& columns = rules.config().columns;
      const auto rule = std::ranges::find(columns, constraint.column, &ColumnConfig::name);
      if (rule == columns.end() || !has_range(*rule)) continue;
      const auto refused = refused_values(database, constraint, *rule);
      if (!refused) return std::unexpected(refused.error());
      if (!refused->empty()) found.push_back(sentence(*schema, constraint, *rule, *refused));
    }
  }
  return found;
}

}  // namespace wellhead
