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
    check_bits();
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

  // In SQL, wellhead_quality_reasons() knows the bits of quality_flags by the table's own list of scored
  // columns. Fewer at its end are no harm: no bit means another column then.
  void check_bits() {
    if (std::ranges::find(stream_.columns, ColumnSource::quality_flags, &ColumnConfig::source) ==
        stream_.columns.end())
      return;
    const auto known = scored(shipped_);
    const auto given = scored(stream_);
    for (std::size_t bit = 0; bit < given.size(); ++bit) {
      if (bit < known.size() && given[bit]->name == known[bit]->name) continue;
      const auto left_out = bit < known.size()
                                ? std::ranges::find(stream_.columns, known[bit]->name, &ColumnConfig::name)
                                : stream_.columns.end();
      const bool is_left_out = left_out != stream_.columns.end() && !left_out->scored;
      return say_bits(is_left_out ? *left_out : *given[bit], is_left_out);
    }
  }

  void say_bits(const ColumnConfig& column, bool is_left_out) {
    say(column,
        fmt::format("scored = {} would shift the bits of quality_flags in table \"{}\", whose meaning is "
                    "fixed by the columns it ships with: SQL would name the wrong columns, in old rows or "
                    "in new ones. Leave it {}; for other scored columns write the stream to a table of "
                    "your own.",
                    !is_left_out, stream_.table, is_left_out));
  }

  static std::vector<const ColumnConfig*> scored(const StreamConfig& stream) {
    std::vector<const ColumnConfig*> columns;
    for (const ColumnConfig& column : stream.columns)
      if (column.scored) columns.push_back(&column);
    return columns;
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
