// The sink that only counts: everything is committed at once and nowhere. For measuring what comes before it.
#pragma once

#include "sink/shard.hpp"

namespace wellhead {

class NullCommitter final : public Committer {
 public:
  void attach(ShardStats& stats) override { stats_ = &stats; }
  [[nodiscard]] bool prepare(const std::atomic<bool>& stopping, ShardState& state,
                             std::string& problem) override;
  [[nodiscard]] FlushOutcome commit(std::span<Batch* const> batches, const std::atomic<bool>& stopping,
                                    std::string& problem) override;
  [[nodiscard]] bool idle_check() override { return true; }

 private:
  ShardStats* stats_ = nullptr;
};

}  // namespace wellhead
