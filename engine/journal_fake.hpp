// A journal for tests of what watches one: nothing is written, everything can be set.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "journal/journal.hpp"

namespace wellhead {

struct FakeWriter final : JournalWriter {
  JournalWriterStats writer_stats;
  bool is_writable = true;
  bool is_latched = false;
  bool is_full = false;
  std::string sentence;

  [[nodiscard]] AppendStatus append(std::span<Batch* const>, std::span<const std::byte>,
                                    std::uint32_t) override {
    return AppendStatus::full;
  }
  [[nodiscard]] JournalOperation operation() const override { return {}; }
  [[nodiscard]] CompleteResult complete(std::int64_t) override { return CompleteResult::failed; }
  [[nodiscard]] bool writable() const noexcept override { return is_writable; }
  [[nodiscard]] bool latched() const noexcept override { return is_latched; }
  [[nodiscard]] bool full() const noexcept override { return is_full; }
  [[nodiscard]] std::string problem() const override { return sentence; }
  void reopen() override { is_latched = false; }
  [[nodiscard]] const JournalWriterStats& stats() const noexcept override { return writer_stats; }
};

struct FakeJournal final : Journal {
  using Flushed = std::vector<std::pair<LaneId, std::uint64_t>>;

  journal_format::JournalId identity{};
  JournalSurvey found;
  FakeWriter fake_writer;
  Usage used{};
  std::optional<JournalError> trim_error;
  mutable std::mutex mutex;
  std::vector<Flushed> trims;

  [[nodiscard]] const journal_format::JournalId& id() const noexcept override { return identity; }
  [[nodiscard]] std::string id_text() const override { return std::string(32, '0'); }
  [[nodiscard]] std::uint32_t epoch() const noexcept override { return 3; }
  [[nodiscard]] const JournalSurvey& survey() const noexcept override { return found; }
  [[nodiscard]] std::vector<LostRows> lost_rows() const override { return found.lost; }
  [[nodiscard]] std::expected<void, JournalError> read_ledger(const LedgerVisitor&) override { return {}; }
  [[nodiscard]] JournalWriter& writer(std::uint32_t) override { return fake_writer; }
  [[nodiscard]] std::unique_ptr<JournalReader> reader(LaneId, std::uint64_t) override { return nullptr; }
  void start() override {}
  void stop() override {}
  bool work() override { return false; }
  [[nodiscard]] std::expected<std::size_t, JournalError> trim(
      std::span<const std::pair<LaneId, std::uint64_t>> flushed) override {
    const std::lock_guard lock(mutex);
    trims.emplace_back(flushed.begin(), flushed.end());
    if (trim_error) return std::unexpected(*trim_error);
    return 1;
  }
  void on_ledger_trim(std::function<bool()>) override {}
  [[nodiscard]] std::uint64_t first_sequence(LaneId) const override { return 1; }
  [[nodiscard]] Usage usage() const override { return used; }
};

}  // namespace wellhead
