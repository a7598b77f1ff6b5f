// A client of a running node's HTTP listeners, for commands that send records themselves or ask for its
// metrics. Blocking, one request at a time over one connection that is kept. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "engine/config_values.hpp"

namespace wellhead {

struct NodeReply {
  int status = 0;
  std::uint32_t retry_after_s = 0;  // 0: the node said nothing of it
  std::string body;
};

class NodeClient {
 public:
  // `timeout`: for connecting, and then for each reply. An address that stands for all of the machine's is
  // taken as loopback.
  NodeClient(Endpoint node, std::chrono::milliseconds timeout);

  // POST /v1/ingest/{target}, a stream and perhaps a query, with `headers`, each line ended by CRLF. The
  // error is a sentence without its period. After an error nobody knows whether the node took the request.
  [[nodiscard]] std::expected<NodeReply, std::string> ingest(std::string_view target,
                                                             std::string_view headers, std::string_view body);
  // GET {target}, of the admin listener. The error as above.
  [[nodiscard]] std::expected<NodeReply, std::string> get(std::string_view target);

 private:
  using Outcome = std::expected<void, std::string>;
  using Deadline = std::chrono::steady_clock::time_point;

  [[nodiscard]] std::expected<NodeReply, std::string> exchange(std::string_view request);
  [[nodiscard]] Outcome connect(Deadline deadline);
  [[nodiscard]] Outcome wait(short events, Deadline deadline) const;
  [[nodiscard]] Outcome send(std::string_view bytes, Deadline deadline);
  [[nodiscard]] Outcome receive(Deadline deadline);
  [[nodiscard]] std::expected<NodeReply, std::string> read_reply(Deadline deadline);

  Endpoint node_;
  std::chrono::milliseconds timeout_;
  UniqueFd fd_;
  std::string received_;
};

}  // namespace wellhead
