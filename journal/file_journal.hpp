// The Journal over a FileSystem: holds the parts together. What each does is told in its own header:
// journal_opening (start), segment_pool (files ready), segment_writer, segment_catalog (what is where),
// lane_reader, trim.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "journal/journal.hpp"
#include "journal/journal_opening.hpp"
#include "journal/lane_reader.hpp"
#include "journal/segment_catalog.hpp"
#include "journal/segment_pool.hpp"
#include "journal/segment_writer.hpp"

namespace wellhead {

class FileJournal final : public Journal, private DamageWatch {
 public:
  FileJournal(FileSystem& files, const Clock& clock, const JournalOptions& options, OpenedJournal opened);
  ~FileJournal() override;

  // The rest of open(): what needs the parts.
  [[nodiscard]] std::expected<void, JournalError> begin();

  [[nodiscard]] const journal_format::JournalId& id() const noexcept override { return identity_.id; }
  [[nodiscard]] std::string id_text() const override { return journal_id_text(identity_.id); }
  [[nodiscard]] std::uint32_t epoch() const noexcept override { return epoch_; }
  [[nodiscard]] const JournalSurvey& survey() const noexcept override { return survey_; }
  [[nodiscard]] std::vector<LostRows> lost_rows() const override;
  [[nodiscard]] std::expected<void, JournalError> read_ledger(const LedgerVisitor& visit) override;
  [[nodiscard]] JournalWriter& writer(std::uint32_t reactor) override;
  [[nodiscard]] std::unique_ptr<JournalReader> reader(LaneId lane, std::uint64_t first) override;
  void start() override;
  void stop() override;
  bool work() override { return pool_.work(); }
  [[nodiscard]] std::expected<std::size_t, JournalError> trim(
      std::span<const std::pair<LaneId, std::uint64_t>> flushed) override;
  void on_ledger_trim(std::function<bool()> keep) override { keep_ledger_ = std::move(keep); }
  [[nodiscard]] std::uint64_t first_sequence(LaneId lane) const override {
    return catalog_.first_sequence(lane);
  }
  [[nodiscard]] Usage usage() const override;

 private:
  using Step = std::expected<void, JournalError>;

  [[nodiscard]] bool carry_on(const JournalFault& fault, const LostRows& lost) override;
  [[nodiscard]] Step recycle(const SegmentId& segment);
  [[nodiscard]] Step remove_empty_epochs();
  void prepare_segments();

  FileSystem& files_;
  const Clock& clock_;
  JournalOptions options_;
  JournalIdentity identity_;
  std::uint32_t epoch_;
  JournalSurvey survey_;
  std::vector<SegmentId> unused_;  // of earlier epochs, until begin()
  SegmentCatalog catalog_;
  SegmentPool pool_;
  std::vector<std::unique_ptr<SegmentWriter>> writers_;
  std::function<bool()> keep_ledger_;

  std::mutex trim_mutex_;
  std::set<std::uint32_t> earlier_epochs_;  // whose files are still there; under trim_mutex_

  mutable std::mutex damage_mutex_;
  std::vector<LostRows> lost_;  // under damage_mutex_

  std::atomic<bool> stopping_{false};
  std::thread preparer_;
};

}  // namespace wellhead
