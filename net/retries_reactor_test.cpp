// Repeated requests and producers over real sockets: a reactor with a real intake and ledger, whose journal
// is written to memory or, a page at a time, to a pipe.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "journal/ledger_table.hpp"
#include "net/batching_intake.hpp"
#include "net/reactor.hpp"
#include "net/testing/client.hpp"
#include "net/testing/compress.hpp"
#include "net/testing/fake_writer.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using testing::Client;
using testing::FakeWriter;
using testing::Reply;

enum class Ledger : bool { none, kept };

class RetriesReactorTest : public ::testing::Test {
 protected:
  void SetUp() override { start(); }
  // Clients are gone by now: a connection whose client does not close would hold the stop up.
  void TearDown() override {
    stop();
    file_.reset();  // the end of the pipe, for whoever reads it
  }

  // A node on what the journal of the last one holds.
  void start(Ledger ledger = Ledger::kept) {
    stop();
    for (Mailbox& inbox : inboxes_) drain(inbox);
    if (writer_) held_.insert(held_.end(), writer_->ledger().begin(), writer_->ledger().end());
    writer_ = std::make_unique<FakeWriter>();
    use_memory();
    table_ = std::make_unique<LedgerTable>(LedgerOptions{});
    for (const FakeWriter::LedgerSection& section : held_) {
      const auto entries = decode_entries(section.payload, section.entries);
      ASSERT_TRUE(entries);
      for (const LedgerEntry& entry : *entries) table_->restore(entry);
    }
    table_->finish_restore(clock_.wall_us());
    make_reactor(ledger == Ledger::kept ? table_.get() : nullptr);
  }

  void stop() {
    if (reactor_ == nullptr) return;
    reactor_->request_stop(std::chrono::steady_clock::now() + 2s);
    reactor_->join();
    rows_stored_ += intake_stats_->records_durable.value();
    reactor_.reset();
  }
  // By all nodes so far.
  [[nodiscard]] std::uint64_t rows_stored() const {
    return rows_stored_ + intake_stats_->records_durable.value();
  }

  void use_memory() {
    file_ = UniqueFd(memfd_create("journal", MFD_CLOEXEC));
    writer_->use_descriptor(file_.get(), false);
  }
  // Holds every block until release_disk().
  void block_disk() {
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    pipe_ = UniqueFd(ends[0]);
    file_ = UniqueFd(ends[1]);
    ASSERT_GT(fcntl(file_.get(), F_SETPIPE_SZ, 4096), 0);
    const std::array<char, 4096> page{};
    ASSERT_EQ(write(file_.get(), page.data(), page.size()), 4096);
    writer_->use_descriptor(file_.get(), true);
  }
  void release_disk() {
    disk_ = std::jthread([this](const std::stop_token& stop) {
      std::array<char, 4096> page{};
      while (!stop.stop_requested() && read(pipe_.get(), page.data(), page.size()) > 0) {
      }
    });
  }

  [[nodiscard]] Client http() const { return Client(reactor_->ports()[0]); }
  [[nodiscard]] Client ndjson() const { return Client(reactor_->ports()[1]); }
  [[nodiscard]] Client silent_ndjson() const { return Client(reactor_->ports()[2]); }
  [[nodiscard]] static std::string post(std::string_view body, std::string_view headers) {
    std::string request = "POST /v1/ingest/telemetry HTTP/1.1\r\nHost: node\r\n";
    request.append(headers).append("Content-Length: ").append(std::to_string(body.size()));
    return request.append("\r\n\r\n").append(body);
  }
  [[nodiscard]] Reply ask(std::string_view body, const std::string& key,
                          std::string_view headers = "") const {
    Client client = http();
    EXPECT_TRUE(client.send(post(body, "Idempotency-Key: " + key + "\r\n" + std::string(headers))));
    return client.read_reply().value_or(Reply{});
  }
  static void expect_error(const Reply& reply, int status, std::string_view code) {
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_NE(reply.body.find("\"code\":\"" + std::string(code) + "\""), std::string::npos) << reply.body;
  }
  [[nodiscard]] static bool eventually(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + testing::client_timeout;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > give_up) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
  // Reads lines until `last` came; all of them.
  static std::vector<std::string> read_until(Client& client, const std::string& last) {
    std::vector<std::string> lines;
    while (const auto next = client.read_line()) {
      lines.push_back(*next);
      if (*next == last) return lines;
    }
    ADD_FAILURE() << "no " << last << " after " << (lines.empty() ? "nothing" : lines.back());
    return lines;
  }

