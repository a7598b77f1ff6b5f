// Scoring as a part of committing: brings the scorer together with the database that keeps its baselines.
//
// One flush: score(), then saves() go into its transaction, then committed() or discarded(). Where nobody
// knows whether it is committed, doubted(), and the next look at the lanes tells by resolve().
//
// A flush is scored once for each time it is tried, however often its rows are sent within the try.
//
// Owner: the committer, on the shard's thread. Its statements run outside of a transaction, or are the
// caller's to run.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schema.hpp"
#include "scoring/scorer.hpp"
#include "sink/committer.hpp"
#include "sink/database.hpp"
#include "sink/flush.hpp"

namespace wellhead {

class FlushScorer {
 public:
  // `scorer`, null for none, knows the same streams, which outlive both. Only the first `streams_in_use` save
  // baselines: an earlier run's stream may have the name of one of today's, with other fields.
  FlushScorer(std::unique_ptr<Scorer> scorer, std::span<const SchemaPointer> streams,
              std::size_t streams_in_use);
  ~FlushScorer();

  // Whether there is anything to score: without, all calls do nothing and ask nothing of the database.
  [[nodiscard]] bool enabled() const noexcept { return scorer_ != nullptr; }
  void attach(ShardStats& stats) noexcept { stats_ = &stats; }

  // Looks for the baselines of devices that are not in memory, and writes scores and flags into the tuples of
  // the flush. REQUIRES a connection without a transaction, and a flush with rows. An error is the
  // connection's or an operator's to mend.
  [[nodiscard]] DatabaseResult<void> score(Database& database, const Flush& flush);
  // Statements that save with the flush what is to be saved of the devices.
  [[nodiscard]] const std::vector<std::string>& saves() const noexcept { return saves_; }

  // Where the database refuses one of them: what saves one device each, in saves_by_device() statements,
  // empty for those that are not kept; and that such a one is refused as well.
  [[nodiscard]] std::size_t saves_by_device() const noexcept { return states_.size(); }
  [[nodiscard]] std::string save_of(std::size_t index) const;
  void refused(std::size_t index) { scorer_->not_saved(index); }

  // These three do nothing for a flush that was not scored.
  void committed();
  void discarded();
  // The flush with these moves may be committed.
  void doubted(std::span<const LaneMove> moves);
  // Where the lanes are for good: a flush in doubt is committed if its moves are there.
  void resolve(std::span<const LaneProgress> lanes);

  // The next statements of those that save all that is not saved, and what they save; committed() after each
  // time. Empty when there is nothing more. REQUIRES no flush that is scored and undecided.
  [[nodiscard]] const std::vector<std::string>& final_saves();
  [[nodiscard]] bool in_doubt() const noexcept { return !doubtful_.empty(); }
  // Devices whose last lessons are not saved.
  [[nodiscard]] std::size_t unsaved() const noexcept;

 private:
  [[nodiscard]] DatabaseResult<void> restore_unknown(Database& database, const Schema& stream,
                                                     std::span<const SortedRow> rows);
  [[nodiscard]] DatabaseResult<void> restore(Database& database, const Schema& stream,
                                             std::span<const DeviceName> devices);

  std::unique_ptr<Scorer> scorer_;
  std::vector<SchemaPointer> scored_;
  std::vector<std::string_view> saved_names_;  // of the streams in use
  ShardStats* stats_ = nullptr;

  std::vector<DeviceName> unknown_;      // of the stream just looked at
  bool pending_ = false;                 // something is learned or to be saved, and its fate is open
  std::size_t devices_expected_ = 0;     // in memory, if none has to make room
  std::span<const DeviceState> states_;  // the scorer's, until the fate of `saves_` is decided
  std::vector<std::string> saves_;
  std::vector<LaneMove> doubtful_;
};

}  // namespace wellhead
