// Gives the journal's segments back as the database comes to have their rows for good.
//
// In:  how far each lane is flushed (LaneBoard). Out: Journal::trim(). A thread of its own, since trimming
// waits for the disk.
#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/counter.hpp"
#include "journal/journal.hpp"
#include "queue/lane.hpp"

namespace wellhead {

// The last flushed sequence of every lane of the board, earlier epochs' included. Any thread.
[[nodiscard]] std::vector<std::pair<LaneId, std::uint64_t>> flushed_lanes(LaneBoard& lanes);

class JournalTrimmer {
 public:
  // Both outlive the trimmer.
  JournalTrimmer(Journal& journal, LaneBoard& lanes) : journal_(journal), lanes_(lanes) {}
  ~JournalTrimmer() { stop(); }

  // Trims once every `interval` until stop().
  void start(std::chrono::milliseconds interval = std::chrono::milliseconds(1'000));
  // Waits for a trim that is running, and trims once more, so that a node that drained keeps no more than it
  // was told to.
  void stop();
  // Once, now. Not while it is started.
  void trim();

  // Any thread.
  [[nodiscard]] std::uint64_t segments_trimmed() const noexcept { return segments_trimmed_.value(); }

 private:
  void run(const std::stop_token& stopping, std::chrono::milliseconds interval);
  void tell(std::string problem);

  Journal& journal_;
  LaneBoard& lanes_;
  Counter segments_trimmed_;
  std::string problem_;  // told last, empty if the last trim went well
  std::jthread thread_;
};

}  // namespace wellhead
