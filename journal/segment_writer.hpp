// Writes the blocks of one reactor, one at a time, into segments of the pool.
//
//   idle ──append──▶ writing ──(all written)──▶ durable, idle           through O_DIRECT | O_DSYNC
//                       │  └──(all written)──▶ synchronizing ──▶ durable, idle        otherwise
//                       └── any error ──▶ latched ──reopen──▶ idle, without a segment
//
// A block is one vectored write from where its rows lie. The first block of a segment takes the segment's
// header along, which names it (journal/format.hpp). A short write is continued at the last multiple of
// 4 KiB; the bytes there are the same, so it does not matter that some are written twice.
//
// What a failed block leaves behind. Nobody knows how much of it is on disk: nothing, a part, or all. Its
// number and its sequences are given again to the first block after reopen(), which goes to a fresh segment
// whose header says that it begins with that number, and so ends the old segment before it, for readers and
// for recovery. From then on the failed block does not exist. Before that, should the process end while
// latched, recovery may find the block whole and use it. Either way its rows are there at most once, under
// sequences nobody else has. Therefore the caller has two ways, and both are right:
//
//   keep the batches and append() them again after reopen(): the rows are there once; until then nobody may
//   be told anything about them
//   give the batches up and tell their senders that the outcome is not known (never that they are refused):
//   they are not there, unless the process ends before another block is durable
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "journal/aligned_memory.hpp"
#include "journal/journal.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_pool.hpp"

namespace wellhead {

struct SegmentWriterOptions {
  journal_format::JournalId journal_id{};
  std::uint32_t epoch = 1;
  std::uint32_t reactor = 0;
  std::uint32_t shards = 1;
  std::uint64_t segment_bytes = 64ULL << 20;
  std::uint64_t block_bytes_max = 32ULL << 20;  // at most what a segment holds behind its header
  bool direct = true;                           // as the pool's
};

class SegmentWriter final : public JournalWriter {
 public:
  // All outlive the writer. `catalog` is told of every segment the writer turns to.
  SegmentWriter(SegmentPool& pool, SegmentCatalog& catalog, const Clock& clock,
                const SegmentWriterOptions& options);
  ~SegmentWriter() override;

  [[nodiscard]] AppendStatus append(std::span<Batch* const> batches, std::span<const std::byte> ledger,
                                    std::uint32_t ledger_entries) override;
  [[nodiscard]] JournalOperation operation() const override;
  [[nodiscard]] CompleteResult complete(std::int64_t result) override;
  [[nodiscard]] bool writable() const noexcept override;
  [[nodiscard]] bool latched() const noexcept override { return latched_.load(std::memory_order_acquire); }
  [[nodiscard]] bool full() const noexcept override;
  [[nodiscard]] std::string problem() const override;
  // Nothing to do unless latched.
  void reopen() override;
  [[nodiscard]] const JournalWriterStats& stats() const noexcept override { return stats_; }

 private:
  enum class State : std::uint8_t { idle, writing, synchronizing, latched };

  // The segment that is written.
  struct Segment {
    SegmentId id;
    std::unique_ptr<File> file;
    std::uint64_t bytes;
    std::uint64_t end = 0;  // behind the last durable block; 0: not begun, the header is to be written
  };
  // What is on its way.
  struct Block {
    std::uint64_t bytes = 0;  // all sections
    std::uint32_t section_count = 0;
    std::uint32_t sections_added = 0;
    std::uint64_t row_count = 0;
    bool has_ledger = false;
    std::uint64_t at = 0;   // where the next byte goes in the segment
    std::uint64_t end = 0;  // where the block ends in it
    std::int64_t started_ns = 0;
    std::int64_t written_us = 0;  // wall time, as in the section headers
  };

  [[nodiscard]] std::uint64_t bytes_of(std::span<Batch* const> batches) const;
  [[nodiscard]] AppendStatus find_room(std::uint64_t block_bytes);
  [[nodiscard]] AppendStatus refuse();
  void turn_to(ReadySegment& ready);
  void begin_block(std::uint64_t bytes, std::size_t section_count);
  void add_segment_header();
  void add_rows(Batch& batch);
  void add_ledger(std::span<const std::byte> ledger, std::uint32_t entries);
  void add_section(std::span<std::byte> section, journal_format::SectionHeader header,
                   std::span<const std::byte> payload);

  [[nodiscard]] CompleteResult advance(std::uint64_t bytes);
  [[nodiscard]] CompleteResult stall(int error);
  [[nodiscard]] CompleteResult finish();
  [[nodiscard]] CompleteResult latch(int error);
  void skip_pieces(std::uint64_t bytes);
  void set_problem(std::string sentence);
  void check_invariants() const;

  SegmentPool& pool_;
  SegmentCatalog& catalog_;
  const Clock& clock_;
  SegmentWriterOptions options_;

  State state_ = State::idle;
  std::unique_ptr<Segment> segment_;
  Block block_;
  std::uint64_t block_next_ = 1;                 // the number of the next block
  std::vector<std::uint64_t> next_sequences_;    // by shard, of the next batch, the block on its way counted
  std::vector<std::uint64_t> sequences_before_;  // as they were before the block on its way
  std::vector<iovec> pieces_;
  std::size_t piece_ = 0;                  // the first that is not written whole
  unsigned stalls_ = 0;                    // results in a row that brought the block no further
  AlignedMemory header_;                   // the segment's
  std::unique_ptr<AlignedMemory> ledger_;  // grows to the largest ledger section there was
  std::uint64_t ledger_sections_ = 0;      // durable ones in the segment that is written

  std::atomic<bool> in_flight_{false};
  std::atomic<bool> refused_{false};  // the last append() found no segment
  std::atomic<bool> latched_{false};
  mutable std::mutex problem_mutex_;
  std::string problem_;
  JournalWriterStats stats_;
};

}  // namespace wellhead
