#include "net/http_request.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <system_error>

#include "net/producer_greeting.hpp"

namespace wellhead {
namespace {

constexpr std::string_view ingest_prefix = "/v1/ingest/";
constexpr std::string_view receipt_prefix = "/v1/receipts/";

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  });
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// What any request must fulfil before it matters what it asks for. A request whose framing two servers might
// read differently is refused with `close`, since the bytes behind it cannot be trusted.
std::optional<HttpRefusal> check_protocol(const HttpRequestHead& head) {
  if (head.version_major != 1 || head.version_minor > 1)
    return HttpRefusal{505, malformed_http_code, "This server speaks HTTP/1.1 and HTTP/1.0.", 0, {}};
  if (head.host_count > 1 || (head.host_count == 0 && head.version_minor == 1))
    return HttpRefusal{400, malformed_http_code, "The request must have exactly one Host header.", 0, {}};
  const std::string_view transfer = trim(head.transfer_encoding);
  if (!transfer.empty() && (!equal_ignoring_case(transfer, "chunked") || head.version_minor == 0))
    return HttpRefusal{
        400, malformed_http_code, "The only Transfer-Encoding taken is \"chunked\", with HTTP/1.1.", 0, {}};
  if (!head.expect.empty() && !equal_ignoring_case(trim(head.expect), "100-continue"))
    return HttpRefusal{417, "expectation_failed", "The only expectation met is 100-continue.", 0, {}};
  return std::nullopt;
}

bool reads_only(HttpMethod method) {
  return method == HttpMethod::get || method == HttpMethod::head;
}

HttpRefusal wrong_method(std::string_view allow, std::string_view message) {
  return {405, "method_not_allowed", message, 0, allow};
}

std::optional<BodyFormat> format_of(std::string_view content_type) {
  const std::string_view media = trim(content_type.substr(0, content_type.find(';')));
  if (equal_ignoring_case(media, "application/x-ndjson") ||
      equal_ignoring_case(media, "application/ndjson") || equal_ignoring_case(media, "application/jsonl") ||
      equal_ignoring_case(media, "application/x-jsonlines"))
    return BodyFormat::ndjson;
  // curl --data sends the form type unless told otherwise, and means JSON.
  if (media.empty() || equal_ignoring_case(media, "application/json") ||
      equal_ignoring_case(media, "text/plain") ||
      equal_ignoring_case(media, "application/x-www-form-urlencoded"))
    return BodyFormat::detect;
  return std::nullopt;
}

std::optional<ContentCoding> coding_of(std::string_view content_encoding) {
  const std::string_view coding = trim(content_encoding);
  if (coding.empty() || equal_ignoring_case(coding, "identity")) return ContentCoding::identity;
  if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip"))
    return ContentCoding::gzip;
  if (equal_ignoring_case(coding, "zstd")) return ContentCoding::zstd;
  return std::nullopt;
}

// The request's own wish, else what its listener does.
std::optional<AckLevel> ack_of(std::string_view header, AckLevel otherwise) {
  const std::string_view level = trim(header);
  if (level.empty()) return otherwise;
  if (equal_ignoring_case(level, "journal")) return AckLevel::journal;
  if (equal_ignoring_case(level, "commit")) return AckLevel::commit;
  return std::nullopt;
}

// "5s" or "250ms".
std::optional<std::chrono::milliseconds> duration_of(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit == "s") return std::chrono::seconds(number);
  if (unit == "ms") return std::chrono::milliseconds(number);
  return std::nullopt;
}

// What is wrong with the request's key, if it has one.
std::optional<HttpRefusal> check_key(const HttpRequestHead& head, std::string_view key, Intake& intake) {
  if (!head.has_idempotency_key) return std::nullopt;
  if (!is_retry_name(key))
    return HttpRefusal{400,
                       "invalid_idempotency_key",
                       "Idempotency-Key is 1 to 255 visible ASCII characters without spaces, once.",
                       0,
                       {}};
  if (intake.ledger() == nullptr)
    return HttpRefusal{400,
                       "idempotency_unavailable",
                       "This node runs without a journal and could not tell a repeated request after a "
                       "restart; nothing of this one was stored. Send it without Idempotency-Key, or to a "
                       "node with a journal.",
                       0,
                       {}};
  return std::nullopt;
}

// The value of `name` in a query, empty when it is not there.
std::string_view query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) == name)
      return equals == std::string_view::npos ? "" : pair.substr(equals + 1);
  }
  return {};
}

