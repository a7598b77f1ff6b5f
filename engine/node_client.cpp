#include "engine/node_client.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

namespace wellhead {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::size_t receive_bytes = 16U << 10;
constexpr std::size_t reply_bytes_max = 64U << 20;

std::string reachable_address(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  if (address == "::") return "::1";
  return address;
}

// The value of a header; `head` is all lines up to the empty one.
std::string_view header_of(std::string_view head, std::string_view name) {
  for (std::size_t line = head.find("\r\n"); line != std::string_view::npos; line = head.find("\r\n", line)) {
    line += 2;
    const std::string_view rest = head.substr(line);
    const bool found = rest.size() > name.size() && rest[name.size()] == ':' &&
                       strncasecmp(rest.data(), name.data(), name.size()) == 0;
    if (!found) continue;
    std::string_view value = rest.substr(name.size() + 1);
    value = value.substr(0, value.find("\r\n"));
    const std::size_t begin = value.find_first_not_of(' ');
    return begin == std::string_view::npos ? std::string_view() : value.substr(begin);
  }
  return {};
}

std::optional<std::size_t> number_in(std::string_view text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return number;
}

}  // namespace

NodeClient::NodeClient(Endpoint node, milliseconds timeout) : node_(std::move(node)), timeout_(timeout) {
  node_.address = reachable_address(node_.address);
}

std::expected<NodeReply, std::string> NodeClient::ingest(std::string_view target, std::string_view headers,
                                                         std::string_view body) {
  const std::string head =
      fmt::format("POST /v1/ingest/{} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{}\r\n", target,
                  format_endpoint(node_), body.size(), headers);
  return exchange(head + std::string(body));
}

std::expected<NodeReply, std::string> NodeClient::get(std::string_view target) {
  return exchange(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", target, format_endpoint(node_)));
}

std::expected<NodeReply, std::string> NodeClient::exchange(std::string_view request) {
  const Deadline deadline = steady_clock::now() + timeout_;
  if (!fd_) {
    if (const Outcome connected = connect(deadline); !connected) return std::unexpected(connected.error());
  }
  const Outcome sent = send(request, deadline);
  auto reply = sent ? read_reply(deadline) : std::unexpected(sent.error());
  if (!reply) fd_.reset();
  return reply;
}

NodeClient::Outcome NodeClient::connect(Deadline deadline) {
  received_.clear();
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(node_.port);
  if (getaddrinfo(node_.address.c_str(), port.c_str(), &hints, &found) != 0)
    return std::unexpected(fmt::format("{} is no address", node_.address));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> address(found, freeaddrinfo);
  fd_.reset(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) return std::unexpected(fmt::format("no socket can be made: {}", std::strerror(errno)));
  if (::connect(fd_.get(), address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    fd_.reset();
    return std::unexpected(std::string(std::strerror(error)));
  }
  if (const Outcome waited = wait(POLLOUT, deadline); !waited) return waited;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0) return {};
  fd_.reset();
  return std::unexpected(std::string(std::strerror(error)));
}

NodeClient::Outcome NodeClient::wait(short events, Deadline deadline) const {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    pollfd entry{fd_.get(), events, 0};
    const int ready = left <= 0 ? 0 : ::poll(&entry, 1, static_cast<int>(left));
    if (ready > 0) return {};
    if (ready == 0) return std::unexpected(std::string("it does not answer in time"));
    if (errno != EINTR) return std::unexpected(std::string(std::strerror(errno)));
  }
}

NodeClient::Outcome NodeClient::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (const Outcome waited = wait(POLLOUT, deadline); !waited) return waited;
    } else if (errno != EINTR) {
      return std::unexpected(std::string(std::strerror(errno)));
    }
  }
  return {};
}

NodeClient::Outcome NodeClient::receive(Deadline deadline) {
  std::array<char, receive_bytes> buffer;
  for (;;) {
    if (const Outcome waited = wait(POLLIN, deadline); !waited) return waited;
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count == 0) return std::unexpected(std::string("it closed the connection"));
    if (count > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(count));
      return {};
    }
    if (errno != EAGAIN && errno != EINTR) return std::unexpected(std::string(std::strerror(errno)));
  }
}

std::expected<NodeReply, std::string> NodeClient::read_reply(Deadline deadline) {
  std::size_t head_bytes = 0;
  while ((head_bytes = received_.find(head_end)) == std::string::npos) {
    if (const Outcome more = receive(deadline); !more) return std::unexpected(more.error());
  }
  const std::string head = received_.substr(0, head_bytes + 2);
  constexpr std::string_view version = "HTTP/1.1 ";
  const auto status = number_in(std::string_view(head).substr(std::min(version.size(), head.size())));
  const auto length = number_in(header_of(head, "Content-Length"));
  if (!head.starts_with(version) || !status || !length || *length > reply_bytes_max)
    return std::unexpected(std::string("what answers there is no wellhead node"));
  received_.erase(0, head_bytes + head_end.size());
  while (received_.size() < *length) {
    if (const Outcome more = receive(deadline); !more) return std::unexpected(more.error());
  }
  NodeReply reply{
      .status = static_cast<int>(*status),
      .retry_after_s = static_cast<std::uint32_t>(number_in(header_of(head, "Retry-After")).value_or(0)),
      .body = received_.substr(0, *length)};
  received_.erase(0, *length);
  if (header_of(head, "Connection") == "close") fd_.reset();
  return reply;
}

}  // namespace wellhead
