#include "loadgen/http_reply_parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace wellhead::loadgen {
namespace {

using Status = HttpReplyParser::Status;

constexpr std::string_view two_replies =
    "HTTP/1.1 100 Continue\r\n\r\n"
    "HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nX-Other: a: b\r\n\r\nhello"
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n";

TEST(HttpReplyParser, reads_replies_cut_anywhere) {
  for (std::size_t piece = 1; piece <= two_replies.size(); ++piece) {
    HttpReplyParser parser;
    std::vector<HttpReplyMessage> replies;
    for (std::size_t at = 0; at < two_replies.size(); at += piece) {
      std::string_view bytes = two_replies.substr(at, piece);
      while (!bytes.empty()) {
        const Status status = parser.feed(bytes);
        ASSERT_NE(status, Status::malformed) << "pieces of " << piece;
        if (status == Status::complete) replies.push_back(parser.reply());
      }
    }
    ASSERT_EQ(replies.size(), 2U) << "pieces of " << piece;
    EXPECT_EQ(replies[0].status, 200);
    EXPECT_EQ(replies[0].body, "hello");
    EXPECT_FALSE(replies[0].close);
    EXPECT_EQ(replies[1].status, 503);
    EXPECT_EQ(replies[1].retry_after_s, 2.0);
    EXPECT_TRUE(replies[1].close);
    EXPECT_TRUE(replies[1].body.empty());
  }
}

TEST(HttpReplyParser, refuses_what_is_no_reply) {
  for (const std::string_view text :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n"}) {
    HttpReplyParser parser;
    std::string_view bytes = text;
    EXPECT_EQ(parser.feed(bytes), Status::malformed) << text;
  }
}

TEST(HttpReplyParser, refuses_a_head_without_an_end) {
  HttpReplyParser parser;
  const std::string text(HttpReplyParser::head_bytes_max + 1, 'x');
  std::string_view bytes = text;
  EXPECT_EQ(parser.feed(bytes), Status::malformed);
}

TEST(HttpReplyParser, forgets_half_a_reply_when_reset) {
  HttpReplyParser parser;
  std::string_view half = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf";
  EXPECT_EQ(parser.feed(half), Status::incomplete);
  parser.reset();
  std::string_view whole = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(parser.feed(whole), Status::complete);
  EXPECT_EQ(parser.reply().status, 204);
}

}  // namespace
}  // namespace wellhead::loadgen
