#include "net/testing/reactor_fixture.hpp"

#include <thread>
#include <utility>

namespace wellhead::testing {

void ReactorFixture::start(NetLimits limits) {
  auto stream = Schema::compile(builtin_streams().front(), 0);
  ASSERT_TRUE(stream.has_value()) << stream.error();
  ReactorOptions options;
  options.listeners = {
      {.protocol = Protocol::http, .address = "127.0.0.1", .stream = {}},
      {.protocol = Protocol::ndjson, .address = "127.0.0.1", .stream = "telemetry", .acknowledge = true},
      {.protocol = Protocol::ndjson, .address = "127.0.0.1", .stream = "telemetry"},
      {.protocol = Protocol::admin, .address = "127.0.0.1", .stream = {}},
  };
  options.limits = limits;
  options.streams = {*stream};
  options.admin_handler = this;
  auto reactor = Reactor::create(std::move(options), std::make_unique<FakeIntake>(intake_), clock_);
  ASSERT_TRUE(reactor.has_value()) << reactor.error();
  reactor_ = std::move(*reactor);
  const auto started = reactor_->start();
  ASSERT_TRUE(started.has_value()) << started.error();
}

void ReactorFixture::stop(std::chrono::milliseconds grace) {
  reactor_->request_stop(std::chrono::steady_clock::now() + grace);
  reactor_->join();
}

void ReactorFixture::TearDown() {
  if (reactor_ == nullptr) return;
  intake_.answer(Submission::taken);
  intake_.release_outcomes();
  stop();
  EXPECT_EQ(stats().connections_open.value(), 0);
  EXPECT_EQ(stats().stale_completions.value(), 0U);
}

bool ReactorFixture::eventually(const std::function<bool()>& condition) {
  const auto give_up = std::chrono::steady_clock::now() + client_timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string ReactorFixture::post(std::string_view body, std::string_view headers, std::string_view query) {
  std::string request = "POST /v1/ingest/telemetry";
  request.append(query).append(" HTTP/1.1\r\nHost: node\r\n").append(headers);
  request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  return request;
}

HttpReply ReactorFixture::handle(std::string_view method, std::string_view path, std::string_view query) {
  HttpReply reply;
  reply.status = path == "/health/live" ? 200 : 404;
  reply.content_type = "text/plain";
  reply.body.append(method).append(" ").append(path).append(" ").append(query).append("\n");
  return reply;
}

}  // namespace wellhead::testing
