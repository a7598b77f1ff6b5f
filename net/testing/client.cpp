#include "net/testing/client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace wellhead::testing {

Client::Client(std::uint16_t port, const char* address) {
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  const bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (!is_v4) inet_pton(AF_INET6, address, &v6.sin6_addr);
  fd_.reset(socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd_) throw std::runtime_error("socket failed");
  const timeval timeout{.tv_sec = client_timeout.count(), .tv_usec = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  const int on = 1;
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto* target =
      is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  if (connect(fd_.get(), target, is_v4 ? sizeof v4 : sizeof v6) != 0)
    throw std::runtime_error("connect failed");
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void Client::shutdown_write() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void Client::reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  fd_.reset();
}

int Client::receive() {
  std::array<char, 65'536> bytes;
  ssize_t got = -1;
  // A socket with a timeout is interrupted even by being stopped and continued (signal(7)).
  do got = recv(fd_.get(), bytes.data(), bytes.size(), 0);
  while (got < 0 && errno == EINTR);
  failure_ = got < 0 ? std::generic_category().message(errno) : "end of the connection";
  if (got > 0) buffer_.append(bytes.data(), static_cast<std::size_t>(got));
  return got > 0 ? 1 : got == 0 ? 0 : -1;
}

std::optional<Reply> Client::read_reply(bool head_only) {
  while (buffer_.find("\r\n\r\n") == std::string::npos)
    if (receive() <= 0) return std::nullopt;
  Reply reply;
  const std::size_t head_end = buffer_.find("\r\n\r\n");
  std::string_view head(buffer_.data(), head_end + 2);
  reply.status = std::atoi(std::string(head.substr(9, 3)).c_str());
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(line.size() + 2);
    std::string name(line.substr(0, line.find(": ")));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    reply.headers[name] = line.substr(line.find(": ") + 2);
  }
  buffer_.erase(0, head_end + 4);
  if (head_only || reply.status < 200) return reply;
  const auto size = static_cast<std::size_t>(std::atoll(reply.headers["content-length"].c_str()));
  while (buffer_.size() < size)
    if (receive() <= 0) return std::nullopt;
  reply.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return reply;
}

std::optional<std::string> Client::read_line() {
  while (buffer_.find('\n') == std::string::npos)
    if (receive() <= 0) return std::nullopt;
  std::string line = buffer_.substr(0, buffer_.find('\n'));
  buffer_.erase(0, line.size() + 1);
  return line;
}

std::optional<std::string> Client::read_to_end() {
  int result = 1;
  while (result > 0) result = receive();
  if (result < 0) return std::nullopt;
  return std::exchange(buffer_, {});
}

bool Client::readable(std::chrono::milliseconds time) {
  if (!buffer_.empty()) return true;
  pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
  return poll(&wait, 1, static_cast<int>(time.count())) > 0;
}

}  // namespace wellhead::testing
