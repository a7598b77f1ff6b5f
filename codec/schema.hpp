// A stream: which JSON fields go into which columns of which table. StreamConfig is what a user writes,
// Schema is what the decoder and the sink work with.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wellhead {

enum class ColumnType : std::uint8_t {
  timestamptz,
  text,
  real,
  double_precision,
  integer,
  bigint,
  boolean,
  jsonb,
  bytea,  // from here on: written by the node only (see node_only)
  uuid
};

// Whether only the node itself writes columns of the type: no JSON value becomes one, so no configured stream
// has any.
[[nodiscard]] constexpr bool node_only(ColumnType type) noexcept {
  return type == ColumnType::bytea || type == ColumnType::uuid;
}

// The type's name in configuration: timestamptz, text, real, double, int, bigint, bool, jsonb; those of the
// node only too, which are in catalogs of its streams.
[[nodiscard]] std::string_view to_string(ColumnType type) noexcept;
[[nodiscard]] std::optional<ColumnType> column_type_from(std::string_view name) noexcept;
// OID of the type in PostgreSQL's catalog (src/include/catalog/pg_type.dat).
[[nodiscard]] std::uint32_t type_oid(ColumnType type) noexcept;
// The type's name as PostgreSQL's format_type() prints it, e.g. "timestamp with time zone".
[[nodiscard]] std::string_view sql_type_name(ColumnType type) noexcept;

// Where a column's value comes from.
enum class ColumnSource : std::uint8_t {
  field,         // the record; `default_value` where the record has none
  receive_time,  // when the node received the record (timestamptz only)
  constant,      // ColumnConfig::value
  sender,        // the listener and the peer the record came from (text only)
  attribute,     // of the device, from the stream's attribute table (ColumnConfig::attribute)
  // Computed by the shard, which writes over what the decoder left room for; in tuples they come last, in
  // this order, and are never null.
  quality_score,  // real, 0 … 1
  anomaly,        // boolean
  quality_flags,  // bigint: codec/quality.hpp
};
[[nodiscard]] constexpr bool computed(ColumnSource source) noexcept {
  return source >= ColumnSource::quality_score;
}

// What becomes of a value outside its column's range.
enum class OutOfRange : std::uint8_t {
  null,    // the row is stored with NULL there, and the record goes to the dead letter as repaired
  reject,  // the record is rejected
  keep,    // the row is stored as it is: only where the table has no CHECK
};

// How a number in a timestamptz field is read.
enum class EpochUnit : std::uint8_t { by_magnitude, seconds, milliseconds, microseconds, nanoseconds };

// (Members have initializers so that designated ones may leave them out.)
struct ColumnConfig {
  std::string name = {};  // column of the table
  ColumnType type = ColumnType::real;
  // JSON keys read into it; two of them in one record are a duplicate_key error. Empty: the column's name.
  std::vector<std::string> keys = {};
  ColumnSource source = ColumnSource::field;
  bool required = false;
  std::optional<std::string> default_value = {};  // text columns only
  // Inclusive, in the column's unit, of the value as the column stores it.
  std::optional<double> minimum = {};
  std::optional<double> maximum = {};
  OutOfRange out_of_range = OutOfRange::null;
  std::string value = {};      // for ColumnSource::constant, as JSON or text writes it
  std::string attribute = {};  // for ColumnSource::attribute: the attribute's name; empty: the column's
  // Numbers only: the column is watched by range and by the device's statistics, and has a bit of its own in
  // quality_flags, counted in the order of the columns. At most scored_fields_max a stream.
  bool scored = false;
  bool primary = false;                 // scored, and a record without it is incomplete
  std::optional<double> rate_max = {};  // scored: most change a second, in the column's unit; none: any
  std::string unit = {};                // the column's unit, e.g. "degC"; empty: none
  std::string input_unit = {};          // the unit records come in; empty: the column's
  std::string unit_key = {};  // JSON key of a sibling that names the record's unit, e.g. "temperature_unit"
  std::uint32_t text_bytes_max = 1024;   // text, jsonb and bytea
  std::uint32_t text_bytes_min = 0;      // text
  std::vector<std::string> one_of = {};  // text: the only values allowed; empty: any
  EpochUnit epoch = EpochUnit::by_magnitude;
};

