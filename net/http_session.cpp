#include "net/http_session.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t busy_retry_after_s = 1;
constexpr std::uint32_t unavailable_retry_after_s = 5;
// Bytes of requests waiting behind the one in progress; past this the connection is not read.
constexpr std::size_t waiting_bytes_max = 64U << 10;
// A reply or header larger than this is not worth keeping the memory for.
constexpr std::size_t kept_string_bytes_max = 16U << 10;
// A body is given this much room at once even if its head announces more: what is announced may never come.
constexpr std::size_t first_room_bytes_max = 256U << 10;

// How often a receipt whose commit is waited for is looked up: every fraction of the time it was waited for.
constexpr int receipt_pause_divisor = 4;
constexpr std::chrono::milliseconds receipt_pause_min{10};
constexpr std::chrono::milliseconds receipt_pause_max{250};

constexpr std::string_view continue_text = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view hint_body =
    "{\"service\":\"wellhead\",\"ingest\":\"POST /v1/ingest/{stream} with a JSON object, an array of them, "
    "or one a "
    "line; plain, gzip or zstd\"}\n";

constexpr HttpRefusal header_overflow{
    431, "headers_too_large", "The request line and headers are too long together.", 0, {}};
constexpr HttpRefusal header_timeout{
    408, "request_timeout", "The request's headers did not arrive in time.", 0, {}};
constexpr HttpRefusal body_timeout{
    408, "request_timeout", "The request's body did not arrive in time.", 0, {}};
constexpr HttpRefusal truncated_head{
    400, malformed_http_code, "The connection ended within the request's headers.", 0, {}};
constexpr HttpRefusal truncated_body{
    400, malformed_http_code, "The connection ended within the request's body.", 0, {}};
constexpr HttpRefusal body_too_large{
    413, "body_too_large", "The body is longer than this node takes; send smaller batches.", 0, {}};
constexpr HttpRefusal inflated_too_large{
    413, "body_too_large", "The body is too long once inflated; send smaller batches.", 0, {}};
constexpr HttpRefusal corrupt_coding{
    400, "malformed_compression", "The body is not what its Content-Encoding says.", 0, {}};
constexpr HttpRefusal truncated_coding{
    400, "malformed_compression", "The compressed body ends too early.", 0, {}};
constexpr HttpRefusal empty_body{400, "empty_body", "The body is empty.", 0, {}};
constexpr HttpRefusal no_body_memory{
    503,
    "overloaded",
    "This node holds as many unfinished requests as it has memory for; nothing of "
    "this one was stored. Try again.",
    busy_retry_after_s,
    {}};
constexpr HttpRefusal busy{429,
                           "overloaded",
                           "This node has as many records on their way as it has memory for; nothing of this "
                           "request was stored. Try again.",
                           busy_retry_after_s,
                           {}};
constexpr HttpRefusal key_in_flight{409,
                                    "idempotency_key_in_flight",
                                    "An earlier request with this Idempotency-Key is on its way; nothing of "
                                    "this one was stored. Send it again "
                                    "to learn what became of the first.",
                                    busy_retry_after_s,
                                    {}};
constexpr HttpRefusal key_conflict{422,
                                   "idempotency_key_conflict",
                                   "This Idempotency-Key was used for a request with another body, format or "
                                   "accept_partial; nothing of this "
                                   "one was stored. Use a new key for new records.",
                                   0,
                                   {}};
constexpr HttpRefusal stopping{503,
                               "unavailable",
                               "This node is stopping; nothing of this request was stored. Try again.",
                               busy_retry_after_s,
                               {}};
constexpr HttpRefusal unknown_receipt{404,
                                      "unknown_receipt",
                                      "This is not a receipt of this node, or no longer one of records it "
                                      "knows. Copy it whole, and ask the node that gave it.",
                                      0,
                                      {}};
