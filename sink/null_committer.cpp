#include "sink/null_committer.hpp"

namespace wellhead {

bool NullCommitter::prepare(std::span<LaneProgress> /*lanes*/, const std::atomic<bool>& /*stopping*/,
                            ShardState& /*state*/, std::string& /*problem*/) {
  return true;  // what the shard believes is so
}

FlushReport NullCommitter::commit(const FlushOrder& order, const std::atomic<bool>& /*stopping*/) {
  FlushReport report{.outcome = FlushOutcome::committed};
  for (const Batch* batch : order.batches)
    report.copied_bytes += batch->bytes() - batch->row_count() * sizeof(RowHeader);
  return report;
}

}  // namespace wellhead
