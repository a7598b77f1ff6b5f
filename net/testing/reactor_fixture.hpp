// A reactor with a fake intake and one listener of each kind, on ports of the loopback interface.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/reactor.hpp"
#include "net/testing/client.hpp"
#include "net/testing/fake_intake.hpp"

namespace wellhead::testing {

class ReactorFixture : public ::testing::Test, private HttpHandler {
 protected:
  // Ends a reactor that a test left running, and checks that it gave everything back.
  void TearDown() override;

  // REQUIRES not started.
  void start(NetLimits limits = {});
  void stop(std::chrono::milliseconds grace = std::chrono::seconds(5));

  [[nodiscard]] Client http() const { return Client(reactor_->ports()[0]); }
  [[nodiscard]] Client ndjson() const { return Client(reactor_->ports()[1]); }
  [[nodiscard]] Client silent_ndjson() const { return Client(reactor_->ports()[2]); }
  [[nodiscard]] Client admin() const { return Client(reactor_->ports()[3]); }
  [[nodiscard]] const ReactorStats& stats() const { return reactor_->stats(); }

  // Waits until `condition` holds; false after client_timeout.
  [[nodiscard]] static bool eventually(const std::function<bool()>& condition);
  // A POST of `body` to the stream of the tests, with more header lines (each ended by CRLF).
  [[nodiscard]] static std::string post(std::string_view body, std::string_view headers = "",
                                        std::string_view query = "");

  IntakeScript intake_;
  std::unique_ptr<Reactor> reactor_;

 private:
  [[nodiscard]] HttpReply handle(std::string_view method, std::string_view path,
                                 std::string_view query) override;

  SystemClock clock_;
};

}  // namespace wellhead::testing
