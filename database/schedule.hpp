// Which repeated task is due.
#pragma once

#include <chrono>
#include <map>
#include <string>

namespace wellhead {

class Schedule {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // True the first time a task is asked for, and then once every `every`; a turn that was missed is not made
  // up for.
  [[nodiscard]] bool due(const std::string& task, std::chrono::seconds every, Time now) {
    const auto [entry, first] = next_.try_emplace(task, now);
    if (!first && now < entry->second) return false;
    entry->second = now + every;
    return true;
  }
  // The task is due again: it failed, or was not done.
  void again(const std::string& task) { next_.erase(task); }
  // The task is not due before then.
  void put_off(const std::string& task, Time until) { next_.insert_or_assign(task, until); }
  // Everything is due again: after a new connection nobody knows what was missed.
  void reset() { next_.clear(); }

 private:
  std::map<std::string, Time> next_;
};

}  // namespace wellhead
