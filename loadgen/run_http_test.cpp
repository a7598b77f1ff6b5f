// Whole runs over HTTP against a fake node.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "loadgen/fake_node.hpp"
#include "loadgen/run.hpp"

namespace wellhead::loadgen {
namespace {

using namespace std::chrono_literals;

const std::atomic<bool> not_interrupted{false};

Options options_for(const FakeNode& node) {
  Options options;
  options.url = node.url("http");
  options.run_id = "test";
  options.quiet = true;
  options.timeout_s = 5;
  options.connections = 2;
  options.batch = 10;
  options.pacing = Pacing::maximum;
  options.count = 1'000;
  return options;
}

void accept_everything(Conversation& conversation) {
  while (const auto request = conversation.read_request()) {
    conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
  }
}

Summary run(const Options& options) {
  auto summary = run_load(options, not_interrupted);
  EXPECT_TRUE(summary.has_value()) << summary.error().message;
  return std::move(*summary);
}

TEST(HttpRun, sends_every_record_once_and_accounts_for_it) {
  std::mutex mutex;
  std::set<std::string> lines;
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      EXPECT_TRUE(request->head.starts_with("POST /v1/ingest/telemetry HTTP/1.1\r\n")) << request->head;
      EXPECT_NE(request->head.find("Content-Type: application/x-ndjson\r\n"), std::string::npos);
      {
        const std::lock_guard lock(mutex);
        for (std::size_t at = 0; at < request->body.size();) {
          const std::size_t end = request->body.find('\n', at);
          lines.insert(request->body.substr(at, end - at));
          at = end + 1;
        }
      }
      conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
    }
  });
  Options options = options_for(node);
  options.threads = 2;
  options.connections = 5;
  options.count = 1'003;
  const Summary summary = run(options);
  EXPECT_EQ(lines.size(), 1'003U);
  EXPECT_EQ(summary.sent, 1'003U);
  EXPECT_EQ(summary.acknowledged, 1'003U);
  EXPECT_EQ(summary.ack_us->count(), 1'003U);
  EXPECT_TRUE(summary.failures().empty()) << summary.failures().front();
}

// What the answer took is seen by every batch that was due meanwhile, though the client could not even send
// them: the corrected latency shows the stall in a large share of the records, the service time only in the
// one batch.
TEST(HttpRun, a_stall_of_the_server_shows_in_the_latency_of_all_it_delayed) {
  std::atomic<int> requests{0};
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      if (requests.fetch_add(1) == 50) std::this_thread::sleep_for(500ms);
      conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
    }
  });
  Options options = options_for(node);
  options.pacing = Pacing::rate;
  options.connections = 1;
  options.rate = 1'000;
  options.batch = 5;
  options.count = 2'000;  // 2 s
  const Summary summary = run(options);
  EXPECT_EQ(summary.acknowledged, 2'000U);
  EXPECT_GE(summary.ack_us->value_at_percentile(99), 400'000U);
  EXPECT_GE(summary.ack_us->value_at_percentile(90), 200'000U);
  EXPECT_GE(summary.ack_us->max(), 490'000U);
  EXPECT_LT(summary.service_us->value_at_percentile(99), 300'000U);
  EXPECT_GE(summary.service_us->max(), 490'000U);
}

TEST(HttpRun, holds_its_rate) {
  FakeNode node(accept_everything);
  Options options = options_for(node);
  options.pacing = Pacing::rate;
  options.rate = 5'000;
  options.count = 0;
  options.duration_s = 0.5;
  const Summary summary = run(options);
  EXPECT_EQ(summary.sent, 2'500U);
  EXPECT_TRUE(summary.rate_held);
  EXPECT_NEAR(summary.rate, 5'000, 60);
  EXPECT_GE(summary.duration_s, 0.45);
}

TEST(HttpRun, says_so_when_the_server_is_too_slow_for_the_rate) {
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      std::this_thread::sleep_for(100ms);
      conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
    }
  });
  Options options = options_for(node);
  options.pacing = Pacing::rate;
  options.connections = 1;
  options.rate = 1'000;
  options.count = 300;  // 0.3 s, and the server takes 3 s
  const Summary summary = run(options);
  EXPECT_EQ(summary.acknowledged, 300U);
  EXPECT_FALSE(summary.rate_held);
  EXPECT_FALSE(summary.failures().empty());
}

TEST(HttpRun, bad_records_come_back_rejected_and_nothing_else_does) {
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      std::vector<std::size_t> rejected;
      std::size_t index = 0;
      for (std::size_t at = 0; at < request->body.size(); ++index) {
        const std::size_t end = request->body.find('\n', at);
        const std::string line = request->body.substr(at, end - at);
        at = end + 1;
        // The fake node knows a good line by its keys and its bytes alone.
        const bool good = line.ends_with('}') && line.find("\"device_id\":\"wtest-0") != std::string::npos &&
                          line.find("\"temperature\":") == line.rfind("\"temperature\":") &&
                          line.find("\"1971-") == std::string::npos &&
                          line.find("yesterday") == std::string::npos &&
                          line.find("high") == std::string::npos && line.find("1e300") == std::string::npos &&
                          line.find("{\"value\"") == std::string::npos;
        if (!good) rejected.push_back(index);
      }
      conversation.send_reply(rejected.size() == index ? 422 : 200, ingest_reply_text(index, rejected));
    }
  });
  Options options = options_for(node);
  options.bad_share = 0.1;
  options.count = 5'000;
  const Summary summary = run(options);
  EXPECT_EQ(summary.sent, 5'000U);
  EXPECT_EQ(summary.acknowledged + summary.rejected, 5'000U);
  EXPECT_GT(summary.rejected, 400U);
  EXPECT_LT(summary.rejected, 600U);
  EXPECT_EQ(summary.bad_acknowledged, 0U);
  EXPECT_EQ(summary.good_rejected, 0U);
  EXPECT_EQ(summary.reject_codes.at("wrong_type"), summary.rejected);
  EXPECT_TRUE(summary.failures().empty()) << summary.failures().front();
}

TEST(HttpRun, a_node_that_takes_bad_records_fails_the_run) {
  FakeNode node(accept_everything);
  Options options = options_for(node);
  options.bad_share = 0.1;
  const Summary summary = run(options);
  EXPECT_GT(summary.bad_acknowledged, 50U);
  EXPECT_FALSE(summary.failures().empty());
}

TEST(HttpRun, waits_and_sends_again_when_told_to) {
  std::atomic<int> requests{0};
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      const int number = requests.fetch_add(1);
      if (number == 3) {
        conversation.send_reply(429, R"({"error":{"code":"overloaded","message":"m"}})",
                                "Retry-After: 0.2\r\n");
      } else if (number == 7) {
        conversation.send_reply(503, R"({"error":{"code":"unavailable","message":"m"}})",
                                "Retry-After: 0.1\r\nConnection: close\r\n");
        return;
      } else {
        conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
      }
    }
  });
  Options options = options_for(node);
  options.connections = 1;
  const Summary summary = run(options);
  EXPECT_EQ(summary.acknowledged, 1'000U);
  EXPECT_EQ(summary.sent, 1'000U);
  EXPECT_EQ(summary.backpressure, 2U);
  EXPECT_GE(summary.ack_us->max(), 200'000U);  // the wait counts
  EXPECT_TRUE(summary.failures().empty()) << summary.failures().front();
}

TEST(HttpRun, outcome_unknown_is_neither_success_nor_sent_again) {
  std::atomic<int> requests{0};
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      if (requests.fetch_add(1) == 3) {
        conversation.send_reply(503, R"({"error":{"code":"outcome_unknown","message":"m"}})",
                                "Retry-After: 1\r\n");
      } else {
        conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
      }
    }
  });
  const Summary summary = run(options_for(node));
  EXPECT_EQ(requests.load(), 100);
  EXPECT_EQ(summary.acknowledged, 990U);
  EXPECT_EQ(summary.unknown, 10U);
  EXPECT_EQ(summary.problems.at("HTTP 503 outcome_unknown"), 10U);
  EXPECT_FALSE(summary.failures().empty());  // nobody verified what became of them
}

TEST(HttpRun, a_refused_request_fails_and_the_run_goes_on) {
  std::atomic<int> requests{0};
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      if (requests.fetch_add(1) == 3) {
        conversation.send_reply(413, R"({"error":{"code":"body_too_large","message":"m"}})");
      } else {
        conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
      }
    }
  });
  const Summary summary = run(options_for(node));
  EXPECT_EQ(summary.failed, 10U);
  EXPECT_EQ(summary.acknowledged, 990U);
  EXPECT_FALSE(summary.failures().empty());
}