// Fills in the parts of an ingest request; a refusal if one of them is not acceptable.
std::optional<HttpRefusal> plan_ingest(const HttpRequestHead& head, const SessionContext& context,
                                       const ListenerOptions& listener, HttpPlan& plan) {
  plan.stream = context.find_stream(head.path().substr(ingest_prefix.size()));
  if (plan.stream == nullptr)
    return HttpRefusal{404, "unknown_stream", "No stream of this name is configured.", 0, {}};
  if (head.method != HttpMethod::post) return wrong_method("POST", "Records are sent with POST.");
  if (!head.has_content_length && !head.chunked)
    return HttpRefusal{411, "length_required", "Send Content-Length, or Transfer-Encoding: chunked.", 0, {}};
  const auto format = format_of(head.content_type);
  if (!format)
    return HttpRefusal{415,
                       "unsupported_media_type",
                       "Send application/json, application/x-ndjson or application/jsonl.",
                       0,
                       {}};
  const auto coding = coding_of(head.content_encoding);
  if (!coding)
    return HttpRefusal{415, "unsupported_encoding", "Send the body plain, or as gzip or zstd.", 0, {}};
  if (head.content_length > context.limits.body_bytes_max) {
    context.stats.body_overflows.add();
    return HttpRefusal{
        413, "body_too_large", "The body is longer than this node takes; send smaller batches.", 0, {}};
  }
  const std::string_view partial = query_value(head.query(), "accept_partial");
  if (!partial.empty() && partial != "true" && partial != "false")
    return HttpRefusal{400, "invalid_parameter", "accept_partial is either true or false.", 0, {}};
  const std::string_view letters = query_value(head.query(), "dead_letter");
  if (!letters.empty() && letters != "true" && letters != "false")
    return HttpRefusal{400, "invalid_parameter", "dead_letter is either true or false.", 0, {}};
  const auto ack = ack_of(head.ack, listener.ack);
  if (!ack) return HttpRefusal{400, "invalid_parameter", "Ack is either journal or commit.", 0, {}};
  plan.idempotency_key = trim(head.idempotency_key);
  if (auto refusal = check_key(head, plan.idempotency_key, *context.intake)) return refusal;
  plan.ack = *ack;
  plan.format = *format;
  plan.coding = *coding;
  plan.all_or_nothing = partial == "false";
  plan.dead_letters = letters != "false";
  plan.wants_continue = !head.expect.empty() && head.version_minor == 1;
  plan.action = HttpPlan::Action::ingest;
  return std::nullopt;
}

std::optional<HttpRefusal> plan_receipt(const HttpRequestHead& head, const SessionContext& context,
                                        HttpPlan& plan) {
  if (!reads_only(head.method)) return wrong_method("GET, HEAD", "Receipts are read with GET.");
  const std::string_view wait = query_value(head.query(), "wait");
  if (!wait.empty()) {
    const auto duration = duration_of(wait);
    if (!duration)
      return HttpRefusal{
          400, "invalid_parameter", "wait is a whole number with s or ms behind it, as in 5s.", 0, {}};
    plan.receipt_wait = std::min(*duration, context.limits.receipt_wait_max);
  }
  plan.receipt = head.path().substr(receipt_prefix.size());
  plan.action = HttpPlan::Action::receipt;
  return std::nullopt;
}

std::optional<HttpRefusal> plan_route(const HttpRequestHead& head, const SessionContext& context,
                                      const ListenerOptions& listener, HttpPlan& plan) {
  if (listener.protocol == Protocol::admin) {
    if (!reads_only(head.method)) return wrong_method("GET, HEAD", "The admin port is read with GET.");
    plan.action = HttpPlan::Action::admin;
    return std::nullopt;
  }
  if (head.path().starts_with(ingest_prefix)) return plan_ingest(head, context, listener, plan);
  if (head.path().starts_with(receipt_prefix)) return plan_receipt(head, context, plan);
  if (head.path() != "/")
    return HttpRefusal{
        404, "not_found", "There is nothing here; records go to POST /v1/ingest/{stream}.", 0, {}};
  if (!reads_only(head.method)) return wrong_method("GET, HEAD", "Records go to POST /v1/ingest/{stream}.");
  plan.action = HttpPlan::Action::hint;
  return std::nullopt;
}

}  // namespace

HttpPlan plan_request(const HttpRequestHead& head, const SessionContext& context,
                      const ListenerOptions& listener) {
  HttpPlan plan;
  auto refusal = check_protocol(head);
  if (!refusal) refusal = plan_route(head, context, listener, plan);
  if (refusal) {
    plan.action = HttpPlan::Action::refuse;
    plan.refusal = *refusal;
  }
  return plan;
}

}  // namespace wellhead
