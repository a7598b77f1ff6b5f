// For tests: a journal in memory. What is appended is durable at once; a restart begins a new epoch.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "journal/journal.hpp"

namespace wellhead::test {

class FakeJournal final : public Journal {
 public:
  struct Section {
    std::vector<std::byte> rows;
    std::uint32_t row_count;
  };
  using Lane = std::map<std::uint64_t, Section>;

  std::map<LaneId, Lane> lanes;
  std::map<LaneId, std::uint64_t> last;     // ever appended
  std::map<LaneId, std::uint64_t> trimmed;  // up to this one
  std::string read_problem;                 // readers fail with it while it is not empty
  JournalSurvey surveyed;
  std::uint64_t sections_read = 0;

  // Numbers the batch within its lane and keeps a copy.
  void append(Batch& batch, LaneId lane) {
    const std::uint64_t sequence = ++last[lane];
    batch.set_lane(lane, sequence);
    lanes[lane][sequence] = {{batch.rows().begin(), batch.rows().end()}, batch.row_count()};
  }
  void trim_lane(LaneId lane, std::uint64_t through) {
    std::erase_if(lanes[lane], [through](const auto& section) { return section.first <= through; });
    trimmed[lane] = std::max(trimmed[lane], through);
  }
  // What the next start of the node finds.
  void restart(std::uint32_t reactors, std::uint32_t shards, std::size_t batch_bytes) {
    surveyed.epochs[epoch_] = {epoch_, reactors, shards, batch_bytes, ""};
    surveyed.lanes.clear();
    for (const auto& [lane, sections] : lanes)
      if (!sections.empty())
        surveyed.lanes.push_back({lane, sections.begin()->first, sections.rbegin()->first});
    ++epoch_;
  }

  const journal_format::JournalId& id() const noexcept override { return id_; }
  std::string id_text() const override { return "00112233445566778899aabbccddeeff"; }
  std::uint32_t epoch() const noexcept override { return epoch_; }
  const JournalSurvey& survey() const noexcept override { return surveyed; }
  std::vector<LostRows> lost_rows() const override { return surveyed.lost; }
  std::expected<void, JournalError> read_ledger(const LedgerVisitor&) override { return {}; }
  JournalWriter& writer(std::uint32_t) override { std::abort(); }
  std::unique_ptr<JournalReader> reader(LaneId lane, std::uint64_t first) override {
    return std::make_unique<Reader>(*this, lane, first);
  }
  void start() override {}
  void stop() override {}
  bool work() override { return false; }
  std::expected<std::size_t, JournalError> trim(
      std::span<const std::pair<LaneId, std::uint64_t>> flushed) override {
    for (const auto& [lane, sequence] : flushed) trim_lane(lane, sequence);
    return flushed.size();
  }
  void on_ledger_trim(std::function<bool()>) override {}
  std::uint64_t first_sequence(LaneId lane) const override {
    const auto found = lanes.find(lane);
    if (found != lanes.end() && !found->second.empty()) return found->second.begin()->first;
    const auto newest = last.find(lane);
    return newest == last.end() ? 1 : newest->second + 1;
  }
  Usage usage() const override { return {}; }

 private:
  class Reader final : public JournalReader {
   public:
    Reader(FakeJournal& journal, LaneId lane, std::uint64_t first)
        : journal_(journal), lane_(lane), position_(first) {}

    Status next(Batch& into, std::uint64_t until) override {
      if (!journal_.read_problem.empty()) return Status::failed;
      if (position_ <= journal_.trimmed[lane_]) return Status::missing;
      const auto found = journal_.lanes[lane_].lower_bound(position_);
      if (found == journal_.lanes[lane_].end() || found->first > until) return Status::end;
      const Section& section = found->second;
      std::memcpy(into.memory().data() + Batch::header_room_bytes, section.rows.data(), section.rows.size());
      into.adopt(section.rows.size(), section.row_count);
      into.set_lane(lane_, found->first);
      position_ = found->first + 1;
      ++journal_.sections_read;
      return Status::read;
    }
    std::uint64_t position() const noexcept override { return position_; }
    void seek(std::uint64_t sequence) override { position_ = sequence; }
    const std::string& problem() const noexcept override { return journal_.read_problem; }

   private:
    FakeJournal& journal_;
    LaneId lane_;
    std::uint64_t position_;
  };

  journal_format::JournalId id_{};
  std::uint32_t epoch_ = 1;
};

}  // namespace wellhead::test
