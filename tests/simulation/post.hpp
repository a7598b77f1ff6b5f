// Carries requests to the node, and answers back to the clients that wait for them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "net/intake.hpp"

namespace wellhead::simulation {

class Client;
class Node;
struct Tally;

class Post final : public RequestListener {
 public:
  // `schema`: of the stream all requests are for. Both outlive the post.
  Post(const Schema& schema, Tally& tally) : schema_(schema), tally_(tally) {}

  struct Letter {
    std::string body;
    AckLevel ack = AckLevel::journal;
    std::string_view key = {};
    ProducerLines lines = {};
  };
  // When it was taken, `from` gets an answer with `tag`, or learns of the node's death.
  Submission send(Node& node, std::size_t reactor, Letter letter, Client& from, std::size_t tag);
  void on_node_death() { waiting_.clear(); }
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

 private:
  struct Waiting {
    Client* client;
    std::size_t tag;
  };
  void on_request_done(ConnectionId connection, const RequestOutcome& outcome) override;
  void on_capacity() override {}

  const Schema& schema_;
  Tally& tally_;
  std::map<std::uint64_t, Waiting> waiting_;  // by cookie
  std::uint64_t last_cookie_ = 0;
  std::string complaint_;
};

}  // namespace wellhead::simulation
