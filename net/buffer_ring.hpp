// The receive buffers that the kernel picks from by itself (IORING_REGISTER_PBUF_RING).
//
//   one buffer = headroom | bytes the kernel fills | padding
//
// The headroom lets a session put the beginning of a split line right in front of its rest; the padding is
// what the JSON parser may read behind its input. Liburing 2.3 has no call to set the ring up, so it is
// mapped here.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "net/ring.hpp"

namespace wellhead {

inline constexpr std::size_t receive_headroom_bytes = 4096;

// Same thread as its Ring, and destroyed before it.
class BufferRing {
 public:
  static constexpr std::uint16_t group = 0;

  // REQUIRES `count` a power of two, at most 32768. All buffers are given to the kernel.
  [[nodiscard]] static std::expected<std::unique_ptr<BufferRing>, std::string> create(
      Ring& ring, std::uint32_t count, std::uint32_t buffer_bytes);
  ~BufferRing();
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;

  // Where the kernel put the bytes; receive_headroom_bytes before it are free to use, input_padding_bytes
  // behind buffer_bytes readable.
  [[nodiscard]] char* data(std::uint16_t buffer) noexcept;
  // Gives a buffer back; the kernel sees it after publish().
  void give_back(std::uint16_t buffer) noexcept;
  void publish() noexcept;

 private:
  BufferRing(Ring& ring, std::uint32_t count, std::uint32_t buffer_bytes);

  Ring& ring_;
  std::uint32_t count_;
  std::uint32_t buffer_bytes_;
  std::size_t stride_;
  std::size_t ring_bytes_;
  std::size_t memory_bytes_;
  io_uring_buf_ring* entries_ = nullptr;
  char* memory_ = nullptr;
  int returned_ = 0;  // given back and not published
  bool registered_ = false;
};

}  // namespace wellhead
