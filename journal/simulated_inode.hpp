// One file of the simulated disk: what a reader of it sees, and what the disk has of that. Sectors are the
// unit in which the disk keeps or loses what was not synchronized.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wellhead {

// The same numbers for a seed on every machine (SplitMix64).
class SimulatedRandom {
 public:
  explicit SimulatedRandom(std::uint64_t seed) noexcept : state_(seed) {}
  [[nodiscard]] std::uint64_t next() noexcept;
  // 0 … bound - 1. REQUIRES bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
  [[nodiscard]] bool chance(double probability) noexcept;
  // How likely each of a set of sectors reaches the disk: never, always, or something between, so that the
  // ends, which coins alone would hardly ever show, are met often.
  [[nodiscard]] double survival() noexcept;

 private:
  std::uint64_t state_;
};

// One thread. Copies are independent.
class SimulatedInode {
 public:
  SimulatedInode(std::size_t sector_bytes, bool directory)
      : sector_bytes_(sector_bytes), directory_(directory) {}

  [[nodiscard]] bool directory() const noexcept { return directory_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return seen_.size(); }
  [[nodiscard]] std::size_t read(std::span<std::byte> into, std::uint64_t offset) const noexcept;
  // Seen at once, durable with synchronize().
  void write(std::span<const std::byte> bytes, std::uint64_t offset);
  void resize(std::uint64_t bytes);
  // Everything seen is durable.
  void synchronize();
  // As an O_DSYNC write of which the disk takes each sector with a probability; 1 is a write that succeeds.
  // REQUIRES whole sectors.
  void write_through(std::span<const std::byte> bytes, std::uint64_t offset, double survival,
                     SimulatedRandom& random);
  // A synchronization that failed: each written sector reached the disk or did not, and those that did not
  // are dropped and count as clean, so that the next synchronization succeeds without them.
  void lose_unsynchronized(SimulatedRandom& random);
  // Power loss: as above, and the size may be the durable one too.
  void crash(SimulatedRandom& random);
  // What is on the disk, to damage it.
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return seen_; }

 private:
  void mark_dirty(std::uint64_t begin, std::uint64_t end);
  void settle(std::uint64_t size, SimulatedRandom& random);

  std::size_t sector_bytes_;
  bool directory_;
  std::vector<std::byte> seen_;
  std::vector<std::byte> durable_;
  std::vector<bool> dirty_;  // by sector
  // Bounds of the dirty sectors, so that synchronizing a large file costs what was written to it.
  std::uint64_t dirty_begin_ = UINT64_MAX;
  std::uint64_t dirty_end_ = 0;
};

}  // namespace wellhead
