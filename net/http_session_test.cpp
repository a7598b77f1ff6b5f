// HTTP over real sockets against a real reactor.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "net/testing/compress.hpp"
#include "net/testing/reactor_fixture.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using testing::Client;
using testing::gzip;
using testing::Reply;
using testing::zstd;

class HttpSessionTest : public testing::ReactorFixture {
 protected:
  // Sends one request over its own connection.
  [[nodiscard]] Reply ask(std::string_view request) const {
    Client client = http();
    EXPECT_TRUE(client.send(request));
    const auto reply = client.read_reply();
    EXPECT_TRUE(reply.has_value()) << request.substr(0, 200);
    return reply.value_or(Reply{});
  }
  static void expect_error(const Reply& reply, int status, std::string_view code) {
    EXPECT_EQ(reply.status, status) << reply.body;
    const std::string start = "{\"error\":{\"code\":\"" + std::string(code) + "\",\"message\":\"";
    EXPECT_TRUE(reply.body.starts_with(start)) << reply.body;
  }
};

TEST_F(HttpSessionTest, AcceptedRecordsAreAnsweredWith200) {
  start();
  const Reply reply = ask(post("{\"a\":1}\n{\"a\":2}\n"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "{\"accepted\":2,\"rejected\":0,\"duplicate\":0,\"errors\":[]}\n");
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  EXPECT_TRUE(reply.headers.contains("date"));
  EXPECT_EQ(intake_.all_bodies(), "{\"a\":1}\n{\"a\":2}\n");
  EXPECT_EQ(stats().replies[200].value(), 1U);
  EXPECT_EQ(stats().request_us.count(), 1U);
}

TEST_F(HttpSessionTest, ABadRecordIsNamedAndItsNeighboursAreAccepted) {
  start();
  const Reply reply = ask(post("one\nbad\nthree\n"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            "{\"accepted\":2,\"rejected\":1,\"duplicate\":0,\"errors\":[{\"index\":1,\"code\":\"wrong_type\","
            "\"field\":"
            "\"pressure\",\"message\":\"it is bad\"}]}\n");
}

TEST_F(HttpSessionTest, NoAcceptedRecordIs422) {
  start();
  EXPECT_EQ(ask(post("bad\nbad\n")).status, 422);
}

TEST_F(HttpSessionTest, WithoutPartialAcceptanceOneBadRecordIs422) {
  start();
  const Reply reply = ask(post("one\nbad\n", "", "?accept_partial=false"));
  EXPECT_EQ(reply.status, 422);
  EXPECT_NE(reply.body.find("\"accepted\":0"), std::string::npos);
  EXPECT_EQ(ask(post("one\nbad\n", "", "?x=1&accept_partial=true")).status, 200);
  EXPECT_EQ(ask(post("one\n", "", "?accept_partial=maybe")).status, 400);
}

TEST_F(HttpSessionTest, AClientMayAskThatNoDeadLettersAreKept) {
  start();
  for (const char* query : {"", "?dead_letter=true", "?accept_partial=true&dead_letter=false"})
    EXPECT_EQ(ask(post("one\n", "", query)).status, 200) << query;
  EXPECT_EQ(intake_.dead_letters(), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(ask(post("one\n", "", "?dead_letter=0")).status, 400);
}

TEST_F(HttpSessionTest, TheIntakeLearnsWhereRecordsComeFrom) {
  start();
  EXPECT_EQ(ask(post("one\n")).status, 200);
  const std::vector<std::string> sources = intake_.sources();
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_TRUE(sources[0].starts_with("http 127.0.0.1:")) << sources[0];
  EXPECT_NE(sources[0].find(" from 127.0.0.1:"), std::string::npos) << sources[0];
}

TEST_F(HttpSessionTest, ABodyThatIsNotJsonIs400AndTheConnectionGoesOn) {
  start();
  Client client = http();
  ASSERT_TRUE(client.send(post("malformed")));
  expect_error(client.read_reply().value_or(Reply{}), 400, "malformed_json");
  ASSERT_TRUE(client.send(post("fine")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  EXPECT_EQ(stats().malformed_bodies.value(), 1U);
}

TEST_F(HttpSessionTest, AConnectionServesRequestAfterRequest) {
  start();
  Client client = http();
  for (int round = 0; round < 200; ++round) {
    ASSERT_TRUE(client.send(post("record " + std::to_string(round))));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value());
    ASSERT_EQ(reply->status, 200);
    ASSERT_FALSE(reply->headers.contains("connection"));
  }
  EXPECT_EQ(intake_.bodies().size(), 200U);
  EXPECT_EQ(stats().connections_accepted.value(), 1U);
}

TEST_F(HttpSessionTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  Client client = http();
  std::string requests;
  for (int number = 0; number < 500; ++number)
    requests +=
        number % 3 == 0 ? "GET /nothing HTTP/1.1\r\nHost: n\r\n\r\n" : post(number % 3 == 1 ? "good" : "bad");
  ASSERT_TRUE(client.send(requests));
  for (int number = 0; number < 500; ++number) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value()) << number;
    ASSERT_EQ(reply->status, number % 3 == 0 ? 404 : number % 3 == 1 ? 200 : 422) << number;
  }
}

TEST_F(HttpSessionTest, APipelinedFloodIsAnsweredWhole) {
  start();
  Client client = http();
  const std::string request = post(std::string(10'000, 'x'));
  constexpr int count = 1'000;  // 10 MB, far past what is kept for a connection
  std::jthread sender([&] {
    for (int number = 0; number < count; ++number) EXPECT_TRUE(client.send(request));
  });
  for (int number = 0; number < count; ++number) {
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value()) << number;
    ASSERT_EQ(reply->status, 200);
  }
  EXPECT_EQ(intake_.bodies().size(), static_cast<std::size_t>(count));
}

TEST_F(HttpSessionTest, APairOfRequestsWorksHoweverItIsCut) {
  start();
  const std::string first = post("first body");
  const std::string pair =
      first +
      "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n"
      "7\r\nsecond \r\n4\r\nbody\r\n0\r\n\r\n";
  for (std::size_t cut = 1; cut < pair.size(); ++cut) {
    Client client = http();
    ASSERT_TRUE(client.send(pair.substr(0, cut)));
    const bool first_is_whole = cut >= first.size();
    ASSERT_TRUE(!first_is_whole || client.read_reply().has_value()) << cut;
    // Long enough that the cut is one for the server too, mostly.
    std::this_thread::sleep_for(1ms);
    ASSERT_TRUE(client.send(pair.substr(cut)));
    ASSERT_TRUE(first_is_whole || client.read_reply().has_value()) << cut;
    const auto second = client.read_reply();
    ASSERT_TRUE(second.has_value()) << cut;
    ASSERT_EQ(second->status, 200);
  }
  const auto bodies = intake_.bodies();
  ASSERT_EQ(bodies.size(), 2 * (pair.size() - 1));
  for (std::size_t index = 0; index < bodies.size(); ++index)
    ASSERT_EQ(bodies[index], index % 2 == 0 ? "first body" : "second body") << index;
}

TEST_F(HttpSessionTest, ABodyOfManyBuffersArrivesWhole) {
  NetLimits limits;
  limits.receive_buffers = 8;
  limits.receive_buffer_bytes = 4'096;
  start(limits);
  std::string body;
  while (body.size() < 3U << 20) body += "record " + std::to_string(body.size()) + "\n";
  EXPECT_EQ(ask(post(body)).status, 200);
  EXPECT_TRUE(intake_.all_bodies() == body);
}

TEST_F(HttpSessionTest, ChunkedBodiesOfAnyChunkSizeArriveWhole) {
  start();
  std::string body;
  while (body.size() < 200'000) body += "record " + std::to_string(body.size()) + "\n";
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{13}, std::size_t{4'096}, body.size()}) {
    std::string request =
        "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: Chunked\r\n\r\n";
    for (std::size_t offset = 0; offset < body.size(); offset += chunk) {
      const std::string piece = body.substr(offset, chunk);
      char size[32];
      (void)std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
      request.append(size).append(piece).append("\r\n");
    }
    EXPECT_EQ(ask(request + "0\r\n\r\n").status, 200) << chunk;
    EXPECT_TRUE(intake_.bodies().back() == body) << chunk;
  }
}

TEST_F(HttpSessionTest, CompressedBodiesAreInflated) {
  start();
  const std::string text(500'000, 'x');
  EXPECT_EQ(ask(post(gzip(text), "Content-Encoding: gzip\r\n")).status, 200);
  EXPECT_EQ(ask(post(zstd(text), "Content-Encoding: ZSTD\r\n")).status, 200);
  EXPECT_EQ(ask(post(gzip("a\n") + gzip("b\n"), "Content-Encoding: x-gzip\r\n")).status, 200);
  EXPECT_EQ(ask(post("plain", "Content-Encoding: identity\r\n")).status, 200);
  EXPECT_TRUE(intake_.bodies() == (std::vector<std::string>{text, text, "a\nb\n", "plain"}));
}

TEST_F(HttpSessionTest, ACompressedBodyThatIsNoneIs400) {
  start();
  expect_error(ask(post("{\"a\":1}", "Content-Encoding: gzip\r\n")), 400, "malformed_compression");
  expect_error(ask(post(gzip("x").substr(0, 15), "Content-Encoding: gzip\r\n")), 400,
               "malformed_compression");
  EXPECT_EQ(stats().malformed_bodies.value(), 2U);
}

TEST_F(HttpSessionTest, WhatIsAskedForWronglyIsToldSo) {
  start();
  expect_error(ask(post("x", "Content-Encoding: br\r\n")), 415, "unsupported_encoding");
  expect_error(ask(post("x", "Content-Encoding: gzip, zstd\r\n")), 415, "unsupported_encoding");
  expect_error(ask(post("x", "Content-Type: text/html\r\n")), 415, "unsupported_media_type");
  expect_error(ask("POST /v1/ingest/nowhere HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\n\r\nx"), 404,
               "unknown_stream");
  expect_error(ask("POST /elsewhere HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\n\r\nx"), 404, "not_found");
  expect_error(ask("POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\n\r\n"), 411, "length_required");
  expect_error(ask(post("")), 400, "empty_body");
  expect_error(ask(post("x", "Expect: the-unexpected\r\n")), 417, "expectation_failed");
  const Reply wrong_method =
      ask("PUT /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\n\r\nx");
  expect_error(wrong_method, 405, "method_not_allowed");
  EXPECT_EQ(wrong_method.headers.at("allow"), "POST");
  EXPECT_EQ(ask("DELETE / HTTP/1.1\r\nHost: n\r\n\r\n").headers.at("allow"), "GET, HEAD");
}

TEST_F(HttpSessionTest, EveryContentTypeOfJsonIsTaken) {
  start();
  for (const char* type : {"application/json", "application/json; charset=utf-8", "Application/X-NDJSON",
                           "application/jsonl", "text/plain"})
    EXPECT_EQ(ask(post("x", "Content-Type: " + std::string(type) + "\r\n")).status, 200) << type;
}

TEST_F(HttpSessionTest, SmugglingIsRefusedAndNothingBehindItIsRead) {
  start();
  const std::string head = "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\n";
  const std::string smuggled = post("smuggled");
  const std::vector<std::string> requests{
      head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
      head + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
      head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      head + "Transfer-Encoding: identity\r\n\r\n",
      head + "X: a\r\n Content-Length: 5\r\n\r\nhello",
      head + "Content-Length: 5\n\nhello",
      head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
      head + "Transfer-Encoding: chunked\r\n\r\n5;\n\r\nhello\r\n0\r\n\r\n",
      head + "Host: m\r\nContent-Length: 5\r\n\r\nhello",
      "POST /v1/ingest/telemetry HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
      "POST /v1/ingest/telemetry HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  };
  for (const std::string& request : requests) {
    Client client = http();
    ASSERT_TRUE(client.send(request + smuggled));
    const auto reply = client.read_reply();
    ASSERT_TRUE(reply.has_value()) << request;
    expect_error(*reply, 400, "malformed_http");
    EXPECT_EQ(reply->headers.at("connection"), "close");
    EXPECT_EQ(client.read_to_end(), "") << request;
  }
  EXPECT_EQ(stats().malformed_http.value(), requests.size());
  EXPECT_TRUE(intake_.bodies().empty());
}

TEST_F(HttpSessionTest, OtherVersionsOfHttpAreToldSo) {
  start();
  EXPECT_EQ(ask("GET / HTTP/2.0\r\nHost: n\r\n\r\n").status, 505);
  Client old = http();
  ASSERT_TRUE(old.send("POST /v1/ingest/telemetry HTTP/1.0\r\nContent-Length: 1\r\n\r\nx"));
  const auto reply = old.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->headers.at("connection"), "close");
  EXPECT_TRUE(old.closed());
}

TEST_F(HttpSessionTest, AnUpgradeIsIgnored) {
  start();
  EXPECT_EQ(ask(post("x", "Connection: upgrade\r\nUpgrade: h2c\r\n")).status, 200);
}

TEST_F(HttpSessionTest, ConnectionCloseIsHonoured) {
  start();
  Client client = http();
  ASSERT_TRUE(client.send(post("x", "Connection: close\r\n") + post("never read")));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->headers.at("connection"), "close");
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(intake_.all_bodies(), "x");
}

TEST_F(HttpSessionTest, ContinueIsSentOnlyForARequestThatWouldBeTaken) {
  start();
  Client client = http();
  ASSERT_TRUE(
      client.send("POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nExpect: 100-continue\r\n"
                  "Content-Length: 4\r\n\r\n"));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 100);
  ASSERT_TRUE(client.send("body"));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);

  Client refused = http();
  ASSERT_TRUE(
      refused.send("POST /v1/ingest/nowhere HTTP/1.1\r\nHost: n\r\nExpect: 100-continue\r\n"
                   "Content-Length: 4\r\n\r\n"));
  EXPECT_EQ(refused.read_reply().value_or(Reply{}).status, 404);
  EXPECT_TRUE(refused.closed());
}

TEST_F(HttpSessionTest, ContinueIsNotSentWhenTheBodyIsThereAlready) {
  start();
  EXPECT_EQ(ask(post("body", "Expect: 100-continue\r\n")).status, 200);
}

TEST_F(HttpSessionTest, AClientThatClosesItsSideIsStillAnswered) {
  start();
  intake_.hold_outcomes();
  Client client = http();
  ASSERT_TRUE(client.send(post("one") + post("two")));
  client.shutdown_write();
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 1; }));
  intake_.release_outcomes();
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  const auto last = client.read_reply();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->status, 200);
  EXPECT_EQ(last->headers.at("connection"), "close");
  EXPECT_TRUE(client.closed());
}

