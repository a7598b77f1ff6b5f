#include "tests/simulation/producer_client.hpp"

#include <algorithm>
#include <utility>

#include "journal/ledger_table.hpp"
#include "tests/simulation/node.hpp"
#include "tests/simulation/post.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::uint64_t lines_per_chunk_max = 8;
constexpr double break_share = 0.05;  // of its turns
// Of its breaks: the node learns of the end only when another connection says the same name.
constexpr double unnoticed_share = 0.5;
constexpr double late_lines_share = 0.5;

}  // namespace

ProducerClient::ProducerClient(const ClientSetup& setup, const std::string& name)
    : Client(setup), name_(name), fingerprint_(producer_fingerprint("readings", name)) {}

std::span<const std::int64_t> ProducerClient::lines(std::uint64_t first, std::uint64_t last) const {
  return std::span(lines_).subspan(first - 1, last - first + 1);
}

void ProducerClient::act(Node& node) {
  if (before_.claim != 0 && use_.dice.chance(late_lines_share)) return send_as_before(node);
  if (connection_.claim == 0) return connect(node);
  if (use_.dice.chance(break_share)) return disconnect(node);
  if (!connection_.standing_known) return ask(node);
  const std::uint64_t count = 1 + use_.dice.below(lines_per_chunk_max);
  while (lines_.size() < connection_.next + count - 1)
    for (const std::int64_t id : new_records(1, false)) lines_.push_back(id);
  send(node, count);
}

void ProducerClient::connect(Node& node) {
  const std::size_t reactor = use_.dice.below(node.reactors());
  connection_ = {.number = connection_.number + 1,
                 .claim = node.intake(reactor).ledger()->producers.claim(fingerprint_, use_.clock.wall_us()),
                 .reactor = reactor};
  waiting_ = 0;
}

// Every line up to the answer is stored. Those behind it are not, since nothing is on its way.
void ProducerClient::ask(Node& node) {
  const ProducerStanding standing =
      node.intake(connection_.reactor).ledger()->producers.standing(fingerprint_, connection_.claim);
  if (standing.status == ProducerStatus::settling) return;
  if (standing.status == ProducerStatus::taken_over) return disconnect(node);
  const std::uint64_t last = standing.last_sequence;
  if (last > lines_.size()) return complain(name_ + " is told of lines that it never sent");
  if (last < stored_) complain(name_ + " is told of fewer lines than were acknowledged");
  if (last > stored_) acknowledge(lines(stored_ + 1, last));
  stored_ = std::max(stored_, last);
  connection_.standing_known = true;
  connection_.next = last + 1;
}

Submission ProducerClient::send_lines(Node& node, const Connection& over, std::uint64_t last) {
  chunks_.push_back({.first = over.next, .last = last, .connection = over.number});
  return use_.post.send(node, over.reactor,
                        {.body = body_of(lines(over.next, last)),
                         .lines = {.producer = fingerprint_, .claim = over.claim, .last_sequence = last}},
                        *this, chunks_.size() - 1);
}

void ProducerClient::send(Node& node, std::uint64_t count_max) {
  const std::uint64_t last = std::min<std::uint64_t>(connection_.next + count_max - 1, lines_.size());
  const bool sent_before =
      std::ranges::any_of(chunks_, [&](const Chunk& chunk) { return chunk.last >= connection_.next; });
  switch (send_lines(node, connection_, last)) {
    case Submission::taken:
      use_.tally.repeats += sent_before ? 1U : 0U;
      connection_.next = last + 1;
      ++waiting_;
      break;
    case Submission::taken_over:
      disconnect(node);
      break;
    default:
      break;
  }
}

// Lines that arrive on a connection after a later one has asked: were they taken, they would be stored twice.
void ProducerClient::send_as_before(Node& node) {
  const Connection over = std::exchange(before_, {});
  if (connection_.claim == 0 || over.next > lines_.size()) return;
  if (send_lines(node, over, over.next) == Submission::taken)
    complain(name_ + ": lines of an earlier connection are taken beside those of a later one");
}

void ProducerClient::disconnect(Node& node) {
  if (use_.dice.chance(unnoticed_share) && connection_.standing_known)
    before_ = connection_;
  else
    node.intake(connection_.reactor).ledger()->producers.leave(fingerprint_, connection_.claim);
  connection_.claim = 0;
}

void ProducerClient::on_answer(std::size_t tag, const RequestOutcome& outcome) {
  const Chunk& chunk = chunks_.at(tag);
  const bool heard = chunk.connection == connection_.number && connection_.claim != 0;
  if (!heard) return;
  --waiting_;
  if (outcome.abandoned) {
    // The session ends the connection; lines behind these were given up with them.
    connection_.claim = 0;
    return;
  }
  const auto ids = lines(chunk.first, chunk.last);
  if (!numbers_fit(ids, AckLevel::journal, outcome))
    complain("the numbers of " + name_ + " are not those of its lines");
  acknowledge(ids);
  stored_ = std::max(stored_, chunk.last);
}

void ProducerClient::on_node_death() {
  connection_.claim = 0;
  before_ = {};
  waiting_ = 0;
}

bool ProducerClient::finish(Node& node) {
  if (stored_ == lines_.size()) return true;
  if (connection_.claim == 0)
    connect(node);
  else if (!connection_.standing_known)
    ask(node);
  else if (connection_.next <= lines_.size())
    send(node, lines_per_chunk_max);
  return false;
}

}  // namespace wellhead::simulation
