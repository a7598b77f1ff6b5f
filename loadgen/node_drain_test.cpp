#include "loadgen/node_drain.hpp"

#include <gtest/gtest.h>

#include <atomic>

#include "loadgen/fake_node.hpp"
#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {
namespace {

std::int64_t in_seconds(double seconds) {
  return monotonic_now_ns() + seconds_to_ns(seconds);
}

Target target_of(const FakeNode& node) {
  auto target = resolve_target(node.url("http"), false);
  EXPECT_TRUE(target.has_value()) << target.error();
  return *target;
}

TEST(NodeDrain, sums_the_samples_of_a_metric_and_of_no_other) {
  constexpr std::string_view exposition =
      "# HELP queued Records.\n# TYPE queued gauge\nqueued{reactor=\"0\"} 3\nqueued{reactor=\"1\"} 4\n"
      "queued_bytes 100\nplain 2.5\n";
  EXPECT_EQ(metric_sum(exposition, "queued"), 7.0);
  EXPECT_EQ(metric_sum(exposition, "plain"), 2.5);
  EXPECT_FALSE(metric_sum(exposition, "plai").has_value());
  EXPECT_FALSE(metric_sum("", "queued").has_value());
}

TEST(NodeDrain, waits_until_nothing_is_queued) {
  std::atomic<int> asked{0};
  FakeNode node([&](Conversation& conversation) {
    while (conversation.read_head()) {
      const int left = 3 - asked.fetch_add(1);
      conversation.send_reply(200, "wellhead_records_queued " + std::to_string(left) + "\n");
    }
  });
  EXPECT_TRUE(wait_until_drained(target_of(node), in_seconds(5)).has_value());
  EXPECT_EQ(asked.load(), 4);
}

TEST(NodeDrain, asks_again_while_the_node_is_starting) {
  std::atomic<int> asked{0};
  FakeNode node([&](Conversation& conversation) {
    if (asked.fetch_add(1) < 2) return;
    while (conversation.read_head()) conversation.send_reply(200, "wellhead_records_queued 0\n");
  });
  EXPECT_TRUE(wait_until_drained(target_of(node), in_seconds(5)).has_value());
}

TEST(NodeDrain, says_what_is_left_when_time_is_up) {
  FakeNode node([&](Conversation& conversation) {
    while (conversation.read_head()) conversation.send_reply(200, "wellhead_records_queued 17\n");
  });
  const auto drained = wait_until_drained(target_of(node), in_seconds(0.1));
  ASSERT_FALSE(drained.has_value());
  EXPECT_NE(drained.error().find("17 records"), std::string::npos) << drained.error();
}

TEST(NodeDrain, a_node_that_tells_nothing_is_not_taken_for_drained) {
  FakeNode node([&](Conversation& conversation) {
    while (conversation.read_head()) conversation.send_reply(200, "something_else 0\n");
  });
  EXPECT_FALSE(wait_until_drained(target_of(node), in_seconds(0.1)).has_value());
}

}  // namespace
}  // namespace wellhead::loadgen
