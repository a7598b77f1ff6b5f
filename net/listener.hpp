#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "base/unique_fd.hpp"
#include "net/reactor.hpp"

namespace wellhead {

struct Listener {
  ListenerOptions options;
  UniqueFd fd;
  std::uint16_t port = 0;  // what it is bound to
};

// Binds and listens with SO_REUSEPORT, so that several reactors can share a port. With `exclusive` (the first
// reactor) the port must be free: SO_REUSEPORT alone would let a second node of the same user take half of
// the first one's connections without a word. A port that is taken is waited for, up to 2 s: the node may
// have been killed a moment ago. The error is a sentence.
[[nodiscard]] std::expected<Listener, std::string> open_listener(ListenerOptions options, bool exclusive);

}  // namespace wellhead
