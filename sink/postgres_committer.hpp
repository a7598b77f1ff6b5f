// Commits flushes to PostgreSQL, each in one transaction that also moves this shard's row in
// wellhead_progress:
//
//   BEGIN; UPDATE wellhead_progress SET sequence = N …; COPY … ; COPY … ; COMMIT      (one message, two round
//   trips)
//
// A connection that breaks behind the last COPY leaves open whether the COMMIT happened. The next connection
// reads the sequence FOR UPDATE: the stale backend, if it still runs, holds that row's lock since before its
// first COPY byte, so the read waits for its end. N there: committed. N - 1: not, and the flush is sent
// again. Never lost, never doubled.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sink/chunk_guard.hpp"
#include "sink/copy_stream.hpp"
#include "sink/database.hpp"
#include "sink/flush.hpp"
#include "sink/notice_log.hpp"
#include "sink/postgres_options.hpp"
#include "sink/salvage.hpp"
#include "sink/shard.hpp"
#include "sink/sqlstate.hpp"

namespace wellhead {

class PostgresCommitter final : public Committer {
 public:
  // REQUIRES streams[i]->index() == i.
  PostgresCommitter(std::unique_ptr<Database> database, const std::string& node_id, std::uint32_t shard,
                    std::vector<SchemaPointer> streams);

  void attach(ShardStats& stats) override { stats_ = &stats; }
  [[nodiscard]] bool prepare(const std::atomic<bool>& stopping, ShardState& state,
                             std::string& problem) override;
  [[nodiscard]] FlushOutcome commit(std::span<Batch* const> batches, const std::atomic<bool>& stopping,
                                    std::string& problem) override;
  [[nodiscard]] bool idle_check() override;

 private:
  // Why a step failed, as the shard's state will say it.
  struct Failure {
    ErrorKind kind;
    std::string problem;
  };
  using Step = std::expected<void, Failure>;

  // A flush that was tried and whose outcome is open.
  struct Unresolved {
    std::uint64_t sequence;
    std::vector<Refusal> refusals;
    std::uint64_t bytes;
  };

  [[nodiscard]] Step check_streams();
  [[nodiscard]] Step resume();
  [[nodiscard]] Step resolve(std::uint64_t found);

  [[nodiscard]] std::string opening() const;
  [[nodiscard]] DatabaseResult<void> commit_fast();
  [[nodiscard]] DatabaseResult<void> commit_salvaging();
  [[nodiscard]] DatabaseResult<void> take_progress(const DatabaseStep& step);
  [[nodiscard]] FlushOutcome committed(std::span<Batch* const> batches);
  [[nodiscard]] FlushOutcome failed(const DatabaseError& error, std::string& problem);
  void roll_back();
  void drop_connection();

  const std::unique_ptr<Database> database_;
  const std::string node_id_;
  const std::string progress_key_;  // WHERE … of this shard's row
  const std::uint32_t shard_;
  const std::vector<SchemaPointer> streams_;
  NoticeLog notices_;
  ShardStats* stats_ = nullptr;

  bool prepared_ = false;
  std::optional<std::uint64_t>
      sequence_;  // of the last flush known to be committed; none before the first connection
  std::optional<Unresolved> unresolved_;
  bool resolved_committed_ = false;  // the unresolved flush turned out to be committed

  Flush flush_;
  CopyStream copy_stream_;
  ChunkGuard chunk_guard_;
  bool chunks_known_ = false;
  std::vector<Refusal> refusals_;
  std::uint64_t bytes_ = 0;
  // Where the fast way failed for its data.
  std::size_t bad_stream_ = 0;
  std::optional<std::uint64_t> bad_line_;
};

// With a libpq connection of its own. REQUIRES validate(options).
[[nodiscard]] std::unique_ptr<Committer> make_postgres_committer(const PostgresOptions& options,
                                                                 std::uint32_t shard,
                                                                 std::vector<SchemaPointer> streams);

}  // namespace wellhead
