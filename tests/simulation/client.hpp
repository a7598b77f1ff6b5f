// Clients of the simulated node, and what they share. What a client finds wrong with its answers it says in
// complaint(): the tables are looked at first, since a wrong answer is most often a sign of worse.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "net/intake.hpp"
#include "tests/simulation/account.hpp"
#include "tests/simulation/dice.hpp"
#include "tests/simulation/tally.hpp"

namespace wellhead::simulation {

class Node;
class Post;

// What all clients use; all of it outlives them.
struct ClientSetup {
  Dice& dice;
  const Clock& clock;
  Account& account;
  Tally& tally;
  Post& post;
};

class Client {
 public:
  explicit Client(const ClientSetup& setup) : use_(setup) {}
  virtual ~Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Does what it may do at any time.
  virtual void act(Node& node) = 0;
  // After everything was mended: sends again what has no answer. True when nothing is left to be answered.
  [[nodiscard]] virtual bool finish(Node& node) = 0;
  // `tag` as given to Post::send().
  virtual void on_answer(std::size_t tag, const RequestOutcome& outcome) = 0;
  // What it was not told by now it will never be told.
  virtual void on_node_death() = 0;

  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

 protected:
  void complain(std::string sentence) {
    if (complaint_.empty()) complaint_ = std::move(sentence);
  }
  [[nodiscard]] std::vector<std::int64_t> new_records(std::uint64_t count, bool malformed_ones);
  // An array of them, received now.
  [[nodiscard]] std::string body_of(std::span<const std::int64_t> ids) const;
  // Whether the numbers of an answer that tells of success are those of these records.
  [[nodiscard]] bool numbers_fit(std::span<const std::int64_t> ids, AckLevel ack,
                                 const RequestOutcome& outcome) const;
  void acknowledge(std::span<const std::int64_t> ids);

  ClientSetup use_;

 private:
  std::string complaint_;
};

}  // namespace wellhead::simulation
