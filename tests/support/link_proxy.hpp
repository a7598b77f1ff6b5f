// Stands between a client and a PostgreSQL server on loopback and breaks the link where a test wants it.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"

namespace wellhead {

class LinkProxy {
 public:
  enum class Moment : std::uint8_t {
    never,
    client_bytes,         // after this many bytes from the client, whatever they are
    copy_done_lost,       // the client has sent the end of a COPY, and the server never gets it
    copy_done_delivered,  // the server gets it, and the client never hears more
  };
  struct Plan {
    Moment moment = Moment::never;
    std::uint64_t client_bytes = 0;
    bool leave_server_waiting =
        false;  // the server's side stays open until release(): a half-open connection
  };

  // Listens on `own_port` of 127.0.0.1, 0: any free one, and forwards to `server_port` there.
  explicit LinkProxy(unsigned server_port, unsigned own_port = 0);
  ~LinkProxy();

  [[nodiscard]] unsigned port() const noexcept { return port_; }
  // The plan for links made from now on; it is used once and then Moment::never again.
  void plan(Plan plan);
  // Closes the server's sides that were left waiting.
  void release() noexcept { released_.store(true); }
  [[nodiscard]] unsigned cuts() const noexcept { return cuts_.load(); }

 private:
  struct Link {
    UniqueFd client;
    UniqueFd server;
    Plan plan;
    std::uint64_t client_bytes = 0;
    // Where the client's stream of messages stands.
    bool started = false;
    std::string head;             // of the message that is arriving
    std::uint64_t body_left = 0;  // of its body
  };

  void run();
  void accept_link();
  void forward_client(Link& link);
  void forward_server(Link& link);
  void cut(Link& link);
  // Follows the protocol's messages; the offset behind the first CopyDone in `bytes`, or npos.
  [[nodiscard]] static std::size_t find_copy_done(Link& link, const std::string& bytes);

  unsigned server_port_;
  unsigned port_ = 0;
  UniqueFd listener_;
  std::list<Link> links_;
  std::mutex plan_mutex_;
  Plan next_plan_;
  std::atomic<unsigned> cuts_{0};
  std::atomic<bool> released_{false};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace wellhead
