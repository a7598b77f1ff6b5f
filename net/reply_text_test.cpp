#include "net/reply_text.hpp"

#include <gtest/gtest.h>

namespace wellhead {
namespace {

TEST(ReplyText, AReplyHasEverythingAClientNeeds) {
  std::string out;
  append_http_reply(out, {.status = 503, .date = "now", .close = true, .retry_after_s = 5}, "{}\n");
  EXPECT_EQ(out,
            "HTTP/1.1 503 Service Unavailable\r\nDate: now\r\nContent-Type: "
            "application/json\r\nContent-Length: 3\r\n"
            "Connection: close\r\nRetry-After: 5\r\n\r\n{}\n");
}

TEST(ReplyText, AHeadReplyAnnouncesTheBodyItOmits) {
  std::string out;
  append_http_reply(out, {.date = "now", .body_omitted = true, .allow = "GET"}, "12345");
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: application/json\r\nContent-Length: 5\r\nAllow: "
            "GET\r\n\r\n");
}

TEST(ReplyText, AnOutcomeNamesItsErrors) {
  RequestOutcome outcome;
  outcome.accepted = 2;
  outcome.rejected = 2;
  outcome.errors.add(1, RecordErrorCode::wrong_type, "pressure", "a \"string\"");
  outcome.errors.add(3, RecordErrorCode::malformed_json, {}, "");
  std::string out;
  append_outcome_body(out, outcome);
  EXPECT_EQ(out,
            "{\"accepted\":2,\"rejected\":2,\"duplicate\":0,\"errors\":["
            "{\"index\":1,\"code\":\"wrong_type\",\"field\":\"pressure\",\"message\":\"a \\\"string\\\"\"},"
            "{\"index\":3,\"code\":\"malformed_json\",\"field\":null}]}\n");
}

TEST(ReplyText, AnOutcomeWithARowCarriesItsReceipt) {
  RequestOutcome outcome;
  outcome.accepted = 1;
  outcome.receipt = "AbC-_9";
  std::string out;
  append_outcome_body(out, outcome);
  EXPECT_EQ(out, "{\"accepted\":1,\"rejected\":0,\"duplicate\":0,\"receipt\":\"AbC-_9\",\"errors\":[]}\n");
}

TEST(ReplyText, AReceiptsStateIsAWord) {
  std::string out;
  append_receipt_body(out, "AbC",
                      {.state = ReceiptStatus::State::quarantined, .accepted = 40, .quarantined = 2});
  EXPECT_EQ(out,
            "{\"receipt\":\"AbC\",\"state\":\"quarantined\",\"durable\":true,\"accepted\":40,"
            "\"quarantined\":2}\n");
}

TEST(ReplyText, TheLinesOfTheNdjsonProtocolAreJson) {
  std::string out;
  append_ack_line(out, 4'000'000'000'000);
  append_reject_line(out, 17, RecordErrorCode::too_deep, {}, "deep");
  EXPECT_EQ(out,
            "{\"ack\":4000000000000}\n{\"reject\":{\"line\":17,\"code\":\"too_deep\",\"field\":null,"
            "\"message\":\"deep\"}}\n");
}

TEST(ReplyText, TheDateIsAnHttpDate) {
  HttpDate date;
  EXPECT_EQ(date.text(0), "Sat, 01 Jan 2000 00:00:00 GMT");
  EXPECT_EQ(date.text(999'999), "Sat, 01 Jan 2000 00:00:00 GMT");
  EXPECT_EQ(date.text(1'000'000), "Sat, 01 Jan 2000 00:00:01 GMT");
}

}  // namespace
}  // namespace wellhead
