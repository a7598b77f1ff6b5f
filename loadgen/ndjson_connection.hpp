#pragma once

#include <string>

#include "loadgen/connection.hpp"

namespace wellhead::loadgen {

// Lines over TCP with acknowledgements: {"ack":N} covers every line up to the Nth of this connection, but
// those named by {"reject":…} before.
class NdjsonConnection final : public Connection {
 public:
  NdjsonConnection(ConnectionContext context, std::uint32_t window, std::uint32_t tag)
      : Connection(context, window, tag) {}

 protected:
  [[nodiscard]] Handled on_bytes(std::string_view bytes, std::int64_t now_ns) override;
  void on_open() override;

 private:
  static constexpr std::size_t line_bytes_max = 64 << 10;

  [[nodiscard]] Handled on_line(std::string_view line, std::int64_t now_ns);
  [[nodiscard]] Handled on_ack(AckLine ack, std::int64_t now_ns);
  [[nodiscard]] Handled on_reject(RejectLine reject);

  std::string cut_line_;
  std::uint64_t lines_settled_ = 0;  // of this connection
};

}  // namespace wellhead::loadgen
