#include "engine/config_streams.hpp"

#include <fmt/format.h>

#include <array>
#include <expected>
#include <limits>
#include <optional>

#include "engine/config_keys.hpp"
#include "engine/config_values.hpp"

namespace wellhead {
namespace {

using Outcome = std::expected<void, std::string>;

constexpr std::chrono::seconds window_max{window_s_max};

// --- values of one node ---

Outcome read_text(const toml::node& node, std::string& value) {
  const auto text = node.value_exact<std::string>();
  if (!text) return std::unexpected("must be a text in quotes");
  value = *text;
  return {};
}

Outcome read_boolean(const toml::node& node, bool& value) {
  const auto flag = node.value_exact<bool>();
  if (!flag) return std::unexpected("must be true or false, without quotes");
  value = *flag;
  return {};
}

Outcome read_number(const toml::node& node, std::optional<double>& value) {
  if (!node.is_number()) return std::unexpected("must be a number, without quotes");
  value = node.value<double>();
  return {};
}

Outcome read_window(const toml::node& node, std::int64_t& seconds) {
  std::string text;
  if (!read_text(node, text)) return std::unexpected("must be a duration in quotes, e.g. \"30d\"");
  const auto duration = parse_duration(text);
  if (!duration) return std::unexpected(duration.error());
  if (*duration > window_max)
    return std::unexpected(
        fmt::format("{} is above the most allowed, {}", text, format_duration(window_max)));
  seconds = std::chrono::duration_cast<std::chrono::seconds>(*duration).count();
  return {};
}

Outcome read_text_bytes(const toml::node& node, std::uint32_t& bytes) {
  std::string text;
  if (const auto number = node.value_exact<std::int64_t>())
    text = std::to_string(*number);
  else if (!read_text(node, text))
    return std::unexpected("must be a size, e.g. 64 or \"4KiB\"");
  const auto size = parse_size(text);
  if (!size) return std::unexpected(size.error());
  if (*size > text_bytes_limit)
    return std::unexpected(
        fmt::format("{} is above the most allowed, {}", text, format_size(text_bytes_limit)));
  bytes = static_cast<std::uint32_t>(*size);
  return {};
}

Outcome read_list(const toml::node& node, std::vector<std::string>& texts) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return std::unexpected("must be a list of texts, e.g. [\"temp\", \"temperature\"]");
  for (const toml::node& element : *list) {
    std::string text;
    if (!read_text(element, text))
      return std::unexpected("must be a list of texts, e.g. [\"temp\", \"temperature\"]");
    texts.push_back(std::move(text));
  }
  return {};
}

// --- words of enumerations ---

template <typename Value>
struct Word {
  std::string_view name;
  Value value;
};

constexpr std::array<Word<bool>, 2> unknown_fields_words{{{"ignore", false}, {"reject", true}}};
constexpr std::array<Word<ColumnSource>, 2> source_words{
    {{"field", ColumnSource::field}, {"receive_time", ColumnSource::receive_time}}};
constexpr std::array<Word<EpochUnit>, 5> epoch_words{{{"by_magnitude", EpochUnit::by_magnitude},
                                                      {"s", EpochUnit::seconds},
                                                      {"ms", EpochUnit::milliseconds},
                                                      {"us", EpochUnit::microseconds},
                                                      {"ns", EpochUnit::nanoseconds}}};

template <typename Value, std::size_t count>
Outcome read_word(const toml::node& node, const std::array<Word<Value>, count>& words, Value& value) {
  std::string known;
  const auto text = node.value_exact<std::string>();
  for (const Word<Value>& word : words) {
    if (text == word.name) {
      value = word.value;
      return {};
    }
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", word.name);
  }
  return std::unexpected("must be one of " + known);
}

template <typename Value, std::size_t count>
std::string_view word_of(const std::array<Word<Value>, count>& words, Value value) {
  for (const Word<Value>& word : words) {
    if (word.value == value) return word.name;
  }
  return words.front().name;
}

Outcome read_type(const toml::node& node, ColumnType& type) {
  const auto text = node.value_exact<std::string>();
  const auto known = text ? column_type_from(*text) : std::nullopt;
  if (!known)
    return std::unexpected(
        R"(must be one of "timestamptz", "text", "real", "double", "int", "bigint", "bool", "jsonb")");
  type = *known;
  return {};
}

// --- the tables of keys ---

template <typename Target>
struct StreamKey {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  Outcome (*read)(const toml::node&, Target&);
  std::string (*print)(const Target&);  // as TOML; empty: not set
};

std::string print_text(const std::string& text) {
  return text.empty() ? "" : quote_toml(text);
}
std::string print_list(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + quote_toml(text);
  return list.empty() ? list : "[" + list + "]";
}
std::string print_number(const std::optional<double>& number) {
  return number ? fmt::format("{}", *number) : "";
}
std::string print_window(std::int64_t seconds) {
  return quote_toml(format_duration(std::chrono::seconds(seconds)));
}

constexpr std::array stream_keys{
    StreamKey<StreamConfig>{
        "table", "text", "The table, as `table` or `schema.table`. Default: the stream's name.",
        [](const toml::node& node, StreamConfig& stream) { return read_text(node, stream.table); },
        [](const StreamConfig& stream) { return print_text(stream.table); }},
    StreamKey<StreamConfig>{
        "device", "text",
        "The required text column that names the device. Rows of one device are written in order.",
        [](const toml::node& node, StreamConfig& stream) { return read_text(node, stream.device_column); },
        [](const StreamConfig& stream) { return print_text(stream.device_column); }},
    StreamKey<StreamConfig>{
        "time", "text", "The required timestamptz column: the hypertable's partition key.",
        [](const toml::node& node, StreamConfig& stream) { return read_text(node, stream.time_column); },
        [](const StreamConfig& stream) { return print_text(stream.time_column); }},
    StreamKey<StreamConfig>{"unknown_fields", "word",
                            "`ignore` or `reject`: what a JSON key means that no column reads.",
                            [](const toml::node& node, StreamConfig& stream) {
                              return read_word(node, unknown_fields_words, stream.reject_unknown_fields);
                            },
                            [](const StreamConfig& stream) {
                              return quote_toml(word_of(unknown_fields_words, stream.reject_unknown_fields));
                            }},
    StreamKey<StreamConfig>{
        "past_max", "duration",
        "Records older than this on arrival are rejected: a stray year makes a junk chunk.",
        [](const toml::node& node, StreamConfig& stream) { return read_window(node, stream.past_max_s); },
        [](const StreamConfig& stream) { return print_window(stream.past_max_s); }},
    StreamKey<StreamConfig>{
        "future_max", "duration", "Records further in the future than this are rejected.",
        [](const toml::node& node, StreamConfig& stream) { return read_window(node, stream.future_max_s); },
        [](const StreamConfig& stream) { return print_window(stream.future_max_s); }},
};

constexpr std::array column_keys{
    StreamKey<ColumnConfig>{
        "name", "text", "The column of the table.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.name); },
        [](const ColumnConfig& column) { return print_text(column.name); }},
    StreamKey<ColumnConfig>{
        "type", "word", "`timestamptz`, `text`, `real`, `double`, `int`, `bigint`, `bool` or `jsonb`.",
        [](const toml::node& node, ColumnConfig& column) { return read_type(node, column.type); },
        [](const ColumnConfig& column) { return quote_toml(to_string(column.type)); }},
    StreamKey<ColumnConfig>{
        "keys", "list of texts", "The JSON keys read into it. Default: the column's name.",
        [](const toml::node& node, ColumnConfig& column) { return read_list(node, column.keys); },
        [](const ColumnConfig& column) { return print_list(column.keys); }},
    StreamKey<ColumnConfig>{
        "source", "word",
        "`field`: from the record. `receive_time`: when the node received it (timestamptz only).",
        [](const toml::node& node, ColumnConfig& column) {
          return read_word(node, source_words, column.source);
        },
        [](const ColumnConfig& column) {
          return column.source == ColumnSource::field ? "" : quote_toml(word_of(source_words, column.source));
        }},
    StreamKey<ColumnConfig>{
        "required", "true or false", "A record without it is rejected.",
        [](const toml::node& node, ColumnConfig& column) { return read_boolean(node, column.required); },
        [](const ColumnConfig& column) { return std::string(column.required ? "true" : ""); }},
    StreamKey<ColumnConfig>{"default", "text", "Text columns: the value where a record has none.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_text(node, column.default_value.emplace());
                            },
                            [](const ColumnConfig& column) {
                              return column.default_value ? quote_toml(*column.default_value) : "";
                            }},
    StreamKey<ColumnConfig>{
        "min", "number", "The least value taken, in the column's unit.",
        [](const toml::node& node, ColumnConfig& column) { return read_number(node, column.minimum); },
        [](const ColumnConfig& column) { return print_number(column.minimum); }},
    StreamKey<ColumnConfig>{
        "max", "number", "The largest value taken, in the column's unit.",
        [](const toml::node& node, ColumnConfig& column) { return read_number(node, column.maximum); },
        [](const ColumnConfig& column) { return print_number(column.maximum); }},
    StreamKey<ColumnConfig>{
        "one_of", "list of texts", "Text columns: the only values taken.",
        [](const toml::node& node, ColumnConfig& column) { return read_list(node, column.one_of); },
        [](const ColumnConfig& column) { return print_list(column.one_of); }},
    StreamKey<ColumnConfig>{
        "unit", "text", "The unit the column is stored in, e.g. `degC`.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.unit); },
        [](const ColumnConfig& column) { return print_text(column.unit); }},
    StreamKey<ColumnConfig>{
        "input_unit", "text", "The unit records come in. Default: the column's.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.input_unit); },
        [](const ColumnConfig& column) { return print_text(column.input_unit); }},
    StreamKey<ColumnConfig>{
        "unit_key", "text", "The JSON key by which a record names its unit itself.",
        [](const toml::node& node, ColumnConfig& column) { return read_text(node, column.unit_key); },
        [](const ColumnConfig& column) { return print_text(column.unit_key); }},
    StreamKey<ColumnConfig>{"max_bytes", "size", "text and jsonb: the longest value taken.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_text_bytes(node, column.text_bytes_max);
                            },
                            [](const ColumnConfig& column) {
                              const bool has_length =
                                  column.type == ColumnType::text || column.type == ColumnType::jsonb;
                              return has_length ? std::to_string(column.text_bytes_max) : std::string();
                            }},
    StreamKey<ColumnConfig>{"min_bytes", "size", "text: the shortest value taken.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_text_bytes(node, column.text_bytes_min);
                            },
                            [](const ColumnConfig& column) {
                              return column.text_bytes_min == 0 ? std::string()
                                                                : std::to_string(column.text_bytes_min);
                            }},
    StreamKey<ColumnConfig>{"epoch", "word",
                            "How a number is read as a time: `s`, `ms`, `us`, `ns` since 1970, or "
                            "`by_magnitude` to tell them apart.",
                            [](const toml::node& node, ColumnConfig& column) {
                              return read_word(node, epoch_words, column.epoch);
                            },
                            [](const ColumnConfig& column) {
                              return column.type == ColumnType::timestamptz
                                         ? quote_toml(word_of(epoch_words, column.epoch))
                                         : "";
                            }},
};

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

