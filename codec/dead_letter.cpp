#include "codec/dead_letter.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/json_text.hpp"
#include "codec/row_encoder.hpp"
#include "codec/row_json.hpp"

namespace wellhead {
namespace {

// Positions in dead_letter_stream().columns.
enum Column : std::size_t {
  received_at,
  id,
  node_id,
  stream,
  code,
  field,
  message,
  sqlstate,
  source,
  device_id,
  payload,
  payload_bytes,
  payload_form,
  record_index,
  column_count
};

// What is kept of each text: a row of this table must not be refused, and must not be long for its message.
constexpr std::uint32_t name_bytes_max = 256;
constexpr std::uint32_t message_bytes_max = 1024;

ColumnConfig column_of(std::string name, ColumnType type) {
  return {.name = std::move(name), .type = type};
}

ColumnConfig text_of(std::string name, std::uint32_t bytes_max) {
  ColumnConfig column = column_of(std::move(name), ColumnType::text);
  column.text_bytes_max = bytes_max;
  return column;
}

void put_number(Slot& slot, std::uint64_t bits, std::int32_t length) noexcept {
  slot.bits = bits;
  slot.length = length;
}

}  // namespace

std::string_view to_string(PayloadForm form) noexcept {
  return form == PayloadForm::original ? "original" : "row";
}

StreamConfig dead_letter_stream(std::uint32_t payload_bytes_max) {
  ColumnConfig payload_column = column_of("payload", ColumnType::bytea);
  payload_column.text_bytes_max = payload_bytes_max;
  StreamConfig config{.name = std::string(dead_letter_stream_name),
                      .table = std::string(dead_letter_stream_name),
                      .device_column = "stream",
                      .time_column = "received_at"};
  config.internal = true;
  config.columns = {column_of("received_at", ColumnType::timestamptz),
                    column_of("id", ColumnType::uuid),
                    text_of("node_id", name_bytes_max),
                    text_of("stream", name_bytes_max),
                    text_of("code", name_bytes_max),
                    text_of("field", name_bytes_max),
                    text_of("message", message_bytes_max),
                    text_of("sqlstate", name_bytes_max),
                    text_of("source", name_bytes_max),
                    text_of("device_id", name_bytes_max),
                    std::move(payload_column),
                    column_of("payload_bytes", ColumnType::bigint),
                    text_of("payload_form", name_bytes_max),
                    column_of("record_index", ColumnType::integer)};
  WELLHEAD_ASSERT(config.columns.size() == column_count);
  return config;
}

DeadLetterWriter::DeadLetterWriter(SchemaPointer schema, std::string node_id, std::uint64_t seed)
    : schema_(std::move(schema)),
      node_id_(std::move(node_id)),
      seed_(seed),
      texts_(column_count),
      slots_(column_count) {
  WELLHEAD_ASSERT(schema_->name() == dead_letter_stream_name &&
                  schema_->lookup().plans().size() == column_count);
}

bool DeadLetterWriter::write(const DeadLetter& letter, RowSink& rows) {
  fill_slots(letter);
  const std::string& shard_key = texts_[Column::stream];
  const std::uint64_t hash = XXH3_64bits(shard_key.data(), shard_key.size());
  const std::uint32_t bytes = tuple_bytes(slots_);
  std::byte* const row = rows.allocate_row(hash, bytes);
  if (row == nullptr) return false;
  const RowHeader header{.device_hash = hash,
                         .time_us = letter.received_us,
                         .tuple_bytes = bytes,
                         .record_index = letter.record_index.value_or(0),
                         .stream = schema_->index(),
                         .kind = RowKind::dead_letter};
  std::memcpy(row, &header, sizeof(header));
  const std::byte* const end = encode_tuple(row + sizeof(header), schema_->lookup().plans(), slots_);
  WELLHEAD_ASSERT(end == row + sizeof(header) + bytes);
  return true;
}

void DeadLetterWriter::append(const DeadLetter& letter, std::vector<std::byte>& tuples) {
  fill_slots(letter);
  const std::size_t begin = tuples.size();
  tuples.resize(begin + tuple_bytes(slots_));
  const std::byte* const end = encode_tuple(tuples.data() + begin, schema_->lookup().plans(), slots_);
  WELLHEAD_ASSERT(end == tuples.data() + tuples.size());
}

void DeadLetterWriter::append(const RefusedTuple& refused, std::int64_t now_us,
                              std::vector<std::byte>& tuples) {
  if (refused.header.kind == RowKind::dead_letter) return;
  const std::string json = row_as_json(refused.schema, refused.tuple);
  append({.received_us = now_us,
          .stream = refused.schema.name(),
          .code = to_string(RecordErrorCode::database_refused),
          .message = refused.message,
          .sqlstate = refused.sqlstate,
          .device_id = tuple_field(refused.tuple, refused.schema.lookup().device_column()),
          .payload = json,
          .payload_bytes = json.size(),
          .payload_form = PayloadForm::row,
          .record_index = refused.header.record_index},
         tuples);
}

void DeadLetterWriter::fill_slots(const DeadLetter& letter) {
  slots_.assign(column_count, Slot{});
  put_number(slots_[Column::received_at], static_cast<std::uint64_t>(letter.received_us),
             sizeof(std::int64_t));
  make_id(letter.received_us);
  slots_[Column::id].text = id_.data();
  slots_[Column::id].length = static_cast<std::int32_t>(id_.size());
  put_text(Column::node_id, node_id_);
  put_text(Column::stream, letter.stream);
  put_text(Column::code, letter.code);
  put_text(Column::field, letter.field);
  put_text(Column::message, letter.message);
  put_text(Column::sqlstate, letter.sqlstate);
  put_text(Column::source, letter.source);
  put_text(Column::device_id, letter.device_id);
  put_payload(letter);
  if (letter.record_index)
    put_number(slots_[Column::record_index], *letter.record_index, sizeof(std::int32_t));
}

void DeadLetterWriter::put_text(std::size_t column, std::string_view text) {
  if (text.empty()) return;
  texts_[column] = storable_text(text, schema_->columns()[column].text_bytes_max);
  slots_[column].text = texts_[column].data();
  slots_[column].length = static_cast<std::int32_t>(texts_[column].size());
}

void DeadLetterWriter::put_payload(const DeadLetter& letter) {
  if (letter.payload.empty()) return;
  const std::size_t kept_max = schema_->columns()[Column::payload].text_bytes_max;
  slots_[Column::payload].text = letter.payload.data();
  slots_[Column::payload].length = static_cast<std::int32_t>(std::min(letter.payload.size(), kept_max));
  put_number(slots_[Column::payload_bytes], letter.payload_bytes, sizeof(std::int64_t));
  put_text(Column::payload_form, to_string(letter.payload_form));
}

// A version 7 UUID (RFC 9562): it begins with the time in milliseconds, so that whoever has an id knows where
// in the table to look.
void DeadLetterWriter::make_id(std::int64_t received_us) {
  constexpr std::uint64_t version = 0x7000;
  constexpr std::uint64_t variant = 1ULL << 63;
  const std::uint64_t number = ++written_;
  const auto unix_ms = static_cast<std::uint64_t>((received_us + postgres_epoch_unix_us) / 1'000);
  const std::uint64_t random = XXH3_64bits_withSeed(&number, sizeof(number), seed_);
  const std::uint64_t high = unix_ms << 16 | version | (number & 0x0FFF);
  const std::uint64_t low = variant | random >> 2;
  const std::uint64_t words[2] = {copy_binary::big_endian(high), copy_binary::big_endian(low)};
  static_assert(sizeof(words) == sizeof(Id));
  std::memcpy(id_.data(), words, sizeof(words));
}

}  // namespace wellhead
