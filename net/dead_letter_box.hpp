// Gathers the rejected and the repaired records of the request in work, until it is known that the request
// stands; then posts them as rows of the stream dead_letter, in the batches of the same request.
//
// In:  such records, as the decoder finds them. Out: rows, at most so many a request, and one that counts
// the others: a flood of bad records shall not crowd out good ones.
//
// Thread: the reactor's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/dead_letter.hpp"
#include "codec/row.hpp"

namespace wellhead {

struct DeadLetterOptions {
  SchemaPointer schema = {};  // dead_letter_stream()'s; none: nothing is kept
  std::string node_id = {};
  std::uint32_t per_request_max = 1'000;
  std::uint64_t seed = 0;  // see DeadLetterWriter
};

class DeadLetterBox {
 public:
  explicit DeadLetterBox(const DeadLetterOptions& options);

  // Forgets the last request. Without `wanted`, this one's records are not kept.
  void start(bool wanted);
  [[nodiscard]] bool wants() const noexcept { return kept_.size() < limit_; }
  // REQUIRES wants(). The record's text must stay until post().
  void add(const RejectedRecord& record) { add(record, to_string(record.code)); }
  void add_repaired(const RejectedRecord& record) { add(record, dead_letter_repaired_code); }
  // None of the request's rows is stored after all, so nothing was repaired.
  void forget_repaired();
  [[nodiscard]] bool empty() const noexcept { return kept_.empty(); }

  // What the letters of one request have in common.
  struct Origin {
    std::string_view stream;
    std::string_view source;
    std::int64_t received_us = 0;
    std::uint32_t records = 0;  // rejected and repaired ones of the request, kept here or not
  };
  struct Posted {
    std::uint32_t rows = 0;
    std::uint32_t dropped = 0;  // records that have no row of their own
  };
  // Until `rows` has no more room. REQUIRES that something was added.
  [[nodiscard]] Posted post(const Origin& origin, RowSink& rows);

 private:
  struct Kept {
    std::uint32_t index;
    std::string_view code;
    std::string_view field;
    std::string message;
    std::string device_id;
    std::string_view text;
    std::uint64_t bytes;
  };

  void add(const RejectedRecord& record, std::string_view code);
  [[nodiscard]] bool post_summary(const Origin& origin, std::uint32_t dropped, RowSink& rows);

  std::optional<DeadLetterWriter> writer_;
  std::size_t per_request_max_;
  std::size_t limit_ = 0;  // of the request in work
  std::vector<Kept> kept_;
};

}  // namespace wellhead
