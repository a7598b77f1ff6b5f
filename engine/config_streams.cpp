#include "engine/config_streams.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>

#include "codec/schema_check.hpp"
#include "engine/config_keys.hpp"
#include "engine/config_stream_keys.hpp"

namespace wellhead {
namespace {

// Keys of a column that a rule cannot change: they say what it is, and not what is valid in it.
constexpr std::array<std::string_view, 5> keys_of_definition{"name", "type", "source", "value", "attribute"};

// --- reading ---

struct Reading {
  const std::string& file;
  std::string path;  // "streams.telemetry.columns[3]"
  std::vector<std::string>& errors;

  void add(const toml::source_region& region, std::string_view key, std::string_view problem) const {
    errors.push_back(
        fmt::format("{}: {}{}{} {}.", place_of(file, region), path, key.empty() ? "" : ".", key, problem));
  }
};

constexpr std::array<std::string_view, 4> tables_of_stream{"columns", "rules", "scoring", "attributes"};

template <typename Target>
void unknown_key(const Reading& reading, const toml::key& key, std::span<const StreamKey<Target>> keys) {
  std::vector<std::string> names;
  names.reserve(keys.size() + tables_of_stream.size());
  for (const auto& known : keys) names.emplace_back(known.name);
  if constexpr (std::same_as<Target, StreamConfig>)
    names.insert(names.end(), tables_of_stream.begin(), tables_of_stream.end());
  const auto meant = nearest(key.str(), names);
  reading.add(key.source(), key.str(),
              meant ? fmt::format("is not a known key; did you mean \"{}\"?", *meant)
                    : std::string("is not a known key"));
}

template <typename Target>
void read_member(const Reading& reading, const toml::key& key, const toml::node& node,
                 std::span<const StreamKey<Target>> keys, Target& target) {
  for (const auto& known : keys) {
    if (known.name != key.str()) continue;
    if (const KeyOutcome outcome = known.read(node, target); !outcome)
      reading.add(node.source(), key.str(), outcome.error());
    return;
  }
  unknown_key(reading, key, keys);
}

void read_column(const Reading& reading, const toml::table& table, std::vector<ColumnConfig>& columns) {
  ColumnConfig column;
  for (const auto& [key, node] : members_as_written(table))
    read_member(reading, key, node, column_keys(), column);
  if (!table.contains("name")) reading.add(table.source(), "name", "is missing");
  if (!table.contains("type")) reading.add(table.source(), "type", "is missing");
  columns.push_back(std::move(column));
}

void read_columns(const Reading& reading, const toml::node& node, PlacedStream& placed) {
  std::vector<ColumnConfig>& columns = placed.config.columns;
  const toml::array* list = node.as_array();
  if (list == nullptr)
    return reading.add(node.source(), "columns", "must be written as [[…columns]], one table a column");
  for (const toml::node& element : *list) {
    const Reading inner{reading.file, fmt::format("{}.columns[{}]", reading.path, columns.size()),
                        reading.errors};
    if (const toml::table* table = element.as_table()) {
      read_column(inner, *table, columns);
      placed.columns.emplace(columns.back().name, place_of(reading.file, element.source()));
    } else
      inner.add(element.source(), "", "must be a table with name and type");
  }
}

template <typename Target>
void read_table(const Reading& stream, const toml::key& name, const toml::node& node,
                std::span<const StreamKey<Target>> keys, Target& target) {
  const toml::table* table = node.as_table();
  if (table == nullptr)
    return stream.add(node.source(), name.str(),
                      fmt::format("must be a table, [{}.{}]", stream.path, name.str()));
  const Reading reading{stream.file, fmt::format("{}.{}", stream.path, name.str()), stream.errors};
  for (const auto& [key, value] : members_as_written(*table)) read_member(reading, key, value, keys, target);
}

void read_rule(const Reading& reading, const toml::table& table, ColumnConfig& column) {
  for (const auto& [key, node] : members_as_written(table)) {
    if (std::ranges::find(keys_of_definition, key.str()) != keys_of_definition.end())
      reading.add(key.source(), key.str(),
                  "is what a column is, and no rule can change it: write the stream's columns");
    else
      read_member(reading, key, node, column_keys(), column);
  }
}

// [streams.NAME.rules.COLUMN]: changes single keys of columns that are there.
void read_rules(const Reading& stream, const toml::node& node, PlacedStream& placed) {
  const toml::table* rules = node.as_table();
  if (rules == nullptr)
    return stream.add(node.source(), "rules", "must hold a table for each column, [….rules.COLUMN]");
  std::vector<ColumnConfig>& columns = placed.config.columns;
  for (const auto& [name, rule] : members_as_written(*rules)) {
    const Reading reading{stream.file, fmt::format("{}.rules.{}", stream.path, name.str()), stream.errors};
    const auto column = std::ranges::find(columns, name.str(), &ColumnConfig::name);
    if (column == columns.end()) {
      std::vector<std::string> names;
      for (const ColumnConfig& known : columns) names.push_back(known.name);
      const auto meant = nearest(name.str(), names);
      reading.add(name.source(), "",
                  fmt::format("is a rule for a column that the stream does not have{}",
                              meant ? fmt::format("; did you mean \"{}\"?", *meant) : ""));
    } else if (const toml::table* table = rule.as_table()) {
      read_rule(reading, *table, *column);
      placed.columns[column->name] = place_of(stream.file, name.source());
    } else {
      reading.add(rule.source(), "", "must be a table, such as { min = 0, max = 200 }");
    }
  }
}

template <typename Target>
std::string print_members(const Target& target, std::span<const StreamKey<Target>> keys) {
  std::string text;
  for (const auto& key : keys) {
    const std::string value = key.print(target);
    if (!value.empty()) text += fmt::format("{} = {}\n", key.name, value);
  }
  return text;
}

std::string print_table(std::string_view stream, std::string_view name, const std::string& members) {
  return members.empty() ? members : fmt::format("\n[streams.{}.{}]\n{}", stream, name, members);
}

// Rules come last, since they change columns that may be written behind them.
void read_members(const Reading& reading, const toml::table& table, PlacedStream& stream) {
  for (const auto& [key, node] : members_as_written(table)) {
    if (key.str() == "columns")
      read_columns(reading, node, stream);
    else if (key.str() == "scoring")
      read_table(reading, key, node, scoring_keys(), stream.config.scoring);
    else if (key.str() == "attributes")
      read_table(reading, key, node, attributes_keys(), stream.config.attributes);
    else if (key.str() != "rules")
      read_member(reading, key, node, stream_keys(), stream.config);
  }
  if (const toml::node* rules = table.get("rules")) read_rules(reading, *rules, stream);
}

template <typename Target>
std::vector<StreamKeyDescription> describe(const Target& defaults, std::span<const StreamKey<Target>> keys) {
  std::vector<StreamKeyDescription> descriptions;
  descriptions.reserve(keys.size());
  for (const auto& key : keys) descriptions.push_back({key.name, key.type, key.print(defaults), key.help});
  return descriptions;
}

}  // namespace

std::vector<StreamKeyDescription> stream_key_descriptions() {
  return describe(StreamConfig{}, stream_keys());
}

std::vector<StreamKeyDescription> column_key_descriptions() {
  std::vector<StreamKeyDescription> descriptions = describe(ColumnConfig{}, column_keys());
  ColumnConfig text;
  text.type = ColumnType::text;
  ColumnConfig time;
  time.type = ColumnType::timestamptz;
  for (std::size_t index = 0; index < column_keys().size(); ++index) {
    std::string& shown = descriptions[index].default_text;
    if (column_keys()[index].name == "type") shown.clear();  // has none: it must be written
    if (column_keys()[index].name == "source") shown = "\"field\"";
    if (column_keys()[index].type == "true or false") shown = "false";
    if (column_keys()[index].name == "out_of_range") shown = "\"null\"";
    if (column_keys()[index].name == "min_bytes") shown = std::to_string(text.text_bytes_min);
    if (column_keys()[index].name == "max_bytes") shown = column_keys()[index].print(text);
    if (column_keys()[index].name == "epoch") shown = column_keys()[index].print(time);
  }
  return descriptions;
}

std::vector<StreamKeyDescription> scoring_key_descriptions() {
  return describe(ScoringConfig{}, scoring_keys());
}

std::vector<StreamKeyDescription> attributes_key_descriptions() {
  return describe(AttributesConfig{}, attributes_keys());
}

PlacedStream read_stream(std::string_view name, const toml::table& table, const std::string& file,
                         std::vector<std::string>& errors) {
  PlacedStream stream;
  stream.where = place_of(file, table.source());
  stream.config.name = name;
  stream.config.table = name;
  const Reading reading{file, fmt::format("streams.{}", name), errors};
  read_members(reading, table, stream);
  for (const std::string_view needed : {"device", "time", "columns"}) {
    if (!table.contains(needed)) reading.add(table.source(), needed, "is missing");
  }
  return stream;
}

PlacedStream change_stream(StreamConfig base, const toml::table& table, const std::string& file,
                           std::vector<std::string>& errors) {
  PlacedStream stream{.config = std::move(base), .where = place_of(file, table.source()), .columns = {}};
  read_members({file, fmt::format("streams.{}", stream.config.name), errors}, table, stream);
  return stream;
}

std::string_view place_of_mistake(const PlacedStream& stream, std::string_view sentence) {
  for (const ColumnConfig& column : stream.config.columns) {
    const auto place = stream.columns.find(column.name);
    if (place != stream.columns.end() && sentence.starts_with(column_subject(stream.config, column)))
      return place->second;
  }
  return stream.where;
}

std::string print_stream(const StreamConfig& stream) {
  std::string text = fmt::format("[streams.{}]\n{}", stream.name, print_members(stream, stream_keys()));
  text += print_table(stream.name, "scoring", print_members(stream.scoring, scoring_keys()));
  text += print_table(stream.name, "attributes", print_members(stream.attributes, attributes_keys()));
  for (const ColumnConfig& column : stream.columns)
    text += fmt::format("\n[[streams.{}.columns]]\n{}", stream.name, print_members(column, column_keys()));
  return text;
}

}  // namespace wellhead