template <typename Target, std::size_t count>
void unknown_key(const Reading& reading, const toml::key& key,
                 const std::array<StreamKey<Target>, count>& keys) {
  std::vector<std::string> names;
  names.reserve(count + 1);
  for (const auto& known : keys) names.emplace_back(known.name);
  if constexpr (std::same_as<Target, StreamConfig>) names.emplace_back("columns");
  const auto meant = nearest(key.str(), names);
  reading.add(key.source(), key.str(),
              meant ? fmt::format("is not a known key; did you mean \"{}\"?", *meant)
                    : std::string("is not a known key"));
}

template <typename Target, std::size_t count>
void read_member(const Reading& reading, const toml::key& key, const toml::node& node,
                 const std::array<StreamKey<Target>, count>& keys, Target& target) {
  for (const auto& known : keys) {
    if (known.name != key.str()) continue;
    if (const Outcome outcome = known.read(node, target); !outcome)
      reading.add(node.source(), key.str(), outcome.error());
    return;
  }
  unknown_key(reading, key, keys);
}

void read_column(const Reading& reading, const toml::table& table, std::vector<ColumnConfig>& columns) {
  ColumnConfig column;
  for (const auto& [key, node] : members_as_written(table))
    read_member(reading, key, node, column_keys, column);
  if (!table.contains("name")) reading.add(table.source(), "name", "is missing");
  if (!table.contains("type")) reading.add(table.source(), "type", "is missing");
  columns.push_back(std::move(column));
}

