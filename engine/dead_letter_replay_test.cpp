#include "engine/dead_letter_replay.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

namespace wellhead {
namespace {

using Kind = ReplayVerdict::Kind;

TEST(ReplayVerdict, IsAcceptedOnlyWhereTheNodeHasTheRecord) {
  EXPECT_EQ(verdict_of({200, 0, R"({"accepted":1,"rejected":0,"duplicate":0,"errors":[]})"}).kind,
            Kind::accepted);
  EXPECT_EQ(verdict_of({200, 0, R"({"accepted":0,"rejected":0,"duplicate":1,"errors":[]})"}).kind,
            Kind::accepted);
  EXPECT_EQ(verdict_of({200, 0, R"({"accepted":0,"rejected":0,"duplicate":0,"errors":[]})"}).kind,
            Kind::refused);
  EXPECT_EQ(verdict_of({200, 0, "not JSON"}).kind, Kind::refused);
}

TEST(ReplayVerdict, TellsWhatWasWrongWithTheRecord) {
  const ReplayVerdict refused = verdict_of(
      {422, 0,
       R"({"accepted":0,"rejected":1,"duplicate":0,"errors":[{"index":0,"code":"wrong_type","field":"rpm","message":"no"}]})"});
  EXPECT_EQ(refused.kind, Kind::refused);
  EXPECT_EQ(refused.reason, "wrong_type: no");
  const ReplayVerdict malformed =
      verdict_of({400, 0, R"({"error":{"code":"malformed_json","message":"The body is not JSON."}})"});
  EXPECT_EQ(malformed.kind, Kind::refused);
  EXPECT_EQ(malformed.reason, "malformed_json: The body is not JSON.");
}

TEST(ReplayVerdict, TellsTheDatabasesRefusalFromTheNodes) {
  EXPECT_EQ(
      verdict_of({422, 0, R"({"accepted":0,"rejected":1,"errors":[{"index":0,"code":"database_refused"}]})"})
          .kind,
      Kind::refused_by_database);
}

TEST(ReplayVerdict, WaitsWhereTheNodeCannotTakeItNow) {
  for (const int status : {408, 409, 429, 500, 503})
    EXPECT_EQ(verdict_of({status, 1, ""}).kind, Kind::not_now) << status;
}

TEST(ReplayHeaders, NameTheLetterSoThatARepetitionStoresNothingTwice) {
  DeadLetterEntry entry;
  entry.id = "019c0000-0000-7001-8000-000000000001";
  EXPECT_NE(
      replay_headers(entry).find("Idempotency-Key: dead-letter-019c0000-0000-7001-8000-000000000001\r\n"),
      std::string::npos);
}

// A listener that takes connections one after the other and answers each request with the next of its
// replies.
class ScriptedNode {
 public:
  using Connections = std::vector<std::vector<std::string>>;
  // Each connection gets its replies as they are, then it is closed.
  explicit ScriptedNode(Connections connections)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    socklen_t size = sizeof(address);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this, connections = std::move(connections)] {
      for (const auto& replies : connections) serve(replies);
    });
  }
  [[nodiscard]] Endpoint endpoint() const { return {"0.0.0.0", port_, true}; }
  [[nodiscard]] std::vector<std::string> requests() {
    if (thread_.joinable()) thread_.join();
    return requests_;
  }

 private:
  void serve(const std::vector<std::string>& replies) {
    const UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
    for (const std::string& reply : replies) {
      requests_.push_back(read_request(connection.get()));
      EXPECT_EQ(::send(connection.get(), reply.data(), reply.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(reply.size()));
    }
  }
  // Requests of these tests end with an exclamation mark.
  static std::string read_request(int fd) {
    std::string request;
    char byte = 0;
    while (byte != '!' && ::recv(fd, &byte, 1, 0) == 1) request += byte;
    return request;
  }

  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::vector<std::string> requests_;
  std::jthread thread_;
};

constexpr std::chrono::seconds client_timeout{10};

TEST(NodeClient, SendsRecordsOneAfterTheOtherOverOneConnection) {
  ScriptedNode node(ScriptedNode::Connections{
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
       "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 1\r\nRetry-After: 7\r\n\r\nc"}});
  NodeClient client(node.endpoint(), client_timeout);
  const auto first = client.ingest("telemetry", "Idempotency-Key: k\r\n", "{}!");
  ASSERT_TRUE(first) << first.error();
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->body, "ab");
  const auto second = client.ingest("telemetry", "", "two!");
  ASSERT_TRUE(second) << second.error();
  EXPECT_EQ(second->status, 429);
  EXPECT_EQ(second->retry_after_s, 7U);
  EXPECT_EQ(second->body, "c");
  const auto requests = node.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_TRUE(requests[0].starts_with("POST /v1/ingest/telemetry HTTP/1.1\r\nHost: 127.0.0.1:"))
      << requests[0];
  EXPECT_TRUE(requests[0].ends_with("Content-Length: 3\r\nIdempotency-Key: k\r\n\r\n{}!")) << requests[0];
}

TEST(NodeClient, ConnectsAgainAfterAConnectionThatBroke) {
  ScriptedNode node(
      ScriptedNode::Connections{{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"},
                                {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
                                {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}});
  NodeClient client(node.endpoint(), client_timeout);
  const auto broken = client.ingest("s", "", "1!");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error(), "it closed the connection");
  EXPECT_TRUE(client.ingest("s", "", "2!"));
  EXPECT_TRUE(client.ingest("s", "", "3!"));
  EXPECT_EQ(node.requests().size(), 3U);
}

TEST(NodeClient, SaysWhatIsThereWhenItIsNoNode) {
  ScriptedNode other(ScriptedNode::Connections{{"SSH-2.0-x\r\n\r\n"}});
  NodeClient client(other.endpoint(), client_timeout);
  const auto reply = client.ingest("s", "", "1!");
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error(), "what answers there is no wellhead node");
  const auto refused = NodeClient({"127.0.0.1", 1, true}, client_timeout).ingest("s", "", "1!");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), "Connection refused");
}

}  // namespace
}  // namespace wellhead