TEST(HttpRun, a_lost_connection_leaves_its_request_unknown_and_is_replaced) {
  FakeNode node([&](Conversation& conversation) {
    for (int number = 0;; ++number) {
      const auto request = conversation.read_request();
      if (!request || (conversation.number() == 0 && number == 5)) return;
      conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
    }
  });
  Options options = options_for(node);
  options.connections = 1;
  const Summary summary = run(options);
  EXPECT_EQ(summary.sent, 1'000U);
  EXPECT_EQ(summary.acknowledged, 990U);
  EXPECT_EQ(summary.unknown, 10U);
  EXPECT_EQ(summary.reconnects, 1U);
}

TEST(HttpRun, a_reply_that_does_not_add_up_is_no_acknowledgement) {
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      conversation.send_reply(200, ingest_reply_text(count_lines(request->body) + 1));
    }
  });
  Options options = options_for(node);
  options.count = 20;
  const Summary summary = run(options);
  EXPECT_EQ(summary.acknowledged, 0U);
  EXPECT_EQ(summary.unknown, 20U);
  EXPECT_GT(summary.protocol_errors, 0U);
}

TEST(HttpRun, gives_up_when_nothing_is_answered) {
  FakeNode node([&](Conversation& conversation) {
    while (conversation.read_request()) {
    }
  });
  Options options = options_for(node);
  options.timeout_s = 0.3;
  const auto start = std::chrono::steady_clock::now();
  const Summary summary = run(options);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  EXPECT_TRUE(summary.gave_up);
  EXPECT_EQ(summary.acknowledged, 0U);
  EXPECT_EQ(summary.unknown, 20U);
  EXPECT_FALSE(summary.failures().empty());
}