void read_columns(const Reading& reading, const toml::node& node, std::vector<ColumnConfig>& columns) {
  const toml::array* list = node.as_array();
  if (list == nullptr)
    return reading.add(node.source(), "columns", "must be written as [[…columns]], one table a column");
  for (const toml::node& element : *list) {
    const Reading inner{reading.file, fmt::format("{}.columns[{}]", reading.path, columns.size()),
                        reading.errors};
    if (const toml::table* table = element.as_table())
      read_column(inner, *table, columns);
    else
      inner.add(element.source(), "", "must be a table with name and type");
  }
}

template <typename Target, std::size_t count>
std::string print_members(const Target& target, const std::array<StreamKey<Target>, count>& keys) {
  std::string text;
  for (const auto& key : keys) {
    const std::string value = key.print(target);
    if (!value.empty()) text += fmt::format("{} = {}\n", key.name, value);
  }
  return text;
}

template <typename Target, std::size_t count>
std::vector<StreamKeyDescription> describe(const Target& defaults,
                                           const std::array<StreamKey<Target>, count>& keys) {
  std::vector<StreamKeyDescription> descriptions;
  descriptions.reserve(count);
  for (const auto& key : keys) descriptions.push_back({key.name, key.type, key.print(defaults), key.help});
  return descriptions;
}

}  // namespace

