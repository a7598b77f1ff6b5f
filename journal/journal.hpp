// The journal: makes batches durable on this machine before anything is acknowledged, and gives them back
// after a crash, an outage or a failover until the database has them for good.
//
// In:  batches of a reactor, once a turn (JournalWriter). Out: batches read back by a shard (JournalReader).
// One writer per reactor, used by its thread only; any number of readers, each used by one thread; everything
// else says.
//
// The first failed write or synchronization latches the writer: nothing it did not finish is ever durable,
// nothing more is taken until reopen(). The journal never deletes what trim() was not told to be flushed in
// the database.
//
// Files: DIR/lock, DIR/identity, DIR/epochs/NNNNNNNN (what ran then),
// DIR/segments/EEEEEEEE-RRRR-SSSSSSSSSSSS.segment (epoch, reactor, segment number), DIR/spare/* (segments
// ready for use), DIR/quarantine/* (damaged blocks set aside), DIR/ledger (see journal/ledger.hpp).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "journal/file_system.hpp"
#include "journal/format.hpp"
#include "queue/batch.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// Whether segments are written around the page cache.
enum class DirectIo : std::uint8_t {
  required,   // O_DIRECT | O_DSYNC; a file system without it is an error at open
  preferred,  // where the file system has it
  off,        // through the page cache, then fdatasync
};

struct JournalOptions {
  std::string node_id;         // a journal belongs to one node
  std::uint32_t reactors = 1;  // of this run
  std::uint32_t shards = 1;
  std::size_t batch_bytes = 0;  // the largest section of this run; recorded for readers of a later one
  std::string catalog;          // what the rows mean: opaque here, kept with the epoch (see engine)
  std::uint64_t segment_bytes = 64ULL << 20;
  std::uint64_t block_bytes_max = 32ULL
                                  << 20;  // sections of one block together; at most segment_bytes - 4 KiB
  std::uint64_t bytes_max = 4ULL << 30;   // all segments, spare ones included; then append() answers full
  std::uint64_t free_bytes_min = 256ULL << 20;  // left to the rest of the file system
  std::uint64_t keep_bytes = 256ULL << 20;  // flushed segments kept all the same, for a failover: the newest
  std::chrono::milliseconds keep_time{600'000};  // ones within both bounds
  DirectIo direct = DirectIo::preferred;
  bool accept_damage = false;  // carry on although blocks in the middle are damaged (they are quarantined)
};

enum class JournalErrorCode : std::uint8_t {
  in_use,      // another process has it
  wrong_node,  // written by another node id
  wrong_version,
  permissions,  // others may write to it, or this process may not
  no_direct_io,
  damaged,  // and accept_damage is off
  io,       // the system said no
};
struct JournalError {
  JournalErrorCode code;
  std::string sentence;  // what happened, what it means for the data, what to do
};

// Rows of one lane in a block that is damaged.
struct LostRows {
  static constexpr std::uint32_t unknown_shard = UINT32_MAX;  // where the section's header is lost too

  LaneId lane;
  std::uint64_t sequence;  // 0: not known
  std::uint32_t rows;      // as the header says, where it is whole; 0: not known
};

// What was found when the journal was opened.
struct JournalSurvey {
  struct Epoch {
    std::uint32_t epoch;
    std::uint32_t reactors;
    std::uint32_t shards;
    std::size_t batch_bytes;
    std::string catalog;
  };
  std::map<std::uint32_t, Epoch> epochs;  // earlier ones the journal holds segments of
  std::vector<OldLane> lanes;             // of earlier epochs, sorted
  std::uint64_t torn_bytes =
      0;  // incomplete blocks at the end of a reactor's last segment: never acknowledged, cut off
  std::uint64_t torn_blocks = 0;
  std::vector<LostRows> lost;         // in damaged blocks in the middle, set aside
  std::vector<std::string> findings;  // a sentence for each of the above
  std::uint64_t segments = 0;
  std::uint64_t bytes = 0;
  bool direct = true;  // this run writes around the page cache; false: `off`, or `preferred` fell back
};

enum class AppendStatus : std::uint8_t {
  planned,    // everything given is in the block that operation() now writes
  busy,       // a block is on its way: append again when it is durable
  not_ready,  // no segment is ready yet: append again soon; the preparer is at work
  full,       // bytes_max or free_bytes_min is reached, or no file can be made; problem() says so
  latched,    // a write failed; problem() says what and what to do
};

// One operation, for the thread beside the reactor (journal/operation_thread.hpp), or for whoever simulates
// it.
struct JournalOperation {
  enum class Kind : std::uint8_t { write, synchronize } kind;
  File* file;
  std::span<const iovec> pieces;  // write; stays valid until complete()
  std::uint64_t offset = 0;
};

enum class CompleteResult : std::uint8_t {
  more,     // operation() has the next: the rest of a short write, or the synchronization
  durable,  // every batch of the block is on disk
  failed,   // latched; the batches of the block are the caller's again, and nobody may say they are durable
};

// Written by the reactor's thread, read by any.
struct JournalWriterStats {
  Counter blocks;
  Counter sections;
  Counter rows;
  Counter bytes;  // with padding
  Counter write_failures;
  Counter full_refusals;
  Histogram write_us;  // from append to durable
};

class Journal;

class JournalWriter {
 public:
  virtual ~JournalWriter() = default;

