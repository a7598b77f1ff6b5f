#include "tests/simulation/plain_client.hpp"

#include "tests/simulation/node.hpp"
#include "tests/simulation/post.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::uint64_t records_per_request_max = 24;
constexpr double ack_journal_share = 0.8;

}  // namespace

void PlainClient::act(Node& node) {
  Dice& dice = use_.dice;
  const Sent& sent =
      sent_.emplace_back(Sent{.ids = new_records(1 + dice.below(records_per_request_max), true),
                              .ack = dice.chance(ack_journal_share) ? AckLevel::journal : AckLevel::commit});
  const Submission submission =
      use_.post.send(node, dice.below(node.reactors()), {.body = body_of(sent.ids), .ack = sent.ack}, *this,
                     sent_.size() - 1);
  if (submission != Submission::taken) use_.account.set(sent.ids, Fate::refused);
}

void PlainClient::on_answer(std::size_t tag, const RequestOutcome& outcome) {
  const Sent& sent = sent_.at(tag);
  if (!outcome.abandoned) {
    if (!numbers_fit(sent.ids, sent.ack, outcome))
      complain("a request's numbers are not those of its records");
    acknowledge(sent.ids);
  } else if (outcome.nothing_stored) {
    use_.account.set(sent.ids, Fate::refused);
  }
}

}  // namespace wellhead::simulation
