// Makes sessions and keeps those that HTTP connections have let go, so that a request allocates none.
#pragma once

#include <memory>
#include <vector>

#include "net/reactor.hpp"
#include "net/session.hpp"

namespace wellhead {

class HttpSession;

class SessionPool {
 public:
  explicit SessionPool(SessionContext& context);
  ~SessionPool();
  SessionPool(const SessionPool&) = delete;
  SessionPool& operator=(const SessionPool&) = delete;

  // A session for `link`'s connection, which came through a listener of `options`.
  [[nodiscard]] std::unique_ptr<Session> make(const ListenerOptions& options, Link link);
  // REQUIRES that nothing of it is in flight.
  void give_back(std::unique_ptr<Session> session, Protocol protocol);

 private:
  static constexpr std::size_t spare_max = 128;

  SessionContext& context_;
  std::vector<std::unique_ptr<HttpSession>> spare_;
};

}  // namespace wellhead
