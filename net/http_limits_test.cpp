// What a client may cost, over real sockets against a real reactor: each bound is hit, answered and counted.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "net/testing/compress.hpp"
#include "net/testing/reactor_fixture.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using testing::Client;
using testing::Reply;

class HttpLimitsTest : public testing::ReactorFixture {
 protected:
  static void expect_refusal(Client& client, int status, std::string_view code) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value()) << client.failure();
    EXPECT_EQ(reply->status, status);
    EXPECT_NE(reply->body.find("\"" + std::string(code) + "\""), std::string::npos) << reply->body;
  }
  // A client that shows that the others are still served.
  void expect_served() const {
    Client client = http();
    ASSERT_TRUE(client.send(post("x")));
    EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  }
};

TEST_F(HttpLimitsTest, AFloodOfHeadersIs431) {
  start();
  Client client = http();
  std::string flood = "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\n";
  for (int number = 0; number < 20'000; ++number) flood += "X-" + std::to_string(number) + ": y\r\n";
  (void)client.send(flood);
  expect_refusal(client, 431, "headers_too_large");
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(stats().header_overflows.value(), 1U);
}

TEST_F(HttpLimitsTest, ABodyAnnouncedTooLongIsNotRead) {
  NetLimits limits;
  limits.body_bytes_max = 1'000;
  start(limits);
  Client client = http();
  ASSERT_TRUE(client.send("POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nContent-Length: 1001\r\n\r\n"));
  expect_refusal(client, 413, "body_too_large");
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(stats().body_overflows.value(), 1U);
  expect_served();
}

TEST_F(HttpLimitsTest, AReplyArrivesAlthoughTheClientIsStillSending) {
  NetLimits limits;
  limits.body_bytes_max = 1'000;
  start(limits);
  Client client = http();
  ASSERT_TRUE(client.send(post(std::string(500'000, 'x'))));
  expect_refusal(client, 413, "body_too_large");
}

TEST_F(HttpLimitsTest, AChunkedBodyIsCutWhereItCrossesTheLimit) {
  NetLimits limits;
  limits.body_bytes_max = 1'000;
  start(limits);
  const std::string head =
      "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n";
  Client fits = http();
  ASSERT_TRUE(fits.send(head + "3e8\r\n" + std::string(1'000, 'x') + "\r\n0\r\n\r\n"));
  EXPECT_EQ(fits.read_reply().value_or(Reply{}).status, 200);
  Client client = http();
  ASSERT_TRUE(client.send(head + "3e8\r\n" + std::string(1'000, 'x') + "\r\n1\r\nx"));
  expect_refusal(client, 413, "body_too_large");
  EXPECT_EQ(stats().body_overflows.value(), 1U);
}

TEST_F(HttpLimitsTest, ABombIs413AndCostsTheCap) {
  NetLimits limits;
  limits.inflated_bytes_max = 1U << 20;
  start(limits);
  for (const bool use_gzip : {true, false}) {
    Client client = http();
    const std::string zeros(100U << 20, '\0');
    ASSERT_TRUE(client.send(use_gzip ? post(testing::gzip(zeros), "Content-Encoding: gzip\r\n")
                                     : post(testing::zstd(zeros), "Content-Encoding: zstd\r\n")));
    expect_refusal(client, 413, "body_too_large");
  }
  EXPECT_EQ(stats().inflate_overflows.value(), 2U);
  expect_served();
}

TEST_F(HttpLimitsTest, BodiesShareABudget) {
  NetLimits limits;
  limits.body_memory_max = 300'000;
  start(limits);
  Client first = http();
  const std::string request = post(std::string(200'000, 'x'));
  ASSERT_TRUE(first.send(request.substr(0, 190'000)));
  ASSERT_TRUE(eventually([&] { return stats().bytes_received.value() == 190'000; }));
  Client second = http();
  (void)second.send(request);
  expect_refusal(second, 503, "overloaded");
  EXPECT_EQ(stats().body_memory_overflows.value(), 1U);
  ASSERT_TRUE(first.send(request.substr(190'000)));
  EXPECT_EQ(first.read_reply().value_or(Reply{}).status, 200);
}

TEST_F(HttpLimitsTest, HeadersThatDoNotCompleteAre408HoweverBusyTheyTrickle) {
  NetLimits limits;
  limits.header_timeout = 200ms;
  start(limits);
  Client client = http();
  const std::string head = "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: node and more\r\n";
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t at = 0; at < head.size() && !client.readable(20ms); ++at)
    (void)client.send(head.substr(at, 1));
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_GE(took, 190ms);
  EXPECT_LT(took, 900ms);
  expect_refusal(client, 408, "request_timeout");
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(stats().header_timeouts.value(), 1U);
}

TEST_F(HttpLimitsTest, ABodyThatDoesNotCompleteIs408HoweverBusyItTrickles) {
  NetLimits limits;
  limits.body_timeout = 200ms;
  start(limits);
  Client client = http();
  ASSERT_TRUE(client.send("POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nContent-Length: 100\r\n\r\n"));
  for (int byte = 0; byte < 90 && !client.readable(20ms); ++byte) (void)client.send("x");
  expect_refusal(client, 408, "request_timeout");
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(stats().body_timeouts.value(), 1U);
}

TEST_F(HttpLimitsTest, AnIdleConnectionIsClosedWithoutAWord) {
  NetLimits limits;
  limits.idle_timeout = 1s;  // longer than it takes to use one of them
  start(limits);
  Client fresh = http();
  Client used = http();
  ASSERT_TRUE(used.send(post("x")));
  ASSERT_TRUE(used.read_reply().has_value());
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
  EXPECT_EQ(stats().idle_timeouts.value(), 2U);
}

TEST_F(HttpLimitsTest, AnOutcomeThatDoesNotComeIsUnknownAndTheConnectionGoesOn) {
  NetLimits limits;
  limits.commit_timeout = 1s;  // in which the second outcome has to come
  start(limits);
  intake_.hold_outcomes();
  Client client = http();
  ASSERT_TRUE(client.send(post("bad")));
  expect_refusal(client, 503, "outcome_unknown");
  EXPECT_EQ(stats().commit_timeouts.value(), 1U);
  // The late outcome of the first request must not become the reply to the second.
  ASSERT_TRUE(client.send(post("good")));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 2; }));
  intake_.release_outcomes();
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
}

TEST_F(HttpLimitsTest, AnIntakeThatStaysBusyIs429) {
  NetLimits limits;
  limits.admission_timeout = 100ms;
  start(limits);
  intake_.answer(Submission::busy);
  Client client = http();
  ASSERT_TRUE(client.send(post("x")));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 429);
  EXPECT_TRUE(reply->headers.contains("retry-after"));
  EXPECT_EQ(stats().admission_timeouts.value(), 1U);
  intake_.answer(Submission::taken);
  ASSERT_TRUE(client.send(post("y")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  EXPECT_EQ(intake_.all_bodies(), "y");
}

TEST_F(HttpLimitsTest, AConnectionTooManyIsToldSo) {
  NetLimits limits;
  limits.connections_max = 2;
  start(limits);
  Client first = http();
  Client second = http();
  ASSERT_TRUE(eventually([&] { return stats().connections_open.value() == 2; }));
  Client third = http();
  (void)third.send(post("x"));
  const auto reply = third.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 503);
  EXPECT_TRUE(reply->headers.contains("retry-after"));
  EXPECT_TRUE(third.closed());
  EXPECT_EQ(stats().connections_refused.value(), 1U);
  first.reset();
  ASSERT_TRUE(eventually([&] { return stats().connections_open.value() == 1; }));
  expect_served();
}

TEST_F(HttpLimitsTest, AClientThatNeverReadsItsReplyIsDropped) {
  NetLimits limits;
  limits.send_timeout = 200ms;
  start(limits);
  Client client = http();
  // Replies of several megabytes: they do not fit into any socket's buffer.
  std::string body;
  for (int line = 0; line < 60'000; ++line) body += "bad\n";
  for (int request = 0; request < 8 && client.send(post(body)); ++request) {
  }
  EXPECT_TRUE(eventually([&] { return stats().send_timeouts.value() == 1; }));
  EXPECT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
  expect_served();
}

TEST_F(HttpLimitsTest, ALongReplyArrivesWhole) {
  start();
  Client client = http();
  std::string body;
  for (int line = 0; line < 60'000; ++line) body += "bad\n";
  ASSERT_TRUE(client.send(post(body)));
  std::this_thread::sleep_for(50ms);  // the server's socket fills up meanwhile
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 422);
  EXPECT_GT(reply->body.size(), 2U << 20);
  EXPECT_TRUE(reply->body.ends_with("]}\n"));
}

TEST_F(HttpLimitsTest, FewReceiveBuffersServeManyConnections) {
  NetLimits limits;
  limits.receive_buffers = 2;
  limits.receive_buffer_bytes = 1'024;
  start(limits);
  constexpr int client_count = 50;
  std::vector<Client> clients;
  clients.reserve(client_count);
  for (int number = 0; number < client_count; ++number) clients.push_back(http());
  const std::string body(20'000, 'x');
  for (Client& client : clients) ASSERT_TRUE(client.send(post(body)));
  for (Client& client : clients) EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  EXPECT_TRUE(intake_.bodies() == std::vector<std::string>(client_count, body));
  EXPECT_GT(stats().receive_buffer_exhaustions.value(), 0U);
}

}  // namespace
}  // namespace wellhead