// In place of any other sentence about an outcome that is not known: with a key there is no risk in it.
constexpr std::string_view repeat_with_key =
    "It is not known whether the records of this request are stored. Send it again with the same "
    "Idempotency-Key: each is stored once.";
constexpr HttpRefusal outcome_unknown{
    503,
    "outcome_unknown",
    "It is not known whether the records of this request are stored; they may still "
    "be. Sending them again without an Idempotency-Key may store them twice.",
    unavailable_retry_after_s,
    {}};

}  // namespace

HttpSession::HttpSession(SessionContext& context)
    : context_(context), parser_(*this, context.limits.header_bytes_max) {}

void HttpSession::begin(Link link, const ListenerOptions& listener) {
  link_ = link;
  listener_ = &listener;
  state_ = State::head;
  keep_alive_ = false;
  body_unread_ = false;
  input_ended_ = false;
  parser_.reset();
}

void HttpSession::end() {
  state_ = State::ended;
  release_body();
  discard_waiting();
  outbox_.clear();
}

bool HttpSession::reusable() const {
  return std::max(outbox_.active.capacity(), outbox_.queued.capacity()) <= kept_string_bytes_max;
}

bool HttpSession::in_progress() const {
  if (state_ == State::head) return !parser_.at_start() || !waiting_.empty();
  return state_ != State::ended || !outbox_.empty();
}

void HttpSession::release_body() {
  piece_ = {};
  body_.release();
}

void HttpSession::on_bytes(ReceivedBytes received) {
  std::string_view bytes(received.data, received.size);
  if (waiting_.empty()) consume(bytes);
  if (!bytes.empty()) keep_for_later(bytes);
}

// Parses until the bytes are used up or a request is whole.
void HttpSession::consume(std::string_view& bytes) {
  while (!bytes.empty() && reading()) {
    if (state_ == State::head && parser_.at_start()) link_.set_deadline(context_.limits.header_timeout);
    const HttpParser::Step step = parser_.feed(bytes);
    bytes.remove_prefix(step.consumed);
    on_step(step.event, !bytes.empty());
  }
  // The bytes go back to where they came from; what is still needed of them must not.
  if (state_ == State::body && !keep_piece()) refuse_for_memory();
}

void HttpSession::on_step(HttpParser::Event event, bool more_bytes) {
  switch (event) {
    case HttpParser::Event::need_more:
      break;
    case HttpParser::Event::head:
      on_head(more_bytes);
      break;
    case HttpParser::Event::complete:
      on_body_complete();
      break;
    case HttpParser::Event::refused:
      on_body_refused();
      break;
    case HttpParser::Event::overflow:
      context_.stats.header_overflows.add();
      body_unread_ = true;
      refuse(header_overflow);
      break;
    case HttpParser::Event::malformed: {
      context_.stats.malformed_http.add();
      body_unread_ = true;
      const std::string message = std::string("This is not HTTP/1.1: ") + parser_.reason() + ".";
      refuse({400, malformed_http_code, message, 0, {}});
      break;
    }
  }
}

void HttpSession::on_head(bool more_bytes) {
  const HttpRequestHead& head = parser_.head();
  keep_alive_ = head.keep_alive;
  body_unread_ = head.has_body();
  body_bytes_ = 0;
  plan_ = plan_request(head, context_, *listener_);
  if (plan_.action == HttpPlan::Action::refuse) {
    if (plan_.refusal.code == malformed_http_code) {
      context_.stats.malformed_http.add();
      keep_alive_ = false;
    }
    refuse(plan_.refusal);
  } else if (plan_.action == HttpPlan::Action::admin) {
    answer_admin();
  } else if (plan_.action == HttpPlan::Action::receipt) {
    start_receipt();
  } else if (plan_.action == HttpPlan::Action::hint) {
    HttpReplyHead hint;
    hint.body_omitted = head.method == HttpMethod::head;
    reply(hint, hint_body);
  } else if (context_.stopping) {
    refuse(stopping);
  } else {
    start_body(more_bytes);
  }
}

