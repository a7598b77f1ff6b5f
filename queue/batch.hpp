// A batch: rows of one reactor for one shard, handed over as a whole and handed back when their fate is
// known.
//
// Owner at each moment: the reactor while it is open and while the journal writes it, then the shard's queue
// and the shard, then the reactor again. Nobody touches a batch another thread owns. A batch that a shard
// read back from the journal belongs to that shard alone.
//
// In memory: header_room_bytes for the journal's section header, the rows, zeros up to the next 4 KiB; this
// is also how it lies on disk, so that a batch is written and read back without a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/row.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// Rows [first_row, first_row + row_count) of a batch belong to one request of the reactor.
struct Claim {
  std::uint32_t request_slot;
  std::uint32_t request_generation;
  std::uint32_t first_row;
  std::uint32_t row_count;
  RowKind kind = RowKind::record;
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
  static constexpr std::size_t alignment = 4096;
  static constexpr std::size_t header_room_bytes = 128;
  // For the reactor of a batch that a shard read from the journal.
  static constexpr std::uint32_t no_reactor = UINT32_MAX;

  // Allocates `capacity_bytes`, a multiple of `alignment`, of which header_room_bytes are not for rows.
  Batch(std::size_t capacity_bytes, std::uint32_t reactor);
  // The same in memory that outlives the batch, aligned to `alignment`.
  Batch(std::span<std::byte> memory, std::uint32_t reactor);

  [[nodiscard]] bool fits(std::size_t bytes) const noexcept {
    return bytes <= capacity_bytes_ - header_room_bytes - bytes_;
  }
  // Adds a row of row_bytes(tuple_bytes) for a request. REQUIRES fits().
  [[nodiscard]] std::byte* append(std::uint32_t request_slot, std::uint32_t request_generation,
                                  std::uint32_t tuple_bytes, RowKind kind = RowKind::record) noexcept;

  [[nodiscard]] BatchMark mark() const noexcept;
  // REQUIRES a mark of this batch taken since the last reset().
  void rewind(const BatchMark& mark) noexcept;
  void reset() noexcept;

  [[nodiscard]] std::span<const std::byte> rows() const noexcept {
    return {memory_ + header_room_bytes, bytes_};
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint32_t row_count() const noexcept { return row_count_; }
  [[nodiscard]] bool empty() const noexcept { return row_count_ == 0; }
  [[nodiscard]] const std::vector<Claim>& claims() const noexcept { return claims_; }
  [[nodiscard]] std::uint32_t reactor() const noexcept { return reactor_; }
  [[nodiscard]] std::uint32_t shard() const noexcept { return shard_; }
  void set_shard(std::uint32_t shard) noexcept { shard_ = shard; }

  // Where the batch stands in its lane; set once when it is given to the journal, before it goes to a shard.
  [[nodiscard]] LaneId lane() const noexcept { return lane_; }
  [[nodiscard]] std::uint64_t lane_sequence() const noexcept { return lane_sequence_; }
  void set_lane(LaneId lane, std::uint64_t sequence) noexcept {
    lane_ = lane;
    lane_sequence_ = sequence;
  }
  // Whether a request waits for this batch's commit, so that memory must hold it until the shard gives it
  // back.
  [[nodiscard]] bool must_return() const noexcept { return must_return_; }
  void set_must_return() noexcept { must_return_ = true; }

  // The journal's view: header room and rows, zeros behind them up to a multiple of `alignment`.
  [[nodiscard]] std::span<std::byte> section() noexcept;
  // All memory, to read a section of the journal into; then adopt() tells what is in it.
  [[nodiscard]] std::span<std::byte> memory() noexcept { return {memory_, capacity_bytes_}; }
  void adopt(std::size_t bytes, std::uint32_t row_count) noexcept;

  [[nodiscard]] BatchOutcome outcome() const noexcept { return outcome_; }
  void set_outcome(BatchOutcome outcome) noexcept { outcome_ = outcome; }
  [[nodiscard]] std::vector<RefusedRow>& refused() noexcept { return refused_; }
  [[nodiscard]] const std::vector<RefusedRow>& refused() const noexcept { return refused_; }

 private:
  struct AlignedFree {
    void operator()(std::byte* memory) const noexcept;
  };

  std::unique_ptr<std::byte[], AlignedFree> own_;  // null where the memory is somebody else's
  std::byte* memory_;
  std::size_t capacity_bytes_;
  std::size_t bytes_ = 0;
  std::uint32_t row_count_ = 0;
  std::uint32_t reactor_;
  std::uint32_t shard_ = 0;
  bool must_return_ = false;
  LaneId lane_{};
  std::uint64_t lane_sequence_ = 0;
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
