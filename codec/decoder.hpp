// Bytes to rows: JSON records in, COPY BINARY tuples out. No I/O, no allocation per accepted record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "codec/record_error.hpp"
#include "codec/row.hpp"
#include "codec/schema.hpp"

namespace wellhead {

// Bytes behind the input that must be readable (their content does not matter); simdjson loads whole vectors.
// Checked against simdjson's own constant in decoder.cpp.
inline constexpr std::size_t input_padding_bytes = 64;

enum class BodyFormat : std::uint8_t {
  detect,  // a JSON array or object, or newline-delimited records: told apart by looking
  ndjson,  // one record a line; blank lines are passed over
};

struct DecoderLimits {
  static constexpr std::uint32_t record_bytes_limit = 1U << 28;
  static constexpr std::uint32_t depth_limit = 1024;  // nested values are checked by recursion

  std::uint32_t record_bytes_max = 1U << 20;  // one record's JSON text, 1 to record_bytes_limit
  std::uint32_t depth_max = 32;               // nesting inside one record, itself included, 1 to depth_limit
};

enum class DecodeStatus : std::uint8_t {
  complete,        // every record was looked at; each is accepted or in the errors
  malformed_body,  // an array or a single object that is not JSON: what follows cannot be told apart any more
  no_memory,       // the RowSink had no room
};

struct DecodeResult {
  DecodeStatus status = DecodeStatus::complete;
  std::uint32_t received = 0;  // records seen; accepted + rejected when complete
  std::uint32_t accepted = 0;
  std::uint32_t rejected = 0;
  std::uint32_t repaired = 0;  // of the accepted: with NULL for a value that was out of range
  RecordErrorCode malformed_code =
      RecordErrorCode::malformed_json;  // with malformed_body: malformed_json, invalid_utf8, too_deep
  std::string malformed_message;        // with malformed_body
};

// What one call of decode works on.
struct DecodeRequest {
  const Schema& schema;
  std::string_view body;  // input_padding_bytes readable behind it
  BodyFormat format = BodyFormat::detect;
  std::int64_t receive_time_us = 0;  // microseconds since 2000-01-01 UTC
  std::string_view source = {};      // listener and peer, for columns that hold the sender; empty: not known
};

// One per thread; holds the parser's buffers, which grow to the largest body seen.
//
// A record is taken only if it is JSON (RFC 8259) from its first byte to its last: also the values of unknown
// keys, what stands behind a broken field, and what follows the record on its line are checked. All of a line
// or body is UTF-8. Of several faults in a record the first is reported, but that it is not JSON at all goes
// before the others.
class Decoder {
 public:
  // REQUIRES limits within their bounds.
  explicit Decoder(DecoderLimits limits);
  ~Decoder();

  // Rows go to `rows` as they are decoded; when the status is not complete the caller takes them back itself.
  // A bad record costs that record: its error is added and its neighbours are decoded.
  [[nodiscard]] DecodeResult decode(const DecodeRequest& request, RowSink& rows, RecordErrors& errors);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wellhead