void HttpSession::start_body(bool more_bytes) {
  state_ = State::body;
  if (!parser_.head().has_body()) {
    on_body_complete();
    return;
  }
  link_.set_deadline(context_.limits.body_timeout);
  if (!plan_.wants_continue || more_bytes) return;
  outbox_.queued += continue_text;
  link_.transmit();
}

bool HttpSession::on_body(std::string_view piece) {
  body_bytes_ += piece.size();
  if (body_bytes_ > context_.limits.body_bytes_max) return false;
  if (body_.empty() && piece_.empty()) {
    piece_ = piece;
    return true;
  }
  return keep_piece() && collect(piece);
}

void HttpSession::on_body_refused() {
  if (body_bytes_ > context_.limits.body_bytes_max) {
    context_.stats.body_overflows.add();
    refuse(body_too_large);
  } else {
    refuse_for_memory();
  }
}

bool HttpSession::keep_piece() {
  if (piece_.empty()) return true;
  const std::uint64_t announced =
      std::min<std::uint64_t>(parser_.head().content_length, first_room_bytes_max);
  const bool kept =
      context_.bodies.reserve(body_, std::max<std::size_t>(announced, piece_.size())) && collect(piece_);
  piece_ = {};
  return kept;
}

bool HttpSession::collect(std::string_view piece) {
  return context_.bodies.append(body_, piece);
}

void HttpSession::on_body_complete() {
  body_unread_ = false;
  body_complete_ns_ = context_.clock.monotonic_ns();
  if (plan_.coding != ContentCoding::identity && !inflate_body()) return;
  if (whole_body().empty())
    refuse(empty_body);
  else
    submit();
}

bool HttpSession::inflate_body() {
  BodyBuffer inflated;
  const InflateResult result =
      context_.inflater.inflate(plan_.coding, whole_body(), context_.bodies, inflated);
  release_body();
  body_ = std::move(inflated);
  switch (result) {
    case InflateResult::complete:
      return true;
    case InflateResult::corrupt:
      context_.stats.malformed_bodies.add();
      refuse(corrupt_coding);
      break;
    case InflateResult::truncated:
      context_.stats.malformed_bodies.add();
      refuse(truncated_coding);
      break;
    case InflateResult::too_large:
      context_.stats.inflate_overflows.add();
      refuse(inflated_too_large);
      break;
    case InflateResult::no_memory:
      refuse_for_memory();
      break;
  }
  return false;
}

void HttpSession::submit() {
  cookie_ = ++context_.last_cookie;
  const SubmitResult result = context_.intake->submit({.schema = plan_.stream,
                                                       .body = whole_body(),
                                                       .format = plan_.format,
                                                       .connection = link_.id(),
                                                       .cookie = cookie_,
                                                       .all_or_nothing = plan_.all_or_nothing,
                                                       .dead_letters = plan_.dead_letters,
                                                       .ack = plan_.ack,
                                                       .wants_receipt = true,
                                                       .idempotency_key = plan_.idempotency_key});
  switch (result.submission) {
    case Submission::taken:
      release_body();
      state_ = State::committing;
      link_.set_deadline(context_.limits.commit_timeout);
      break;
    case Submission::malformed:
      context_.stats.malformed_bodies.add();
      refuse({400, to_string(result.code), result.message, 0, {}});
      break;
    case Submission::unavailable:
      refuse({503, "unavailable", result.message, unavailable_retry_after_s, {}});
      break;
    case Submission::busy:
      wait_for_capacity();
      break;
    case Submission::in_flight:
      refuse(key_in_flight);
      break;
    case Submission::conflict:
      refuse(key_conflict);
      break;
    case Submission::taken_over:
      WELLHEAD_ASSERT(false);  // HTTP has no producers
      break;
  }
}

