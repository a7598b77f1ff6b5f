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
  [[nodiscard]] std::vector<AckLevel> acks() const;        // of the bodies
  [[nodiscard]] std::vector<bool> dead_letters() const;    // likewise
  [[nodiscard]] std::vector<std::string> sources() const;  // likewise
  // Records that were too large: what of each was there, and its length.
  void keep_too_large();
  struct TooLarge {
    std::string beginning;
    std::uint64_t bytes;
  };
  [[nodiscard]] std::vector<TooLarge> too_large() const;
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
  std::vector<bool> dead_letters_;
  std::vector<std::string> sources_;
  bool keeps_too_large_ = false;
  std::vector<TooLarge> too_large_;
  std::atomic<std::size_t> delivered_{0};
  std::atomic<std::size_t> submitted_{0};
  UniqueFd wake_fd_;
};

class FakeIntake final : public Intake {
 public:
  explicit FakeIntake(IntakeScript& script) : script_(script) {}

  [[nodiscard]] SubmitResult submit(const IntakeRequest& request) override;
  [[nodiscard]] SubmitResult reject_too_large(const IntakeRequest& request,
                                              std::uint64_t record_bytes) override;
  void describe_sources(std::function<std::string(ConnectionId)> describe) override {
    describe_source_ = std::move(describe);
  }
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
  std::function<std::string(ConnectionId)> describe_source_;
  std::deque<Taken> taken_;
  IntakeStats stats_;
};

}  // namespace wellhead::testing
