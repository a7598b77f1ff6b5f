#include "loadgen/node_drain.hpp"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/unique_fd.hpp"
#include "loadgen/http_reply_parser.hpp"
#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::string_view queued_metric = "wellhead_records_queued";
constexpr std::chrono::milliseconds ask_interval{50};
// The longest a node may take for one answer; loopback or a local network.
constexpr timeval answer_time_max{.tv_sec = 5, .tv_usec = 0};
constexpr std::size_t receive_bytes = 64 << 10;

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (put <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

// The body of GET /metrics; empty when there is no such answer.
std::optional<std::string> fetch_metrics(const Target& admin) {
  const UniqueFd socket(::socket(admin.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return std::nullopt;
  for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    setsockopt(socket.get(), SOL_SOCKET, direction, &answer_time_max, sizeof answer_time_max);
  }
  const auto* address = reinterpret_cast<const sockaddr*>(&admin.address);
  if (::connect(socket.get(), address, admin.address_bytes) != 0) return std::nullopt;
  const std::string request =
      fmt::format("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", admin.authority);
  if (!send_all(socket.get(), request)) return std::nullopt;
  HttpReplyParser parser;
  std::array<char, receive_bytes> buffer;
  for (ssize_t got = 0; (got = ::recv(socket.get(), buffer.data(), buffer.size(), 0)) > 0;) {
    std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    const HttpReplyParser::Status status = parser.feed(bytes);
    if (status == HttpReplyParser::Status::malformed) return std::nullopt;
    if (status == HttpReplyParser::Status::complete) {
      return parser.reply().status == 200 ? std::optional(parser.reply().body) : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<double> metric_sum(std::string_view exposition, std::string_view name) {
  std::optional<double> sum;
  while (!exposition.empty()) {
    const std::size_t end = std::min(exposition.find('\n'), exposition.size());
    const std::string_view line = exposition.substr(0, end);
    exposition.remove_prefix(std::min(end + 1, exposition.size()));
    const bool named = line.starts_with(name) && line.size() > name.size() &&
                       (line[name.size()] == ' ' || line[name.size()] == '{');
    if (!named) continue;
    const std::string_view number = line.substr(line.rfind(' ') + 1);
    double value = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec != std::errc{}) continue;
    sum = sum.value_or(0) + value;
  }
  return sum;
}

std::expected<void, std::string> wait_until_drained(const Target& admin, std::int64_t deadline_ns) {
  while (true) {
    const std::optional<std::string> metrics = fetch_metrics(admin);
    const std::optional<double> queued = metrics ? metric_sum(*metrics, queued_metric) : std::nullopt;
    if (queued && *queued == 0) return {};
    if (monotonic_now_ns() >= deadline_ns) {
      if (!queued) {
        return std::unexpected(
            fmt::format("the node at {} does not tell how much it has queued, so nobody knows whether more "
                        "would still have come",
                        admin.authority));
      }
      return std::unexpected(
          fmt::format("the node still had {:.0f} records queued when the wait for them ended", *queued));
    }
    std::this_thread::sleep_for(ask_interval);
  }
}

}  // namespace wellhead::loadgen
