#include "journal/simulated_inode.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"

namespace wellhead {

std::uint64_t SimulatedRandom::next() noexcept {
  state_ += 0x9E3779B97F4A7C15ULL;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ (mixed >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94D049BB133111EBULL;
  return mixed ^ (mixed >> 31U);
}

bool SimulatedRandom::chance(double probability) noexcept {
  constexpr double range = 9007199254740992.0;  // 2^53, which a double holds exactly
  return static_cast<double>(next() >> 11U) < probability * range;
}

double SimulatedRandom::survival() noexcept {
  switch (below(4)) {
    case 0:
      return 0.0;
    case 1:
      return 1.0;
    default:
      return static_cast<double>(1 + below(15)) / 16.0;
  }
}

std::size_t SimulatedInode::read(std::span<std::byte> into, std::uint64_t offset) const noexcept {
  if (offset >= seen_.size()) return 0;
  const std::size_t bytes = std::min<std::uint64_t>(into.size(), seen_.size() - offset);
  std::memcpy(into.data(), seen_.data() + offset, bytes);
  return bytes;
}

void SimulatedInode::mark_dirty(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  const std::uint64_t first = begin / sector_bytes_;
  const std::uint64_t last = (end + sector_bytes_ - 1) / sector_bytes_;
  if (dirty_.size() < last) dirty_.resize(last);
  std::fill(dirty_.begin() + static_cast<std::ptrdiff_t>(first),
            dirty_.begin() + static_cast<std::ptrdiff_t>(last), true);
  dirty_begin_ = std::min(dirty_begin_, first);
  dirty_end_ = std::max(dirty_end_, last);
}

void SimulatedInode::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  if (bytes.empty()) return;
  const std::uint64_t end = offset + bytes.size();
  if (end > seen_.size()) resize(end);
  std::memcpy(seen_.data() + offset, bytes.data(), bytes.size());
  mark_dirty(offset, end);
}

void SimulatedInode::resize(std::uint64_t bytes) {
  const std::uint64_t before = seen_.size();
  seen_.resize(bytes);
  mark_dirty(std::min(before, bytes), std::max(before, bytes));
}

void SimulatedInode::synchronize() {
  durable_.resize(seen_.size());
  for (std::uint64_t sector = dirty_begin_; sector < dirty_end_; ++sector) {
    if (!dirty_[sector]) continue;
    dirty_[sector] = false;
    const std::uint64_t begin = sector * sector_bytes_;
    if (begin >= seen_.size()) continue;
    std::memcpy(durable_.data() + begin, seen_.data() + begin,
                std::min<std::uint64_t>(sector_bytes_, seen_.size() - begin));
  }
  dirty_begin_ = UINT64_MAX;
  dirty_end_ = 0;
}

void SimulatedInode::write_through(std::span<const std::byte> bytes, std::uint64_t offset, double survival,
                                   SimulatedRandom& random) {
  WELLHEAD_ASSERT(offset % sector_bytes_ == 0 && bytes.size() % sector_bytes_ == 0);
  if (offset + bytes.size() > seen_.size()) resize(offset + bytes.size());
  durable_.resize(seen_.size());  // the new size is durable with the write
  for (std::size_t at = 0; at < bytes.size(); at += sector_bytes_) {
    if (survival < 1.0 && !random.chance(survival)) continue;
    std::memcpy(seen_.data() + offset + at, bytes.data() + at, sector_bytes_);
    std::memcpy(durable_.data() + offset + at, bytes.data() + at, sector_bytes_);
    const std::uint64_t sector = (offset + at) / sector_bytes_;
    if (sector < dirty_.size()) dirty_[sector] = false;
  }
}

void SimulatedInode::settle(std::uint64_t size, SimulatedRandom& random) {
  durable_.resize(size);
  seen_.resize(size);
  const double survival = random.survival();
  for (std::uint64_t sector = dirty_begin_; sector < dirty_end_; ++sector) {
    const std::uint64_t begin = sector * sector_bytes_;
    if (!dirty_[sector]) continue;
    dirty_[sector] = false;
    if (begin >= size || random.chance(survival)) continue;
    std::memcpy(seen_.data() + begin, durable_.data() + begin,
                std::min<std::uint64_t>(sector_bytes_, size - begin));
  }
  durable_ = seen_;
  dirty_begin_ = UINT64_MAX;
  dirty_end_ = 0;
}

void SimulatedInode::lose_unsynchronized(SimulatedRandom& random) {
  settle(seen_.size(), random);
}

void SimulatedInode::crash(SimulatedRandom& random) {
  const bool size_survives = seen_.size() == durable_.size() || random.chance(0.5);
  settle(size_survives ? seen_.size() : durable_.size(), random);
}

}  // namespace wellhead