  const IntakeStats* intake_stats_ = nullptr;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<LedgerTable> table_;

 private:
  static void drain(Mailbox& inbox) {
    std::array<Batch*, 64> dropped{};
    while (inbox.take(dropped) > 0) {
    }
  }

  void make_reactor(LedgerTable* table) {
    std::vector<ShardPort> ports;
    for (Mailbox& inbox : inboxes_)
      ports.push_back({&inbox, [] { return true; }, [] { return std::string(); }});
    auto intake = std::make_unique<BatchingIntake>(BatchingOptions{}, std::move(ports), returns_, clock_,
                                                   board_, writer_.get(), table);
    intake_stats_ = &intake->stats();
    ReactorOptions options;
    const ListenerOptions lines{
        .protocol = Protocol::ndjson, .address = "127.0.0.1", .stream = "telemetry", .acknowledge = true};
    ListenerOptions silent = lines;
    silent.acknowledge = false;
    options.listeners = {{.protocol = Protocol::http, .address = "127.0.0.1", .stream = {}}, lines, silent};
    for (StreamConfig& config : builtin_streams())
      if (config.name == "telemetry") options.streams = {*Schema::compile(std::move(config), 0)};
    auto reactor = Reactor::create(std::move(options), std::move(intake), clock_);
    ASSERT_TRUE(reactor.has_value()) << reactor.error();
    reactor_ = std::move(*reactor);
    const auto started = reactor_->start();
    ASSERT_TRUE(started.has_value()) << started.error();
  }

  SystemClock clock_;
  std::array<Mailbox, 2> inboxes_;
  Mailbox returns_;
  LaneBoard board_{1, 1, 2, {}};
  std::vector<FakeWriter::LedgerSection> held_;
  std::unique_ptr<FakeWriter> writer_;
  UniqueFd file_;
  UniqueFd pipe_;
  std::jthread disk_;
  std::uint64_t rows_stored_ = 0;
};

// Records of now, since the node's clock is the real one.
std::string line(const std::string& device) {
  static const std::string now = std::to_string(std::time(nullptr));
  return R"({"timestamp":)" + now + R"(,"device_id":")" + device + "\"}\n";
}

// --- keys ---

TEST_F(RetriesReactorTest, ARepeatedRequestGetsTheSameReply) {
  const std::string body = line("a") + "broken\n" + line("b");
  const Reply first = ask(body, "order-1");
  EXPECT_EQ(first.status, 200);
  EXPECT_FALSE(first.headers.contains("idempotency-replayed"));
  Reply second = ask(body, "order-1");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.headers["idempotency-replayed"], "true");
  EXPECT_EQ(ask(testing::gzip(body), "order-1", "Content-Encoding: gzip\r\n").body, first.body)
      << "it is the content that counts";
  EXPECT_NE(ask(body, "order-2").body, first.body) << "another key, another receipt";
  EXPECT_EQ(rows_stored(), 4U);
}

TEST_F(RetriesReactorTest, ARepeatedRequestGetsTheSameReplyAfterARestart) {
  const Reply first = ask(line("a"), "k");
  EXPECT_EQ(first.status, 200);
  start();
  Reply second = ask(line("a"), "k");
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.headers["idempotency-replayed"], "true");
  EXPECT_EQ(intake_stats_->records_duplicate.value(), 1U);
  EXPECT_EQ(rows_stored(), 1U);
}

TEST_F(RetriesReactorTest, AKeyThatWasUsedForSomethingElseIsRefused) {
  EXPECT_EQ(ask(line("a"), "k").status, 200);
  expect_error(ask(line("b"), "k"), 422, "idempotency_key_conflict");
  EXPECT_EQ(ask(line("b"), "another").status, 200);
  EXPECT_EQ(rows_stored(), 2U);
}

