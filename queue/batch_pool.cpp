#include "queue/batch_pool.hpp"

#include "base/assert.hpp"

namespace wellhead {

BatchPool::BatchPool(std::size_t batch_bytes, std::size_t count, std::uint32_t reactor)
    : count_(count), reactor_(reactor), memory_(batch_bytes, count) {}

Batch* BatchPool::acquire() {
  if (free_.empty()) {
    if (owned_.size() == count_) return nullptr;
    free_.push_back(owned_.emplace_back(std::make_unique<Batch>(memory_.next(), reactor_)).get());
  }
  Batch* batch = free_.back();
  free_.pop_back();
  return batch;
}

void BatchPool::release(Batch* batch) {
  WELLHEAD_ASSERT(batch->reactor() == reactor_ && free_.size() < owned_.size());
  batch->reset();
  free_.push_back(batch);
}

}  // namespace wellhead
