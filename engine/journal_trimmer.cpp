#include "engine/journal_trimmer.hpp"

#include <condition_variable>
#include <mutex>

#include "base/log.hpp"

namespace wellhead {

std::vector<std::pair<LaneId, std::uint64_t>> flushed_lanes(LaneBoard& lanes) {
  std::vector<std::pair<LaneId, std::uint64_t>> flushed;
  flushed.reserve(lanes.old().size() + std::size_t{lanes.reactors()} * lanes.shards());
  for (const OldLane& old : lanes.old())
    flushed.emplace_back(old.lane, lanes.find(old.lane)->flushed.load(std::memory_order_acquire));
  for (std::uint32_t reactor = 0; reactor < lanes.reactors(); ++reactor) {
    for (std::uint32_t shard = 0; shard < lanes.shards(); ++shard)
      flushed.emplace_back(LaneId{lanes.epoch(), reactor, shard},
                           lanes.at(reactor, shard).flushed.load(std::memory_order_acquire));
  }
  return flushed;
}

void JournalTrimmer::start(std::chrono::milliseconds interval) {
  thread_ = std::jthread([this, interval](const std::stop_token& stopping) { run(stopping, interval); });
}

void JournalTrimmer::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  trim();
}

void JournalTrimmer::run(const std::stop_token& stopping, std::chrono::milliseconds interval) {
  std::mutex mutex;
  std::condition_variable_any never;  // only the stop ends the wait early
  std::unique_lock lock(mutex);
  while (!never.wait_for(lock, stopping, interval, [&] { return stopping.stop_requested(); })) trim();
}

void JournalTrimmer::trim() {
  const auto trimmed = journal_.trim(flushed_lanes(lanes_));
  if (trimmed) segments_trimmed_.add(*trimmed);
  tell(trimmed ? "" : trimmed.error().sentence);
}

// Once, not every second: the sentence is the same until an operator acts.
void JournalTrimmer::tell(std::string problem) {
  if (problem == problem_) return;
  problem_ = std::move(problem);
  if (problem_.empty())
    log::info("Segments of the journal can be freed again");
  else
    log::error("The journal could not free space; nothing is lost, but it grows", {{"problem", problem_}});
}

}  // namespace wellhead
