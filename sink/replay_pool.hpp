// The batches a shard reads the journal back into. Made when first needed, never more than `count`.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "queue/batch.hpp"

namespace wellhead {

class ReplayPool {
 public:
  ReplayPool(std::size_t batch_bytes, std::size_t count) : batch_bytes_(batch_bytes), count_(count) {}

  // An empty batch with reactor() == Batch::no_reactor; null when all are in use.
  [[nodiscard]] Batch* acquire();
  // REQUIRES a batch of acquire() that was not released since.
  void release(Batch* batch);

 private:
  std::size_t batch_bytes_;
  std::size_t count_;
  std::vector<std::unique_ptr<Batch>> owned_;
  std::vector<Batch*> free_;
};

}  // namespace wellhead
