// Which rows go into their table compressed at once, by TimescaleDB's direct compress (Community edition from
// 2.21, and from 2.24 of tables with continuous aggregates): chosen for each flush and each table.
//
// A compressed batch holds rows of one device. Of a flush with many rows per device COPY makes full batches,
// faster than it fills rows and index, in a fraction of the space; of few it makes tiny batches, which cost
// more than the rows they hold. So live flushes of few rows per device stay rows until the server's policy
// compresses them, and what was gathered for long, comes back from the journal or is of days past, is
// compressed on the way.
//
// The choice is a setting of the flush's own transaction around that table's COPY: whatever becomes of the
// flush, nothing of it stays. A flush that is salvaged goes without, row by row. From 2.29 a table can have a
// switch of its own (tsdb.direct_compress), which the server puts above the setting, so that nobody can take
// it off here: every flush of such a table is compressed, and what is salvaged too, in small batches, as
// correct and slower.
//
// Rows go sorted, but the promise that TimescaleDB calls client_sorted is not made: it is about the whole
// chunk, and measured slower where it holds (docs/performance.md).
//
// Owner: the committer, on the shard's thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schema.hpp"
#include "queue/batch.hpp"
#include "sink/database.hpp"
#include "sink/flush.hpp"

namespace wellhead {

enum class DirectCompressUse : std::uint8_t {
  automatic,  // flushes it pays for
  off,        // the server's own setting counts
  always,     // every flush into a table that can take it
};

struct DirectCompressOptions {
  static constexpr std::uint32_t rows_per_device_min_default = 50;
  // Catching up, fewer rows per device do: what is late falls into older chunks, which are compressed already
  // or soon will be. Below this it costs more than rows do whenever it comes.
  static constexpr std::uint64_t catch_up_rows_per_device_min = 10;
  static constexpr std::uint64_t catch_up_rows_min = 10'000;
  // Rows older than a chunk is long are caught up with as well, by whatever way they come.
  static constexpr std::int64_t late_after_us = 24LL * 3'600 * 1'000'000;

  DirectCompressUse use = DirectCompressUse::automatic;
  std::uint32_t rows_per_device_min = rows_per_device_min_default;  // on average; at least 1
};

// An expression of SQL, for any server: whether it has the setting, and its edition what stands behind it. A
// table that was compressed by the other edition must not be tried.
inline constexpr std::string_view direct_compress_offered =
    "current_setting('timescaledb.enable_direct_compress_copy', true) IS NOT NULL AND "
    "current_setting('timescaledb.license', true) = 'timescale' AND "
    "to_regclass('timescaledb_information.hypertables') IS NOT NULL";

// Of `streams`, the numbers of those whose tables can take it: hypertables with a columnstore, without what
// makes the server skip it (unique index, exclusion constraint, trigger, before 2.24 continuous aggregates).
// Takes the session's setting away from the server's configuration. REQUIRES a server that offers it, see
// CatalogReport.
[[nodiscard]] DatabaseResult<std::vector<std::size_t>> find_compressible_streams(
    Database& database, std::span<const SchemaPointer> streams);

class DirectCompress {
 public:
  explicit DirectCompress(DirectCompressOptions options) : options_(options) {}

  [[nodiscard]] bool wanted() const noexcept { return options_.use != DirectCompressUse::off; }
  // What this connection's tables can take; none, as before the first call: nothing is chosen.
  void allow(std::vector<std::size_t> streams) { allowed_ = std::move(streams); }

  // Decides for a flush, `batches` being what it was assigned from. Now: microseconds since 2000-01-01 UTC.
  void choose(const Flush& flush, std::span<Batch* const> batches, std::int64_t now_us);
  [[nodiscard]] bool any() const noexcept { return !chosen_.empty(); }
  [[nodiscard]] bool chosen(std::size_t stream) const noexcept;
  [[nodiscard]] std::span<const std::size_t> chosen() const noexcept { return chosen_; }
  // Statements around the stream's COPY; empty where it is not chosen.
  [[nodiscard]] std::string_view before_copy(std::size_t stream) const noexcept;
  [[nodiscard]] std::string_view after_copy(std::size_t stream) const noexcept;

  // The server says that it stores rows as rows although it was asked for more.
  [[nodiscard]] static bool says_skipped(const DatabaseNotice& notice) noexcept;
  // It said so of this stream: not asked for any more on this connection.
  void skipped(std::size_t stream);
  // The flush goes, or went, without.
  void withdraw() noexcept { chosen_.clear(); }

 private:
  [[nodiscard]] bool pays(std::span<const SortedRow> rows, std::size_t devices, bool read_back,
                          std::int64_t now_us) const noexcept;

  const DirectCompressOptions options_;
  std::vector<std::size_t> allowed_;
  std::vector<std::size_t> chosen_;
};

}  // namespace wellhead
