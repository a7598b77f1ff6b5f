// What the journal knows of each segment file without opening it: which sequences of which lanes it holds.
// Readers find their place by it, the trimmer finds what may go.
//
// Any thread; a mutex inside. The writers touch it once a segment, not once a block.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "journal/section.hpp"
#include "journal/segment_scan.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// Sequences of one shard's lane in a segment. Lost ones count, as far as they are known: a reader passes over
// them, and does not take them for trimmed.
struct LaneRange {
  static constexpr std::uint64_t open_end = UINT64_MAX;  // as `last`: the segment is still written

  std::uint32_t shard;
  std::uint64_t first;
  std::uint64_t last;
};

struct SegmentEntry {
  SegmentId id;
  std::uint64_t bytes = 0;               // of the file
  std::uint64_t end_offset = 0;          // no section begins there or behind
  std::uint64_t end_block = UINT64_MAX;  // blocks from this number on do not count
  std::vector<LaneRange> lanes;          // none empty
  std::uint64_t ledger_sections = 0;
  std::int64_t last_written_us = 0;
  std::vector<Extent> unusable;  // damaged sections and what cannot be read, sorted
  bool active = false;           // a writer writes it
  // Of earlier epochs only, for reports: what counts in it.
  std::uint64_t first_block = 0;
  std::uint64_t sections = 0;
  std::uint64_t rows = 0;

  [[nodiscard]] const LaneRange* range(std::uint32_t shard) const noexcept;
};

// What a writer tells when it turns to a segment.
struct SegmentBegin {
  SegmentId id;
  std::uint64_t bytes;
  std::uint64_t first_block;
  // By shard: the sequence the lane's next batch is going to have.
  std::span<const std::uint64_t> next_sequences;
  std::uint64_t ledger_sections_before;  // in the segment that ends by this
  std::int64_t now_us;
};

class SegmentCatalog {
 public:
  enum class Answer : std::uint8_t { found, end, missing };

  // A segment of an earlier epoch. REQUIRES the order of segments within an epoch and reactor.
  void add(SegmentEntry entry);
  // A writer of the running epoch turns to a new segment; the one before takes nothing any more.
  void begin(const SegmentBegin& begin);

  // The first segment that holds `sequence` of the lane or a later one, from the segment numbered
  // `from_segment` on. missing: the sequence was there once.
  [[nodiscard]] std::pair<Answer, SegmentEntry> find(LaneId lane, std::uint64_t sequence,
                                                     std::uint64_t from_segment = 0) const;
  // Whether the segment was not trimmed yet.
  [[nodiscard]] bool holds(const SegmentId& id) const;
  // The block with which the segment ends, as known now: it is only certain when the next has begun.
  [[nodiscard]] std::uint64_t end_block(const SegmentId& id) const;
  [[nodiscard]] std::uint64_t first_sequence(LaneId lane) const;
  // A reader found it damaged. False where that was known.
  bool mark_unusable(const SegmentId& id, const Extent& extent);

  // All segments, by epoch, reactor and number.
  [[nodiscard]] std::vector<SegmentEntry> segments() const;
  [[nodiscard]] std::size_t segment_count() const;
  // The segment goes. REQUIRES that it is the first of its epoch and reactor, and not active.
  void remove(const SegmentId& id);
  [[nodiscard]] bool holds_epoch(std::uint32_t epoch) const;

 private:
  using ChainId = std::pair<std::uint32_t, std::uint32_t>;  // epoch, reactor

  struct Chain {
    std::deque<SegmentEntry> segments;
    std::map<std::uint32_t, std::uint64_t> behind;  // by shard: behind the last sequence that was removed
  };

  [[nodiscard]] const SegmentEntry* entry(const SegmentId& id) const;
  [[nodiscard]] SegmentEntry* entry(const SegmentId& id);
  static void close(SegmentEntry& entry, const SegmentBegin& next);
  [[nodiscard]] static std::uint64_t first_of(const Chain& chain, std::uint32_t shard);

  mutable std::mutex mutex_;
  std::map<ChainId, Chain> chains_;
};

}  // namespace wellhead
