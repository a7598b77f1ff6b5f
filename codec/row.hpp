// The form of a row between the decoder and the database, in memory and later in the journal.
//
//   row   = RowHeader, tuple, zero padding to 8 bytes
//   tuple = one PostgreSQL COPY BINARY tuple: int16 field count, then per field int32 length and value,
//   big-endian
//           (PostgreSQL documentation, "COPY", "Binary Format")
//
// Rows follow one another without gaps. The header's numbers are in the machine's byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "codec/record_error.hpp"

namespace wellhead {

enum class RowKind : std::uint8_t {
  record,       // of its stream
  dead_letter,  // tells of a record that did not become a row; no record itself
};

struct RowHeader {
  std::uint64_t device_hash;   // XXH3-64 of the device id's bytes; decides the shard
  std::int64_t time_us;        // the row's partition time, microseconds since 2000-01-01 UTC
  std::uint32_t tuple_bytes;   // length of the tuple behind this header, without padding
  std::uint32_t record_index;  // of the record within its request
  std::uint16_t stream;        // Schema::index()
  RowKind kind = RowKind::record;
  // What the decoder found of the reading's quality (codec/quality.hpp); by scored field where a mask.
  std::uint8_t quality_reasons = 0;
  std::uint16_t quality_missing = 0;
  std::uint16_t quality_out_of_range = 0;
};
static_assert(sizeof(RowHeader) == 32);

inline constexpr std::size_t row_alignment = 8;
static_assert(sizeof(RowHeader) % row_alignment == 0);

// Bytes a row with a tuple of `tuple_bytes` takes in a batch.
[[nodiscard]] constexpr std::size_t row_bytes(std::size_t tuple_bytes) noexcept {
  return sizeof(RowHeader) + (tuple_bytes + row_alignment - 1) / row_alignment * row_alignment;
}

// A record that is not taken, or not as it was sent. Everything but `text` and `field` is valid during the
// call that tells of it.
struct RejectedRecord {
  std::uint32_t index;  // of the record within its request, from 0
  RecordErrorCode code;
  std::string_view field;      // column name, owned by the schema; empty where no single field is at fault
  std::string_view message;    // a sentence for whoever sends the records
  std::string_view device_id;  // empty where it was not read before the fault
  std::string_view text;       // the record as received, within the request's body
  // Length of the record where `text` is only its beginning; 0: all of it is there.
  std::uint64_t whole_bytes = 0;
};

// Where the decoder puts rows. One thread.
class RowSink {
 public:
  virtual ~RowSink() = default;
  // Room for one row of row_bytes(tuple_bytes), 8-byte aligned, which the caller fills at once and completely
  // (header and tuple; the padding is the sink's). Null when there is no memory for it: the caller then gives
  // up the whole request.
  [[nodiscard]] virtual std::byte* allocate_row(std::uint64_t device_hash, std::uint32_t tuple_bytes) = 0;

  // Whether on_rejected() or on_repaired() is to be called for the next such record. Asked at the start of a
  // request and after each of them, so that it costs the good ones nothing.
  [[nodiscard]] virtual bool wants_rejected() const noexcept { return false; }
  virtual void on_rejected(const RejectedRecord& /*record*/) {}
  // Under the same condition: the row of the record was written, with NULL for what was out of range. `code`,
  // `field` and `message` are those of the first such value.
  virtual void on_repaired(const RejectedRecord& /*record*/) {}
};

}  // namespace wellhead
