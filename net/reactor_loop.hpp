// The loop of a reactor's thread: a turn runs each poller once, then submits and waits for the ring.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "journal/operation_thread.hpp"
#include "net/acceptor.hpp"
#include "net/buffer_ring.hpp"
#include "net/connections.hpp"
#include "net/listener.hpp"
#include "net/reactor.hpp"
#include "net/ring.hpp"
#include "net/session.hpp"

namespace wellhead {

// Set by any thread, seen by the reactor's when command_fd becomes readable.
struct ReactorCommands {
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> stop_deadline_ns{0};  // of the steady clock
  std::atomic<bool> journal_reopen{false};
};

// What a loop works with; all of it outlives the loop.
struct ReactorLoopParts {
  const ReactorOptions& options;
  Intake* intake;
  const Clock& clock;
  std::vector<Listener>& listeners;
  ReactorStats& stats;
  ReactorCommands& commands;
  int command_fd;
};

// How large a loop's ring is.
struct RingEntries {
  unsigned submissions = 0;
  unsigned completions = 0;
};
[[nodiscard]] RingEntries ring_entries(const NetLimits& limits) noexcept;
// What the kernel counts as locked memory for a loop's rings, where it counts them: by whole pages.
[[nodiscard]] std::uint64_t ring_locked_bytes(const NetLimits& limits) noexcept;

// Created, run and destroyed by one thread.
class ReactorLoop final : private RequestListener {
 public:
  [[nodiscard]] static std::expected<std::unique_ptr<ReactorLoop>, std::string> create(
      const ReactorLoopParts& parts);
  ~ReactorLoop() override;
  ReactorLoop(const ReactorLoop&) = delete;
  ReactorLoop& operator=(const ReactorLoop&) = delete;

  // Returns when the stop is done.
  void run();

 private:
  ReactorLoop(const ReactorLoopParts& parts, std::unique_ptr<Ring> ring, std::unique_ptr<BufferRing> buffers,
              bool multishot_accept);

  // A part of a turn: how much it did, 0 for nothing.
  struct Poller {
    const char* name;
    std::size_t (ReactorLoop::*run)();
  };
  static const std::array<Poller, 8> pollers;
  std::size_t poll_completions();
  std::size_t poll_commands();
  std::size_t poll_journal_result();
  std::size_t poll_intake();
  std::size_t poll_journal();
  std::size_t poll_deadlines();
  std::size_t poll_accepts();
  std::size_t poll_connections();

  void on_completion(const Completion& completion);
  void keep_watch(const Completion& completion);
  void begin_journal_operation();
  void on_request_done(ConnectionId connection, const RequestOutcome& outcome) override;
  void on_capacity() override;

  void turn();
  void sleep(bool worked);
  [[nodiscard]] std::int64_t sleep_ns() const;
  void begin_stop();
  [[nodiscard]] bool stopped() const;
  void abort_rest();

  ReactorLoopParts parts_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<BufferRing> buffers_;
  SessionContext context_;
  Connections connections_;
  Acceptor acceptor_;
  std::optional<JournalOperation> journal_operation_;  // on its way
  // Made with the first operation, for a reactor without a journal needs none. It waits for what is on its
  // way when it goes.
  std::optional<OperationThread> journal_thread_;
};

}  // namespace wellhead
