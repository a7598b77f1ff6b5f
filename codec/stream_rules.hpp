// What of a stream may change while it is in use: how its records are read and judged, and the attributes of
// its devices. Its table, its columns and so the form of its rows stay, and so does the Schema that everybody
// knows the stream by.
//
// Rules are put into force by one thread (RulesInForce::set) and used by many, each through a hold of its own
// (RulesHold): a look at one number tells whether there are new ones, and only then they are taken. Rules are
// freed when neither they are in force nor any thread holds them; a thread that is idle holds the ones it
// used last.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "codec/attributes.hpp"
#include "codec/schema.hpp"

namespace wellhead {

struct StreamRules {
  // Whose config() and lookup() are in force; null: the stream's own. It writes the same rows as the stream
  // (see engine/reload.hpp); its index means nothing.
  SchemaPointer schema;
  std::shared_ptr<const DeviceAttributes> attributes;  // null: the stream has none
};

// Any thread.
class RulesInForce {
 public:
  RulesInForce();

  // Another one each time rules are set, and never one that any other stream has or had.
  [[nodiscard]] std::uint64_t generation() const noexcept {
    return generation_.load(std::memory_order_acquire);
  }
  // `generation` is the one of the rules returned.
  [[nodiscard]] StreamRules get(std::uint64_t& generation) const;
  // Returns what was in force: where it goes, a table of many devices may be freed.
  StreamRules set(StreamRules rules);

 private:
  mutable std::mutex mutex_;
  StreamRules rules_;
  std::atomic<std::uint64_t> generation_;  // written under the mutex
};

// One thread's hold on the rules of one stream at a time.
class RulesHold {
 public:
  // Takes the rules that are in force now; true where they are others than those held. To be called where
  // nothing points into the rules held before. `schema` outlives their use.
  bool refresh(const Schema& schema) {
    if (schema.rules().generation() == generation_) [[likely]]
      return false;
    take(schema);
    return true;
  }

  // REQUIRES refresh().
  [[nodiscard]] const Schema& schema() const noexcept { return *used_; }
  [[nodiscard]] const StreamConfig& config() const noexcept { return used_->config(); }
  // Null: the stream has no attributes.
  [[nodiscard]] const DeviceAttributes* attributes() const noexcept { return rules_.attributes.get(); }

 private:
  void take(const Schema& schema);

  StreamRules rules_;
  const Schema* used_ = nullptr;
  std::uint64_t generation_ = 0;  // of no rules
};

}  // namespace wellhead
