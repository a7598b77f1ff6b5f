#include "engine/attributes_query.hpp"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "codec/schema.hpp"
#include "journal/text_file.hpp"

namespace wellhead {
namespace {

constexpr const char* directory = "attributes";
// So many rows are asked for at once: the answer is in memory twice.
constexpr std::size_t rows_per_fetch = 10'000;

std::string path_of(const StreamConfig& config) {
  return fmt::format("{}/{}.csv", directory, config.name);
}

// A query may end with a semicolon, as everybody writes it.
std::string_view without_end(std::string_view query) {
  while (!query.empty() &&
         (query.back() == ';' || std::isspace(static_cast<unsigned char>(query.back())) != 0))
    query.remove_suffix(1);
  return query;
}

std::string text_of(const DatabaseError& error) {
  return error.sqlstate.empty() ? error.message
                                : fmt::format("{} (SQLSTATE {})", error.message, error.sqlstate);
}

// Puts rows into a table and into the text that is saved.
class Collector {
 public:
  explicit Collector(const StreamConfig& config) : builder_(config) {
    fields_.emplace_back(attributes_device_name(config));
    for (const AttributeColumn& column : builder_.columns()) fields_.emplace_back(column.attribute);
    append_csv_line(csv_, fields_);
  }

  std::expected<void, std::string> add(const DatabaseRow& row) {
    fields_.clear();
    for (const auto& value : row) fields_.push_back(value ? std::string_view(*value) : std::string_view());
    append_csv_line(csv_, fields_);
    auto added = builder_.add(fields_.front(), std::span(fields_).subspan(1));
    if (added) return added;
    return std::unexpected(fmt::format("of device \"{}\": {}", fields_.front(), added.error()));
  }

  QueriedAttributes take() { return {builder_.finish(), std::move(csv_)}; }

 private:
  AttributesBuilder builder_;
  std::string csv_;
  std::vector<std::string_view> fields_;
};

std::expected<void, std::string> fetch_all(Database& database, Collector& collector) {
  const std::string fetch = fmt::format("FETCH {} FROM wellhead_attributes", rows_per_fetch);
  for (;;) {
    const auto rows = database.query(fetch);
    if (!rows) return std::unexpected(text_of(rows.error()));
    for (const DatabaseRow& row : *rows) {
      if (auto added = collector.add(row); !added) return added;
    }
    if (rows->size() < rows_per_fetch) return {};
  }
}

}  // namespace

std::string attributes_statement(const StreamConfig& config) {
  std::string columns = fmt::format("t.{}::text", quote_identifier(attributes_device_name(config)));
  for (const AttributeColumn& column : attribute_columns(config))
    columns += fmt::format(", t.{}::text", quote_identifier(column.attribute));
  // On lines of its own: the query may end with a comment.
  return fmt::format("SELECT {} FROM (\n{}\n) AS t", columns, without_end(config.attributes.query));
}

std::expected<QueriedAttributes, std::string> query_attributes(Database& database,
                                                               const StreamConfig& config) {
  const auto begun = database.run(fmt::format(
      "BEGIN READ ONLY; SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'; DECLARE wellhead_attributes "
      "NO SCROLL CURSOR FOR {}",
      attributes_statement(config)));
  if (!begun) return std::unexpected(text_of(begun.error()));
  Collector collector(config);
  if (const auto fetched = fetch_all(database, collector); !fetched) return std::unexpected(fetched.error());
  if (const auto ended = database.run("COMMIT"); !ended) return std::unexpected(text_of(ended.error()));
  return collector.take();
}

std::expected<void, std::string> save_attributes(FileSystem& files, const StreamConfig& config,
                                                 std::string csv) {
  auto saved = files.make_directory(directory);
  if (saved) saved = replace_text(files, directory, path_of(config), seal_text(std::move(csv)));
  if (!saved) return std::unexpected(std::string(std::strerror(saved.error())));
  return {};
}

AttributesTable saved_attributes(FileSystem& files, const StreamConfig& config) {
  const auto text = read_text(files, path_of(config), attributes_file_bytes_max);
  if (!text) return nullptr;
  const auto body = unseal_text(*text);
  if (!body) return nullptr;
  auto table = read_attributes(config, *body, path_of(config));
  return table ? std::move(*table) : nullptr;
}

}  // namespace wellhead
