#include "sink/replay_pool.hpp"

#include "base/assert.hpp"

namespace wellhead {

Batch* ReplayPool::acquire() {
  if (free_.empty()) {
    if (owned_.size() == count_) return nullptr;
    free_.push_back(owned_.emplace_back(std::make_unique<Batch>(batch_bytes_, Batch::no_reactor)).get());
  }
  Batch* batch = free_.back();
  free_.pop_back();
  return batch;
}

void ReplayPool::release(Batch* batch) {
  WELLHEAD_ASSERT(batch->reactor() == Batch::no_reactor && free_.size() < owned_.size());
  batch->reset();
  free_.push_back(batch);
}

}  // namespace wellhead
