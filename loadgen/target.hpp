// The address load goes to.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace wellhead::loadgen {

enum class Transport : std::uint8_t { http, ndjson };

struct Target {
  Transport transport = Transport::http;
  std::string authority;  // HOST:PORT as given, for the Host header and messages
  sockaddr_storage address{};
  socklen_t address_bytes = 0;
};

// Resolves `url`. Without `allow_remote` only loopback addresses are accepted: a mistyped host must not put
// load on somebody's production. The error is a sentence.
[[nodiscard]] std::expected<Target, std::string> resolve_target(std::string_view url, bool allow_remote);

}  // namespace wellhead::loadgen
