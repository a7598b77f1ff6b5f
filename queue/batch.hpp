// A batch: rows of one reactor for one shard, handed over as a whole and handed back when their fate is
// known.
//
// Owner at each moment: the reactor while it is open, then the shard's queue and the shard, then the reactor
// again. Nobody touches a batch another thread owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/row.hpp"

namespace wellhead {

// Rows [first_row, first_row + row_count) of a batch belong to one request of the reactor.
struct Claim {
  std::uint32_t request_slot;
  std::uint32_t request_generation;
  std::uint32_t first_row;
  std::uint32_t row_count;
};

// A row the database refused for its data.
struct RefusedRow {
  std::uint32_t row;           // within the batch
  std::uint32_t record_index;  // within its request
  std::string sqlstate;
  std::string message;
};

// What became of a batch's rows, set by the shard before it hands the batch back.
enum class BatchOutcome : std::uint8_t {
  none,       // not decided
  committed,  // every row is committed but those in refused()
  abandoned,  // the node is stopping and the rows were not committed
};

// Boundaries of a batch at one moment, to take rows back to.
struct BatchMark {
  std::size_t bytes;
  std::uint32_t row_count;
  std::size_t claim_count;
  std::uint32_t last_claim_rows;
};

class Batch {
 public:
  // Allocates `capacity_bytes`, aligned to 4 KiB for direct writes of the journal.
  Batch(std::size_t capacity_bytes, std::uint32_t reactor);

  [[nodiscard]] bool fits(std::size_t bytes) const noexcept { return bytes <= capacity_bytes_ - bytes_; }
  // Adds a row of row_bytes(tuple_bytes) for a request. REQUIRES fits().
  [[nodiscard]] std::byte* append(std::uint32_t request_slot, std::uint32_t request_generation,
                                  std::uint32_t tuple_bytes) noexcept;

  [[nodiscard]] BatchMark mark() const noexcept;
  // REQUIRES a mark of this batch taken since the last reset().
  void rewind(const BatchMark& mark) noexcept;
  void reset() noexcept;

  [[nodiscard]] std::span<const std::byte> rows() const noexcept { return {memory_.get(), bytes_}; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint32_t row_count() const noexcept { return row_count_; }
  [[nodiscard]] bool empty() const noexcept { return row_count_ == 0; }
  [[nodiscard]] const std::vector<Claim>& claims() const noexcept { return claims_; }
  [[nodiscard]] std::uint32_t reactor() const noexcept { return reactor_; }
  [[nodiscard]] std::uint32_t shard() const noexcept { return shard_; }
  void set_shard(std::uint32_t shard) noexcept { shard_ = shard; }

  [[nodiscard]] BatchOutcome outcome() const noexcept { return outcome_; }
  void set_outcome(BatchOutcome outcome) noexcept { outcome_ = outcome; }
  [[nodiscard]] std::vector<RefusedRow>& refused() noexcept { return refused_; }

 private:
  struct AlignedFree {
    void operator()(std::byte* memory) const noexcept;
  };

  std::unique_ptr<std::byte[], AlignedFree> memory_;
  std::size_t capacity_bytes_;
  std::size_t bytes_ = 0;
  std::uint32_t row_count_ = 0;
  std::uint32_t reactor_;
  std::uint32_t shard_ = 0;
  BatchOutcome outcome_ = BatchOutcome::none;
  std::vector<Claim> claims_;
  std::vector<RefusedRow> refused_;
};

// Calls visit(const RowHeader&, std::span<const std::byte> tuple, std::uint32_t row_number) for each row in
// order.
template <typename Visit>
void for_each_row(const Batch& batch, Visit&& visit) {
  const std::byte* at = batch.rows().data();
  for (std::uint32_t row = 0; row < batch.row_count(); ++row) {
    const auto* header = reinterpret_cast<const RowHeader*>(at);
    visit(*header, std::span<const std::byte>(at + sizeof(RowHeader), header->tuple_bytes), row);
    at += row_bytes(header->tuple_bytes);
  }
}

}  // namespace wellhead
