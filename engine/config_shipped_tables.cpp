#include "engine/config_shipped_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "codec/schema_check.hpp"

namespace wellhead {
namespace {

constexpr std::string_view consequence =
    "the database would refuse each row with such a value, and it would become a dead letter instead of a "
    "row";

class ShippedTable {
 public:
  ShippedTable(const StreamConfig& shipped, const StreamConfig& stream)
      : shipped_(shipped), stream_(stream) {}

  std::vector<std::string> run() {
    for (const ColumnConfig& column : stream_.columns) {
      const auto known = std::ranges::find(shipped_.columns, column.name, &ColumnConfig::name);
      if (known != shipped_.columns.end()) check_range(column, *known);
    }
    return std::move(mistakes_);
  }

 private:
  void say(const ColumnConfig& column, const std::string& sentence) {
    mistakes_.push_back(column_subject(stream_, column) + sentence);
  }

  // The ranges of the streams that ship are the CHECK constraints of their tables.
  void check_range(const ColumnConfig& column, const ColumnConfig& known) {
    if (column.source != ColumnSource::field && column.source != ColumnSource::attribute) return;
    if (!known.minimum && !known.maximum) return;
    if (column.out_of_range == OutOfRange::keep)
      say(column,
          fmt::format("out_of_range = \"keep\" would store what a CHECK constraint of table \"{}\" does "
                      "not take: {}. Use \"null\" or \"reject\".",
                      stream_.table, consequence));
    if (known.minimum && (!column.minimum || *column.minimum < *known.minimum))
      say(column, too_wide("min", column.minimum, "at least", *known.minimum));
    if (known.maximum && (!column.maximum || *column.maximum > *known.maximum))
      say(column, too_wide("max", column.maximum, "at most", *known.maximum));
  }

  [[nodiscard]] std::string too_wide(std::string_view key, const std::optional<double>& bound,
                                     std::string_view relation, double allowed) const {
    const std::string rule = bound ? fmt::format("{} = {}", key, *bound) : fmt::format("no {}", key);
    return fmt::format(
        "{} is wider than a CHECK constraint of table \"{}\", which takes {} {}: {}. Set {} to {} "
        "{}.",
        rule, stream_.table, relation, allowed, consequence, key, relation, allowed);
  }

  const StreamConfig& shipped_;
  const StreamConfig& stream_;
  std::vector<std::string> mistakes_;
};

}  // namespace

std::vector<std::string> find_shipped_table_mistakes(const StreamConfig& stream) {
  const std::vector<StreamConfig> shipped = builtin_streams();
  const auto same = std::ranges::find(shipped, stream.table, &StreamConfig::table);
  if (same == shipped.end()) return {};
  return ShippedTable(*same, stream).run();
}

}  // namespace wellhead
