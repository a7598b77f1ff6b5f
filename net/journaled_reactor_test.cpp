// The whole of net/ over real sockets: a reactor with a real intake, whose journal is written to
// a descriptor that the test chooses, and whose shards are the test.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "net/batching_intake.hpp"
#include "net/reactor.hpp"
#include "net/testing/client.hpp"
#include "net/testing/fake_writer.hpp"
#include "net/testing/intake_fixture.hpp"
#include "net/testing/reactor_fixture.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using testing::Client;
using testing::FakeWriter;
using testing::record;
using testing::Reply;

class JournaledReactorTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t digest = 0xFEED;

  void start(AckLevel ack = AckLevel::journal, BatchingOptions batching = {}, bool journaled = true) {
    std::vector<ShardPort> ports;
    for (Mailbox& inbox : inboxes_)
      ports.push_back({&inbox, [this] { return available_.load(); },
                       [] { return std::string("The database is away."); }});
    batching.receipt_digest = digest;
    auto intake = std::make_unique<BatchingIntake>(batching, std::move(ports), returns_, clock_, board_,
                                                   journaled ? &writer_ : nullptr);
    intake_stats_ = &intake->stats();
    ReactorOptions options;
    options.listeners = {{.protocol = Protocol::http, .address = "127.0.0.1", .stream = {}, .ack = ack},
                         {.protocol = Protocol::ndjson,
                          .address = "127.0.0.1",
                          .stream = "telemetry",
                          .acknowledge = true,
                          .ack = ack}};
    options.limits.admission_timeout = 200ms;
    options.limits.receipt_wait_max = 5s;
    options.receipts = &desk_;
    for (StreamConfig& config : builtin_streams())
      if (config.name == "telemetry") options.streams = {*Schema::compile(std::move(config), 0)};
    auto reactor = Reactor::create(std::move(options), std::move(intake), clock_);
    ASSERT_TRUE(reactor.has_value()) << reactor.error();
    reactor_ = std::move(*reactor);
    const auto started = reactor_->start();
    ASSERT_TRUE(started.has_value()) << started.error();
  }

  void TearDown() override {
    if (reactor_ == nullptr) return;
    reactor_->request_stop(std::chrono::steady_clock::now() + 2s);
    reactor_->join();
    EXPECT_EQ(reactor_->stats().connections_open.value(), 0);
    reactor_.reset();
  }

  // A journal in memory that can be written and synchronized.
  void use_memory() {
    files_.emplace_back(memfd_create("journal", MFD_CLOEXEC));
    writer_.use_descriptor(files_.back().get(), false);
  }
  // One that takes a page at a time, and the next when the test has read it.
  void use_pipe() {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    pipe_ = UniqueFd(ends[0]);
    files_.emplace_back(ends[1]);
    ASSERT_GT(fcntl(files_.back().get(), F_SETPIPE_SZ, 4096), 0);
    writer_.use_descriptor(files_.back().get(), true);
  }
  void use_path(const char* path) {
    UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(file);
    writer_.use_descriptor(file.get(), true);
    files_.push_back(std::move(file));  // the one before may still be in use
  }
  std::size_t drain_pipe() const {
    std::array<char, 4096> page{};
    const ssize_t got = read(pipe_.get(), page.data(), page.size());
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }

  [[nodiscard]] Client http() const { return Client(reactor_->ports()[0]); }
  [[nodiscard]] Client ndjson() const { return Client(reactor_->ports()[1]); }
  [[nodiscard]] static std::string post(std::string_view body, std::string_view headers = "") {
    std::string request = "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: node\r\n";
    request.append(headers).append("Content-Length: ").append(std::to_string(body.size()));
    request.append("\r\n\r\n").append(body);
    return request;
  }
  [[nodiscard]] static std::string get(std::string_view receipt, std::string_view query = "",
                                       std::string_view method = "GET") {
    std::string request(method);
    request.append(" /v1/receipts/").append(receipt).append(query).append(" HTTP/1.1\r\nHost: node\r\n\r\n");
    return request;
  }
  [[nodiscard]] Reply ask(const std::string& request) const {
    Client client = http();
    EXPECT_TRUE(client.send(request));
    return client.read_reply(request.starts_with("HEAD")).value_or(Reply{});
  }
  [[nodiscard]] static std::string receipt_of(const Reply& reply) {
    constexpr std::string_view member = "\"receipt\":\"";
    const std::size_t at = reply.body.find(member);
    if (at == std::string::npos) return {};
    const std::size_t from = at + member.size();
    return reply.body.substr(from, reply.body.find('"', from) - from);
  }
  struct Committed {
    std::size_t batches = 0;
    std::size_t rows = 0;
  };
  // What lies in the shards' mailboxes goes back as committed.
  Committed commit() {
    Committed total;
    for (Mailbox& inbox : inboxes_) {
      std::array<Batch*, 64> taken{};
      const std::size_t count = inbox.take(taken);
      for (Batch* batch : std::span(taken).first(count)) {
        total.rows += batch->row_count();
        batch->set_outcome(BatchOutcome::committed);
        back_.send(batch);
      }
      total.batches += count;
    }
    return total;
  }
  // Commits until it was `count` rows; false when they do not come.
  [[nodiscard]] bool commit_rows(std::size_t count) {
    std::size_t done = 0;
    return eventually([&] {
      done += commit().rows;
      return done == count;
    });
  }
  [[nodiscard]] bool received(std::uint64_t records) const {
    return eventually([&] { return intake_stats_->records_received.value() == records; });
  }
  void commit_on_board() {
    for (std::uint32_t shard = 0; shard < inboxes_.size(); ++shard)
      board_.at(0, shard).committed.store(board_.at(0, shard).durable.load());
  }
  [[nodiscard]] static bool eventually(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + testing::client_timeout;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
  static void expect_error(const Reply& reply, int status, std::string_view code) {
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_NE(reply.body.find("\"code\":\"" + std::string(code) + "\""), std::string::npos) << reply.body;
  }

  SystemClock clock_;
  std::array<Mailbox, 2> inboxes_;
  std::atomic<bool> available_{true};
  Mailbox returns_;
  Mailbox::Sender back_{returns_};
  LaneBoard board_{1, 1, 2, {}};
  RefusedRows refused_;
  ReceiptDesk desk_{digest, board_, refused_};
  FakeWriter writer_;
  std::vector<UniqueFd> files_;  // the last is written to
  UniqueFd pipe_;
  const IntakeStats* intake_stats_ = nullptr;
  std::unique_ptr<Reactor> reactor_;
};

