// Sends each request once, whatever becomes of it.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/simulation/client.hpp"

namespace wellhead::simulation {

class PlainClient final : public Client {
 public:
  using Client::Client;
  void act(Node& node) override;
  [[nodiscard]] bool finish(Node&) override { return true; }
  void on_answer(std::size_t tag, const RequestOutcome& outcome) override;
  void on_node_death() override {}

 private:
  struct Sent {
    std::vector<std::int64_t> ids;
    AckLevel ack;
  };
  std::vector<Sent> sent_;
};

}  // namespace wellhead::simulation