TEST(HttpRun, stops_and_reports_when_interrupted) {
  FakeNode node(accept_everything);
  Options options = options_for(node);
  options.pacing = Pacing::rate;
  options.rate = 1'000;
  options.count = 1'000'000;
  std::atomic<bool> interrupted{false};
  const std::jthread interrupter([&] {
    std::this_thread::sleep_for(300ms);
    interrupted = true;
  });
  const auto summary = run_load(options, interrupted);
  ASSERT_TRUE(summary.has_value());
  EXPECT_TRUE(summary->interrupted);
  EXPECT_GT(summary->acknowledged, 100U);
  EXPECT_LT(summary->acknowledged, 1'000U);
  EXPECT_EQ(summary->acknowledged, summary->sent);
}

// A node that dies and comes back: no batch goes twice, what was on its way is unknown, the load goes on.
TEST(HttpRun, lives_through_a_node_that_dies_until_it_is_stopped) {
  std::mutex mutex;
  std::multiset<std::string> lines;
  FakeNode node([&](Conversation& conversation) {
    for (int number = 0;; ++number) {
      const auto request = conversation.read_request();
      if (!request) return;
      {
        const std::lock_guard lock(mutex);
        lines.insert(request->body);
      }
      if (number == 5) return;  // every connection dies with its sixth request
      conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
    }
  });
  Options options = options_for(node);
  options.pacing = Pacing::rate;
  options.rate = 2'000;
  options.count = 0;
  options.until_stopped = true;
  std::atomic<bool> interrupted{false};
  const std::jthread interrupter([&] {
    std::this_thread::sleep_for(500ms);
    interrupted = true;
  });
  const auto summary = run_load(options, interrupted);
  ASSERT_TRUE(summary.has_value());
  EXPECT_GT(summary->reconnects, 3U);
  EXPECT_GT(summary->unknown, 30U);
  EXPECT_GT(summary->acknowledged, 5 * summary->unknown / 2);
  EXPECT_EQ(summary->acknowledged + summary->unknown, summary->sent);
  EXPECT_TRUE(summary->rate_held);  // without an end there is no rate to hold
  for (auto line = lines.begin(); line != lines.end(); line = lines.upper_bound(*line)) {
    EXPECT_EQ(lines.count(*line), 1U);
  }
}

// With a key of its own a request may go twice: the node tells a repeated one from a new one by it.
TEST(HttpRun, sends_again_what_is_in_doubt_when_its_requests_have_keys) {
  std::mutex mutex;
  std::map<std::string, std::multiset<std::string>> bodies_by_key;
  std::atomic<int> requests{0};
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      const std::size_t key = request->head.find("Idempotency-Key: test-");
      ASSERT_NE(key, std::string::npos) << request->head;
      {
        const std::lock_guard lock(mutex);
        bodies_by_key[request->head.substr(key, request->head.find("\r\n", key) - key)].insert(request->body);
      }
      switch (requests.fetch_add(1)) {
        case 3:
          return;
        case 7:
          conversation.send_reply(503, R"({"error":{"code":"outcome_unknown","message":"m"}})",
                                  "Retry-After: 0.05\r\n");
          break;
        case 8:
          conversation.send_reply(409, R"({"error":{"code":"idempotency_key_in_flight","message":"m"}})",
                                  "Retry-After: 0.05\r\n");
          break;
        default:
          conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
      }
    }
  });
  Options options = options_for(node);
  options.connections = 1;
  options.retry = true;
  const Summary summary = run(options);
  EXPECT_EQ(summary.acknowledged, 1'000U);
  EXPECT_EQ(summary.sent, 1'000U);
  EXPECT_EQ(summary.unknown, 0U);
  EXPECT_EQ(summary.retries, 3U);
  EXPECT_TRUE(summary.failures().empty()) << summary.failures().front();
  EXPECT_EQ(bodies_by_key.size(), 100U);
  for (const auto& [key, bodies] : bodies_by_key) {
    EXPECT_EQ(bodies.count(*bodies.begin()), bodies.size()) << key << " with two bodies";
  }
}

TEST(HttpRun, what_is_in_doubt_to_the_end_is_unknown) {
  FakeNode node([](Conversation& conversation) { static_cast<void>(conversation.read_request()); });
  Options options = options_for(node);
  options.count = 20;
  options.retry = true;
  options.timeout_s = 0.3;
  const Summary summary = run(options);
  EXPECT_EQ(summary.unknown, 20U);
  EXPECT_EQ(summary.failed, 0U);
  EXPECT_GT(summary.retries, 2U);
}

TEST(HttpRun, asks_for_the_level_of_acknowledgement_it_was_given) {
  for (const auto& [level, header] : {std::pair(AckLevel::journal, "\r\nAck: journal\r\n"),
                                      std::pair(AckLevel::commit, "\r\nAck: commit\r\n")}) {
    FakeNode node([&](Conversation& conversation) {
      while (const auto request = conversation.read_request()) {
        EXPECT_NE(request->head.find(header), std::string::npos) << request->head;
        conversation.send_reply(200, ingest_reply_text(count_lines(request->body)));
      }
    });
    Options options = options_for(node);
    options.ack = level;
    EXPECT_EQ(run(options).acknowledged, 1'000U);
  }
}

TEST(HttpRun, keeps_a_file_with_the_counts_for_those_who_watch) {
  FakeNode node(accept_everything);
  Options options = options_for(node);
  options.status_path = testing::TempDir() + "wellhead_loadgen_status_" + std::to_string(getpid());
  EXPECT_EQ(run(options).acknowledged, 1'000U);
  std::ifstream file(options.status_path);
  std::string text;
  std::getline(file, text);
  EXPECT_EQ(text, R"({"sent":1000,"acknowledged":1000,"rejected":0,"failed":0,"unknown":0,"reconnects":0})");
  EXPECT_EQ(std::remove(options.status_path.c_str()), 0);
}

class CompressedRun : public testing::TestWithParam<std::pair<Compression, std::string>> {};

TEST_P(CompressedRun, sends_smaller_bodies_that_say_how_they_are_encoded) {
  const auto& [compression, name] = GetParam();
  FakeNode node([&](Conversation& conversation) {
    while (const auto request = conversation.read_request()) {
      EXPECT_NE(request->head.find("Content-Encoding: " + name + "\r\n"), std::string::npos) << request->head;
      EXPECT_TRUE(request->body.starts_with(name == "gzip" ? "\x1f\x8b" : "\x28\xb5\x2f\xfd"));
      conversation.send_reply(200, ingest_reply_text(10));
    }
  });
  Options options = options_for(node);
  options.compression = compression;
  const Summary summary = run(options);
  EXPECT_EQ(summary.acknowledged, 1'000U);
  EXPECT_LT(summary.bytes, 1'000U * 150);
}

INSTANTIATE_TEST_SUITE_P(Encodings, CompressedRun,
                         testing::Values(std::pair(Compression::gzip, std::string("gzip")),
                                         std::pair(Compression::zstd, std::string("zstd"))));

TEST(Run, says_when_it_cannot_connect) {
  std::string url;
  {
    url = FakeNode([](Conversation&) {}).url("http");
  }
  Options options;
  options.url = url;
  options.connect_timeout_s = 0.1;
  const auto summary = run_load(options, not_interrupted);
  ASSERT_FALSE(summary.has_value());
  EXPECT_EQ(summary.error().exit_code, exit_no_connection);
}

TEST(Run, refuses_targets_that_are_not_on_this_machine) {
  Options options;
  for (const char* url :
       {"http://192.0.2.1:8080", "ndjson://[2001:db8::1]:9090", "https://127.0.0.1:1", "http://x"}) {
    options.url = url;
    const auto summary = run_load(options, not_interrupted);
    ASSERT_FALSE(summary.has_value()) << url;
    EXPECT_EQ(summary.error().exit_code, exit_usage) << url;
  }
}

}  // namespace
}  // namespace wellhead::loadgen