// Records of now, since the node's clock is the real one.
std::string line(const std::string& device) {
  return R"({"timestamp":)" + std::to_string(std::time(nullptr)) + R"(,"device_id":")" + device + "\"}\n";
}

TEST_F(JournaledReactorTest, ARequestIsAnsweredFromTheJournalWithAReceipt) {
  use_memory();
  start();
  const Reply reply = ask(post(line("a") + "broken\n"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.body.starts_with("{\"accepted\":1,\"rejected\":1,\"duplicate\":0,\"receipt\":\""))
      << reply.body;
  struct stat written{};
  ASSERT_EQ(fstat(files_.back().get(), &written), 0);
  EXPECT_EQ(written.st_size, 4096);
  EXPECT_EQ(intake_stats_->records_durable.value(), 1U);
}

TEST_F(JournaledReactorTest, AReceiptTellsHowFarItsRecordsAre) {
  use_memory();
  start();
  const std::string receipt = receipt_of(ask(post(line("a") + line("b") + line("c"))));
  ASSERT_FALSE(receipt.empty());
  const std::string head = "{\"receipt\":\"" + receipt + "\",\"state\":";
  EXPECT_EQ(ask(get(receipt)).body, head + "\"queued\",\"durable\":true,\"accepted\":3,\"quarantined\":0}\n");
  commit_on_board();
  const Reply reply = ask(get(receipt));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, head + "\"committed\",\"durable\":true,\"accepted\":3,\"quarantined\":0}\n");
  const std::uint32_t shard = board_.at(0, 0).durable.load() > 0 ? 0 : 1;
  refused_.add({1, 0, shard}, 1, 0);
  EXPECT_EQ(ask(get(receipt)).body,
            head + "\"quarantined\",\"durable\":true,\"accepted\":3,\"quarantined\":1}\n");
  const Reply head_reply = ask(get(receipt, "", "HEAD"));
  EXPECT_EQ(head_reply.status, 200);
  EXPECT_TRUE(head_reply.body.empty());
}

