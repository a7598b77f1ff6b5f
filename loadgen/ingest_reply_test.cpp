#include "loadgen/ingest_reply.hpp"

#include <gtest/gtest.h>

namespace wellhead::loadgen {
namespace {

TEST(IngestReply, reads_numbers_and_errors) {
  ReplyReader reader;
  const auto reply = reader.ingest_reply(
      R"({"accepted":2,"rejected":1,"duplicate":0,"receipt":"r","errors":[{"index":1,"code":"missing_field","field":"device_id","message":"…"}]})");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->accepted, 2U);
  EXPECT_EQ(reply->rejected, 1U);
  ASSERT_EQ(reply->errors.size(), 1U);
  EXPECT_EQ(reply->errors[0].offset, 1U);
  EXPECT_EQ(reply->errors[0].code, "missing_field");
}

TEST(IngestReply, is_empty_for_anything_else) {
  ReplyReader reader;
  for (const std::string_view body : {"", "ok", "[]", R"({"accepted":1})", R"({"accepted":-1,"rejected":0})",
                                      R"({"accepted":1,"rejected":0,"errors":[{"index":0}]})",
                                      R"({"accepted":1,"rejected":1,"errors":[{"code":"x"}]})"}) {
    EXPECT_FALSE(reader.ingest_reply(body).has_value()) << body;
  }
}

TEST(IngestReply, finds_the_code_of_an_error) {
  ReplyReader reader;
  EXPECT_EQ(reader.error_code(R"({"error":{"code":"outcome_unknown","message":"m"}})"), "outcome_unknown");
  EXPECT_EQ(reader.error_code("<html>"), "");
  EXPECT_EQ(reader.error_code(R"({"error":"text"})"), "");
}

TEST(NodeLine, tells_acks_rejects_and_nonsense_apart) {
  ReplyReader reader;
  EXPECT_EQ(std::get<AckLine>(reader.node_line(R"({"ack":4000})")).lines, 4'000U);
  EXPECT_EQ(std::get<AckLine>(reader.node_line(R"({ "ack" : 12 })")).lines, 12U);
  const NodeLine reject = reader.node_line(R"({"reject":{"line":7,"code":"wrong_type","field":"pressure"}})");
  EXPECT_EQ(std::get<RejectLine>(reject).line, 7U);
  EXPECT_EQ(std::get<RejectLine>(reject).code, "wrong_type");
  for (const std::string_view line :
       {"", "ack 1", R"({"ack":-1})", R"({"ack":1.5})", R"({"reject":{}})", "[1]"}) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(reader.node_line(line))) << line;
  }
}

}  // namespace
}  // namespace wellhead::loadgen
