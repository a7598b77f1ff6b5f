#include "net/buffer_ring.hpp"

#include <sys/mman.h>

#include <cerrno>

#include "base/assert.hpp"
#include "codec/decoder.hpp"
#include "net/feature_probe.hpp"

namespace wellhead {
namespace {

constexpr std::size_t cache_line_bytes = 64;
static_assert(receive_headroom_bytes % cache_line_bytes == 0);

void* map_memory(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

BufferRing::BufferRing(Ring& ring, std::uint32_t count, std::uint32_t buffer_bytes)
    : ring_(ring),
      count_(count),
      buffer_bytes_(buffer_bytes),
      stride_((receive_headroom_bytes + buffer_bytes + input_padding_bytes + cache_line_bytes - 1) /
              cache_line_bytes * cache_line_bytes),
      ring_bytes_(count * sizeof(io_uring_buf)),
      memory_bytes_(count * stride_) {}

std::expected<std::unique_ptr<BufferRing>, std::string> BufferRing::create(Ring& ring, std::uint32_t count,
                                                                           std::uint32_t buffer_bytes) {
  std::unique_ptr<BufferRing> buffers(new BufferRing(ring, count, buffer_bytes));
  buffers->entries_ = static_cast<io_uring_buf_ring*>(map_memory(buffers->ring_bytes_));
  buffers->memory_ = static_cast<char*>(map_memory(buffers->memory_bytes_));
  if (buffers->entries_ == nullptr || buffers->memory_ == nullptr)
    return std::unexpected("There is not enough memory for " + std::to_string(buffers->memory_bytes_) +
                           " bytes of receive buffers; lower receive_buffers or receive_buffer_bytes.");
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(buffers->entries_);
  registration.ring_entries = count;
  registration.bgid = group;
  const int result = io_uring_register_buf_ring(&ring.native(), &registration, 0);
  if (result < 0) return std::unexpected(explain_buffer_ring_failure(-result, describe_kernel()));
  buffers->registered_ = true;
  io_uring_buf_ring_init(buffers->entries_);
  for (std::uint32_t buffer = 0; buffer < count; ++buffer)
    buffers->give_back(static_cast<std::uint16_t>(buffer));
  buffers->publish();
  return buffers;
}

BufferRing::~BufferRing() {
  if (registered_) io_uring_unregister_buf_ring(&ring_.native(), group);
  if (entries_ != nullptr) munmap(entries_, ring_bytes_);
  if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

char* BufferRing::data(std::uint16_t buffer) noexcept {
  WELLHEAD_ASSERT(buffer < count_);
  return memory_ + buffer * stride_ + receive_headroom_bytes;
}

void BufferRing::give_back(std::uint16_t buffer) noexcept {
  io_uring_buf_ring_add(entries_, data(buffer), buffer_bytes_, buffer, io_uring_buf_ring_mask(count_),
                        returned_++);
}

void BufferRing::publish() noexcept {
  if (returned_ == 0) return;
  io_uring_buf_ring_advance(entries_, returned_);
  returned_ = 0;
}

}  // namespace wellhead
