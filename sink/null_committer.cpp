#include "sink/null_committer.hpp"

#include "base/assert.hpp"

namespace wellhead {

bool NullCommitter::prepare(const std::atomic<bool>& /*stopping*/, ShardState& /*state*/,
                            std::string& /*problem*/) {
  return true;
}

FlushOutcome NullCommitter::commit(std::span<Batch* const> batches, const std::atomic<bool>& /*stopping*/,
                                   std::string& /*problem*/) {
  WELLHEAD_ASSERT(stats_ != nullptr);
  for (const Batch* batch : batches)
    stats_->bytes_committed.add(batch->bytes() - batch->row_count() * sizeof(RowHeader));
  return FlushOutcome::committed;
}

}  // namespace wellhead