TEST_F(JournaledReactorTest, AReceiptCanBeWaitedForAndTheConnectionGoesOn) {
  use_memory();
  start();
  const std::string receipt = receipt_of(ask(post(line("a"))));
  Client waiting = http();
  ASSERT_TRUE(waiting.send(get(receipt, "?wait=5s") + get(receipt)));
  EXPECT_FALSE(waiting.readable(60ms)) << "it is not committed";
  commit_on_board();
  for (int reply = 0; reply < 2; ++reply)
    EXPECT_NE(waiting.read_reply().value_or(Reply{}).body.find("\"committed\""), std::string::npos);
}

TEST_F(JournaledReactorTest, AWaitForAReceiptEndsWithItsTime) {
  use_memory();
  start();
  const std::string receipt = receipt_of(ask(post(line("a"))));
  const auto began = std::chrono::steady_clock::now();
  const Reply reply = ask(get(receipt, "?wait=150ms"));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 140ms);
  EXPECT_NE(reply.body.find("\"queued\""), std::string::npos) << reply.body;
  EXPECT_EQ(reactor_->stats().receipt_timeouts.value(), 1U);
  Client waiting = http();
  ASSERT_TRUE(waiting.send(get(receipt, "?wait=5s")));
  EXPECT_FALSE(waiting.readable(30ms));
  reactor_->request_stop(std::chrono::steady_clock::now() + 2s);
  EXPECT_NE(waiting.read_reply().value_or(Reply{}).body.find("\"queued\""), std::string::npos)
      << "a stop waits for no database";
}

TEST_F(JournaledReactorTest, ReceiptsThatDoNotExistAre404) {
  use_memory();
  start();
  std::string receipt = receipt_of(ask(post(line("a"))));
  expect_error(ask(get(receipt + "A")), 404, "unknown_receipt");
  expect_error(ask(get("")), 404, "unknown_receipt");
  receipt[receipt.size() / 2] = receipt[receipt.size() / 2] == 'x' ? 'y' : 'x';
  expect_error(ask(get(receipt)), 404, "unknown_receipt");
  std::string other;
  append_receipt(other, {.journal_digest = digest + 1, .epoch = 1, .reactor = 0, .parts = {{0, 1, 0, 1}}});
  expect_error(ask(get(other)), 404, "unknown_receipt");
  expect_error(ask(get(receipt, "?wait=soon")), 400, "invalid_parameter");
  expect_error(ask(get(receipt, "", "DELETE")), 405, "method_not_allowed");
}

TEST_F(JournaledReactorTest, NothingIsAnsweredBeforeTheLastByteIsWritten) {
  use_pipe();
  start();
  Client client = http();
  std::string body;  // both shards: two sections, of which the pipe takes one
  for (int device = 0; device < 20; ++device) body += line("well-" + std::to_string(device));
  ASSERT_TRUE(client.send(post(body)));
  EXPECT_FALSE(client.readable(60ms));
  EXPECT_EQ(drain_pipe(), 4096U);
  EXPECT_EQ(client.read_reply().value_or(Reply{}).status, 200);
  EXPECT_EQ(drain_pipe(), 4096U);
}

