#include "net/listener.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace wellhead {
namespace {

constexpr int backlog = 4096;  // the kernel lowers it to net.core.somaxconn

// A process that was killed is gone before its ring is: the kernel takes that down in the background, and the
// listening socket with it. A node that is started again at once has to wait for that.
constexpr std::chrono::milliseconds release_time_max{2'000};
constexpr std::chrono::milliseconds release_poll{10};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] int family() const noexcept { return storage.ss_family; }
};

std::optional<SocketAddress> parse_address(const std::string& text, std::uint16_t port) {
  SocketAddress address;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.size = sizeof v4;
    std::memcpy(&address.storage, &v4, sizeof v4);
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.size = sizeof v6;
    std::memcpy(&address.storage, &v6, sizeof v6);
    return address;
  }
  return std::nullopt;
}

std::string place(const ListenerOptions& options) {
  const bool v6 = options.address.find(':') != std::string::npos;
  return (v6 ? "[" + options.address + "]" : options.address) + ":" + std::to_string(options.port);
}

std::unexpected<std::string> bind_failure(const ListenerOptions& options, int error) {
  const std::string where = "Cannot listen on " + place(options) + ": ";
  switch (error) {
    case EADDRINUSE:
      return std::unexpected(where +
                             "the port is taken by another process (see ss -ltnp); stop it or choose another "
                             "port.");
    case EACCES:
      return std::unexpected(where +
                             "ports below 1024 need CAP_NET_BIND_SERVICE; choose another port or grant it.");
    case EADDRNOTAVAIL:
      return std::unexpected(where + "this machine has no such address; use one that `ip address` lists.");
    default:
      return std::unexpected(where + std::generic_category().message(error) + ".");
  }
}

void enable(int fd, int level, int option) {
  const int on = 1;
  (void)setsockopt(fd, level, option, &on, sizeof on);
}

UniqueFd open_socket(int family) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fd;
  enable(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  // Without it [::] would take IPv4 too, and then 0.0.0.0 beside it would not be free.
  if (family == AF_INET6) enable(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  return fd;
}

// Listens for a moment without SO_REUSEPORT: succeeds only if nobody else does.
int check_free(const SocketAddress& address) {
  const UniqueFd fd = open_socket(address.family());
  if (!fd || bind(fd.get(), address.get(), address.size) != 0 || listen(fd.get(), 1) != 0) return errno;
  return 0;
}

int wait_until_free(const SocketAddress& address) {
  const auto deadline = std::chrono::steady_clock::now() + release_time_max;
  int error = check_free(address);
  while (error == EADDRINUSE && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(release_poll);
    error = check_free(address);
  }
  return error;
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

}  // namespace

std::expected<Listener, std::string> open_listener(ListenerOptions options, bool exclusive) {
  const auto address = parse_address(options.address, options.port);
  if (!address)
    return std::unexpected("\"" + options.address +
                           "\" is not a numeric IPv4 or IPv6 address; write e.g. 0.0.0.0, 127.0.0.1 or ::1.");
  if (exclusive && options.port != 0)
    if (const int error = wait_until_free(*address); error != 0) return bind_failure(options, error);

  UniqueFd fd = open_socket(address->family());
  if (!fd) return bind_failure(options, errno);
  // Accepted sockets inherit the two below, which saves two calls per connection.
  enable(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  enable(fd.get(), SOL_SOCKET, SO_KEEPALIVE);
  enable(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  if (bind(fd.get(), address->get(), address->size) != 0 || listen(fd.get(), backlog) != 0)
    return bind_failure(options, errno);
  const std::uint16_t port = bound_port(fd.get());
  return Listener{.options = std::move(options), .fd = std::move(fd), .port = port};
}

}  // namespace wellhead
