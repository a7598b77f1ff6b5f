// The reactor's life: start, stop, sharing of ports, and what an idle connection costs.
#include "net/reactor.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "net/listener.hpp"
#include "net/testing/reactor_fixture.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using testing::Client;
using testing::Reply;

class ReactorTest : public testing::ReactorFixture {};

TEST_F(ReactorTest, AStopClosesIdleConnectionsAndEnds) {
  start();
  Client fresh = http();
  Client used = http();
  Client lines = ndjson();
  ASSERT_TRUE(used.send(post("x")));
  ASSERT_TRUE(used.read_reply().has_value());
  ASSERT_TRUE(eventually([&] { return stats().connections_open.value() == 3; }));
  const auto began = std::chrono::steady_clock::now();
  stop(10s);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2s);
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
  EXPECT_EQ(lines.read_to_end(), "");
}

TEST_F(ReactorTest, AStopAnswersWhatWasTaken) {
  start();
  intake_.hold_outcomes();
  Client request = http();
  Client lines = ndjson();
  Client unfinished = http();
  const std::string whole = post("good");
  const std::string two_lines = "one\ntwo\npart of a li";
  const std::string part = post("0123456789").substr(0, 75);
  ASSERT_TRUE(request.send(whole));
  ASSERT_TRUE(lines.send(two_lines));
  ASSERT_TRUE(unfinished.send(part));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 2; }));
  const std::size_t sent = whole.size() + two_lines.size() + part.size();
  ASSERT_TRUE(eventually([&] { return stats().bytes_received.value() == sent; }));
  reactor_->request_stop(std::chrono::steady_clock::now() + 10s);
  EXPECT_EQ(unfinished.read_reply().value_or(Reply{}).status, 503);
  intake_.release_outcomes();
  const auto reply = request.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->headers.at("connection"), "close");
  EXPECT_TRUE(request.closed());
  EXPECT_EQ(lines.read_to_end(), "{\"ack\":2}\n");
  reactor_->join();
}

TEST_F(ReactorTest, AStopEndsAtItsDeadlineRegardless) {
  start();
  intake_.hold_outcomes();
  Client client = http();
  ASSERT_TRUE(client.send(post("never decided")));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 1; }));
  const auto began = std::chrono::steady_clock::now();
  stop(200ms);
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_GE(took, 190ms);
  EXPECT_LT(took, 3s);
}

TEST_F(ReactorTest, AStopRefusesNewConnections) {
  start();
  intake_.hold_outcomes();
  Client client = http();
  ASSERT_TRUE(client.send(post("x")));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 1; }));
  reactor_->request_stop(std::chrono::steady_clock::now() + 10s);
  std::this_thread::sleep_for(50ms);
  bool served = false;
  try {
    Client late = http();
    served = late.send(post("late")) && late.readable(100ms) && late.read_reply().has_value();
  } catch (const std::runtime_error&) {
    served = false;  // refused outright
  }
  EXPECT_FALSE(served);
  intake_.release_outcomes();
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  reactor_->join();
  EXPECT_EQ(intake_.all_bodies(), "x");
}

TEST_F(ReactorTest, ConnectionsThatComeAndGoLeaveNothingBehind) {
  start();
  for (int round = 0; round < 500; ++round) {
    Client client = round % 2 == 0 ? http() : ndjson();
    const bool silent = round % 5 == 0;
    ASSERT_TRUE(silent || client.send(round % 2 == 0 ? post("x") : "x\n"));
    if (round % 3 == 0) client.reset();
  }
  EXPECT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
  Client client = http();
  ASSERT_TRUE(client.send(post("still here")));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
}

TEST_F(ReactorTest, AHotConnectionDoesNotStarveTheOthers) {
  start();
  Client hot = silent_ndjson();
  std::jthread sender([&](const std::stop_token& stop) {
    std::string lines;
    while (lines.size() < 4U << 20) lines += std::string(150, 'x') + "\n";
    while (!stop.stop_requested() && hot.send(lines)) {
    }
  });
  std::this_thread::sleep_for(50ms);
  Client other = http();
  for (int round = 0; round < 20; ++round) {
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(other.send(post("x")));
    ASSERT_TRUE(other.read_reply().has_value());
    EXPECT_LT(std::chrono::steady_clock::now() - began, 1s);
  }
  sender.request_stop();
}

class ReactorStandalone : public ::testing::Test {
 protected:
  class Handler : public HttpHandler {
    HttpReply handle(std::string_view, std::string_view, std::string_view) override {
      return {.content_type = "text/plain", .body = "here\n", .headers = {{"X-More", "yes"}}};
    }
  };

  ReactorOptions admin_on(const char* address, std::uint16_t port) {
    ReactorOptions options;
    options.listeners = {{.protocol = Protocol::admin, .address = address, .port = port, .stream = {}}};
    options.admin_handler = &handler_;
    return options;
  }

