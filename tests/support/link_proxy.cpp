#include "tests/support/link_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

namespace wellhead {
namespace {

constexpr int poll_slice_ms = 5;
constexpr std::size_t type_bytes = 1;
constexpr std::size_t length_bytes = 4;
constexpr char copy_done = 'c';

sockaddr_in loopback(unsigned port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_all(int fd, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) return;  // the other side is gone, which the next read shows
    sent += static_cast<std::size_t>(now);
  }
}

// Empty when the side has closed.
std::string receive(int fd) {
  std::array<char, 64 << 10> buffer;
  const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
}

}  // namespace

LinkProxy::LinkProxy(unsigned server_port, unsigned own_port)
    : server_port_(server_port), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int reuse = 1;
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  sockaddr_in address = loopback(own_port);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), generic, length) != 0 || listen(listener_.get(), 16) != 0 ||
      getsockname(listener_.get(), generic, &length) != 0)
    throw std::runtime_error("the proxy cannot listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

LinkProxy::~LinkProxy() {
  stopping_.store(true);
  thread_.join();
}

void LinkProxy::plan(Plan plan) {
  const std::lock_guard lock(plan_mutex_);
  next_plan_ = plan;
}

void LinkProxy::accept_link() {
  Link link;
  link.client.reset(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  link.server.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!link.client || !link.server) return;
  const sockaddr_in address = loopback(server_port_);
  if (connect(link.server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
  const std::lock_guard lock(plan_mutex_);
  link.plan = std::exchange(next_plan_, Plan{});
  links_.push_back(std::move(link));
}

std::size_t LinkProxy::find_copy_done(Link& link, const std::string& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t skipped =
        static_cast<std::size_t>(std::min<std::uint64_t>(link.body_left, bytes.size() - at));
    at += skipped;
    link.body_left -= skipped;
    if (at == bytes.size()) break;
    // The first message of a connection has no type.
    const std::size_t head_bytes = link.started ? type_bytes + length_bytes : length_bytes;
    link.head += bytes[at++];
    if (link.head.size() < head_bytes) continue;
    std::uint64_t length = 0;
    for (std::size_t byte = head_bytes - length_bytes; byte < head_bytes; ++byte)
      length = length << 8 | static_cast<unsigned char>(link.head[byte]);
    link.body_left = length - length_bytes;
    const bool done = link.started && link.head[0] == copy_done;
    link.started = true;
    link.head.clear();
    if (done) return at;
  }
  return std::string::npos;
}

void LinkProxy::cut(Link& link) {
  link.client.reset();
  if (!link.plan.leave_server_waiting) shutdown(link.server.get(), SHUT_WR);
  link.plan.moment = Moment::never;
  cuts_.fetch_add(1);
}

void LinkProxy::forward_client(Link& link) {
  const std::string bytes = receive(link.client.get());
  if (bytes.empty()) {
    link.client.reset();
    if (!link.plan.leave_server_waiting) shutdown(link.server.get(), SHUT_WR);
    return;
  }
  const std::size_t done = find_copy_done(link, bytes);
  const std::uint64_t before = link.client_bytes;
  link.client_bytes += bytes.size();
  switch (link.plan.moment) {
    case Moment::client_bytes:
      if (link.client_bytes < link.plan.client_bytes) break;
      send_all(link.server.get(), bytes.substr(0, link.plan.client_bytes - before));
      return cut(link);
    case Moment::copy_done_lost:
      if (done == std::string::npos) break;
      send_all(link.server.get(), bytes.substr(0, done - (type_bytes + length_bytes)));
      return cut(link);
    case Moment::copy_done_delivered:
      if (done == std::string::npos) break;
      send_all(link.server.get(), bytes);
      return cut(link);
    case Moment::never:
      break;
  }
  send_all(link.server.get(), bytes);
}

void LinkProxy::forward_server(Link& link) {
  const std::string bytes = receive(link.server.get());
  if (bytes.empty())
    link.server.reset();
  else if (link.client)
    send_all(link.client.get(), bytes);
}

void LinkProxy::run() {
  while (!stopping_.load()) {
    std::vector<pollfd> watched{{listener_.get(), POLLIN, 0}};
    for (const Link& link : links_) {
      watched.push_back({link.client.get(), POLLIN, 0});
      watched.push_back({link.server.get(), POLLIN, 0});
    }
    poll(watched.data(), watched.size(), poll_slice_ms);
    std::size_t at = 1;
    for (Link& link : links_) {
      if (link.client && watched[at].revents != 0) forward_client(link);
      if (link.server && watched[at + 1].revents != 0) forward_server(link);
      if (!link.client && released_.load()) link.server.reset();
      at += 2;
    }
    // A client whose server is gone hears of it; a server whose client is gone may still have to finish.
    links_.remove_if([](const Link& link) { return !link.server; });
    if (watched[0].revents != 0) accept_link();
  }
}

}  // namespace wellhead
