// Memory for bytes that cannot stay in a receive buffer: bodies that come in pieces, lines cut in two,
// requests that wait for the one before. One pool per reactor with a budget over all of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace wellhead {

class BodyPool;

// Growing bytes with input_padding_bytes readable behind them. Gives its memory back when it goes.
class BodyBuffer {
 public:
  BodyBuffer() noexcept = default;
  BodyBuffer(BodyBuffer&& other) noexcept { swap(other); }
  BodyBuffer& operator=(BodyBuffer&& other) noexcept {
    if (this != &other) {
      release();
      swap(other);
    }
    return *this;
  }
  BodyBuffer(const BodyBuffer&) = delete;
  BodyBuffer& operator=(const BodyBuffer&) = delete;
  ~BodyBuffer() { release(); }

  [[nodiscard]] char* data() noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
  // REQUIRES size <= capacity().
  void resize(std::size_t size) noexcept { size_ = size; }
  void clear() noexcept { size_ = 0; }
  void release() noexcept;

 private:
  friend class BodyPool;
  void swap(BodyBuffer& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  BodyPool* pool_ = nullptr;
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// One thread; outlives its buffers.
class BodyPool {
 public:
  explicit BodyPool(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  ~BodyPool();
  BodyPool(const BodyPool&) = delete;
  BodyPool& operator=(const BodyPool&) = delete;

  // Makes room for `capacity` bytes, keeping what is there. False when the budget does not allow it; the
  // buffer is then as it was.
  [[nodiscard]] bool reserve(BodyBuffer& buffer, std::size_t capacity);
  [[nodiscard]] bool append(BodyBuffer& buffer, std::string_view bytes);

  // Bytes handed out.
  [[nodiscard]] std::uint64_t bytes_used() const noexcept { return bytes_used_; }
  // Bytes kept for reuse besides.
  [[nodiscard]] std::uint64_t bytes_kept() const noexcept { return bytes_kept_; }

 private:
  friend class BodyBuffer;
  static constexpr unsigned smallest_bits = 10;
  static constexpr unsigned class_count = 22;                 // 1 KiB … 2 GiB
  static constexpr std::uint64_t bytes_kept_max = 16U << 20;  // memory a burst leaves behind

  void give_back(char* data, std::size_t capacity) noexcept;

  std::uint64_t bytes_max_;
  std::uint64_t bytes_used_ = 0;
  std::uint64_t bytes_kept_ = 0;
  std::array<std::vector<char*>, class_count> free_;
};

}  // namespace wellhead
