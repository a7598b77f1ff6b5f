// A file seen through a window in memory that is filled by large reads, so that walking through a segment
// costs few system calls and re-reading the same place none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "journal/aligned_memory.hpp"
#include "journal/file_system.hpp"

namespace wellhead {

// One thread. Reads into the window are aligned as direct I/O wants them.
class ReadWindow {
 public:
  static constexpr std::size_t default_bytes = 1U << 20;

  explicit ReadWindow(std::size_t bytes = default_bytes);

  // `file` outlives the window or the next open().
  void open(File& file) noexcept;
  // The bytes [offset, offset + bytes), or fewer at the end of the file. When they are not there already,
  // reads `ahead` bytes (at least `bytes`, at most the window). Valid until the next call. REQUIRES that
  // `bytes` and an alignment more fit into the window.
  [[nodiscard]] FileResult<std::span<const std::byte>> view(std::uint64_t offset, std::size_t bytes,
                                                            std::size_t ahead);
  [[nodiscard]] FileResult<std::span<const std::byte>> view(std::uint64_t offset, std::size_t bytes) {
    return view(offset, bytes, capacity_);
  }
  // What of [offset, …) is in the window now, without reading.
  [[nodiscard]] std::span<const std::byte> held(std::uint64_t offset) const noexcept;
  // Reads anew: what is in the window may be of before a write.
  void forget() noexcept { size_ = 0; }
  // Reads to `into` past the window; fewer bytes at the end of the file. REQUIRES a file through the page
  // cache.
  [[nodiscard]] FileResult<std::size_t> read(std::span<std::byte> into, std::uint64_t offset);

 private:
  [[nodiscard]] FileResult<std::size_t> fill(std::span<std::byte> into, std::uint64_t offset);

  std::size_t capacity_;
  AlignedMemory memory_;
  File* file_ = nullptr;
  std::uint64_t begin_ = 0;
  std::size_t size_ = 0;
};

}  // namespace wellhead
