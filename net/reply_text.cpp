#include "net/reply_text.hpp"

#include <array>
#include <charconv>
#include <concepts>
#include <ctime>

#include "base/clock.hpp"
#include "base/json_text.hpp"

namespace wellhead {
namespace {

void append_number(std::string& out, std::integral auto number) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void append_error_members(std::string& out, std::string_view code, std::string_view field,
                          std::string_view message) {
  out += "\"code\":";
  append_json_string(out, code);
  out += ",\"field\":";
  if (field.empty())
    out += "null";
  else
    append_json_string(out, field);
  if (message.empty()) return;
  out += ",\"message\":";
  append_json_string(out, message);
}

void append_reject(std::string& out, std::uint64_t line, std::string_view code, std::string_view field,
                   std::string_view message) {
  out += "{\"reject\":{\"line\":";
  append_number(out, line);
  out += ',';
  append_error_members(out, code, field, message);
  out += "}}\n";
}

}  // namespace

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

void append_http_reply(std::string& out, const HttpReplyHead& head, std::string_view body) {
  out += "HTTP/1.1 ";
  append_number(out, head.status);
  out += ' ';
  out += reason_phrase(head.status);
  out += "\r\n";
  append_header(out, "Date", head.date);
  append_header(out, "Content-Type", head.content_type);
  out += "Content-Length: ";
  append_number(out, body.size());
  out += "\r\n";
  if (head.close) append_header(out, "Connection", "close");
  if (!head.allow.empty()) append_header(out, "Allow", head.allow);
  if (head.retry_after_s != 0) {
    out += "Retry-After: ";
    append_number(out, head.retry_after_s);
    out += "\r\n";
  }
  if (head.replayed) append_header(out, "Idempotency-Replayed", "true");
  if (head.more_headers != nullptr)
    for (const auto& [name, value] : head.more_headers->headers) append_header(out, name, value);
  out += "\r\n";
  if (!head.body_omitted) out += body;
}

void append_error_body(std::string& out, std::string_view code, std::string_view message) {
  out += "{\"error\":{\"code\":";
  append_json_string(out, code);
  out += ",\"message\":";
  append_json_string(out, message);
  out += "}}\n";
}

void append_outcome_body(std::string& out, const RequestOutcome& outcome) {
  out += "{\"accepted\":";
  append_number(out, outcome.accepted);
  out += ",\"rejected\":";
  append_number(out, outcome.rejected);
  out += ",\"duplicate\":";
  append_number(out, outcome.duplicate);
  if (!outcome.receipt.empty()) {
    out += ",\"receipt\":";
    append_json_string(out, outcome.receipt);
  }
  out += ",\"errors\":[";
  bool first = true;
  for (const RecordError& error : outcome.errors.kept()) {
    out += first ? "{\"index\":" : ",{\"index\":";
    first = false;
    append_number(out, error.index);
    out += ',';
    append_error_members(out, to_string(error.code), error.field, error.message);
    out += '}';
  }
  out += "]}\n";
}

void append_receipt_body(std::string& out, std::string_view receipt, const ReceiptStatus& status) {
  out += "{\"receipt\":";
  append_json_string(out, receipt);
  out += ",\"state\":";
  append_json_string(out, to_string(status.state));
  out += ",\"durable\":true,\"accepted\":";
  append_number(out, status.accepted);
  out += ",\"quarantined\":";
  append_number(out, status.quarantined);
  out += "}\n";
}

void append_ack_line(std::string& out, std::uint64_t line_count) {
  out += "{\"ack\":";
  append_number(out, line_count);
  out += "}\n";
}

void append_reject_line(std::string& out, std::uint64_t line, RecordErrorCode code, std::string_view field,
                        std::string_view message) {
  append_reject(out, line, to_string(code), field, message);
}

void append_refusal_line(std::string& out, std::uint64_t line, std::string_view code,
                         std::string_view message) {
  append_reject(out, line, code, {}, message);
}

void append_producer_line(std::string& out, std::string_view producer, std::uint64_t last_sequence) {
  out += "{\"producer\":";
  append_json_string(out, producer);
  out += ",\"sequence\":";
  append_number(out, last_sequence);
  out += "}\n";
}

std::string_view HttpDate::text(std::int64_t wall_us) {
  constexpr std::int64_t second_us = 1'000'000;
  const std::int64_t second = (wall_us + postgres_epoch_unix_us) / second_us;
  if (second != second_) {
    second_ = second;
    const auto time = static_cast<std::time_t>(second);
    std::tm parts{};
    gmtime_r(&time, &parts);
    std::array<char, 40> buffer;
    // The program never calls setlocale(), so the names are English.
    text_.assign(buffer.data(),
                 std::strftime(buffer.data(), buffer.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  return text_;
}

}  // namespace wellhead
