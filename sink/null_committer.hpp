// The sink that only counts: everything is committed at once and nowhere. For measuring what comes before it.
#pragma once

#include "sink/committer.hpp"

namespace wellhead {

class NullCommitter final : public Committer {
 public:
  [[nodiscard]] bool always_durable() const noexcept override { return true; }
  [[nodiscard]] bool prepare(std::span<LaneProgress> lanes, const std::atomic<bool>& stopping,
                             ShardState& state, std::string& problem) override;
  [[nodiscard]] FlushReport commit(const FlushOrder& order, const std::atomic<bool>& stopping) override;
  [[nodiscard]] bool idle_check() override { return true; }
};

}  // namespace wellhead
