// Accepts connections from a reactor's listeners.
#pragma once

#include <cstdint>
#include <vector>

#include "net/connections.hpp"
#include "net/listener.hpp"
#include "net/ring.hpp"

namespace wellhead {

class Acceptor {
 public:
  // All outlive this.
  Acceptor(Ring& ring, Connections& connections, SessionContext& context, std::vector<Listener>& listeners,
           bool multishot);

  void start();
  // REQUIRES Operation::accept or cancel_accept.
  void on_completion(const Completion& completion);
  // Once per turn: tries again where accepting failed a moment ago.
  std::size_t retry();
  // Accepts nothing more and closes the listeners.
  void stop();
  [[nodiscard]] bool idle() const noexcept { return in_flight_ == 0; }
  // Whether a retry is due, so that the reactor does not sleep past it.
  [[nodiscard]] bool retrying() const noexcept { return !failed_.empty(); }

 private:
  void arm(std::uint32_t listener);
  void on_failure(std::uint32_t listener, int error);

  Ring& ring_;
  Connections& connections_;
  SessionContext& context_;
  std::vector<Listener>& listeners_;
  bool multishot_;
  std::uint32_t in_flight_ = 0;
  std::vector<std::uint32_t> failed_;  // listeners that wait for the retry
  std::int64_t retry_ns_ = 0;
  std::int64_t logged_ns_ = INT64_MIN;
};

}  // namespace wellhead
