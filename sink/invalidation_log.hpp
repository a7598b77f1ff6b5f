// Tells the database, where the node keeps its aggregates, which stretches of time a flush writes to: rows of
// wellhead_invalidation in the flush's own transaction. A refresh then computes these buckets again and no
// others. Where the server keeps continuous aggregates, or there are none, nothing is written.
//
// Told too much costs computing, told too little is a wrong aggregate for ever. So the statement is made of
// the rows before anything is refused of them, and is sent again with each try of a flush: a try that is
// rolled back takes its log rows along, and one whose outcome is unknown is tried again only if it was not
// committed. Even if it were told twice, the second refresh would compute the same numbers.
//
// Owner: the committer, on the shard's thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schema.hpp"
#include "sink/database.hpp"
#include "sink/flush.hpp"
#include "sink/touched_time.hpp"

namespace wellhead {

// Made by the migrations on servers without continuous aggregates.
inline constexpr std::string_view invalidation_table = "wellhead_invalidation";
inline constexpr std::string_view aggregates_table = "wellhead_aggregate";

// A stream whose table is the source of aggregates that the node keeps.
struct AggregatedStream {
  std::size_t stream;  // its place among those asked for
  std::string source;  // the table as wellhead_aggregate names it
};

// REQUIRES both tables above, and the right to read the latter.
[[nodiscard]] DatabaseResult<std::vector<AggregatedStream>> find_aggregated_streams(
    Database& database, std::span<const SchemaPointer> streams);

class InvalidationLog {
 public:
  // What the connection is to tell of; none: nothing.
  void tell_of(std::vector<AggregatedStream> streams) { streams_ = std::move(streams); }

  // Puts together statement() for a flush.
  void look_at(const Flush& flush);
  // One INSERT of at most TouchedTime::ranges_max rows a table; empty where there is nothing to tell.
  [[nodiscard]] const std::string& statement() const noexcept { return statement_; }

 private:
  std::vector<AggregatedStream> streams_;
  TouchedTime touched_;
  std::string statement_;
};

}  // namespace wellhead
