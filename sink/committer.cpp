#include "sink/committer.hpp"

namespace wellhead {

const char* to_string(ShardState state) noexcept {
  switch (state) {
    case ShardState::starting:
      return "starting";
    case ShardState::ready:
      return "ready";
    case ShardState::disconnected:
      return "disconnected";
    case ShardState::blocked:
      return "blocked";
    case ShardState::stopped:
      return "stopped";
  }
  return "unknown";
}

}  // namespace wellhead
