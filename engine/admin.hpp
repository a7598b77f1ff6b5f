// What the admin port answers: health, metrics, and where things are.
#pragma once

#include <string>
#include <string_view>

#include "engine/node_view.hpp"
#include "net/http_message.hpp"

namespace wellhead {

// Addresses for the page at "/", each "host:port" or "off".
struct AdminDirectory {
  std::string version;
  std::string node_id;
  std::string http;
  std::string ndjson;
  std::vector<std::string> streams;
};

// /health/live     200 while the process answers at all
// /health/startup  200 once every listener is served
// /health/ready    200 while records are taken: with a journal while that is writable ("degraded" where a
// shard
//                  cannot commit and the journal has to bridge it), without one while every shard can commit.
//                  Else, and from the first TERM on, 503 with the reason
// /metrics         Prometheus' text format
// /                what this is and where things are
class AdminHandler final : public HttpHandler {
 public:
  // `node` outlives the handler.
  AdminHandler(const NodeView& node, AdminDirectory directory)
      : node_(node), directory_(std::move(directory)) {}

  [[nodiscard]] HttpReply handle(std::string_view method, std::string_view path,
                                 std::string_view query) override;

  // Before the admin port is served: the addresses with the ports the system chose.
  void set_addresses(std::string http, std::string ndjson);

 private:
  [[nodiscard]] HttpReply live() const;
  [[nodiscard]] HttpReply startup() const;
  [[nodiscard]] HttpReply ready() const;
  [[nodiscard]] HttpReply metrics() const;
  [[nodiscard]] HttpReply directory() const;

  const NodeView& node_;
  AdminDirectory directory_;
};

}  // namespace wellhead
