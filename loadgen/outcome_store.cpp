#include "loadgen/outcome_store.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::uint8_t outcome_mask = 0x07;
constexpr std::uint8_t found_bit = 0x08;
static_assert(static_cast<std::uint8_t>(Outcome::unsent) == 0, "fresh memory means unsent");

}  // namespace

OutcomeStore::~OutcomeStore() {
  for (auto& segment : segments_) delete[] segment.load(std::memory_order_relaxed);
}

std::uint8_t* OutcomeStore::segment_for_write(std::uint64_t record) {
  WELLHEAD_ASSERT(record < records_max);
  std::atomic<std::uint8_t*>& slot = segments_[record / segment_records];
  std::uint8_t* segment = slot.load(std::memory_order_acquire);
  if (segment != nullptr) [[likely]]
    return segment;
  auto fresh = std::make_unique<std::uint8_t[]>(segment_records);
  if (slot.compare_exchange_strong(segment, fresh.get(), std::memory_order_acq_rel)) return fresh.release();
  return segment;  // another worker was first
}

void OutcomeStore::set(RecordRange range, Outcome outcome) {
  const std::uint64_t end = range.first + range.count;
  for (std::uint64_t record = range.first; record < end;) {
    const std::uint64_t offset = record % segment_records;
    const std::uint64_t count = std::min(end - record, segment_records - offset);
    std::memset(segment_for_write(record) + offset, static_cast<int>(outcome), count);
    record += count;
  }
  std::uint64_t size = size_.load(std::memory_order_relaxed);
  while (size < end && !size_.compare_exchange_weak(size, end, std::memory_order_release)) {
  }
}

std::uint8_t OutcomeStore::read(std::uint64_t record) const noexcept {
  if (record >= records_max) return 0;
  const std::uint8_t* segment = segments_[record / segment_records].load(std::memory_order_acquire);
  return segment == nullptr ? 0 : segment[record % segment_records];
}

Outcome OutcomeStore::get(std::uint64_t record) const noexcept {
  return static_cast<Outcome>(read(record) & outcome_mask);
}

bool OutcomeStore::mark_found(std::uint64_t record) {
  std::uint8_t& state = segment_for_write(record)[record % segment_records];
  const bool first = (state & found_bit) == 0;
  state |= found_bit;
  return first;
}

void OutcomeStore::forget_found() noexcept {
  for (auto& slot : segments_) {
    std::uint8_t* segment = slot.load(std::memory_order_acquire);
    if (segment == nullptr) continue;
    for (std::uint64_t offset = 0; offset < segment_records; ++offset) segment[offset] &= outcome_mask;
  }
}

bool OutcomeStore::found(std::uint64_t record) const noexcept {
  return (read(record) & found_bit) != 0;
}

}  // namespace wellhead::loadgen
