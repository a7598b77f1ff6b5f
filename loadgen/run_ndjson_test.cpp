// Whole runs over NDJSON against a fake node.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "loadgen/fake_node.hpp"
#include "loadgen/run.hpp"

namespace wellhead::loadgen {
namespace {

const std::atomic<bool> not_interrupted{false};

Options options_for(const FakeNode& node) {
  Options options;
  options.url = node.url("ndjson");
  options.run_id = "test";
  options.quiet = true;
  options.timeout_s = 5;
  options.connections = 1;
  options.window = 4;
  options.batch = 10;
  options.pacing = Pacing::maximum;
  options.count = 1'000;
  return options;
}

Summary run(const Options& options) {
  auto summary = run_load(options, not_interrupted);
  EXPECT_TRUE(summary.has_value()) << summary.error().message;
  return std::move(*summary);
}

TEST(NdjsonRun, counts_acknowledgements_whatever_part_of_a_batch_they_cover) {
  FakeNode node([](Conversation& conversation) {
    for (std::uint64_t line = 1; conversation.read_line(); ++line) {
      if (line % 7 == 0 || line == 1'000) conversation.send(fmt::format("{{\"ack\":{}}}\n", line));
    }
  });
  const Summary summary = run(options_for(node));
  EXPECT_EQ(summary.sent, 1'000U);
  EXPECT_EQ(summary.acknowledged, 1'000U);
  EXPECT_EQ(summary.ack_us->count(), 1'000U);
  EXPECT_TRUE(summary.failures().empty()) << summary.failures().front();
}

TEST(NdjsonRun, a_reject_takes_its_line_out_of_the_acknowledgement) {
  FakeNode node([](Conversation& conversation) {
    for (std::uint64_t line = 1; const auto text = conversation.read_line(); ++line) {
      if (text->find("yesterday") != std::string::npos || !text->ends_with('}')) {
        conversation.send(fmt::format(R"({{"reject":{{"line":{},"code":"malformed_json"}}}})"
                                      "\n",
                                      line));
      }
      if (line % 10 == 0) conversation.send(fmt::format("{{\"ack\":{}}}\n", line));
    }
  });
  Options options = options_for(node);
  options.bad_share = 0.2;
  const Summary summary = run(options);
  EXPECT_EQ(summary.acknowledged + summary.rejected, 1'000U);
  EXPECT_EQ(summary.reject_codes.at("malformed_json"), summary.rejected);
  EXPECT_GT(summary.rejected, 20U);
  EXPECT_GT(summary.bad_acknowledged, 20U);  // the fake node lets most kinds pass, and that is noticed
  EXPECT_EQ(summary.good_rejected, 0U);
}

TEST(NdjsonRun, keeps_at_most_a_window_of_batches_on_their_way) {
  FakeNode node([&](Conversation& conversation) {
    // Acknowledges nothing: all that may come is a window's worth.
    while (conversation.read_line()) {
    }
  });
  Options options = options_for(node);
  options.timeout_s = 0.3;
  const Summary summary = run(options);
  EXPECT_EQ(summary.sent, 40U);
  EXPECT_EQ(summary.unknown, 40U);
  EXPECT_TRUE(summary.gave_up);
}

TEST(NdjsonRun, a_lost_connection_leaves_what_was_not_acknowledged_unknown) {
  FakeNode node([](Conversation& conversation) {
    for (std::uint64_t line = 1; conversation.read_line(); ++line) {
      if (line % 10 == 5) conversation.send(fmt::format("{{\"ack\":{}}}\n", line));
      if (conversation.number() == 0 && line == 105) return;
      if (conversation.number() == 1 && line % 10 == 0)
        conversation.send(fmt::format("{{\"ack\":{}}}\n", line));
    }
  });
  const Summary summary = run(options_for(node));
  EXPECT_EQ(summary.sent, 1'000U);
  EXPECT_EQ(summary.acknowledged + summary.unknown, 1'000U);
  EXPECT_GE(summary.unknown, 5U);
  EXPECT_LE(summary.unknown, 45U);
  EXPECT_EQ(summary.reconnects, 1U);
  EXPECT_EQ(summary.problems.at("connection lost"), summary.unknown);
}

class LyingNode : public testing::TestWithParam<const char*> {};

TEST_P(LyingNode, is_not_believed) {
  FakeNode node([](Conversation& conversation) {
    if (!conversation.read_line()) return;
    conversation.send("{\"ack\":1}\n");
    conversation.send(std::string(GetParam()) + "\n");
    while (conversation.read_line()) {
    }
  });
  Options options = options_for(node);
  options.count = 10;
  options.timeout_s = 0.5;
  const Summary summary = run(options);
  EXPECT_EQ(summary.protocol_errors, 1U);
  EXPECT_LE(summary.acknowledged, 10U);
  EXPECT_EQ(summary.acknowledged + summary.rejected + summary.unknown, 10U);
  EXPECT_FALSE(summary.failures().empty());
}

INSTANTIATE_TEST_SUITE_P(Lies, LyingNode,
                         testing::Values(R"({"ack":0})", R"({"ack":11})",
                                         R"({"reject":{"line":1,"code":"x"}})",
                                         R"({"reject":{"line":11,"code":"x"}})", "hello"));

}  // namespace
}  // namespace wellhead::loadgen
