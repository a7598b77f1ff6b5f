// A blocking TCP client for tests. Every wait ends after client_timeout.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace wellhead::testing {

inline constexpr std::chrono::seconds client_timeout{10};

struct Reply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class Client {
 public:
  explicit Client(std::uint16_t port, const char* address = "127.0.0.1");

  // False when the connection is broken.
  bool send(std::string_view bytes);
  void shutdown_write();
  // Ends the connection with a reset.
  void reset();
  // The next HTTP reply; nothing at the end of the connection, when it breaks or the time is over.
  // `head_only`: the reply to HEAD.
  [[nodiscard]] std::optional<Reply> read_reply(bool head_only = false);
  // The next line without its newline.
  [[nodiscard]] std::optional<std::string> read_line();
  // Everything up to the end of the connection; nothing when the time is over first or the connection breaks.
  [[nodiscard]] std::optional<std::string> read_to_end();
  // Whether the server has closed, within the time.
  [[nodiscard]] bool closed() { return read_to_end().has_value(); }
  // Whether bytes arrive within `time`.
  [[nodiscard]] bool readable(std::chrono::milliseconds time);
  // Why the last read came to nothing.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  // 1: more in buffer_; 0: end; -1: broken or late.
  int receive();

  UniqueFd fd_;
  std::string buffer_;
  std::string failure_;
};

}  // namespace wellhead::testing
