#include "codec/stream_rules.hpp"

#include <utility>

namespace wellhead {
namespace {

std::uint64_t next_generation() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

RulesInForce::RulesInForce() : generation_(next_generation()) {}

StreamRules RulesInForce::get(std::uint64_t& generation) const {
  const std::lock_guard lock(mutex_);
  generation = generation_.load(std::memory_order_relaxed);
  return rules_;
}

StreamRules RulesInForce::set(StreamRules rules) {
  const std::lock_guard lock(mutex_);
  std::swap(rules_, rules);
  generation_.store(next_generation(), std::memory_order_release);
  return rules;
}

void RulesHold::take(const Schema& schema) {
  rules_ = schema.rules().get(generation_);
  used_ = rules_.schema != nullptr ? rules_.schema.get() : &schema;
}

}  // namespace wellhead
