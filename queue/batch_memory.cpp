#include "queue/batch_memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <new>

#include "base/assert.hpp"

namespace wellhead {

void BatchMemory::Unmap::operator()(std::byte* memory) const noexcept {
  munmap(memory, bytes);
}

// With room to begin at a multiple of a huge page, which is what the kernel wants to use one; what lies
// around it is given back.
BatchMemory::Slab BatchMemory::map(std::size_t bytes) {
  const std::size_t room = bytes < huge_page_bytes ? 0 : huge_page_bytes;
  void* const mapped =
      mmap(nullptr, bytes + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const memory = static_cast<std::byte*>(mapped);
  if (room == 0) return Slab(memory, Unmap{bytes});
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(memory) % huge_page_bytes;
  if (before > 0) munmap(memory, before);
  if (before < room) munmap(memory + before + bytes, room - before);
  // A kernel without huge pages refuses, and nothing else changes.
  static_cast<void>(madvise(memory + before, bytes, MADV_HUGEPAGE));
  return Slab(memory + before, Unmap{bytes});
}

void BatchMemory::add_slab() {
  WELLHEAD_ASSERT(left_ > 0);
  const std::size_t pieces = std::clamp<std::size_t>(huge_page_bytes / piece_bytes_, 1, left_);
  const std::size_t bytes = pieces * piece_bytes_;
  slabs_.push_back(map(bytes));
  rest_ = {slabs_.back().get(), bytes};
}

std::span<std::byte> BatchMemory::next() {
  if (rest_.empty()) add_slab();
  const std::span<std::byte> piece = rest_.first(piece_bytes_);
  rest_ = rest_.subspan(piece_bytes_);
  --left_;
  return piece;
}

}  // namespace wellhead
