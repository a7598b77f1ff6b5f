#include "loadgen/target.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

namespace wellhead::loadgen {
namespace {

struct UrlParts {
  Transport transport;
  std::string authority;
  std::string host;
  std::string port;
};

std::expected<UrlParts, std::string> split_url(std::string_view url) {
  UrlParts parts{};
  std::string_view rest = url;
  if (rest.starts_with("http://")) {
    parts.transport = Transport::http;
    rest.remove_prefix(7);
  } else if (rest.starts_with("ndjson://")) {
    parts.transport = Transport::ndjson;
    rest.remove_prefix(9);
  } else {
    return std::unexpected(
        fmt::format("'{}' is not a URL of the form http://HOST:PORT or ndjson://HOST:PORT", url));
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || rest.find('/') != std::string_view::npos || rest.ends_with(']')) {
    return std::unexpected(fmt::format("'{}' must name a host and a port, and nothing behind them", url));
  }
  parts.authority = rest;
  parts.host = rest.substr(0, colon);
  parts.port = rest.substr(colon + 1);
  if (parts.host.starts_with('[') && parts.host.ends_with(']')) {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  }
  return parts;
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    return (ntohl(v4.sin_addr.s_addr) >> 24U) == 127;
  }
  if (address->sa_family != AF_INET6) return false;
  sockaddr_in6 v6{};
  std::memcpy(&v6, address, sizeof v6);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

}  // namespace

std::expected<Target, std::string> resolve_target(std::string_view url, bool allow_remote) {
  auto parts = split_url(url);
  if (!parts) return std::unexpected(parts.error());
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(parts->host.c_str(), parts->port.c_str(), &hints, &found);
  if (error != 0)
    return std::unexpected(fmt::format("cannot resolve '{}': {}", parts->authority, gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  if (!allow_remote && !is_loopback(found->ai_addr)) {
    return std::unexpected(fmt::format(
        "'{}' is not on this machine; give --allow-remote if you are sure it may be put under load",
        parts->authority));
  }
  Target target;
  target.transport = parts->transport;
  target.authority = parts->authority;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  target.address_bytes = found->ai_addrlen;
  return target;
}

}  // namespace wellhead::loadgen
