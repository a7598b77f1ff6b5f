// A journal's writer whose disk a test drives: slow, short, failing, full, not ready.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "journal/journal.hpp"

namespace wellhead::testing {

class FakeWriter final : public JournalWriter {
 public:
  explicit FakeWriter(std::uint32_t epoch = 1, std::uint32_t reactor = 0);
  ~FakeWriter() override;

  [[nodiscard]] AppendStatus append(std::span<Batch* const> batches, std::span<const std::byte> ledger,
                                    std::uint32_t ledger_entries) override;
  [[nodiscard]] JournalOperation operation() const override;
  [[nodiscard]] CompleteResult complete(std::int64_t result) override;
  [[nodiscard]] bool writable() const noexcept override;
  [[nodiscard]] bool latched() const noexcept override { return latched_.load(); }
  [[nodiscard]] std::string problem() const override;
  void reopen() override;
  [[nodiscard]] const JournalWriterStats& stats() const noexcept override { return stats_; }

  // Any thread. What append() answers from now on unless a block is on its way; `planned` is the normal case.
  void answer(AppendStatus status) { answer_.store(status); }

  // Any thread, while no block is on its way. What is written to, from offset 0 for each block; -1, as in
  // the beginning, for a file without a descriptor. With `synchronous` a write needs no synchronization.
  void use_descriptor(int descriptor, bool synchronous);

  // The reactor's thread, or when it has ended.
  [[nodiscard]] bool writing() const noexcept { return writing_; }
  // Bytes of the block on its way that are not written yet.
  [[nodiscard]] std::size_t bytes_left() const noexcept { return bytes_left_; }
  [[nodiscard]] std::size_t block_bytes() const noexcept { return block_bytes_; }
  [[nodiscard]] std::uint64_t rows_durable() const noexcept { return rows_durable_; }
  [[nodiscard]] std::uint64_t blocks_durable() const noexcept { return stats_.blocks.value(); }
  // The ledger sections of durable blocks, in order; a start reads them again.
  struct LedgerSection {
    std::vector<std::byte> payload;
    std::uint32_t entries = 0;
  };
  [[nodiscard]] const std::vector<LedgerSection>& ledger() const noexcept { return ledger_; }
  [[nodiscard]] std::uint64_t reopened() const noexcept { return reopened_; }
  // The sequence the next batch of the shard gets.
  [[nodiscard]] std::uint64_t next_sequence(std::uint32_t shard) { return sequences_[shard] + 1; }

 private:
  class DescriptorFile;
  [[nodiscard]] CompleteResult finish_block();

  const std::uint32_t epoch_;
  const std::uint32_t reactor_;
  std::unique_ptr<DescriptorFile> file_;
  std::atomic<bool> synchronous_{false};
  std::atomic<AppendStatus> answer_{AppendStatus::planned};
  std::atomic<bool> latched_{false};
  std::map<std::uint32_t, std::uint64_t> sequences_;  // of the last durable batch of each shard
  std::vector<Batch*> block_;
  std::vector<iovec> pieces_;
  std::array<std::byte, 4096> empty_section_{};
  LedgerSection block_ledger_;
  std::vector<LedgerSection> ledger_;
  bool writing_ = false;
  std::size_t block_bytes_ = 0;
  std::size_t bytes_left_ = 0;
  bool synchronizing_ = false;
  std::uint64_t rows_durable_ = 0;
  std::uint64_t reopened_ = 0;
  std::uint64_t offset_ = 0;
  JournalWriterStats stats_;
};

}  // namespace wellhead::testing
