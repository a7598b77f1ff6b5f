// A writer with its pool on a simulated disk, and a plain reader of what it wrote that shares no code with
// the journal's own.
#pragma once

#include <deque>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "journal/section.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_pool.hpp"
#include "journal/segment_writer.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {

struct WriterRigOptions {
  bool direct = true;
  std::uint64_t segments_max = 1000;
  std::uint64_t segment_bytes = 64 << 10;
  std::uint64_t seed = 1;
};

class WriterRig {
 public:
  static constexpr std::uint64_t segment_bytes = 64 << 10;
  static constexpr std::uint32_t shard_count = 3;
  static constexpr journal_format::JournalId journal_id{9, 8, 7};

  explicit WriterRig(const WriterRigOptions& options);

  [[nodiscard]] SegmentWriter& writer() { return *writer_; }
  [[nodiscard]] SegmentPool& pool() { return *pool_; }
  [[nodiscard]] SimulatedFileSystem& disk() { return disk_; }

  // A batch with a row for each text; lives as long as the rig.
  [[nodiscard]] Batch& batch(std::uint32_t shard, const std::vector<std::string>& rows);
  [[nodiscard]] AppendStatus append(std::initializer_list<Batch*> batches);
  // Does what the writer asks for until it is durable or failed.
  [[nodiscard]] CompleteResult finish();
  // Writes all of the block, durably, and reports something else.
  void write_whole_but_report(int error);
  // Until the pool has nothing more to do, pauses included.
  void work();

  // The rows of a shard as any reader of the format must find them, ready and unfinished segments and blocks
  // left out.
  [[nodiscard]] std::vector<std::string> rows_on_disk(std::uint32_t shard);

  ManualClock clock;
  SegmentCatalog catalog;

 private:
  struct OpenSegment {
    SegmentId id;
    std::uint64_t first_block;
  };
  [[nodiscard]] std::vector<OpenSegment> begun_segments();
  void read_segment(const OpenSegment& segment, std::uint64_t end_block, std::uint32_t shard,
                    std::vector<std::string>& rows);

  SimulatedFileSystem disk_;
  std::unique_ptr<SegmentPool> pool_;
  std::unique_ptr<SegmentWriter> writer_;
  std::deque<Batch> batches_;
};

}  // namespace wellhead
