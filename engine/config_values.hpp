// The words a configuration is written in: durations ("20ms"), sizes ("64KiB"), addresses ("127.0.0.1:8080").
//
// Every error is the end of a sentence that begins with what the user wrote, e.g. `"10" has no unit; write
// …`.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace wellhead {

// Where a listener listens. `enabled` is false for "off".
struct Endpoint {
  std::string address;
  std::uint16_t port = 0;
  bool enabled = true;
  bool operator==(const Endpoint&) const = default;
};

// A whole number and one of ms, s, m, h, d.
[[nodiscard]] std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view text);
// In the largest unit that keeps it whole: 90'000 ms is "90s".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

// A time with its offset ("2026-03-01T12:00:00Z"), or how long ago it was ("90s", "1h"): microseconds since
// 2000-01-01 UTC, as `now_us` is. Null for anything else.
[[nodiscard]] std::optional<std::int64_t> parse_moment(std::string_view text, std::int64_t now_us);

// A whole number and one of B, KiB, MiB, GiB; without a unit, bytes.
[[nodiscard]] std::expected<std::uint64_t, std::string> parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

// "127.0.0.1:8080", "[::1]:8080" or "off". Numeric addresses only: a node must start when the name service is
// down.
[[nodiscard]] std::expected<Endpoint, std::string> parse_endpoint(std::string_view text);
[[nodiscard]] std::string format_endpoint(const Endpoint& endpoint);

[[nodiscard]] std::expected<bool, std::string> parse_boolean(std::string_view text);
[[nodiscard]] std::expected<std::int64_t, std::string> parse_integer(std::string_view text);

// A TOML basic string with its quotes.
[[nodiscard]] std::string quote_toml(std::string_view text);

}  // namespace wellhead
