// The text of replies: HTTP heads and the JSON in them, and the lines of the NDJSON protocol.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http_message.hpp"
#include "net/intake.hpp"
#include "net/receipt_desk.hpp"

namespace wellhead {

struct HttpReplyHead {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string_view date = {};       // an HTTP-date
  bool close = false;               // the connection ends with this reply
  bool body_omitted = false;        // HEAD: the head as for GET, without the body
  std::uint32_t retry_after_s = 0;  // 0: no such header
  std::string_view allow = {};      // empty: no such header
  bool replayed = false;            // an earlier reply, once more
  const HttpReply* more_headers = nullptr;
};

[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

// Each appends to `out`.
void append_http_reply(std::string& out, const HttpReplyHead& head, std::string_view body);
// {"error":{"code":…,"message":…}}
void append_error_body(std::string& out, std::string_view code, std::string_view message);
// {"accepted":…,"rejected":…,"duplicate":…,"receipt":…,"errors":[…]}; an outcome without a receipt and an
// error without a message have no such member.
void append_outcome_body(std::string& out, const RequestOutcome& outcome);
// {"receipt":…,"state":…,"durable":true,"accepted":…,"quarantined":…}. REQUIRES a state that is known.
void append_receipt_body(std::string& out, std::string_view receipt, const ReceiptStatus& status);
// {"ack":N}
void append_ack_line(std::string& out, std::uint64_t line_count);
// {"reject":{"line":N,"code":…,"field":…,"message":…}}
void append_reject_line(std::string& out, std::uint64_t line, RecordErrorCode code, std::string_view field,
                        std::string_view message);
// The same, of a line that is no record.
void append_refusal_line(std::string& out, std::uint64_t line, std::string_view code,
                         std::string_view message);
// {"producer":NAME,"sequence":N}
void append_producer_line(std::string& out, std::string_view producer, std::uint64_t last_sequence);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), formatted once a second.
class HttpDate {
 public:
  // `wall_us` counts from 2000-01-01 UTC, as Clock does.
  [[nodiscard]] std::string_view text(std::int64_t wall_us);

 private:
  std::int64_t second_ = INT64_MIN;
  std::string text_;
};

}  // namespace wellhead
