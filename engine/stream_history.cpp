#include "engine/stream_history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/assert.hpp"
#include "engine/config_streams.hpp"
#include "engine/toml.hpp"

namespace wellhead {
namespace {

// RowHeader::stream has 16 bits.
constexpr std::size_t streams_of_history_max = std::size_t{UINT16_MAX} + 1;

std::unexpected<std::string> unreadable(std::uint32_t epoch, std::string_view reason) {
  return std::unexpected(fmt::format(
      "The journal holds records of an earlier run (epoch {}) whose list of streams cannot be read: "
      "{} Nothing was changed, and the records stay in the journal; start the version of wellhead that "
      "wrote them, and let it stop with an empty journal before this one.",
      epoch, reason));
}

// The streams of a catalog, in the order they are written in.
std::expected<std::vector<StreamConfig>, std::string> read_catalog(const std::string& catalog) {
  const toml::parse_result parsed = toml::parse(catalog);
  if (!parsed) return std::unexpected(fmt::format("{}.", parsed.error().description()));
  std::vector<StreamConfig> streams;
  const toml::table* tables = parsed.table()["streams"].as_table();
  if (tables == nullptr) return streams;
  std::vector<std::string> errors;
  for (const auto& [name, node] : members_as_written(*tables)) {
    if (!node.is_table()) return std::unexpected(fmt::format("streams.{} is no table.", name.str()));
    streams.push_back(read_stream(name.str(), *node.as_table(), "catalog", errors).config);
  }
  if (!errors.empty()) return std::unexpected(errors.front());
  return streams;
}

class HistoryReader {
 public:
  explicit HistoryReader(std::span<const SchemaPointer> today) {
    history_.schemas.assign(today.begin(), today.end());
    history_.today_count = today.size();
  }

  std::expected<void, std::string> add(std::uint32_t epoch, const std::string& catalog) {
    const auto streams = read_catalog(catalog);
    if (!streams) return unreadable(epoch, streams.error());
    std::vector<std::uint16_t>& map = history_.maps[epoch];
    for (const StreamConfig& stream : *streams) {
      const auto position = position_of(stream);
      if (!position) return unreadable(epoch, position.error());
      if (!std::ranges::equal(stream.columns, history_.schemas[*position]->columns(), {},
                              &ColumnConfig::scored, &ColumnConfig::scored))
        history_.scored_otherwise.emplace(epoch, static_cast<std::uint16_t>(map.size()));
      map.push_back(*position);
    }
    return {};
  }

  [[nodiscard]] StreamHistory take() { return std::move(history_); }

 private:
  // Of the stream that writes the same rows; a new historical one where there is none.
  // A catalog also holds the node's own streams, with types that no configuration may ask for.
  std::expected<std::uint16_t, std::string> position_of(StreamConfig stream) {
    stream.internal = true;
    if (history_.schemas.size() == streams_of_history_max)
      return std::unexpected("there are too many streams.");
    auto schema = Schema::compile(std::move(stream), static_cast<std::uint16_t>(history_.schemas.size()));
    if (!schema) return std::unexpected(schema.error());
    const auto same = std::ranges::find_if(
        history_.schemas, [&](const SchemaPointer& known) { return writes_same_rows(*known, **schema); });
    if (same != history_.schemas.end()) return (*same)->index();
    history_.schemas.push_back(std::move(*schema));
    return history_.schemas.back()->index();
  }

  StreamHistory history_;
};

}  // namespace

std::string print_catalog(std::span<const SchemaPointer> schemas) {
  std::string text;
  for (const SchemaPointer& schema : schemas) text += print_stream(schema->config()) + '\n';
  return text;
}

bool writes_same_rows(const Schema& one, const Schema& other) {
  // The COPY statement names table and columns in their order.
  return one.copy_statement() == other.copy_statement() &&
         one.config().device_column == other.config().device_column &&
         one.config().time_column == other.config().time_column &&
         std::ranges::equal(one.columns(), other.columns(), {}, &ColumnConfig::type, &ColumnConfig::type);
}

std::expected<StreamHistory, std::string> read_stream_history(
    std::span<const SchemaPointer> today, const std::map<std::uint32_t, JournalSurvey::Epoch>& epochs) {
  for (std::size_t index = 0; index < today.size(); ++index) WELLHEAD_ASSERT(today[index]->index() == index);
  HistoryReader reader(today);
  for (const auto& [number, epoch] : epochs) {
    if (auto added = reader.add(number, epoch.catalog); !added)
      return std::unexpected(std::move(added.error()));
  }
  return reader.take();
}

}  // namespace wellhead
