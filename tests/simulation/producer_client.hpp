// A producer of numbered lines: keeps them until they are acknowledged, and after each break asks how far it
// has come and goes on from there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "journal/ledger.hpp"
#include "tests/simulation/client.hpp"

namespace wellhead::simulation {

class ProducerClient final : public Client {
 public:
  ProducerClient(const ClientSetup& setup, const std::string& name);
  void act(Node& node) override;
  [[nodiscard]] bool finish(Node& node) override;
  void on_answer(std::size_t tag, const RequestOutcome& outcome) override;
  void on_node_death() override;

 private:
  // Lines that went together.
  struct Chunk {
    std::uint64_t first;  // numbers of lines, from 1
    std::uint64_t last;
    std::uint64_t connection;
  };
  struct Connection {
    std::uint64_t number = 0;
    std::uint64_t claim = 0;  // 0: there is none
    std::size_t reactor = 0;
    bool standing_known = false;
    std::uint64_t next = 1;  // line to send
  };

  void connect(Node& node);
  void ask(Node& node);
  void send(Node& node, std::uint64_t count_max);
  void send_as_before(Node& node);
  void disconnect(Node& node);
  [[nodiscard]] std::span<const std::int64_t> lines(std::uint64_t first, std::uint64_t last) const;
  [[nodiscard]] Submission send_lines(Node& node, const Connection& over, std::uint64_t last);

  std::string name_;
  Fingerprint fingerprint_;
  std::vector<std::int64_t> lines_;  // ids of all it ever had
  std::uint64_t stored_ = 0;         // the last line it was told of
  Connection connection_;
  Connection before_;          // that was taken over, and does not know yet
  std::vector<Chunk> chunks_;  // by tag
  std::uint32_t waiting_ = 0;  // chunks of the connection at hand
};

}  // namespace wellhead::simulation
