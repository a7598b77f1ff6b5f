#pragma once

#include "loadgen/connection.hpp"
#include "loadgen/http_reply_parser.hpp"

namespace wellhead::loadgen {

// HTTP/1.1 with keep-alive, one request in flight.
class HttpConnection final : public Connection {
 public:
  HttpConnection(ConnectionContext context, std::uint32_t tag) : Connection(context, 1, tag) {}

 protected:
  [[nodiscard]] Handled on_bytes(std::string_view bytes, std::int64_t now_ns) override;
  void on_open() override { parser_.reset(); }

 private:
  [[nodiscard]] Handled on_reply(const HttpReplyMessage& reply, std::int64_t now_ns);
  [[nodiscard]] Handled settle(const HttpReplyMessage& reply, std::int64_t now_ns);
  void refuse(const HttpReplyMessage& reply, std::int64_t now_ns);

  HttpReplyParser parser_;
};

}  // namespace wellhead::loadgen
