// Sends requests with an Idempotency-Key, and sends them again: when they have no answer and when they have
// one, while they are on their way, after the node died, to any reactor, and now and then, by mistake, with
// other content.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/client.hpp"

namespace wellhead::simulation {

class KeyedClient final : public Client {
 public:
  using Client::Client;
  void act(Node& node) override;
  [[nodiscard]] bool finish(Node& node) override;
  void on_answer(std::size_t tag, const RequestOutcome& outcome) override;
  void on_node_death() override;

 private:
  struct Request {
    std::string key;
    std::vector<std::int64_t> ids;
    std::string body;
    std::uint32_t content = 0;   // how often it was replaced
    std::uint32_t waiting = 0;   // for so many answers
    bool may_be_stored = false;  // taken, and nobody said that nothing is stored
    bool in_doubt = false;       // its block failed, and this node may not know yet what became of it
    bool acknowledged = false;
    std::string receipt = {};  // with acknowledged
  };
  // One sending of it.
  struct Attempt {
    std::size_t request;
    std::uint32_t content;
    AckLevel ack;
    bool repeats;  // what was acknowledged before
  };

  void send_new(Node& node);
  void send(Node& node, std::size_t request);
  void send_other_content(Node& node, Request& request);
  [[nodiscard]] std::size_t pick_request();
  void check_submission(const Request& request, AckLevel ack, Submission submission);
  void on_success(Request& request, const Attempt& attempt, const RequestOutcome& outcome);

  std::vector<Request> requests_;
  std::vector<Attempt> attempts_;  // by tag
};

}  // namespace wellhead::simulation
