// Reads one lane, section by section, in the order of its sequences.
//
// A segment it stands in may be trimmed and used anew while it reads: trim() first takes the segment out of
// the catalog, then recycles the file. So whatever the reader finds wrong, it asks the catalog, and where the
// segment is gone the answer is `missing` and not damage; a section it finds whole carries its segment's
// number, so it is what it says. Holding segments back for readers would let one slow reader fill the disk,
// for rows that trim() knows to be in the database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "journal/chain_survey.hpp"
#include "journal/file_system.hpp"
#include "journal/journal.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_walk.hpp"

namespace wellhead {

// What to do about damage that is found while reading. Any thread.
class DamageWatch {
 public:
  virtual ~DamageWatch() = default;
  // True when the bytes are set aside and reading may go on behind them; false when it has to stop.
  [[nodiscard]] virtual bool carry_on(const JournalFault& fault, const LostRows& lost) = 0;
};

class LaneReader final : public JournalReader {
 public:
  // All of them outlive the reader.
  LaneReader(FileSystem& files, const journal_format::JournalId& journal, SegmentCatalog& catalog,
             DamageWatch& damage, LaneId lane, std::uint64_t first)
      : catalog_(catalog), damage_(damage), lane_(lane), position_(first), walk_(files, journal) {}

  [[nodiscard]] Status next(Batch& into, std::uint64_t until) override;
  [[nodiscard]] std::uint64_t position() const noexcept override { return position_; }
  void seek(std::uint64_t sequence) override;
  [[nodiscard]] const std::string& problem() const noexcept override { return problem_; }

 private:
  // Where a step leaves next(): done with a status, or to go on.
  using Outcome = std::optional<Status>;

  [[nodiscard]] Outcome turn_to_segment();
  [[nodiscard]] Outcome step(Batch& into, std::uint64_t until);
  [[nodiscard]] Outcome take(Batch& into);
  [[nodiscard]] Outcome end_of_segment();
  [[nodiscard]] Outcome pass_unreadable();
  [[nodiscard]] Outcome pass_damaged();
  [[nodiscard]] Outcome damaged(const JournalFault& fault, const LostRows& lost);
  [[nodiscard]] Status failed(int error);
  void learn_end();

  SegmentCatalog& catalog_;
  DamageWatch& damage_;
  LaneId lane_;
  std::uint64_t position_;
  std::uint64_t from_segment_ = 0;  // segments before were read to their end
  SegmentWalk walk_;
  std::string problem_;
};

}  // namespace wellhead
