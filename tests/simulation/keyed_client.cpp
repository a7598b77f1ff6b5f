#include "tests/simulation/keyed_client.hpp"

#include <algorithm>

#include "tests/simulation/node.hpp"
#include "tests/simulation/post.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::uint64_t records_per_request_max = 12;
constexpr double new_share = 0.4;
constexpr double other_content_share = 0.1;
constexpr double ack_journal_share = 0.8;
// Most repetitions are of one of the latest.
constexpr double latest_share = 0.8;
constexpr std::uint64_t latest_count = 6;

}  // namespace

void KeyedClient::act(Node& node) {
  Dice& dice = use_.dice;
  if (requests_.empty() || dice.chance(new_share)) return send_new(node);
  const std::size_t request = pick_request();
  if (dice.chance(other_content_share)) return send_other_content(node, requests_[request]);
  send(node, request);
}

std::size_t KeyedClient::pick_request() {
  Dice& dice = use_.dice;
  if (!dice.chance(latest_share)) return dice.below(requests_.size());
  return requests_.size() - 1 - dice.below(std::min<std::uint64_t>(latest_count, requests_.size()));
}

void KeyedClient::send_new(Node& node) {
  std::vector<std::int64_t> ids = new_records(1 + use_.dice.below(records_per_request_max), true);
  std::string body = body_of(ids);
  requests_.push_back(
      {.key = "key-" + std::to_string(requests_.size()), .ids = std::move(ids), .body = std::move(body)});
  send(node, requests_.size() - 1);
}

void KeyedClient::send(Node& node, std::size_t number) {
  Request& request = requests_[number];
  const AckLevel ack = use_.dice.chance(ack_journal_share) ? AckLevel::journal : AckLevel::commit;
  if (request.may_be_stored) ++use_.tally.repeats;
  attempts_.push_back(
      {.request = number, .content = request.content, .ack = ack, .repeats = request.acknowledged});
  const Submission submission =
      use_.post.send(node, use_.dice.below(node.reactors()),
                     {.body = request.body, .ack = ack, .key = request.key}, *this, attempts_.size() - 1);
  check_submission(request, ack, submission);
  if (submission != Submission::taken) return;
  ++request.waiting;
  request.may_be_stored = true;
}

void KeyedClient::check_submission(const Request& request, AckLevel ack, Submission submission) {
  if (submission == Submission::in_flight && request.waiting == 0 && !request.in_doubt)
    complain(request.key + " is told to be on its way, and nothing of it is");
  if (submission == Submission::conflict) complain(request.key + " is told to have had other content");
  // Its answer is known, whatever the journal and the database are up to.
  if (request.acknowledged && ack == AckLevel::journal && submission != Submission::taken)
    complain(request.key + " was acknowledged, and is refused when it is repeated");
}

// Where it is taken, the node says by that that nothing is stored of the content before.
void KeyedClient::send_other_content(Node& node, Request& request) {
  std::vector<std::int64_t> ids = new_records(1 + use_.dice.below(records_per_request_max), true);
  std::string body = body_of(ids);
  attempts_.push_back({.request = static_cast<std::size_t>(&request - requests_.data()),
                       .content = request.content + 1,
                       .ack = AckLevel::journal,
                       .repeats = false});
  const Submission submission =
      use_.post.send(node, use_.dice.below(node.reactors()), {.body = body, .key = request.key}, *this,
                     attempts_.size() - 1);
  if (submission == Submission::conflict) ++use_.tally.conflicts;
  if (submission == Submission::conflict && !request.may_be_stored)
    complain(request.key + " is told to have had other content, and nothing was stored under it");
  if (submission != Submission::taken) return use_.account.set(ids, Fate::refused);
  if (request.acknowledged)
    return complain(request.key + " is taken with other content than was acknowledged");
  use_.account.set(request.ids, Fate::refused);
  request.ids = std::move(ids);
  request.body = std::move(body);
  ++request.content;
  request.waiting = 1;
  request.may_be_stored = true;
}

void KeyedClient::on_answer(std::size_t tag, const RequestOutcome& outcome) {
  const Attempt& attempt = attempts_.at(tag);
  Request& request = requests_[attempt.request];
  if (attempt.content != request.content) {
    if (!outcome.abandoned) complain(request.key + " is acknowledged, and other content was taken under it");
    return;
  }
  --request.waiting;
  if (!outcome.abandoned)
    on_success(request, attempt, outcome);
  else if (!outcome.nothing_stored)
    request.in_doubt = true;
  else if (!request.acknowledged)
    request.may_be_stored = false;
}

void KeyedClient::on_success(Request& request, const Attempt& attempt, const RequestOutcome& outcome) {
  if (outcome.replayed) ++use_.tally.replays;
  if (!numbers_fit(request.ids, attempt.ack, outcome))
    complain("the numbers of " + request.key + " are not those of its records");
  if (attempt.repeats && !outcome.replayed)
    complain(request.key + " was acknowledged, and is stored anew when it is repeated");
  if (outcome.receipt.empty() || (request.acknowledged && outcome.receipt != request.receipt))
    complain("the receipts of " + request.key + " differ");
  request.acknowledged = true;
  request.receipt = outcome.receipt;
  acknowledge(request.ids);
}

void KeyedClient::on_node_death() {
  for (Request& request : requests_) {
    request.waiting = 0;
    request.in_doubt = false;
  }
}

bool KeyedClient::finish(Node& node) {
  bool answered = true;
  for (std::size_t number = 0; number < requests_.size(); ++number) {
    const Request& request = requests_[number];
    if (!request.acknowledged && request.waiting == 0) send(node, number);
    answered = answered && requests_[number].acknowledged && requests_[number].waiting == 0;
  }
  return answered;
}

}  // namespace wellhead::simulation
