#include "tests/simulation/account.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"
#include "codec/dead_letter.hpp"
#include "codec/record_error.hpp"
#include "codec/row_json.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::size_t id_field = 2;  // of the readings
constexpr std::uint32_t letter_bytes_max = 1'024;

std::string_view field(const std::string& tuple, std::size_t number) {
  return tuple_field(std::as_bytes(std::span(tuple)), number);
}

std::int64_t id_of_reading(const std::string& tuple) {
  const std::string_view id = field(tuple, id_field);
  return static_cast<std::int64_t>(
      copy_binary::get<std::uint64_t>(reinterpret_cast<const std::byte*>(id.data())));
}

// Of the record whose text this is.
std::int64_t id_in(std::string_view json) {
  constexpr std::string_view marker = "\"id\":";
  const std::size_t at = json.find(marker);
  WELLHEAD_ASSERT(at != std::string_view::npos);
  const std::string_view digits = json.substr(at + marker.size());
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  WELLHEAD_ASSERT(error == std::errc{});
  return id;
}

std::size_t column(const Schema& schema, std::string_view name) {
  const auto found = std::ranges::find(schema.columns(), name, &ColumnConfig::name);
  WELLHEAD_ASSERT(found != schema.columns().end());
  return static_cast<std::size_t>(found - schema.columns().begin());
}

SchemaPointer compile(StreamConfig stream, std::uint16_t index) {
  auto compiled = Schema::compile(std::move(stream), index);
  WELLHEAD_ASSERT(compiled.has_value());
  return *compiled;
}

const std::vector<std::string>& rows_of(const test::ServerState& server, const Schema& schema) {
  static const std::vector<std::string> none;
  const auto table = server.tables.find(schema.quoted_table());
  return table == server.tables.end() ? none : table->second;
}

}  // namespace

std::vector<SchemaPointer> simulated_streams() {
  StreamConfig readings;
  readings.name = "readings";
  readings.table = "readings";
  readings.device_column = "device_id";
  readings.time_column = "timestamp";
  readings.columns = {{.name = "timestamp", .type = ColumnType::timestamptz, .required = true},
                      {.name = "device_id", .type = ColumnType::text, .required = true},
                      {.name = "id", .type = ColumnType::bigint, .required = true}};
  return {compile(std::move(readings), 0), compile(dead_letter_stream(letter_bytes_max), 1)};
}

Account::Account(std::vector<SchemaPointer> streams)
    : streams_(std::move(streams)),
      letter_payload_(column(*streams_[1], "payload")),
      letter_code_(column(*streams_[1], "code")) {}

std::int64_t Account::add(RecordKind kind) {
  const auto id = static_cast<std::int64_t>(records_.size()) + 1;
  records_.emplace(id, Record{.kind = kind});
  return id;
}

void Account::set(std::span<const std::int64_t> ids, Fate fate) {
  for (const std::int64_t id : ids) records_.at(id).fate = fate;
}

std::uint32_t Account::count(std::span<const std::int64_t> ids, RecordKind kind) const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(ids, [&](std::int64_t id) { return kind_of(id) == kind; }));
}

bool Account::refuses(const std::string& table, const std::string& tuple) const {
  return table == streams_[0]->quoted_table() && kind_of(id_of_reading(tuple)) == RecordKind::refused;
}

std::map<std::int64_t, Account::Copies> Account::copies(const test::ServerState& server) const {
  std::map<std::int64_t, Copies> copies;
  for (const std::string& row : rows_of(server, *streams_[0])) ++copies[id_of_reading(row)].rows;
  for (const std::string& row : rows_of(server, *streams_[1]))
    if (field(row, letter_code_) != dead_letter_summary_code)
      ++copies[id_in(field(row, letter_payload_))].letters;
  return copies;
}

// A record that was malformed may have no dead letter: there was no room for it.
std::optional<Trouble> Account::check(std::int64_t id, const Record& record, const Copies& copies) {
  const bool row = record.kind == RecordKind::good;
  const std::uint64_t count = row ? copies.rows : copies.letters;
  const std::string subject = (row ? "record " : "the dead letter of record ") + std::to_string(id);
  if (!row && copies.rows > 0)
    return Trouble{Finding::stored_refused,
                   "record " + std::to_string(id) + " is not fit to be stored, and is"};
  if (row && copies.letters > 0)
    return Trouble{Finding::stored_refused,
                   "record " + std::to_string(id) + " is good, and has a dead letter"};
  if (count > 1)
    return Trouble{Finding::stored_again, subject + " is stored " + std::to_string(count) + " times"};
  if (record.fate == Fate::refused && count > 0)
    return Trouble{Finding::stored_refused, subject + " is stored, and its sender was told that nothing is"};
  if (record.fate == Fate::acknowledged && count == 0 && record.kind != RecordKind::malformed)
    return Trouble{Finding::lost, subject + " was acknowledged and is lost"};
  return std::nullopt;
}

std::optional<Trouble> Account::check(const test::ServerState& server) const {
  const std::map<std::int64_t, Copies> found = copies(server);
  for (const auto& [id, record] : records_) {
    const auto copies = found.find(id);
    if (auto trouble = check(id, record, copies == found.end() ? Copies{} : copies->second)) return trouble;
  }
  for (const auto& [id, copies] : found)
    if (!records_.contains(id))
      return Trouble{Finding::foreign,
                     "the tables hold record " + std::to_string(id) + ", which nobody sent"};
  return std::nullopt;
}

std::uint64_t Account::quarantined(const test::ServerState& server) const {
  const auto refused = to_string(RecordErrorCode::database_refused);
  return static_cast<std::uint64_t>(
      std::ranges::count_if(rows_of(server, *streams_[1]),
                            [&](const std::string& row) { return field(row, letter_code_) == refused; }));
}

}  // namespace wellhead::simulation
