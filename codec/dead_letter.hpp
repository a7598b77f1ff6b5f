// The dead letter: what is kept of a record that did not become a row, as a row of the stream `dead_letter`.
//
// In:  what is known of the record and why it was not taken. Out: one row in the pipeline's form, which goes
// the way of every row. No I/O.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/record_error.hpp"
#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "codec/schema_index.hpp"

namespace wellhead {

inline constexpr std::string_view dead_letter_stream_name = "dead_letter";

// The stream of the table that migrations/0007_dead_letter.sql makes. Internal: clients cannot send to it.
// `payload_bytes_max`: the most that is kept of one record, 1 to DeadLetterWriter::payload_bytes_limit.
[[nodiscard]] StreamConfig dead_letter_stream(std::uint32_t payload_bytes_max);

enum class PayloadForm : std::uint8_t {
  original,  // the record's bytes as they were received
  row,       // a JSON object made from the row: the database refused it when the record was gone
};
[[nodiscard]] std::string_view to_string(PayloadForm form) noexcept;

// Texts that are not known are empty, and NULL in the table. Longer ones than the table's bounds are cut; the
// views need to live for one call only.
struct DeadLetter {
  std::int64_t received_us = 0;  // microseconds since 2000-01-01 UTC; orders the table
  std::string_view stream;       // that the record was for
  std::string_view code;         // RecordErrorCode's name, or one of the two below
  std::string_view field = {};
  std::string_view message = {};
  std::string_view sqlstate = {};
  std::string_view source = {};  // listener and peer
  std::string_view device_id = {};
  std::string_view payload = {};
  std::uint64_t payload_bytes = 0;  // of the whole record, where `payload` may be the beginning of it
  PayloadForm payload_form = PayloadForm::original;
  std::optional<std::uint32_t> record_index = {};  // within its request
};

// The code of a row that only tells how many more were rejected in the same request.
inline constexpr std::string_view dead_letter_summary_code = "not_kept";

// The code of a record that is stored, with NULL for a value that was out of range; `payload` is what was
// sent.
inline constexpr std::string_view dead_letter_repaired_code = "repaired";

// A row the database refused.
struct RefusedTuple {
  const Schema& schema;
  const RowHeader& header;
  std::span<const std::byte> tuple;
  std::string_view sqlstate;
  std::string_view message;
};

// Writes dead letters as rows. One per thread.
class DeadLetterWriter {
 public:
  static constexpr std::uint32_t payload_bytes_limit = 1U << 20;

  // `schema` is dead_letter_stream()'s. `seed` must differ between writers of one database: it makes the ids.
  DeadLetterWriter(SchemaPointer schema, std::string node_id, std::uint64_t seed);

  // Into `rows`; false when they had no room. RowHeader::record_index is the letter's, or 0.
  [[nodiscard]] bool write(const DeadLetter& letter, RowSink& rows);
  // Its tuple alone behind `tuples`: for a shard, which copies it at once.
  void append(const DeadLetter& letter, std::vector<std::byte>& tuples);
  // The same for a refused row, whose payload is made from its tuple. Nothing for a dead letter: it has none
  // of its own.
  void append(const RefusedTuple& refused, std::int64_t now_us, std::vector<std::byte>& tuples);

  [[nodiscard]] const Schema& schema() const noexcept { return *schema_; }

 private:
  using Id = std::array<char, 16>;

  void fill_slots(const DeadLetter& letter);
  void put_payload(const DeadLetter& letter);
  void make_id(std::int64_t received_us);
  void put_text(std::size_t column, std::string_view text);

  SchemaPointer schema_;
  std::string node_id_;
  std::uint64_t seed_;
  std::uint64_t written_ = 0;
  // Of the letter at hand.
  Id id_{};
  std::vector<std::string> texts_;  // by column, cut and made fit for the database
  std::vector<Slot> slots_;
};

}  // namespace wellhead
