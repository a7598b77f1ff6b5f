#include "net/http_parser.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace wellhead {
namespace {

constexpr std::uint32_t header_bytes_max = 1'024;

struct Parsed {
  HttpParser::Event last = HttpParser::Event::need_more;
  std::string body;
  std::string rest;
  std::string reason;
  std::string target;
  bool head_seen = false;
};

class BodyCollector final : public HttpBodySink {
 public:
  bool on_body(std::string_view piece) override {
    body += piece;
    return true;
  }
  std::string body;
};

// Feeds one request in pieces of `piece_bytes` and stops at its end or at an error.
Parsed parse(const std::string& bytes, std::size_t piece_bytes) {
  BodyCollector sink;
  HttpParser parser(sink, header_bytes_max);
  Parsed parsed;
  std::string_view rest = bytes;
  bool ended = false;
  while (!ended && !rest.empty()) {
    std::string_view piece = rest.substr(0, piece_bytes);
    rest.remove_prefix(piece.size());
    while (!ended && !piece.empty()) {
      const auto step = parser.feed(piece);
      piece.remove_prefix(step.consumed);
      parsed.last = step.event;
      parsed.head_seen = parsed.head_seen || step.event == HttpParser::Event::head;
      ended = step.event != HttpParser::Event::need_more &&
              !(step.event == HttpParser::Event::head && parser.head().has_body());
    }
    if (ended) parsed.rest = std::string(piece) + std::string(rest);
  }
  parsed.body = sink.body;
  parsed.reason = parser.reason();
  parsed.target = parser.head().target;
  return parsed;
}

const std::string post_head = "POST /v1/ingest/t?x=1 HTTP/1.1\r\nHost: a\r\n";

TEST(HttpParser, ARequestParsesTheSameHoweverItIsCut) {
  const std::string request = post_head + "Content-Length: 5\r\n\r\nhelloGET /";
  for (std::size_t piece = 1; piece <= request.size(); ++piece) {
    const Parsed parsed = parse(request, piece);
    ASSERT_EQ(parsed.last, HttpParser::Event::complete) << piece << " " << parsed.reason;
    ASSERT_EQ(parsed.body, "hello");
    ASSERT_EQ(parsed.rest, "GET /");
    ASSERT_EQ(parsed.target, "/v1/ingest/t?x=1");
  }
}

TEST(HttpParser, ChunkedBodiesParseTheSameHoweverTheyAreCut) {
  const std::string request =
      post_head +
      "Transfer-Encoding: chunked\r\n\r\n5;name=\"v\"\r\nhello\r\n0A\r\n, world!!!\r\n0\r\nX: y\r\n\r\nGET";
  for (std::size_t piece = 1; piece <= request.size(); ++piece) {
    const Parsed parsed = parse(request, piece);
    ASSERT_EQ(parsed.last, HttpParser::Event::complete) << piece << " " << parsed.reason;
    ASSERT_EQ(parsed.body, "hello, world!!!");
    ASSERT_EQ(parsed.rest, "GET");
  }
}

TEST(HttpParser, WhatOtherServersMayReadDifferentlyIsMalformedHoweverItIsCut) {
  using namespace std::string_literals;
  const std::string chunked = post_head + "Transfer-Encoding: chunked\r\n\r\n";
  const std::vector<std::string> requests{
      post_head + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      post_head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      post_head + "Content-Length: 5, 5\r\n\r\nhello",
      post_head + "Content-Length: +5\r\n\r\nhello",
      post_head + "Content-Length: -5\r\n\r\nhello",
      post_head + "Content-Length: 0x5\r\n\r\nhello",
      post_head + "Content-Length: 5 5\r\n\r\nhello",
      post_head + "Content-Length:\r\n\r\nhello",
      post_head + "Content-Length: 99999999999999999999\r\n\r\nhello",
      post_head + "Content-Length : 5\r\n\r\nhello",
      post_head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      post_head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      post_head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      post_head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
      post_head + " Content-Length: 5\r\n\r\nhello",
      post_head + "X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
      post_head + "X: a\r\n\tb\r\nContent-Length: 5\r\n\r\nhello",
      post_head + ": x\r\nContent-Length: 5\r\n\r\nhello",
      post_head + "X: a\rContent-Length: 5\r\n\r\nhello",
      post_head + "X: a\0b\r\nContent-Length: 5\r\n\r\nhello"s,
      post_head + "X\0: a\r\nContent-Length: 5\r\n\r\nhello"s,
      post_head + "X: a\nContent-Length: 5\r\n\r\nhello",
      post_head + "Content-Length: 5\r\n\nhello",
      post_head + "Content-Length: 5\n\nhello",
      "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
      "PO\0ST / HTTP/1.1\r\nHost: a\r\n\r\n"s,
      chunked + "5\nhello\r\n0\r\n\r\n",
      chunked + "0x5\r\nhello\r\n0\r\n\r\n",
      chunked + "+5\r\nhello\r\n0\r\n\r\n",
      chunked + "-5\r\nhello\r\n0\r\n\r\n",
      chunked + "5 \r\nhello\r\n0\r\n\r\n",
      chunked + " 5\r\nhello\r\n0\r\n\r\n",
      chunked + "g\r\nhello\r\n0\r\n\r\n",
      chunked + "\r\nhello\r\n0\r\n\r\n",
      chunked + ";x\r\nhello\r\n0\r\n\r\n",
      chunked + "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
      chunked + "5\r\nhello0\r\n\r\n",
      chunked + "5\r\nhello\n0\r\n\r\n",
      chunked + "5\r\nhelloX\r\n0\r\n\r\n",
      chunked + "5;a\nb\r\nhello\r\n0\r\n\r\n",
      chunked + "5;a=b\rc\r\nhello\r\n0\r\n\r\n",
      chunked + "5\r\nhello\r\n0\r\nX: a\n\r\n",
      chunked + "5\r\nhello\r\n0\r\n X: a\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s,
      "\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n",
  };
  for (const std::string& request : requests) {
    for (const std::size_t piece : {request.size(), std::size_t{1}, std::size_t{3}, std::size_t{7}}) {
      const Parsed parsed = parse(request, piece);
      EXPECT_EQ(parsed.last, HttpParser::Event::malformed)
          << piece << ": " << ::testing::PrintToString(request);
      EXPECT_FALSE(parsed.reason.empty());
    }
  }
}

TEST(HttpParser, AHeadOfTheLimitPassesAndOneByteMoreOverflows) {
  for (const std::size_t size : {header_bytes_max, header_bytes_max + 1}) {
    const std::string start = "GET / HTTP/1.1\r\nX: ";
    const std::string request = start + std::string(size - start.size() - 4, 'a') + "\r\n\r\n";
    for (const std::size_t piece : {std::size_t{1}, std::size_t{100}, std::size_t{5'000}}) {
      const bool fits = size == header_bytes_max;
      EXPECT_EQ(parse(request, piece).last, fits ? HttpParser::Event::head : HttpParser::Event::overflow)
          << piece;
    }
  }
}

TEST(HttpParser, EndlessChunkExtensionsAndTrailersOverflow) {
  const std::string chunked = post_head + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(parse(chunked + "5;" + std::string(5'000, 'a'), 10).last, HttpParser::Event::overflow);
  EXPECT_EQ(parse(chunked + "0\r\nX: " + std::string(5'000, 'a'), 10).last, HttpParser::Event::overflow);
}

TEST(HttpParser, TrailersDoNotChangeTheHead) {
  const std::string request =
      post_head +
      "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nHost: b\r\nContent-Encoding: gzip\r\n\r\n";
  BodyCollector sink;
  HttpParser parser(sink, header_bytes_max);
  std::string_view rest = request;
  while (!rest.empty()) rest.remove_prefix(parser.feed(rest).consumed);
  EXPECT_EQ(parser.head().host_count, 1U);
  EXPECT_EQ(parser.head().content_encoding, "");
}

TEST(HttpParser, HeadersOfOneNameAreJoined) {
  BodyCollector sink;
  HttpParser parser(sink, header_bytes_max);
  const auto step =
      parser.feed(post_head + "cONTENT-tYPE: a/b\r\nContent-Type: c/d\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(step.event, HttpParser::Event::head);
  EXPECT_EQ(parser.head().content_type, "a/b, c/d");
  EXPECT_EQ(parser.head().expect, "100-continue");
  EXPECT_TRUE(parser.head().keep_alive);
}

TEST(HttpParser, PathAndQueryAreFoundInEveryFormOfTarget) {
  const auto head = [](const char* target) {
    HttpRequestHead made;
    made.target = target;
    return made;
  };
  EXPECT_EQ(head("/a/b?c=d").path(), "/a/b");
  EXPECT_EQ(head("/a/b?c=d").query(), "c=d");
  EXPECT_EQ(head("/a/b").query(), "");
  EXPECT_EQ(head("http://node:80/a?b").path(), "/a");
  EXPECT_EQ(head("http://node:80/a?b").query(), "b");
  EXPECT_EQ(head("http://node").path(), "/");
  EXPECT_EQ(head("*").path(), "*");
}

}  // namespace
}  // namespace wellhead
