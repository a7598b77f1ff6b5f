#include "loadgen/http_connection.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {
namespace {

// Without Retry-After, and the longest that is obeyed.
constexpr double retry_after_s_default = 1.0;
constexpr double retry_after_s_max = 60.0;

// Replies that say "nothing was stored, send it again".
bool asks_for_retry(int status) {
  return status == 408 || status == 429 || status == 503;
}

}  // namespace

Connection::Handled HttpConnection::on_bytes(std::string_view bytes, std::int64_t now_ns) {
  while (!bytes.empty()) {
    const HttpReplyParser::Status status = parser_.feed(bytes);
    if (status == HttpReplyParser::Status::malformed) return std::unexpected("malformed HTTP reply");
    if (status == HttpReplyParser::Status::incomplete) return {};
    if (Handled handled = on_reply(parser_.reply(), now_ns); !handled) return handled;
    if (parser_.reply().close) {
      reconnect_after_answer();
      return {};
    }
  }
  return {};
}

Connection::Handled HttpConnection::on_reply(const HttpReplyMessage& reply, std::int64_t now_ns) {
  if (batches().empty() || batches().front()->sent == 0) {
    return std::unexpected(fmt::format("HTTP {} without a request", reply.status));
  }
  if (!batches().front()->sent_whole()) {
    if (reply.status < 400) return std::unexpected("HTTP reply before the end of the request");
    // Refused while the body is still on its way; the rest of it has no place on this connection any more.
    refuse(reply, now_ns);
    reconnect_after_answer();
    return {};
  }
  if (reply.status == 200 || reply.status == 422) return settle(reply, now_ns);
  refuse(reply, now_ns);
  return {};
}

Connection::Handled HttpConnection::settle(const HttpReplyMessage& reply, std::int64_t now_ns) {
  Batch& batch = *batches().front();
  std::optional<IngestReply> outcome = replies().ingest_reply(reply.body);
  if (!outcome)
    return std::unexpected(fmt::format("HTTP {} with a body that is no ingest reply", reply.status));
  const std::uint64_t told = std::uint64_t{outcome->accepted} + outcome->rejected + outcome->duplicate;
  // Nothing is a duplicate that was never sent before.
  if (told != batch.range.count || (outcome->duplicate != 0 && !may_retry())) {
    return std::unexpected("reply whose numbers do not add up to the request's records");
  }
  const bool in_range = std::all_of(outcome->errors.begin(), outcome->errors.end(),
                                    [&](const Reject& reject) { return reject.offset < batch.range.count; });
  if (!in_range) return std::unexpected("reply that names a record the request did not have");
  batch.rejects = std::move(outcome->errors);
  ledger().settle(batch, batch.range.count, outcome->rejected, now_ns);
  retire_front();
  return {};
}

void HttpConnection::refuse(const HttpReplyMessage& reply, std::int64_t now_ns) {
  Batch& batch = *batches().front();
  const std::string code = replies().error_code(reply.body);
  const std::string reason =
      code.empty() ? fmt::format("HTTP {}", reply.status) : fmt::format("HTTP {} {}", reply.status, code);
  const bool may_be_stored = !asks_for_retry(reply.status) || code == "outcome_unknown";
  const bool undecided = reply.status >= 500 || code == "idempotency_key_in_flight";
  if (!may_be_stored || (may_retry() && undecided)) {
    if (may_be_stored) doubt_front();
    const double wait_s =
        std::clamp(reply.retry_after_s.value_or(retry_after_s_default), 0.0, retry_after_s_max);
    ledger().note_answer(now_ns);
    resend_front(now_ns + seconds_to_ns(wait_s));
    return;
  }
  if (reply.status >= 400 && reply.status < 500 && !batch.in_doubt) {
    ledger().fail(batch, reason, now_ns);
  } else {
    ledger().lose(batch, reason);
    ledger().note_answer(now_ns);
  }
  retire_front();
}

}  // namespace wellhead::loadgen
