#include "net/body_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/assert.hpp"
#include "codec/decoder.hpp"

namespace wellhead {
namespace {

unsigned class_of(std::size_t capacity, unsigned smallest_bits) {
  const auto bits = static_cast<unsigned>(std::bit_width(capacity - 1));
  return std::max(bits, smallest_bits) - smallest_bits;
}

}  // namespace

void BodyBuffer::release() noexcept {
  if (data_ != nullptr) pool_->give_back(data_, capacity_);
  data_ = nullptr;
  size_ = 0;
  capacity_ = 0;
}

BodyPool::~BodyPool() {
  WELLHEAD_ASSERT(bytes_used_ == 0);
  for (auto& list : free_)
    for (char* data : list) std::free(data);
}

bool BodyPool::reserve(BodyBuffer& buffer, std::size_t capacity) {
  if (capacity <= buffer.capacity_) return true;
  const unsigned index = class_of(capacity, smallest_bits);
  if (index >= class_count) return false;
  const std::size_t bytes = std::size_t{1} << (index + smallest_bits);
  if (bytes_used_ - buffer.capacity_ + bytes > bytes_max_) return false;

  char* data = nullptr;
  if (free_[index].empty()) {
    data = static_cast<char*>(std::malloc(bytes + input_padding_bytes));
    if (data == nullptr) return false;
    std::memset(data + bytes, 0, input_padding_bytes);
  } else {
    data = free_[index].back();
    free_[index].pop_back();
    bytes_kept_ -= bytes;
  }
  const std::size_t size = buffer.size_;
  if (size > 0) std::memcpy(data, buffer.data_, size);
  buffer.release();
  buffer.pool_ = this;
  buffer.data_ = data;
  buffer.size_ = size;
  buffer.capacity_ = bytes;
  bytes_used_ += bytes;
  return true;
}

bool BodyPool::append(BodyBuffer& buffer, std::string_view bytes) {
  if (bytes.empty()) return true;
  if (!reserve(buffer, buffer.size_ + bytes.size())) return false;
  std::memcpy(buffer.data_ + buffer.size_, bytes.data(), bytes.size());
  buffer.size_ += bytes.size();
  return true;
}

void BodyPool::give_back(char* data, std::size_t capacity) noexcept {
  bytes_used_ -= capacity;
  if (bytes_kept_ + capacity > bytes_kept_max) {
    std::free(data);
    return;
  }
  bytes_kept_ += capacity;
  free_[class_of(capacity, smallest_bits)].push_back(data);
}

}  // namespace wellhead
