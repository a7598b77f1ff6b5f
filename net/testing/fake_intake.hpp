// An intake whose answers a test chooses. A record is a line with anything in it; one that contains "bad" is
// rejected, one of a body that contains "malformed" makes the whole body so.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "net/intake.hpp"

namespace wellhead::testing {

// What the test and the reactor's intake share; outlives both.
class IntakeScript {
 public:
  IntakeScript();

  // Any thread.
  void answer(
      Submission submission);  // to every submit() from now on; tells on_capacity when it is `taken` again
  void hold_outcomes();
  void release_outcomes();
  void release_outcomes_backwards();  // the last one taken first
  void abandon_outcomes();            // those held, and those to come
  [[nodiscard]] std::vector<std::string> bodies() const;
  [[nodiscard]] std::string all_bodies() const;
  [[nodiscard]] std::vector<AckLevel> acks() const;  // of the bodies
  [[nodiscard]] std::size_t delivered() const { return delivered_.load(); }
  [[nodiscard]] std::size_t submitted() const { return submitted_.load(); }

 private:
  friend class FakeIntake;
  void wake();

  mutable std::mutex mutex_;
  Submission submission_ = Submission::taken;
  bool held_ = false;
  bool backwards_ = false;
  bool abandon_ = false;
  bool capacity_owed_ = false;
  std::vector<std::string> bodies_;
  std::vector<AckLevel> acks_;
  std::atomic<std::size_t> delivered_{0};
  std::atomic<std::size_t> submitted_{0};
  UniqueFd wake_fd_;
};

class FakeIntake final : public Intake {
 public:
  explicit FakeIntake(IntakeScript& script) : script_(script) {}

  [[nodiscard]] SubmitResult submit(const IntakeRequest& request) override;
  std::size_t turn(RequestListener& listener) override;
  [[nodiscard]] bool prepare_sleep() override;
  void finish_sleep() override;
  [[nodiscard]] int wake_fd() const override { return script_.wake_fd_.get(); }
  [[nodiscard]] std::size_t pending() const override { return taken_.size(); }
  [[nodiscard]] const IntakeStats& stats() const override { return stats_; }

 private:
  struct Taken {
    ConnectionId connection;
    RequestOutcome outcome;
  };

  IntakeScript& script_;
  std::deque<Taken> taken_;
  IntakeStats stats_;
};

}  // namespace wellhead::testing
