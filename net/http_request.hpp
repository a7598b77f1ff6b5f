// What a request's head asks for, and whether it may have it. No state, no I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "net/http_parser.hpp"
#include "net/intake.hpp"
#include "net/session.hpp"

namespace wellhead {

// A request that is answered with an error: code and message make the reply's body.
struct HttpRefusal {
  int status = 0;
  std::string_view code;
  std::string_view message;
  std::uint32_t retry_after_s = 0;
  std::string_view allow = {};
};

// The code of requests whose framing cannot be trusted: the connection ends with the reply.
inline constexpr std::string_view malformed_http_code = "malformed_http";

struct HttpPlan {
  enum class Action : std::uint8_t { refuse, admin, hint, ingest, receipt };
  Action action = Action::refuse;
  HttpRefusal refusal;
  const Schema* stream = nullptr;
  BodyFormat format = BodyFormat::detect;
  ContentCoding coding = ContentCoding::identity;
  bool all_or_nothing = false;
  bool dead_letters = true;
  bool wants_continue = false;
  AckLevel ack = AckLevel::journal;
  std::string_view idempotency_key;           // within the head; empty: none
  std::string_view receipt;                   // within the head
  std::chrono::milliseconds receipt_wait{0};  // for its commit
};

// `listener`: the one the request came through.
[[nodiscard]] HttpPlan plan_request(const HttpRequestHead& head, const SessionContext& context,
                                    const ListenerOptions& listener);

}  // namespace wellhead