TEST_F(HttpSessionTest, ARequestCutShortIsToldSo) {
  start();
  for (const std::string& part : {post("0123456789").substr(0, 20), post("0123456789").substr(0, 75)}) {
    Client client = http();
    ASSERT_TRUE(client.send(part));
    client.shutdown_write();
    expect_error(client.read_reply().value_or(Reply{}), 400, "malformed_http");
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(stats().disconnects_early.value(), 2U);
  EXPECT_TRUE(intake_.bodies().empty());
}

TEST_F(HttpSessionTest, AClientThatVanishesMidBodyIsCountedAndForgotten) {
  start();
  Client client = http();
  ASSERT_TRUE(client.send(post(std::string(1'000, 'x')).substr(0, 500)));
  ASSERT_TRUE(eventually([&] { return stats().bytes_received.value() == 500; }));
  client.reset();
  EXPECT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
  EXPECT_EQ(stats().disconnects_early.value(), 1U);
}

TEST_F(HttpSessionTest, AnOutcomeForAClientThatIsGoneDisturbsNobody) {
  start();
  intake_.hold_outcomes();
  Client gone = http();
  ASSERT_TRUE(gone.send(post("of the one who left")));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 1; }));
  gone.reset();
  ASSERT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
  Client next = http();  // in the same slot
  ASSERT_TRUE(next.send(post("bad")));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 2; }));
  intake_.release_outcomes();
  EXPECT_EQ(next.read_reply().value_or(Reply{}).status, 422);
  EXPECT_EQ(intake_.delivered(), 2U);
}

