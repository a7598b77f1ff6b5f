// The batches of one owner. Made when first needed, never more than `count`, and kept for their memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "queue/batch.hpp"
#include "queue/batch_memory.hpp"

namespace wellhead {

// One thread. The batches live as long as the pool.
class BatchPool {
 public:
  // Of `batch_bytes` each; `reactor` is what Batch::reactor() says of them.
  BatchPool(std::size_t batch_bytes, std::size_t count, std::uint32_t reactor);

  // An empty batch, the one that was released last; null when all are in use.
  [[nodiscard]] Batch* acquire();
  // REQUIRES a batch of acquire() that was not released since.
  void release(Batch* batch);
  // How many acquire() would still give.
  [[nodiscard]] std::size_t free_count() const noexcept { return count_ - owned_.size() + free_.size(); }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  std::size_t count_;
  std::uint32_t reactor_;
  BatchMemory memory_;
  std::vector<std::unique_ptr<Batch>> owned_;
  std::vector<Batch*> free_;
};

}  // namespace wellhead
