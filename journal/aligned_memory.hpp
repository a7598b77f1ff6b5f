// Memory that direct I/O accepts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "base/assert.hpp"
#include "journal/format.hpp"

namespace wellhead {

// A fixed number of bytes, aligned to journal_format::alignment.
class AlignedMemory {
 public:
  enum class Content : std::uint8_t { zeros, anything };

  // REQUIRES a multiple of the alignment, not 0.
  explicit AlignedMemory(std::size_t bytes, Content content = Content::zeros) : bytes_(bytes) {
    WELLHEAD_ASSERT(bytes > 0 && bytes % journal_format::alignment == 0);
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(journal_format::alignment, bytes)));
    if (memory_ == nullptr) throw std::bad_alloc();
    if (content == Content::zeros) std::memset(memory_.get(), 0, bytes);
  }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {memory_.get(), bytes_}; }
  [[nodiscard]] std::byte* data() const noexcept { return memory_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };

  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t bytes_;
};

}  // namespace wellhead