void HttpSession::wait_for_capacity() {
  if (state_ != State::admitting) {
    if (!keep_piece()) {
      refuse_for_memory();
      return;
    }
    state_ = State::admitting;
    link_.set_deadline(context_.limits.admission_timeout);
  }
  link_.await_capacity();
}

void HttpSession::on_capacity() {
  if (state_ == State::admitting) submit();
}

void HttpSession::on_outcome(const RequestOutcome& outcome) {
  if (state_ != State::committing || outcome.cookie != cookie_) return;  // answered already, by a timeout
  context_.stats.request_us.record(
      static_cast<std::uint64_t>(context_.clock.monotonic_ns() - body_complete_ns_) / 1'000);
  if (outcome.abandoned) {
    refuse_abandoned(outcome);
    return;
  }
  // A duplicate is stored, by an earlier request: for the client that is as good.
  const bool any = outcome.accepted + outcome.duplicate > 0;
  context_.scratch.clear();
  append_outcome_body(context_.scratch, outcome);
  HttpReplyHead head;
  head.status = any && !(plan_.all_or_nothing && outcome.rejected > 0) ? 200 : 422;
  head.replayed = outcome.replayed;
  reply(head, context_.scratch);
}

void HttpSession::refuse_abandoned(const RequestOutcome& outcome) {
  HttpRefusal refusal = outcome_unknown;
  if (!outcome.problem.empty()) refusal.message = outcome.problem;
  if (outcome.nothing_stored)
    refusal.code = "unavailable";
  else if (!plan_.idempotency_key.empty())
    refusal.message = repeat_with_key;
  refuse(refusal);
}

void HttpSession::answer_admin() {
  const HttpRequestHead& head = parser_.head();
  const HttpReply answer = context_.admin_handler->handle(head.method_name, head.path(), head.query());
  HttpReplyHead reply_head;
  reply_head.status = answer.status;
  reply_head.content_type = answer.content_type;
  reply_head.body_omitted = head.method == HttpMethod::head;
  reply_head.more_headers = &answer;
  reply(reply_head, answer.body);
}

void HttpSession::start_receipt() {
  receipt_since_ns_ = context_.now_ns;
  answer_receipt();
}

// Answers, or looks again later: seldom where the wait is long already, so that many who wait cost little.
void HttpSession::answer_receipt() {
  const ReceiptStatus status =
      context_.receipts == nullptr ? ReceiptStatus{} : context_.receipts->look_up(plan_.receipt);
  const std::chrono::nanoseconds waited(context_.now_ns - receipt_since_ns_);
  if (status.state == ReceiptStatus::State::queued && waited < plan_.receipt_wait && !context_.stopping) {
    state_ = State::receipt;
    const auto pause = std::clamp<std::chrono::nanoseconds>(waited / receipt_pause_divisor, receipt_pause_min,
                                                            receipt_pause_max);
    link_.set_deadline(std::min<std::chrono::nanoseconds>(pause, plan_.receipt_wait - waited));
    return;
  }
  if (status.state == ReceiptStatus::State::unknown) {
    refuse(unknown_receipt);
    return;
  }
  if (state_ == State::receipt && status.state == ReceiptStatus::State::queued && !context_.stopping)
    context_.stats.receipt_timeouts.add();
  context_.scratch.clear();
  append_receipt_body(context_.scratch, plan_.receipt, status);
  HttpReplyHead head;
  head.body_omitted = parser_.head().method == HttpMethod::head;
  reply(head, context_.scratch);
}

void HttpSession::refuse_for_memory() {
  context_.stats.body_memory_overflows.add();
  refuse(no_body_memory);
}

void HttpSession::refuse(const HttpRefusal& refusal) {
  context_.scratch.clear();
  append_error_body(context_.scratch, refusal.code, refusal.message);
  HttpReplyHead head;
  head.status = refusal.status;
  head.retry_after_s = refusal.retry_after_s;
  head.allow = refusal.allow;
  head.body_omitted = parser_.head().method == HttpMethod::head;
  reply(head, context_.scratch);
}

void HttpSession::reply(const HttpReplyHead& head, std::string_view body) {
  HttpReplyHead complete = head;
  // A body that was not read to its end leaves no way to find the next request.
  const bool last = !keep_alive_ || body_unread_ || context_.stopping ||
                    (input_ended_ && waiting_.size() == waiting_offset_);
  complete.close = last;
  complete.date = context_.date.text(context_.clock.wall_us());
  append_http_reply(outbox_.queued, complete, body);
  WELLHEAD_ASSERT(head.status < static_cast<int>(context_.stats.replies.size()));
  context_.stats.replies[static_cast<std::size_t>(head.status)].add();
  context_.stats.requests.add();
  release_body();
  state_ = last ? State::ended : State::replying;
  link_.set_deadline(context_.limits.send_timeout);
  link_.transmit();
  if (last) {
    discard_waiting();
    link_.finish();
  }
}

void HttpSession::discard_waiting() {
  waiting_.release();
  waiting_offset_ = 0;
}

void HttpSession::keep_for_later(std::string_view bytes) {
  if (state_ == State::ended) return;
  if (!context_.bodies.append(waiting_, bytes)) {
    context_.stats.body_memory_overflows.add();
    state_ = State::ended;
    link_.drop();
    return;
  }
  if (waiting_.size() - waiting_offset_ > waiting_bytes_max) link_.pause_reading();
}

void HttpSession::on_sent() {
  // Otherwise it was "100 Continue" that was sent, and the request goes on.
  if (state_ == State::replying) next_request();
}

void HttpSession::next_request() {
  state_ = State::head;
  keep_alive_ = false;
  body_unread_ = false;
  parser_.reset();
  link_.set_deadline(context_.limits.idle_timeout);
  std::string_view bytes = waiting_.view().substr(waiting_offset_);
  consume(bytes);
  waiting_offset_ = waiting_.size() - bytes.size();
  if (!bytes.empty()) return;
  discard_waiting();
  if (reading() && input_ended_) {
    on_end_of_input();
    return;
  }
  link_.resume_reading();
  if (state_ == State::head && parser_.at_start()) link_.release_session();
}

void HttpSession::on_end_of_input() {
  input_ended_ = true;
  if (!reading()) return;  // the request in progress is still answered
  if (state_ == State::head && parser_.at_start()) {
    link_.drop();
    return;
  }
  context_.stats.disconnects_early.add();
  body_unread_ = true;
  refuse(state_ == State::head ? truncated_head : truncated_body);
}

void HttpSession::on_deadline() {
  ReactorStats& stats = context_.stats;
  switch (state_) {
    case State::head:
      if (parser_.at_start()) {
        stats.idle_timeouts.add();
        link_.drop();
        break;
      }
      stats.header_timeouts.add();
      body_unread_ = true;
      refuse(header_timeout);
      break;
    case State::body:
      stats.body_timeouts.add();
      refuse(body_timeout);
      break;
    case State::admitting:
      stats.admission_timeouts.add();
      refuse(busy);
      break;
    case State::committing:
      stats.commit_timeouts.add();
      refuse_abandoned({});
      break;
    case State::receipt:
      answer_receipt();
      break;
    case State::replying:
      stats.send_timeouts.add();
      link_.drop();
      break;
    case State::ended:
      break;
  }
}

void HttpSession::on_stop() {
  switch (state_) {
    case State::head:
      link_.drop();
      break;
    case State::body:
    case State::admitting:
      refuse(stopping);
      break;
    case State::receipt:
      answer_receipt();
      break;
    case State::replying:
      state_ = State::ended;
      link_.finish();
      break;
    case State::committing:  // its outcome is still answered, with the last reply
    case State::ended:
      break;
  }
}

}  // namespace wellhead