std::vector<StreamKeyDescription> stream_key_descriptions() {
  return describe(StreamConfig{}, stream_keys);
}

std::vector<StreamKeyDescription> column_key_descriptions() {
  std::vector<StreamKeyDescription> descriptions = describe(ColumnConfig{}, column_keys);
  ColumnConfig text;
  text.type = ColumnType::text;
  ColumnConfig time;
  time.type = ColumnType::timestamptz;
  for (std::size_t index = 0; index < column_keys.size(); ++index) {
    std::string& shown = descriptions[index].default_text;
    if (column_keys[index].name == "type") shown.clear();  // has none: it must be written
    if (column_keys[index].name == "source") shown = quote_toml(word_of(source_words, text.source));
    if (column_keys[index].name == "required") shown = "false";
    if (column_keys[index].name == "min_bytes") shown = std::to_string(text.text_bytes_min);
    if (column_keys[index].name == "max_bytes") shown = column_keys[index].print(text);
    if (column_keys[index].name == "epoch") shown = column_keys[index].print(time);
  }
  return descriptions;
}

PlacedStream read_stream(std::string_view name, const toml::table& table, const std::string& file,
                         std::vector<std::string>& errors) {
  PlacedStream stream;
  stream.where = place_of(file, table.source());
  stream.config.name = name;
  stream.config.table = name;
  const Reading reading{file, fmt::format("streams.{}", name), errors};
  for (const auto& [key, node] : members_as_written(table)) {
    if (key.str() == "columns")
      read_columns(reading, node, stream.config.columns);
    else
      read_member(reading, key, node, stream_keys, stream.config);
  }
  for (const std::string_view needed : {"device", "time", "columns"}) {
    if (!table.contains(needed)) reading.add(table.source(), needed, "is missing");
  }
  return stream;
}

std::string print_stream(const StreamConfig& stream) {
  std::string text = fmt::format("[streams.{}]\n{}", stream.name, print_members(stream, stream_keys));
  for (const ColumnConfig& column : stream.columns)
    text += fmt::format("\n[[streams.{}.columns]]\n{}", stream.name, print_members(column, column_keys));
  return text;
}

}  // namespace wellhead