  Handler handler_;
  SystemClock clock_;
};

TEST_F(ReactorStandalone, AnAdminReactorNeedsNoIntakeAndSpeaksIpv6) {
  auto reactor = Reactor::create(admin_on("::1", 0), nullptr, clock_);
  ASSERT_TRUE(reactor.has_value()) << reactor.error();
  ASSERT_TRUE((*reactor)->start().has_value());
  Client client((*reactor)->ports()[0], "::1");
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: n\r\n\r\n"));
  const auto reply = client.read_reply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->body, "here\n");
  EXPECT_EQ(reply->headers.at("x-more"), "yes");
}

TEST_F(ReactorStandalone, ATakenPortIsKnownBeforeTheStart) {
  auto first = Reactor::create(admin_on("127.0.0.1", 0), nullptr, clock_);
  ASSERT_TRUE(first.has_value());
  const auto second = Reactor::create(admin_on("127.0.0.1", (*first)->ports()[0]), nullptr, clock_);
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().find("the port is taken"), std::string::npos) << second.error();
}

TEST_F(ReactorStandalone, APortThatIsReleasedAMomentLaterIsWaitedFor) {
  ListenerOptions options;
  options.address = "127.0.0.1";
  auto held = open_listener(options, true);
  ASSERT_TRUE(held.has_value());
  options.port = held->port;
  const std::jthread release([&held] {
    std::this_thread::sleep_for(50ms);
    held->fd.reset();
  });
  const auto listener = open_listener(options, true);
  ASSERT_TRUE(listener.has_value()) << listener.error();
  EXPECT_EQ(listener->port, options.port);
}

TEST_F(ReactorStandalone, TheSecondReactorOfANodeSharesThePort) {
  auto first = Reactor::create(admin_on("127.0.0.1", 0), nullptr, clock_);
  ASSERT_TRUE(first.has_value());
  ReactorOptions options = admin_on("127.0.0.1", (*first)->ports()[0]);
  options.index = 1;
  const auto second = Reactor::create(std::move(options), nullptr, clock_);
  EXPECT_TRUE(second.has_value()) << second.error();
}

TEST_F(ReactorStandalone, AnAddressThatIsNoneIsASentence) {
  const auto reactor = Reactor::create(admin_on("localhost", 0), nullptr, clock_);
  ASSERT_FALSE(reactor.has_value());
  EXPECT_NE(reactor.error().find("\"localhost\" is not a numeric"), std::string::npos) << reactor.error();
}

TEST_F(ReactorStandalone, AnUnknownStreamIsASentence) {
  testing::IntakeScript script;
  ReactorOptions options;
  options.listeners = {{.protocol = Protocol::ndjson, .address = "127.0.0.1", .stream = "nowhere"}};
  const auto reactor =
      Reactor::create(std::move(options), std::make_unique<testing::FakeIntake>(script), clock_);
  ASSERT_FALSE(reactor.has_value());
  EXPECT_NE(reactor.error().find("\"nowhere\""), std::string::npos) << reactor.error();
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total_pages = 0;
  std::size_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Client and server are one process here, but a client's end is only a descriptor: its memory is the
// kernel's.
TEST_F(ReactorTest, TenThousandIdleConnectionsCostLittle) {
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  constexpr std::size_t reserve = 200;
  const std::size_t count = std::min<std::size_t>(10'000, (files.rlim_max - reserve) / 2);
  start();
  // The first ones fill the pools, which are paid once.
  for (int warm = 0; warm < 200; ++warm) {
    Client client = warm % 2 == 0 ? http() : ndjson();
    ASSERT_TRUE(client.send(warm % 2 == 0 ? post("x") : "x\n"));
    ASSERT_TRUE(client.readable(5s));
  }
  ASSERT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
  std::vector<Client> clients;
  clients.reserve(count);
  const std::size_t before = resident_bytes();
  for (std::size_t number = 0; number < count; ++number) {
    clients.push_back(number % 4 == 0 ? ndjson() : http());
    // Most have been used before they fell idle.
    if (number % 4 == 1) continue;
    ASSERT_TRUE(clients.back().send(number % 4 == 0 ? "x\n" : post("x")));
    ASSERT_TRUE(clients.back().readable(5s));
  }
  ASSERT_TRUE(
      eventually([&] { return stats().connections_open.value() == static_cast<std::int64_t>(count); }));
  const std::size_t each = (resident_bytes() - before) / count;
  std::printf("%zu idle connections cost %zu bytes each\n", count, each);
  RecordProperty("bytes_each", static_cast<int>(each));
  EXPECT_LT(each, 4'096U);
}

}  // namespace
}  // namespace wellhead
