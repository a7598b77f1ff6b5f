// One sending thread: takes due batches from the schedule, gives each to a connection with room, handles
// answers.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "loadgen/batch.hpp"
#include "loadgen/connection.hpp"
#include "loadgen/ingest_reply.hpp"
#include "loadgen/ledger.hpp"
#include "loadgen/options.hpp"
#include "loadgen/request_writer.hpp"
#include "loadgen/schedule.hpp"

namespace wellhead::loadgen {

class Worker {
 public:
  struct Parts {
    const Options& options;
    const Target& target;
    const Workload& workload;
    Schedule& schedule;
    OutcomeStore* outcomes;  // may be null
  };
  // All parts outlive the worker. `connections`: its share of them.
  Worker(const Parts& parts, std::uint32_t connections);

  // Before run(): all connections stand, or the error says why not.
  [[nodiscard]] std::expected<void, std::string> connect(std::int64_t deadline_ns);
  // The thread's body. Returns when the schedule is exhausted and everything is answered or given up.
  void run();

  [[nodiscard]] const Ledger& ledger() const noexcept { return ledger_; }
  // Whether it gave up because nothing was answered for the timeout, or its stragglers did not come in time.
  [[nodiscard]] bool gave_up() const noexcept { return gave_up_; }

 private:
  static constexpr std::uint32_t fills_per_turn_max =
      4;  // batches rendered before answers are looked at again

  [[nodiscard]] bool fill(std::int64_t now_ns);
  [[nodiscard]] bool finished(std::int64_t now_ns);
  void wait(bool more_to_fill, std::int64_t now_ns);
  void wake_sleepers(std::int64_t now_ns);
  // After every call into a connection: it may have room now, or want to be woken.
  void refresh(std::uint32_t index);
  void note_progress(std::int64_t now_ns);
  void give_up(std::int64_t now_ns);
  [[nodiscard]] std::size_t outstanding() const;
  [[nodiscard]] std::int64_t open_loop_end_ns() const;

  Schedule& schedule_;
  std::int64_t timeout_ns_;
  UniqueFd epoll_;
  Ledger ledger_;
  BatchPool pool_;
  ReplyReader replies_;
  RequestWriter writer_;
  std::vector<char> receive_buffer_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<std::uint32_t> roomy_;      // connections with room, the one that waited longest in front
  std::vector<std::uint32_t> sleeping_;  // connections that want to be woken
  std::vector<bool> in_roomy_;
  std::vector<bool> in_sleeping_;
  std::int64_t progress_ns_ = 0;   // when something was answered last, or there was nothing to wait for
  std::int64_t exhausted_ns_ = 0;  // when the schedule was first seen exhausted
  bool gave_up_ = false;
};

}  // namespace wellhead::loadgen
