// A node for tests: answers on a loopback port of its own as a test tells it to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace wellhead::loadgen {

// One client's connection, on a thread of its own. Everything ends when the client closes or the node is
// destroyed.
class Conversation {
 public:
  Conversation(int socket, std::size_t number) : socket_(socket), number_(number) {}

  // Of the connection, from 0.
  [[nodiscard]] std::size_t number() const noexcept { return number_; }
  // The next request's head and body; empty at the end.
  struct Request {
    std::string head;
    std::string body;
  };
  [[nodiscard]] std::optional<Request> read_request();
  // The next head, of a request that has no body; empty at the end.
  [[nodiscard]] std::optional<std::string> read_head();
  // The next line without its newline; empty at the end.
  [[nodiscard]] std::optional<std::string> read_line();
  void send(std::string_view text) const;
  void send_reply(int status, std::string_view body, std::string_view headers = "") const;

 private:
  [[nodiscard]] bool read_more();

  int socket_;
  std::size_t number_;
  std::string buffer_;
};

class FakeNode {
 public:
  // `talk` has a whole conversation; when it returns the connection is closed. Called on several threads at
  // once.
  explicit FakeNode(std::function<void(Conversation&)> talk);
  ~FakeNode();
  FakeNode(const FakeNode&) = delete;
  FakeNode& operator=(const FakeNode&) = delete;

  [[nodiscard]] std::string url(std::string_view scheme) const;

 private:
  void accept_all();

  std::function<void(Conversation&)> talk_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::jthread> conversations_;  // guarded by mutex_
  std::vector<int> sockets_;                 // guarded by mutex_; those of conversations that go on
  std::jthread acceptor_;
};

// {"accepted":…,"rejected":…,"duplicate":0,"errors":[…]} for a request of `records`, of which those at
// `rejected` are.
[[nodiscard]] std::string ingest_reply_text(std::size_t records,
                                            const std::vector<std::size_t>& rejected = {});
[[nodiscard]] std::size_t count_lines(std::string_view text);

}  // namespace wellhead::loadgen