TEST_F(JournaledReactorTest, AFailedJournalIsToldAndUsedAgainAfterTheOperatorsAction) {
  use_path("/dev/full");
  start();
  const Reply failed = ask(post(line("a")));
  expect_error(failed, 503, "outcome_unknown");
  EXPECT_NE(failed.body.find("journal of this node failed"), std::string::npos) << failed.body;
  const Reply refused = ask(post(line("a")));
  expect_error(refused, 503, "unavailable");
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  EXPECT_NE(refused.body.find(writer_.problem()), std::string::npos) << refused.body;
  use_memory();
  reactor_->request_journal_reopen();
  ASSERT_TRUE(eventually([&] { return !writer_.latched(); }));
  EXPECT_EQ(ask(post(line("a"))).status, 200);
  // And a second time, for the wake-up is used again.
  use_path("/dev/full");
  expect_error(ask(post(line("a"))), 503, "outcome_unknown");
  use_memory();
  reactor_->request_journal_reopen();
  ASSERT_TRUE(eventually([&] { return !writer_.latched(); }));
  EXPECT_EQ(ask(post(line("a"))).status, 200);
}

TEST_F(JournaledReactorTest, AFullJournalStopsReadingLinesAndLosesNone) {
  use_memory();
  start();
  Client lines = ndjson();
  ASSERT_TRUE(lines.send(line("a")));
  EXPECT_EQ(lines.read_line(), "{\"ack\":1}");
  writer_.answer(AppendStatus::full);
  constexpr int count = 2'000;
  std::string many;
  for (int number = 0; number < count; ++number) many += line("a");
  ASSERT_TRUE(lines.send(many));
  EXPECT_FALSE(lines.readable(60ms));
  const Reply refused = ask(post(line("a")));
  expect_error(refused, 503, "unavailable");
  EXPECT_TRUE(refused.headers.contains("retry-after"));
  writer_.answer(AppendStatus::planned);
  std::string last;
  while (last != "{\"ack\":" + std::to_string(count + 1) + "}") {
    const auto next = lines.read_line();
    ASSERT_TRUE(next.has_value()) << "after " << last;
    last = *next;
  }
  EXPECT_EQ(intake_stats_->records_durable.value(), count + 1U);
}

TEST_F(JournaledReactorTest, AJournalThatIsNotReadyIsWaitedForAndThen429) {
  use_memory();
  start();
  writer_.answer(AppendStatus::not_ready);
  Client first = http();
  ASSERT_TRUE(first.send(post(line("a"))));
  ASSERT_TRUE(received(1));
  expect_error(ask(post(line("b"))), 429, "overloaded");
  writer_.answer(AppendStatus::planned);
  EXPECT_EQ(first.read_reply().value_or(Reply{}).status, 200);
}

TEST_F(JournaledReactorTest, TheAckHeaderChoosesTheMoment) {
  use_memory();
  start();
  EXPECT_EQ(ask(post(line("a"), "Ack: Journal\r\n")).status, 200);
  Client patient = http();
  ASSERT_TRUE(patient.send(post(line("a"), "Ack: commit\r\n")));
  ASSERT_TRUE(received(2));
  EXPECT_FALSE(patient.readable(60ms));
  ASSERT_TRUE(commit_rows(2));
  EXPECT_EQ(patient.read_reply().value_or(Reply{}).status, 200);
  expect_error(ask(post(line("a"), "Ack: none\r\n")), 400, "invalid_parameter");
  expect_error(ask(post(line("a"), "Ack: journal\r\nAck: commit\r\n")), 400, "invalid_parameter");
}

TEST_F(JournaledReactorTest, AListenersLevelHoldsUnlessARequestSaysOtherwise) {
  use_memory();
  start(AckLevel::commit);
  Client patient = http();
  Client lines = ndjson();
  ASSERT_TRUE(patient.send(post(line("a"))));
  ASSERT_TRUE(lines.send(line("a")));
  EXPECT_EQ(ask(post(line("a"), "Ack: journal\r\n")).status, 200);
  ASSERT_TRUE(received(3));
  EXPECT_FALSE(patient.readable(60ms));
  EXPECT_FALSE(lines.readable(0ms));
  ASSERT_TRUE(commit_rows(3));
  EXPECT_EQ(patient.read_reply().value_or(Reply{}).status, 200);
  EXPECT_EQ(lines.read_line(), "{\"ack\":1}");
}

