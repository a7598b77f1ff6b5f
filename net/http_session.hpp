// HTTP/1.1 on one connection: one request in progress at a time, those that follow it wait in order.
//
// A request: its head is judged as soon as it is whole (so that a body that will not be taken is not read),
// its body stays in the receive buffer if it lies in one and is collected in the pool otherwise, then it is
// handed to the intake, and its outcome becomes the reply.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/http_parser.hpp"
#include "net/http_request.hpp"
#include "net/session.hpp"

namespace wellhead {

class HttpSession final : public Session, private HttpBodySink {
 public:
  explicit HttpSession(SessionContext& context);

  // A session serves connection after connection, to keep its memory.
  // `listener` outlives the connection.
  void begin(Link link, const ListenerOptions& listener);
  void end();
  // False when its strings have grown too large to be kept.
  [[nodiscard]] bool reusable() const;

  void on_bytes(ReceivedBytes bytes) override;
  void on_end_of_input() override;
  void on_sent() override;
  void on_outcome(const RequestOutcome& outcome) override;
  void on_capacity() override;
  void on_deadline() override;
  void on_stop() override;
  [[nodiscard]] bool in_progress() const override;

 private:
  enum class State : std::uint8_t {
    head,        // reading a request's head, or waiting for one
    body,        // reading its body
    admitting,   // whole; the intake is busy
    committing,  // taken; its outcome is awaited
    receipt,     // waits for the commit of a receipt's records
    replying,    // the reply is on its way
    ended,       // the last reply is on its way, or the connection is dropped
  };

  [[nodiscard]] bool on_body(std::string_view piece) override;

  [[nodiscard]] bool reading() const noexcept { return state_ == State::head || state_ == State::body; }
  void consume(std::string_view& bytes);
  void on_step(HttpParser::Event event, bool more_bytes);
  void on_head(bool more_bytes);
  void start_body(bool more_bytes);
  void on_body_refused();
  void on_body_complete();
  [[nodiscard]] bool inflate_body();
  [[nodiscard]] bool collect(std::string_view piece);
  [[nodiscard]] bool keep_piece();
  [[nodiscard]] std::string_view whole_body() const noexcept { return body_.empty() ? piece_ : body_.view(); }
  void submit();
  void wait_for_capacity();
  void keep_for_later(std::string_view bytes);
  void discard_waiting();
  void next_request();

  void reply(const HttpReplyHead& head, std::string_view body);
  void refuse(const HttpRefusal& refusal);
  void refuse_for_memory();
  void refuse_abandoned(const RequestOutcome& outcome);
  void answer_admin();
  void start_receipt();
  void answer_receipt();
  void release_body();

  SessionContext& context_;
  Link link_;
  HttpParser parser_;
  State state_ = State::head;
  const ListenerOptions* listener_ = nullptr;
  bool keep_alive_ = false;
  bool body_unread_ = false;  // the request has a body of which not all has been read
  bool input_ended_ = false;

  HttpPlan plan_;
  std::uint64_t cookie_ = 0;
  std::uint64_t body_bytes_ = 0;    // received, before inflating
  std::string_view piece_;          // the body's only piece so far, still where it was received
  BodyBuffer body_;                 // or all of it
  BodyBuffer waiting_;              // bytes behind the request in progress
  std::size_t waiting_offset_ = 0;  // of them, already parsed
  std::int64_t body_complete_ns_ = 0;
  std::int64_t receipt_since_ns_ = 0;  // when its commit began to be waited for
};

}  // namespace wellhead
