// Commits flushes to PostgreSQL, each in one transaction that also moves the flush's lanes in
// wellhead_progress:
//
//   BEGIN; UPDATE wellhead_progress …; COPY … ; COPY … ; COMMIT      (one message, two round trips)
//
// Where rows are scored, the baselines that are to be saved go into the same message, before the UPDATE. They
// so stand in the database exactly for rows it has.
//
// So does what the aggregates that the node keeps have to compute again, see sink/invalidation_log.
//
// A connection that breaks behind the last COPY leaves open whether the COMMIT happened. The next connection
// reads the lanes FOR UPDATE: the stale backend, if it still runs, holds those rows' locks since before its
// first COPY byte, so the read waits for its end, and then tells. Never lost, never doubled.
//
// That read's own commit is synchronous. It is younger than every commit it saw, and the log is written in
// order, so from then on a crash cannot undo what was read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sink/catalog.hpp"
#include "sink/chunk_guard.hpp"
#include "sink/committer.hpp"
#include "sink/copy_stream.hpp"
#include "sink/database.hpp"
#include "sink/direct_compress.hpp"
#include "sink/flush.hpp"
#include "sink/flush_scorer.hpp"
#include "sink/invalidation_log.hpp"
#include "sink/notice_log.hpp"
#include "sink/postgres_options.hpp"
#include "sink/progress.hpp"
#include "sink/salvage.hpp"
#include "sink/sqlstate.hpp"

namespace wellhead {

// Where refused rows go, in the transaction of the rows around them.
struct DeadLetterTable {
  // Appends a COPY tuple of the table for a row of `schema` that the database refused; its own tuple lies
  // behind its header.
  using Encoder = std::function<void(const RefusedRow&, const RowHeader&, const Schema& schema,
                                     std::vector<std::byte>& tuple)>;
  Encoder encode = nullptr;         // none: refused rows are only counted
  std::string copy_statement = {};  // COPY … FROM STDIN (FORMAT binary)
};

// What a committer needs besides its connection.
struct CommitterSetup {
  std::uint32_t shard = 0;
  std::vector<SchemaPointer> streams = {};  // streams[i]->index() == i
  // The first so many take new records, and their tables are checked on every connection. The others may have
  // rows of earlier runs left; a table that is gone since matters only if there are any.
  std::size_t streams_in_use = SIZE_MAX;
  ProgressOwner owner = {};
  std::string synchronous_commit = "on";  // what the sessions run with
  DeadLetterTable dead_letter = {};
  std::unique_ptr<Scorer> scorer = nullptr;  // of all streams; none: rows go as they are
  DirectCompressOptions direct_compress = {};
};

class PostgresCommitter final : public Committer {
 public:
  PostgresCommitter(std::unique_ptr<Database> database, CommitterSetup setup);

  void attach(ShardStats& stats) override;
  [[nodiscard]] bool always_durable() const noexcept override { return !asynchronous_; }
  [[nodiscard]] bool prepare(std::span<LaneProgress> lanes, const std::atomic<bool>& stopping,
                             ShardState& state, std::string& problem) override;
  [[nodiscard]] FlushReport commit(const FlushOrder& order, const std::atomic<bool>& stopping) override;
  [[nodiscard]] bool idle_check() override;
  void finish(std::chrono::steady_clock::time_point deadline, const std::atomic<bool>& stopping) override;

 private:
  // Why a step failed, as the shard's state will say it.
  struct Failure {
    ErrorKind kind;
    std::string problem;
  };
  using Step = std::expected<void, Failure>;

  [[nodiscard]] Step connect();
  [[nodiscard]] Step check_streams();
  [[nodiscard]] DatabaseResult<void> look_at_tables(const CatalogReport& catalog);
  [[nodiscard]] DatabaseResult<void> warn_of_narrower_checks();
  [[nodiscard]] Step read_progress(std::span<LaneProgress> lanes);

  [[nodiscard]] std::string chunk_lock() const;
  [[nodiscard]] std::string begin(const FlushOrder& order) const;
  [[nodiscard]] std::string opening(const FlushOrder& order) const;
  [[nodiscard]] DatabaseResult<std::string> opening_with_baselines(const FlushOrder& order);
  [[nodiscard]] DatabaseResult<void> commit_moves(const FlushOrder& order);
  [[nodiscard]] DatabaseResult<void> commit_scored(const FlushOrder& order);
  [[nodiscard]] DatabaseResult<void> commit_fast(const FlushOrder& order);
  [[nodiscard]] DatabaseResult<void> commit_salvaging(const FlushOrder& order);
  [[nodiscard]] DatabaseResult<void> take_progress(const DatabaseStep& step, const FlushOrder& order);
  [[nodiscard]] DatabaseResult<void> commit_opened();
  void tell_batches(std::span<Batch* const> batches);
  [[nodiscard]] DatabaseResult<void> store_dead_letters(std::span<Batch* const> batches);
  [[nodiscard]] DatabaseResult<void> save_baselines_apart();
  [[nodiscard]] DatabaseResult<bool> save_if_taken(const std::string& save);
  [[nodiscard]] DatabaseResult<void> save_rest();
  [[nodiscard]] FlushReport failed(const DatabaseError& error, const FlushOrder& order);
  void roll_back();
  void drop_connection();
  void take_notice(const DatabaseNotice& notice);
  void committed();

  const std::unique_ptr<Database> database_;
  const std::uint32_t shard_;
  const std::vector<SchemaPointer> streams_;
  const std::size_t streams_in_use_;
  const ProgressTable progress_;
  const bool asynchronous_;
  const DeadLetterTable dead_letter_;
  NoticeLog notices_;
  ShardStats* stats_ = nullptr;

  bool prepared_ = false;
  Flush flush_;
  FlushScorer scoring_;
  CopyStream copy_stream_;
  DirectCompress direct_compress_;
  ChunkGuard chunk_guard_;
  // The first compressed rows make a chunk a compressed one, for which it is locked as if it were new.
  ChunkGuard compressed_chunk_guard_;
  bool chunks_known_ = false;
  bool compressed_chunks_known_ =
      true;                  // no row goes compressed where this connection has not compressed yet
  bool has_chunks_ = false;  // the server has TimescaleDB
  InvalidationLog invalidations_;
  std::vector<std::string> narrower_checks_;  // as they were told last
  std::vector<Refusal> refusals_;
  std::uint64_t bytes_ = 0;
  bool committing_ = false;      // the COMMIT may happen without this side hearing of it
  bool foreign_writer_ = false;  // the progress is not where this node left it
  // Of the flush's transaction: the streams of its COPYs, in their order.
  std::vector<std::size_t> copied_streams_;
  // The one that is being sent; after a failure, where the fast way failed for its data.
  std::size_t bad_stream_ = 0;
  std::optional<std::uint64_t> bad_line_;
};

// With a libpq connection of its own. REQUIRES validate(options). Takes the owner's node id and the sessions'
// synchronous_commit from the options.
[[nodiscard]] std::unique_ptr<Committer> make_postgres_committer(const PostgresOptions& options,
                                                                 CommitterSetup setup);

}  // namespace wellhead