TEST_F(JournaledReactorTest, WithoutAJournalTheCommitIsWhatIsAcknowledged) {
  start(AckLevel::journal, {}, false);
  Client client = http();
  ASSERT_TRUE(client.send(post(line("a"), "Ack: journal\r\n")));
  ASSERT_TRUE(received(1));
  EXPECT_FALSE(client.readable(60ms));
  ASSERT_TRUE(commit_rows(1));
  const Reply reply = client.read_reply().value_or(Reply{});
  EXPECT_EQ(reply.status, 200);
  EXPECT_FALSE(receipt_of(reply).empty());
}

TEST_F(JournaledReactorTest, WhileTheDatabaseIsAwayOnlyCommitsAreRefused) {
  use_memory();
  available_ = false;
  start();
  EXPECT_EQ(ask(post(line("a"))).status, 200);
  const Reply refused = ask(post(line("a"), "Ack: commit\r\n"));
  expect_error(refused, 503, "unavailable");
  EXPECT_NE(refused.body.find("The database is away."), std::string::npos);
}

TEST_F(JournaledReactorTest, AStopWaitsForTheBlockOnItsWayAndForNoDatabase) {
  use_pipe();
  start();
  Client client = http();
  Client lines = ndjson();
  std::string body;
  for (int device = 0; device < 20; ++device) body += line("well-" + std::to_string(device));
  ASSERT_TRUE(client.send(post(body)));
  ASSERT_TRUE(received(20));
  ASSERT_TRUE(lines.send(line("a")));
  ASSERT_TRUE(received(21));
  const auto began = std::chrono::steady_clock::now();
  reactor_->request_stop(began + 8s);
  EXPECT_FALSE(client.readable(60ms)) << "the block is not written";
  std::jthread disk([this](const std::stop_token& stop) {
    while (!stop.stop_requested() && drain_pipe() > 0) {
    }
  });
  Reply reply = client.read_reply().value_or(Reply{});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers["connection"], "close");
  EXPECT_EQ(lines.read_to_end(), "{\"ack\":1}\n");
  reactor_->join();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  files_.clear();  // the disk's end of the pipe sees its end
  EXPECT_EQ(intake_stats_->records_durable.value(), 21U);
  EXPECT_EQ(intake_stats_->records_pending.value(), 0);
}

TEST_F(JournaledReactorTest, AStopTellsWhatAFullJournalDidNotTake) {
  use_memory();
  start();
  writer_.answer(AppendStatus::full);
  Client client = http();
  ASSERT_TRUE(client.send(post(line("a"))));
  ASSERT_TRUE(received(1));
  reactor_->request_stop(std::chrono::steady_clock::now() + 8s);
  const Reply reply = client.read_reply().value_or(Reply{});
  expect_error(reply, 503, "unavailable");
  EXPECT_NE(reply.body.find("nothing of this request was stored"), std::string::npos) << reply.body;
}

TEST_F(JournaledReactorTest, MemoryStaysFlatThroughTenThousandRequestsThatNoShardTakes) {
  use_memory();
  constexpr std::uint32_t batches_max = 16;
  start(AckLevel::journal,
        {.batch_bytes = 64U << 10, .batches_max = batches_max, .block_bytes_max = 256U << 10});
  Client client = http();
  const std::string request = post(line("a") + line("b") + line("c"));
  constexpr int at_once = 100;
  std::string pipelined;
  for (int number = 0; number < at_once; ++number) pipelined += request;
  for (int round = 0; round < 10'000 / at_once; ++round) {
    ASSERT_TRUE(client.send(pipelined));
    for (int number = 0; number < at_once; ++number)
      ASSERT_EQ(client.read_reply().value_or(Reply{}).status, 200) << round;
  }
  EXPECT_EQ(intake_stats_->records_durable.value(), 30'000U);
  EXPECT_EQ(intake_stats_->batch_exhaustions.value(), 0U);
  EXPECT_GT(intake_stats_->batches_spilled.value(), 0U);
  EXPECT_LE(commit().batches, batches_max / 2) << "what the shards were given of all that";
}

}  // namespace
}  // namespace wellhead
