// Reads everything a journal holds, for those who compare it with something else, also while a node runs on
// it: takes no lock, begins no epoch, writes nothing.
//
// What is there is found once, in open(). A block that the node is still writing then is not there yet; a
// segment that the node trims later, before it was read, is passed over and counted: its rows were in the
// database for good. Damage is judged while reading and not by the first look, which on a live journal may
// find a block written after the one before it could not be read yet.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <vector>

#include "journal/file_system.hpp"
#include "journal/identity.hpp"
#include "journal/journal.hpp"
#include "journal/recovery.hpp"
#include "journal/segment_walk.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// Wall time, microseconds since 2000-01-01 UTC, both ends included.
struct WrittenRange {
  std::int64_t since_us = std::numeric_limits<std::int64_t>::min();
  std::int64_t until_us = std::numeric_limits<std::int64_t>::max();
  [[nodiscard]] bool contains(std::int64_t written_us) const noexcept {
    return since_us <= written_us && written_us <= until_us;
  }
};

struct AuditSection {
  LaneId lane;
  std::uint64_t sequence;
  std::int64_t written_us;  // wall time, microseconds since 2000-01-01 UTC
  std::uint32_t row_count;
  std::span<const std::byte> rows;  // codec/row.hpp; until the visitor returns
};

// One thread.
class AuditReader {
 public:
  // False ends the reading.
  using Visit = std::function<bool(const AuditSection&)>;

  // `files` outlives the reader. Refuses a directory without a journal, and one of another version.
  [[nodiscard]] static std::expected<AuditReader, JournalError> open(FileSystem& files);

  [[nodiscard]] const JournalIdentity& identity() const noexcept { return identity_; }
  [[nodiscard]] const std::map<std::uint32_t, JournalSurvey::Epoch>& epochs() const noexcept {
    return recovered_.survey.epochs;
  }
  // Every lane the journal holds rows of, sorted, with its first and last sequence.
  [[nodiscard]] const std::vector<OldLane>& lanes() const noexcept { return recovered_.survey.lanes; }

  // Visits the rows sections written within the range: epoch by epoch, reactor by reactor, each in the order
  // it was written in, and so the sections of a lane by their sequences.
  [[nodiscard]] std::expected<void, JournalError> read(const WrittenRange& range, const Visit& visit);

  // After read(): what damage took, and the segments a running node trimmed meanwhile.
  [[nodiscard]] const std::vector<LostRows>& lost() const noexcept { return lost_; }
  [[nodiscard]] std::uint64_t segments_trimmed() const noexcept { return segments_trimmed_; }

 private:
  enum class Step : std::uint8_t { more, end_of_segment, end };
  using StepResult = std::expected<Step, JournalError>;

  AuditReader(FileSystem& files, JournalIdentity identity, Recovered recovered);

  [[nodiscard]] StepResult read_segment(const SegmentEntry& segment, const WrittenRange& range,
                                        const Visit& visit);
  [[nodiscard]] StepResult take(const WrittenRange& range, const Visit& visit);
  [[nodiscard]] StepResult pass_unreadable();
  // The system refused to read: an error, unless the segment is gone by now.
  [[nodiscard]] StepResult judge(int error);
  // Moves the lane to `sequence`; what lies between is lost. False: it was there before.
  [[nodiscard]] bool move_lane(std::uint32_t shard, std::uint64_t sequence);
  [[nodiscard]] bool gone() const;
  [[nodiscard]] Step trimmed();
  [[nodiscard]] LaneId lane_of(std::uint32_t shard) const noexcept;

  FileSystem* files_;
  JournalIdentity identity_;
  Recovered recovered_;
  SegmentWalk walk_;
  SegmentId id_;                                 // of the segment being read
  std::map<std::uint32_t, std::uint64_t> next_;  // by shard, of the epoch and reactor being read
  std::vector<std::byte> section_;
  std::vector<LostRows> lost_;
  std::uint64_t segments_trimmed_ = 0;
};

}  // namespace wellhead
