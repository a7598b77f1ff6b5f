// A bug planted on purpose: what is to be remembered of requests does not lie in the block of their rows but
// in the one behind it, as it would if keys were written at leisure. When the node dies in between, rows are
// stored whose keys nobody knows.
#pragma once

#include <utility>
#include <vector>

#include "journal/journal.hpp"

namespace wellhead::simulation {

class LateLedgerWriter final : public JournalWriter {
 public:
  explicit LateLedgerWriter(JournalWriter& writer) : writer_(writer) {}

  [[nodiscard]] AppendStatus append(std::span<Batch* const> batches, std::span<const std::byte> ledger,
                                    std::uint32_t ledger_entries) override {
    const AppendStatus status = writer_.append(batches, late_, late_entries_);
    if (status != AppendStatus::planned) return status;
    late_.assign(ledger.begin(), ledger.end());
    late_entries_ = ledger_entries;
    return status;
  }
  [[nodiscard]] JournalOperation operation() const override { return writer_.operation(); }
  [[nodiscard]] CompleteResult complete(std::int64_t result) override { return writer_.complete(result); }
  [[nodiscard]] bool writable() const noexcept override { return writer_.writable(); }
  [[nodiscard]] bool latched() const noexcept override { return writer_.latched(); }
  [[nodiscard]] bool full() const noexcept override { return writer_.full(); }
  [[nodiscard]] std::string problem() const override { return writer_.problem(); }
  void reopen() override { writer_.reopen(); }
  [[nodiscard]] const JournalWriterStats& stats() const noexcept override { return writer_.stats(); }

 private:
  JournalWriter& writer_;
  std::vector<std::byte> late_;
  std::uint32_t late_entries_ = 0;
};

}  // namespace wellhead::simulation
