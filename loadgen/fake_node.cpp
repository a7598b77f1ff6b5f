#include "loadgen/fake_node.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/assert.hpp"

namespace wellhead::loadgen {

bool Conversation::read_more() {
  std::array<char, 64 << 10> bytes;
  const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  buffer_.append(bytes.data(), static_cast<std::size_t>(got));
  return true;
}

std::optional<std::string> Conversation::read_head() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return std::nullopt;
  }
  end += 4;
  std::string head = buffer_.substr(0, end);
  buffer_.erase(0, end);
  return head;
}

std::optional<Conversation::Request> Conversation::read_request() {
  auto head = read_head();
  if (!head) return std::nullopt;
  constexpr std::string_view length_header = "Content-Length: ";
  const std::size_t at = head->find(length_header);
  WELLHEAD_ASSERT(at != std::string::npos);
  std::size_t length = 0;
  std::from_chars(head->data() + at + length_header.size(), head->data() + head->size(), length);
  while (buffer_.size() < length) {
    if (!read_more()) return std::nullopt;
  }
  Request request{.head = std::move(*head), .body = buffer_.substr(0, length)};
  buffer_.erase(0, length);
  return request;
}

std::optional<std::string> Conversation::read_line() {
  std::size_t end = 0;
  while ((end = buffer_.find('\n')) == std::string::npos) {
    if (!read_more()) return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

void Conversation::send(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t put = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

void Conversation::send_reply(int status, std::string_view body, std::string_view headers) const {
  send(fmt::format("HTTP/1.1 {} Status\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers,
                   body));
}

FakeNode::FakeNode(std::function<void(Conversation&)> talk)
    : talk_(std::move(talk)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  WELLHEAD_ASSERT(::bind(listener_.get(), generic, size) == 0);
  WELLHEAD_ASSERT(::listen(listener_.get(), 64) == 0);
  WELLHEAD_ASSERT(::getsockname(listener_.get(), generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { accept_all(); });
}

FakeNode::~FakeNode() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  acceptor_.join();
  conversations_.clear();  // joins; the acceptor, which would add to them, has ended
}

std::string FakeNode::url(std::string_view scheme) const {
  return fmt::format("{}://127.0.0.1:{}", scheme, port_);
}

void FakeNode::accept_all() {
  for (std::size_t number = 0;; ++number) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) return;
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    sockets_.push_back(socket.get());
    conversations_.emplace_back([this, number, owned = std::move(socket)]() mutable {
      Conversation conversation(owned.get(), number);
      talk_(conversation);
      const std::lock_guard inner_lock(mutex_);
      std::erase(sockets_, owned.get());
      owned.reset();
    });
  }
}

std::string ingest_reply_text(std::size_t records, const std::vector<std::size_t>& rejected) {
  std::string errors;
  for (const std::size_t index : rejected) {
    errors += fmt::format(R"({}{{"index":{},"code":"wrong_type","field":"x","message":"m"}})",
                          errors.empty() ? "" : ",", index);
  }
  return fmt::format(R"({{"accepted":{},"rejected":{},"duplicate":0,"errors":[{}]}})",
                     records - rejected.size(), rejected.size(), errors);
}

std::size_t count_lines(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace wellhead::loadgen
