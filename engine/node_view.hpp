// What the admin port may see of a running node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/intake.hpp"
#include "net/reactor_stats.hpp"
#include "sink/shard.hpp"

namespace wellhead {

struct ReactorReading {
  std::string name;  // its number, or "admin"
  const ReactorStats* stats;
  const IntakeStats* intake;  // null for a reactor that takes no records
};

struct ShardReading {
  std::uint32_t index;
  ShardState state;
  std::string problem;  // a sentence; empty where there is none
  const ShardStats* stats;
};

// Any thread. The pointers are valid as long as the view.
class NodeView {
 public:
  virtual ~NodeView() = default;
  [[nodiscard]] virtual std::vector<ReactorReading> reactors() const = 0;
  [[nodiscard]] virtual std::vector<ShardReading> shards() const = 0;
  // True once every listener is served.
  [[nodiscard]] virtual bool started() const = 0;
  // True from the first TERM on.
  [[nodiscard]] virtual bool stopping() const = 0;
};

}  // namespace wellhead