TEST_F(RetriesReactorTest, ARequestIsNotTakenAgainWhileTheFirstIsOnItsWay) {
  block_disk();
  Client first = http();
  ASSERT_TRUE(first.send(post(line("a"), "Idempotency-Key: k\r\n")));
  ASSERT_TRUE(eventually([&] { return intake_stats_->records_received.value() == 1; }));
  const Reply early = ask(line("a"), "k");
  expect_error(early, 409, "idempotency_key_in_flight");
  EXPECT_TRUE(early.headers.contains("retry-after"));
  first.reset();  // whoever sent it is gone: it is stored all the same
  release_disk();
  Reply late;
  ASSERT_TRUE(eventually([&] { return (late = ask(line("a"), "k")).status != 409; }));
  EXPECT_EQ(late.status, 200);
  EXPECT_EQ(late.headers["idempotency-replayed"], "true");
  EXPECT_EQ(rows_stored(), 1U);
}

TEST_F(RetriesReactorTest, OfManyWithTheSameKeyAtTheSameTimeOneIsStored) {
  constexpr int clients = 8;
  constexpr int keys = 40;
  std::vector<std::jthread> threads;
  std::atomic<int> replies{0};
  for (int number = 0; number < clients; ++number)
    threads.emplace_back([&] {
      for (int key = 0; key < keys; ++key) {
        Reply reply;
        do {
          reply = ask(line("a") + line("b"), "key-" + std::to_string(key));
        } while (reply.status == 409);
        if (reply.status == 200) ++replies;
      }
    });
  threads.clear();
  EXPECT_EQ(replies, clients * keys);
  EXPECT_EQ(rows_stored(), 2U * keys);
}

TEST_F(RetriesReactorTest, KeysThatAreNoneAreRefused) {
  for (const std::string& key : {std::string(), std::string("two words"), std::string(256, 'k'),
                                 std::string("a\r\nIdempotency-Key: b"), std::string("k\xc3\xbc")})
    expect_error(ask(line("a"), key), 400, "invalid_idempotency_key");
  EXPECT_EQ(ask(line("a"), std::string(255, 'k')).status, 200);
  EXPECT_EQ(rows_stored(), 1U);
}

TEST_F(RetriesReactorTest, WhereNothingIsRememberedAKeyIsRefusedAndNotIgnored) {
  start(Ledger::none);
  expect_error(ask(line("a"), "k"), 400, "idempotency_unavailable");
  Client client = ndjson();
  ASSERT_TRUE(client.send("{\"producer\":\"pump\"}\n" + line("a")));
  const std::string said = client.read_to_end().value_or("");
  EXPECT_NE(said.find("\"producer_unavailable\""), std::string::npos) << said;
  EXPECT_EQ(rows_stored(), 0U);
}

// --- producers ---

TEST_F(RetriesReactorTest, AProducerLearnsWhatIsStoredAndGoesOnBehindIt) {
  {
    Client client = ndjson();
    ASSERT_TRUE(
        client.send("{\"producer\":\"pump-7\",\"sequence\":1}\n" + line("a") + line("a") + line("a")));
    EXPECT_EQ(client.read_line(), R"({"producer":"pump-7","sequence":0})");
    (void)read_until(client, "{\"ack\":3}");
  }
  start();  // also across a restart
  Client client = ndjson();
  ASSERT_TRUE(client.send("{\"producer\":\"pump-7\"}\n"));
  EXPECT_EQ(client.read_line(), R"({"producer":"pump-7","sequence":3})");
  ASSERT_TRUE(client.send(line("a") + "broken\n"));
  const std::vector<std::string> said = read_until(client, "{\"ack\":5}");
  EXPECT_TRUE(std::ranges::any_of(said, [](const std::string& text) {
    return text.starts_with(R"({"reject":{"line":5,"code":"malformed_json")");
  }));
  EXPECT_EQ(rows_stored(), 4U);
}

TEST_F(RetriesReactorTest, LinesThatAreStoredAreAcknowledgedAndNotStoredAgain) {
  {
    Client client = ndjson();
    ASSERT_TRUE(
        client.send("{\"producer\":\"pump\",\"sequence\":1}\n" + line("1") + line("2") + "\n" + line("4")));
    (void)read_until(client, "{\"ack\":4}");
  }
  Client client = ndjson();
  ASSERT_TRUE(client.send("{\"producer\":\"pump\",\"sequence\":2}\n" + line("2") + "\n" + line("4") +
                          line("5") + line("6")));
  EXPECT_EQ(client.read_line(), R"({"producer":"pump","sequence":4})");
  (void)read_until(client, "{\"ack\":6}");
  EXPECT_EQ(intake_stats_->records_duplicate.value(), 2U) << "a blank line is no record";
  EXPECT_EQ(rows_stored(), 5U);
}

