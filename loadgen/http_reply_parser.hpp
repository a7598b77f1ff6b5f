// The little of HTTP/1.1 a load generator reads: status, Content-Length, Retry-After, Connection and the
// body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace wellhead::loadgen {

struct HttpReplyMessage {
  int status = 0;
  std::optional<double> retry_after_s;
  bool close = false;
  std::string body;
};

// Fed with what was read, in pieces of any size. Interim replies (1xx) are passed over.
class HttpReplyParser {
 public:
  static constexpr std::size_t head_bytes_max = 64 << 10;
  static constexpr std::size_t body_bytes_max = 16 << 20;

  enum class Status : std::uint8_t { incomplete, complete, malformed };

  // Takes bytes from the front of `bytes` up to the end of one reply.
  [[nodiscard]] Status feed(std::string_view& bytes);
  // The reply, when feed() said complete; the next feed() begins another one.
  [[nodiscard]] const HttpReplyMessage& reply() const noexcept { return reply_; }
  // Forgets what was fed: a new connection.
  void reset();

 private:
  [[nodiscard]] Status take_head(std::string_view& bytes);
  [[nodiscard]] bool parse_head(std::string_view head);
  [[nodiscard]] bool parse_header(std::string_view line);

  HttpReplyMessage reply_;
  std::string head_;
  std::optional<std::size_t> content_length_;
  bool in_body_ = false;
  bool delivered_ = false;
};

}  // namespace wellhead::loadgen
