#include "codec/schema.hpp"

#include <algorithm>
#include <utility>

#include "codec/schema_check.hpp"
#include "codec/schema_index.hpp"
#include "codec/stream_rules.hpp"

namespace wellhead {
namespace {

std::string quote_table(const std::string& table) {
  const std::size_t dot = table.find('.');
  if (dot == std::string::npos) return quote_identifier(table);
  return quote_identifier(table.substr(0, dot)) + '.' + quote_identifier(table.substr(dot + 1));
}

std::string make_copy_statement(const StreamConfig& config) {
  std::string columns;
  for (const ColumnConfig& column : config.columns) {
    if (!columns.empty()) columns += ", ";
    columns += quote_identifier(column.name);
  }
  return "COPY " + quote_table(config.table) + " (" + columns + ") FROM STDIN (FORMAT binary)";
}

// A row without a device has no shard and one without a time no chunk, so their columns are required in any
// case.
void require_row_identity(StreamConfig& config) {
  for (ColumnConfig& column : config.columns) {
    const bool from_record = column.source == ColumnSource::field;
    const bool is_device = column.name == config.device_column && from_record;
    const bool is_time = column.name == config.time_column && from_record;
    if (is_device || is_time) column.required = true;
    if (is_device) column.text_bytes_min = std::max(column.text_bytes_min, std::uint32_t{1});
  }
}

void name_attributes(StreamConfig& config) {
  for (ColumnConfig& column : config.columns)
    if (column.source == ColumnSource::attribute && column.attribute.empty()) column.attribute = column.name;
}

// What is computed goes to the tuple's end, where it is found without reading the fields before it.
void put_computed_last(StreamConfig& config) {
  const auto rank = [](const ColumnConfig& column) {
    return computed(column.source) ? static_cast<int>(column.source) : -1;
  };
  std::ranges::stable_sort(config.columns, {}, rank);
}

}  // namespace

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char byte : name) {
    if (byte == '"') quoted += '"';
    quoted += byte;
  }
  return quoted + '"';
}

std::expected<std::shared_ptr<const Schema>, std::string> Schema::compile(StreamConfig config,
                                                                          std::uint16_t index) {
  require_row_identity(config);
  put_computed_last(config);
  name_attributes(config);
  if (auto check = check_stream(config); !check) return std::unexpected(std::move(check.error()));
  std::shared_ptr<Schema> schema(new Schema(std::move(config), index));
  if (auto read = schema->lookup_->read_constants(schema->config_); !read)
    return std::unexpected(std::move(read.error()));
  return schema;
}

Schema::Schema(StreamConfig config, std::uint16_t index)
    : config_(std::move(config)),
      index_(index),
      copy_statement_(make_copy_statement(config_)),
      quoted_table_(quote_table(config_.table)),
      lookup_(std::make_unique<SchemaIndex>(config_)),
      rules_(std::make_unique<RulesInForce>()) {}

Schema::~Schema() = default;

}  // namespace wellhead