TEST_F(RetriesReactorTest, ALaterConnectionTakesOverWhenTheLinesOfTheEarlierAreSettled) {
  block_disk();
  Client earlier = ndjson();
  ASSERT_TRUE(earlier.send("{\"producer\":\"pump\",\"sequence\":1}\n" + line("1")));
  EXPECT_EQ(earlier.read_line(), R"({"producer":"pump","sequence":0})");
  ASSERT_TRUE(eventually([&] { return intake_stats_->records_received.value() == 1; }));
  Client later = ndjson();
  ASSERT_TRUE(later.send("{\"producer\":\"pump\",\"sequence\":1}\n" + line("1") + line("2")));
  EXPECT_FALSE(later.readable(60ms)) << "it is not known yet what the earlier connection stored";
  ASSERT_TRUE(earlier.send(line("2")));
  const std::string refused = earlier.read_to_end().value_or("");
  EXPECT_NE(refused.find("\"producer_taken_over\""), std::string::npos) << refused;
  release_disk();
  EXPECT_EQ(later.read_line(), R"({"producer":"pump","sequence":1})");
  (void)read_until(later, "{\"ack\":2}");
  EXPECT_EQ(rows_stored(), 2U);
}

TEST_F(RetriesReactorTest, AProducerThatIsNoneIsToldWhy) {
  for (const std::string& greeting :
       {std::string(R"({"producer":"two words"})"), std::string(R"({"producer":"p","sequence":0})")}) {
    Client client = ndjson();
    ASSERT_TRUE(client.send(greeting + "\n" + line("a")));
    const std::string said = client.read_to_end().value_or("");
    EXPECT_TRUE(said.starts_with(R"({"reject":{"line":1,"code":"invalid_producer")")) << said;
  }
  Client client = silent_ndjson();
  ASSERT_TRUE(client.send("{\"producer\":\"p\"}\n" + line("a")));
  const std::string said = client.read_to_end().value_or("");
  EXPECT_NE(said.find("\"producer_unavailable\""), std::string::npos) << said;
  EXPECT_EQ(rows_stored(), 0U);
}

TEST_F(RetriesReactorTest, AGreetingMayArriveInPieces) {
  Client client = ndjson();
  const std::string greeting = "{\"producer\":\"pump\",\"sequence\":10}\r\n";
  for (const char character : greeting) {
    ASSERT_TRUE(client.send(std::string_view(&character, 1)));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(client.read_line(), R"({"producer":"pump","sequence":0})");
  ASSERT_TRUE(client.send(line("a")));
  (void)read_until(client, "{\"ack\":10}");
  EXPECT_EQ(rows_stored(), 1U);
}

// A client that keeps what was not acknowledged and comes back with it, whenever it likes to.
TEST_F(RetriesReactorTest, AProducerThatBreaksOffAtRandomStoresEachLineOnce) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr std::uint64_t lines = 3'000;
  std::uint64_t acknowledged = 0;
  for (int connection = 0; acknowledged < lines; ++connection) {
    ASSERT_LT(connection, 1'000);
    if (random() % 10 == 0) start();
    Client client = ndjson();
    std::string text = "{\"producer\":\"pump\",\"sequence\":" + std::to_string(acknowledged + 1) + "}\n";
    const std::uint64_t last = std::min(lines, acknowledged + 1 + random() % 400);
    for (std::uint64_t number = acknowledged + 1; number <= last; ++number)
      text += line("well-" + std::to_string(number));
    const bool breaks_off = random() % 2 == 0;
    ASSERT_TRUE(
        client.send(std::string_view(text).substr(0, breaks_off ? random() % text.size() : text.size())));
    if (breaks_off) {
      if (random() % 2 == 0) client.reset();
      continue;
    }
    ASSERT_TRUE(client.read_line().value_or("").starts_with("{\"producer\""));
    (void)read_until(client, "{\"ack\":" + std::to_string(last) + "}");
    acknowledged = last;
  }
  EXPECT_EQ(rows_stored(), lines);
}

}  // namespace
}  // namespace wellhead