  // Starts a block of all `batches` (each not empty, with shard() set) and, if not empty, a ledger section
  // with a copy of `ledger`, `ledger_entries` many. Gives each batch its lane and sequence. The batches stay
  // unchanged until the block is durable or failed. Without either the block is empty: it takes the place of
  // one that failed, which then counts no more. REQUIRES their sections together and the ledger's within
  // block_bytes_max.
  [[nodiscard]] virtual AppendStatus append(std::span<Batch* const> batches,
                                            std::span<const std::byte> ledger = {},
                                            std::uint32_t ledger_entries = 0) = 0;
  // What is to be done now. REQUIRES append() answered planned or complete() more.
  [[nodiscard]] virtual JournalOperation operation() const = 0;
  // `result`: bytes written, 0 for a synchronization, or -errno.
  [[nodiscard]] virtual CompleteResult complete(std::int64_t result) = 0;
  // Whether append() could answer planned: false while busy, full or latched. Any thread.
  [[nodiscard]] virtual bool writable() const noexcept = 0;
  [[nodiscard]] virtual bool latched() const noexcept = 0;  // any thread
  // Whether append() answered full and would again. Any thread.
  [[nodiscard]] virtual bool full() const noexcept { return false; }
  [[nodiscard]] virtual std::string problem() const = 0;  // any thread; why not writable, empty if it is
  // After an operator's action (SIGHUP): a fresh segment is used, the latch is gone. Sequences of the failed
  // block are used again.
  virtual void reopen() = 0;
  [[nodiscard]] virtual const JournalWriterStats& stats() const noexcept = 0;
};

// Reads the sections of one lane in the order of their sequences.
class JournalReader {
 public:
  virtual ~JournalReader() = default;

  enum class Status : std::uint8_t {
    read,  // `into` holds the batch: lane(), lane_sequence(), rows; lost rows of damaged blocks are skipped
           // over
    end,   // the lane has nothing at or behind `until`
    missing,  // the sequence is not in the journal any more: it was trimmed
    failed,   // problem() says what
  };
  // Reads the next section with a sequence at most `until`, which must be durable. `into` holds at least
  // sections of the lane's epoch (JournalSurvey::Epoch::batch_bytes).
  [[nodiscard]] virtual Status next(Batch& into, std::uint64_t until) = 0;
  // The sequence that next() is to read; moved by seek().
  [[nodiscard]] virtual std::uint64_t position() const noexcept = 0;
  virtual void seek(std::uint64_t sequence) = 0;
  [[nodiscard]] virtual const std::string& problem() const noexcept = 0;
};

class Journal {
 public:
  // Locks and opens or makes the journal, repairs its tail, starts a new epoch. Touches no data unless it
  // succeeds. `files` and `clock` outlive the journal.
  [[nodiscard]] static std::expected<std::unique_ptr<Journal>, JournalError> open(
      FileSystem& files, const Clock& clock, const JournalOptions& options);
  virtual ~Journal() = default;

  [[nodiscard]] virtual const journal_format::JournalId& id() const noexcept = 0;
  [[nodiscard]] virtual std::string id_text() const = 0;  // 32 hexadecimal digits
  [[nodiscard]] virtual std::uint32_t epoch() const noexcept = 0;
  [[nodiscard]] virtual const JournalSurvey& survey() const noexcept = 0;
  // What is lost: the survey's, and what readers found damaged since. Any thread.
  [[nodiscard]] virtual std::vector<LostRows> lost_rows() const = 0;
  // Calls `visit(payload, entries, epoch, reactor, block)` for every ledger section of earlier epochs, per
  // reactor in order. Before start().
  using LedgerVisitor = std::function<void(std::span<const std::byte>, std::uint32_t entries, LaneId reactor,
                                           std::uint64_t block)>;
  [[nodiscard]] virtual std::expected<void, JournalError> read_ledger(const LedgerVisitor& visit) = 0;

  // Of this epoch.
  [[nodiscard]] virtual JournalWriter& writer(std::uint32_t reactor) = 0;
  // Of any epoch; a lane of the current epoch may be read while it is written, up to what is durable. Any
  // thread.
  [[nodiscard]] virtual std::unique_ptr<JournalReader> reader(LaneId lane, std::uint64_t first) = 0;

  // Prepares segments ahead of the writers, on a thread of its own; work() does the same once, for tests and
  // the simulation, and says whether there was anything to do.
  virtual void start() = 0;
  virtual void stop() = 0;
  virtual bool work() = 0;

  // Frees segments that hold nothing behind `flushed` (lane → last sequence that the database will not
  // forget) and that the keep options do not hold; lanes of this epoch that are missing count as 0, so does a
  // lane of an earlier one. Any thread but a reactor's: it waits for the disk. Returns how many went.
  [[nodiscard]] virtual std::expected<std::size_t, JournalError> trim(
      std::span<const std::pair<LaneId, std::uint64_t>> flushed) = 0;
  // Called before a segment with ledger sections goes, so that they can be kept elsewhere first. Set before
  // start().
  virtual void on_ledger_trim(std::function<bool()> keep) = 0;
  // First sequence of the lane that is still in the journal; last + 1 where nothing is. Any thread.
  [[nodiscard]] virtual std::uint64_t first_sequence(LaneId lane) const = 0;

  struct Usage {
    std::uint64_t segments;
    std::uint64_t bytes;  // all segments, spare ones included
    std::uint64_t spare;  // segments ready for use
    std::uint64_t bytes_max;
  };
  [[nodiscard]] virtual Usage usage() const = 0;  // any thread
};

// Offline, on a journal no process has open. `inspect` describes, `verify` reads everything and names each
// fault; both return the text to print and whether the journal is whole.
struct JournalReport {
  std::string text;
  bool whole;
};
enum class ReportFormat : std::uint8_t { text, json };
[[nodiscard]] std::expected<JournalReport, JournalError> inspect_journal(FileSystem& files,
                                                                         ReportFormat format);
[[nodiscard]] std::expected<JournalReport, JournalError> verify_journal(FileSystem& files,
                                                                        ReportFormat format);

}  // namespace wellhead
