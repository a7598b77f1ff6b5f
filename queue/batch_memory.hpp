// Memory for many batches, in pieces cut from large allocations.
//
// A batch is smaller than a huge page. Where each has an allocation of its own, every 4 KiB of it cost a page
// fault when they are first written and an entry of the TLB after; cut from one allocation, eight batches of
// 256 KiB are one page (transparent huge pages in the mode `madvise` or `always`).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace wellhead {

// One thread. What was given stays valid until the object goes, and is never given twice.
class BatchMemory {
 public:
  static constexpr std::size_t huge_page_bytes = 2U << 20;

  // Pieces of `piece_bytes`, a multiple of Batch::alignment, `count` of them at most.
  BatchMemory(std::size_t piece_bytes, std::size_t count) noexcept
      : piece_bytes_(piece_bytes), left_(count) {}

  // Aligned to a page of 4 KiB, zero as the kernel gives it; touched only when it is used. Throws
  // std::bad_alloc. REQUIRES that fewer than `count` were given.
  [[nodiscard]] std::span<std::byte> next();

 private:
  struct Unmap {
    std::size_t bytes = 0;
    void operator()(std::byte* memory) const noexcept;
  };
  using Slab = std::unique_ptr<std::byte[], Unmap>;

  static Slab map(std::size_t bytes);
  void add_slab();

  std::size_t piece_bytes_;
  std::size_t left_;
  std::span<std::byte> rest_;  // of the newest slab
  std::vector<Slab> slabs_;
};

}  // namespace wellhead
