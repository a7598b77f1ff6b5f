#include "tests/simulation/post.hpp"

#include "codec/decoder.hpp"
#include "tests/simulation/client.hpp"
#include "tests/simulation/node.hpp"

namespace wellhead::simulation {

Submission Post::send(Node& node, std::size_t reactor, Letter letter, Client& from, std::size_t tag) {
  const std::size_t size = letter.body.size();
  letter.body.resize(size + input_padding_bytes);
  const std::uint64_t cookie = ++last_cookie_;
  const SubmitResult result =
      node.intake(reactor).submit({.schema = &schema_,
                                   .body = std::string_view(letter.body).substr(0, size),
                                   .format = BodyFormat::detect,
                                   .connection = {},
                                   .cookie = cookie,
                                   .ack = letter.ack,
                                   .wants_receipt = true,
                                   .idempotency_key = letter.key,
                                   .lines = letter.lines});
  ++tally_.requests;
  if (result.submission == Submission::taken)
    waiting_.emplace(cookie, Waiting{.client = &from, .tag = tag});
  else
    ++tally_.refusals;
  if (result.submission == Submission::malformed && complaint_.empty())
    complaint_ = "a request is told to be malformed: " + result.message;
  return result.submission;
}

void Post::on_request_done(ConnectionId, const RequestOutcome& outcome) {
  const auto found = waiting_.find(outcome.cookie);
  if (found == waiting_.end()) {
    complaint_ = "a request was answered twice, or was never taken";
    return;
  }
  const Waiting waiting = found->second;
  waiting_.erase(found);
  waiting.client->on_answer(waiting.tag, outcome);
}

}  // namespace wellhead::simulation