TEST_F(HttpSessionTest, TheRootSaysWhereRecordsGo) {
  start();
  Client client = http();
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: n\r\n\r\n"));
  const auto got = client.read_reply();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->status, 200);
  EXPECT_NE(got->body.find("/v1/ingest/{stream}"), std::string::npos);
  ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nHost: n\r\n\r\nGET /x HTTP/1.1\r\nHost: n\r\n\r\n"));
  const auto head = client.read_reply(true);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->headers.at("content-length"), std::to_string(got->body.size()));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 404);
}

TEST_F(HttpSessionTest, TheAdminPortAsksItsHandler) {
  start();
  Client client = admin();
  ASSERT_TRUE(client.send("GET /health/live?verbose HTTP/1.1\r\nHost: n\r\n\r\n"));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body, "GET /health/live verbose\n");
  EXPECT_EQ(reply->headers.at("content-type"), "text/plain");
  ASSERT_TRUE(client.send("HEAD /nothing HTTP/1.1\r\nHost: n\r\n\r\n"));
  EXPECT_EQ(client.read_reply(true).value_or(Reply{}).status, 404);
  ASSERT_TRUE(client.send("POST /v1/ingest/telemetry HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\n\r\nx"));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 405);
  EXPECT_TRUE(intake_.bodies().empty());
}

TEST_F(HttpSessionTest, AnUnavailableDatabaseIs503WithItsReason) {
  start();
  intake_.answer(Submission::unavailable);
  const Reply reply = ask(post("x"));
  expect_error(reply, 503, "unavailable");
  EXPECT_NE(reply.body.find("The database is away."), std::string::npos);
  EXPECT_TRUE(reply.headers.contains("retry-after"));
}

TEST_F(HttpSessionTest, ABusyIntakeIsWaitedFor) {
  start();
  intake_.answer(Submission::busy);
  Client client = http();
  ASSERT_TRUE(client.send(post("patience")));
  EXPECT_FALSE(client.readable(100ms));
  intake_.answer(Submission::taken);
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  EXPECT_EQ(intake_.all_bodies(), "patience");
}

TEST_F(HttpSessionTest, AnAbandonedOutcomeIsSaidToBeUnknown) {
  start();
  intake_.abandon_outcomes();
  expect_error(ask(post("x")), 503, "outcome_unknown");
}

}  // namespace
}  // namespace wellhead