// How readings of a stream are judged. Used where the stream has a computed column.
struct ScoringConfig {
  std::int64_t late_after_s = 300;
  std::int64_t ahead_after_s = 60;
  double consistency_ratio = 0.5;  // of the device's recent average
  double z_min = 3.0;              // no |z| below it is anomalous
  // The share of ordinary readings that may be flagged; the thresholds of the fields are calibrated to it.
  double false_positives_max = 0.01;
  std::uint32_t warm_up = 60;       // readings of a device before it is judged
  std::uint32_t memory = 600;       // readings after which one counts for 1/e of a new one
  std::uint32_t stuck_after = 120;  // equal readings in a row, at least, before a sensor may be stuck
};

// Attributes of devices that records are enriched with: one row a device.
struct AttributesConfig {
  std::string file = {};           // CSV with a header line; a column names the device
  std::string query = {};          // or an SQL query against the node's database
  std::string device_column = {};  // the CSV's or query's column; empty: the stream's device column
  std::int64_t refresh_s = 300;  // how often the query is run again; the file is read at the start and on HUP
};

struct StreamConfig {
  std::string name = {};   // in the URL: POST /v1/ingest/{name}
  std::string table = {};  // "table" or "schema.table"
  // A text column, required and not empty whatever its config says; its hash decides the shard.
  std::string device_column = {};
  // A timestamptz column, required likewise: the hypertable's partition key.
  std::string time_column = {};
  bool reject_unknown_fields = false;
  bool internal = false;  // the node writes it itself: offered to no client, and no configuration has it
  std::int64_t past_max_s = 3650LL * 86'400;  // older records are refused: a stray year makes a junk chunk
  std::int64_t future_max_s = 86'400;
  ScoringConfig scoring = {};
  AttributesConfig attributes = {};
  std::vector<ColumnConfig> columns = {};
};

class SchemaIndex;   // what the decoder works with: codec/schema_index.hpp
class RulesInForce;  // what of a stream may change while it is in use: codec/stream_rules.hpp

// PostgreSQL's limits (src/include/access/htup_details.h, MaxHeapAttributeNumber; NAMEDATALEN - 1).
inline constexpr std::size_t stream_columns_max = 1600;
inline constexpr std::size_t identifier_bytes_max = 63;
// Longest JSON key a column may have. Keys are compared in place, so one and its quote must fit the input's
// padding.
inline constexpr std::size_t key_bytes_max = 63;
inline constexpr std::uint32_t text_bytes_limit = 1U << 28;
inline constexpr std::int64_t window_s_max = 10'000LL * 366 * 86'400;

// A compiled stream, immutable but for the rules in force. Any thread.
//
// Name, table and columns stay as they are, and everybody may keep a pointer to it. How records are read and
// judged (ranges, keys, units, scoring, attributes …) can be changed while it is in use: whoever works by
// those looks at rules() and not at config() and lookup(), which are those of the start.
class Schema {
 public:
  // `index` is the stream's number in this process. The error is a sentence that names the stream and the
  // column.
  [[nodiscard]] static std::expected<std::shared_ptr<const Schema>, std::string> compile(StreamConfig config,
                                                                                         std::uint16_t index);
  ~Schema();
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  [[nodiscard]] std::uint16_t index() const noexcept { return index_; }
  [[nodiscard]] const std::string& name() const noexcept { return config_.name; }
  [[nodiscard]] const StreamConfig& config() const noexcept { return config_; }
  [[nodiscard]] const std::vector<ColumnConfig>& columns() const noexcept { return config_.columns; }
  // COPY "schema"."table" ("a", "b", …) FROM STDIN (FORMAT binary), names quoted.
  [[nodiscard]] const std::string& copy_statement() const noexcept { return copy_statement_; }
  // The table's name quoted for SQL: "table" or "schema"."table".
  [[nodiscard]] const std::string& quoted_table() const noexcept { return quoted_table_; }
  [[nodiscard]] const SchemaIndex& lookup() const noexcept { return *lookup_; }
  [[nodiscard]] RulesInForce& rules() const noexcept { return *rules_; }

 private:
  Schema(StreamConfig config, std::uint16_t index);

  StreamConfig config_;
  std::uint16_t index_;
  std::string copy_statement_;
  std::string quoted_table_;
  std::unique_ptr<SchemaIndex> lookup_;
  std::unique_ptr<RulesInForce> rules_;
};

using SchemaPointer = std::shared_ptr<const Schema>;

// A name as SQL takes it whatever is in it: "reading", with quotes in it doubled.
[[nodiscard]] std::string quote_identifier(std::string_view name);

// The three streams that ship: telemetry, esp_telemetry, diagnostic_results.
[[nodiscard]] std::vector<StreamConfig> builtin_streams();

}  // namespace wellhead
