#include "queue/batch.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::size_t claims_reserved = 256;

std::byte* allocate_aligned(std::size_t bytes) {
  WELLHEAD_ASSERT(bytes % Batch::alignment == 0);
  void* memory = std::aligned_alloc(Batch::alignment, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

}  // namespace

void Batch::AlignedFree::operator()(std::byte* memory) const noexcept {
  std::free(memory);
}

Batch::Batch(std::size_t capacity_bytes, std::uint32_t reactor)
    : Batch({allocate_aligned(capacity_bytes), capacity_bytes}, reactor) {
  own_.reset(memory_);
}

Batch::Batch(std::span<std::byte> memory, std::uint32_t reactor)
    : memory_(memory.data()), capacity_bytes_(memory.size()), reactor_(reactor) {
  WELLHEAD_ASSERT(memory.size() % alignment == 0 && memory.size() > header_room_bytes);
  WELLHEAD_ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % alignment == 0);
  claims_.reserve(claims_reserved);
}

std::byte* Batch::append(std::uint32_t request_slot, std::uint32_t request_generation,
                         std::uint32_t tuple_bytes, RowKind kind) noexcept {
  const std::size_t bytes = row_bytes(tuple_bytes);
  WELLHEAD_ASSERT(fits(bytes));
  std::byte* row = memory_ + header_room_bytes + bytes_;
  bytes_ += bytes;
  const bool same_request = !claims_.empty() && claims_.back().request_slot == request_slot &&
                            claims_.back().request_generation == request_generation &&
                            claims_.back().kind == kind;
  if (same_request)
    ++claims_.back().row_count;
  else
    claims_.push_back({request_slot, request_generation, row_count_, 1, kind});
  ++row_count_;
  return row;
}

BatchMark Batch::mark() const noexcept {
  return {bytes_, row_count_, claims_.size(), claims_.empty() ? 0 : claims_.back().row_count};
}

void Batch::rewind(const BatchMark& mark) noexcept {
  WELLHEAD_ASSERT(mark.bytes <= bytes_ && mark.row_count <= row_count_ && mark.claim_count <= claims_.size());
  bytes_ = mark.bytes;
  row_count_ = mark.row_count;
  claims_.resize(mark.claim_count);
  if (!claims_.empty()) claims_.back().row_count = mark.last_claim_rows;
}

std::span<std::byte> Batch::section() noexcept {
  const std::size_t used = header_room_bytes + bytes_;
  const std::size_t padded = (used + alignment - 1) / alignment * alignment;
  std::memset(memory_ + used, 0, padded - used);
  return {memory_, padded};
}

void Batch::adopt(std::size_t bytes, std::uint32_t row_count) noexcept {
  reset();
  WELLHEAD_ASSERT(fits(bytes));
  bytes_ = bytes;
  row_count_ = row_count;
}

void Batch::reset() noexcept {
  bytes_ = 0;
  row_count_ = 0;
  must_return_ = false;
  lane_ = {};
  lane_sequence_ = 0;
  outcome_ = BatchOutcome::none;
  claims_.clear();
  refused_.clear();
}

}  // namespace wellhead
