// NDJSON over real sockets against a real reactor.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/testing/reactor_fixture.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;
using testing::Client;

std::string ack(std::uint64_t line) {
  return "{\"ack\":" + std::to_string(line) + "}";
}

std::string reject(std::uint64_t line, std::string_view code) {
  return "{\"reject\":{\"line\":" + std::to_string(line) + ",\"code\":\"" + std::string(code) + "\"";
}

class NdjsonSessionTest : public testing::ReactorFixture {
 protected:
  // Lines up to and with the acknowledgement of `line`.
  static std::vector<std::string> read_until_ack(Client& client, std::uint64_t line) {
    std::vector<std::string> lines;
    while (lines.empty() || lines.back() != ack(line)) {
      auto next = client.read_line();
      if (!next) {
        ADD_FAILURE() << "no " << ack(line) << " after " << lines.size() << " lines";
        break;
      }
      lines.push_back(*next);
    }
    return lines;
  }
  // Waits until nothing is received for a while.
  [[nodiscard]] bool reading_stops() const {
    return eventually([this] {
      const std::uint64_t before = stats().bytes_received.value();
      std::this_thread::sleep_for(200ms);
      return stats().bytes_received.value() == before;
    });
  }
};

TEST_F(NdjsonSessionTest, LinesAreAcknowledgedCumulatively) {
  start();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\ntwo\n"));
  (void)read_until_ack(client, 2);
  ASSERT_TRUE(client.send("three\r\n"));
  (void)read_until_ack(client, 3);
  EXPECT_EQ(intake_.all_bodies(), "one\ntwo\nthree\r\n");
}

TEST_F(NdjsonSessionTest, LinesOfOneArrivalAreOneRequest) {
  start();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\ntwo\nthree\n"));
  (void)read_until_ack(client, 3);
  EXPECT_EQ(intake_.bodies(), std::vector<std::string>{"one\ntwo\nthree\n"});
  EXPECT_EQ(stats().requests.value(), 1U);
}

TEST_F(NdjsonSessionTest, ARejectedLineIsNamedBeforeItIsAcknowledged) {
  start();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\nbad\nthree\n"));
  const auto lines = read_until_ack(client, 3);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(
      lines[0],
      "{\"reject\":{\"line\":2,\"code\":\"wrong_type\",\"field\":\"pressure\",\"message\":\"it is bad\"}}");
}

TEST_F(NdjsonSessionTest, BlankLinesCountAsLinesButAreNotRecords) {
  start();
  Client client = ndjson();
  ASSERT_TRUE(client.send("\n\none\n \t\r\n\nbad\n\nbad\nfour\n\n"));
  const auto lines = read_until_ack(client, 10);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_TRUE(lines[0].starts_with(reject(6, "wrong_type"))) << lines[0];
  EXPECT_TRUE(lines[1].starts_with(reject(8, "wrong_type"))) << lines[1];
  ASSERT_TRUE(client.send("\n\n"));
  (void)read_until_ack(client, 12);
  EXPECT_EQ(intake_.bodies().size(), 1U);
}

TEST_F(NdjsonSessionTest, LinesArriveTheSameHoweverTheyAreCut) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  NetLimits limits;
  limits.receive_buffer_bytes = 8'192;
  limits.receive_buffers = 16;
  start(limits);
  std::string text;
  std::vector<std::uint64_t> bad_lines;
  constexpr std::uint64_t line_count = 3'000;
  for (std::uint64_t line = 1; line <= line_count; ++line) {
    const bool bad = random() % 20 == 0;
    if (bad) bad_lines.push_back(line);
    // Now and then one that is longer than the headroom, or than a receive buffer.
    const std::size_t size = random() % 100 == 0 ? random() % 20'000 : random() % 200;
    text += random() % 10 == 0 && !bad
                ? ""
                : (bad ? "bad" : "line") + std::to_string(line) + std::string(size, '.');
    text += '\n';
  }
  Client client = ndjson();
  std::jthread sender([&] {
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::string_view piece = rest.substr(0, 1 + random() % (random() % 5 == 0 ? 30'000 : 300));
      EXPECT_TRUE(client.send(piece));
      rest.remove_prefix(piece.size());
    }
  });
  const auto lines = read_until_ack(client, line_count);
  std::size_t next_bad = 0;
  for (const std::string& line : lines) {
    if (!line.starts_with("{\"reject\"")) continue;
    ASSERT_LT(next_bad, bad_lines.size());
    EXPECT_TRUE(line.starts_with(reject(bad_lines[next_bad], "wrong_type"))) << line;
    ++next_bad;
  }
  EXPECT_EQ(next_bad, bad_lines.size());
  std::string kept;
  for (const std::string& line : {intake_.all_bodies(), text})
    for (std::size_t at = 0; at < line.size(); ++at)
      if (line[at] != '\n' || (at > 0 && line[at - 1] != '\n')) kept += line[at];
  EXPECT_TRUE(kept.substr(0, kept.size() / 2) == kept.substr(kept.size() / 2));
}

TEST_F(NdjsonSessionTest, TheLastLineMayLackItsNewline) {
  start();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\ntwo"));
  client.shutdown_write();
  const auto all = client.read_to_end();
  ASSERT_TRUE(all.has_value());
  EXPECT_TRUE(all->ends_with(ack(2) + "\n")) << *all;
  EXPECT_EQ(intake_.all_bodies(), "one\ntwo\n");
}

TEST_F(NdjsonSessionTest, AfterTheClientsEndTheRemainingAcksAreDelivered) {
  start();
  intake_.hold_outcomes();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\ntwo\n"));
  client.shutdown_write();
  EXPECT_FALSE(client.readable(100ms));
  intake_.release_outcomes();
  EXPECT_EQ(client.read_to_end(), ack(2) + "\n");
}

TEST_F(NdjsonSessionTest, OutcomesInAnyOrderAreToldInTheOrderOfTheLines) {
  start();
  intake_.hold_outcomes();
  Client client = ndjson();
  for (std::size_t chunk = 0; chunk < 20; ++chunk) {
    ASSERT_TRUE(client.send("good\nbad\n"));
    ASSERT_TRUE(eventually([&] { return intake_.submitted() == chunk + 1; }));
  }
  intake_.release_outcomes_backwards();
  const auto lines = read_until_ack(client, 40);
  ASSERT_EQ(lines.size(), 21U);
  for (std::uint64_t chunk = 0; chunk < 20; ++chunk)
    EXPECT_TRUE(lines[chunk].starts_with(reject(2 * chunk + 2, "wrong_type"))) << lines[chunk];
}

TEST_F(NdjsonSessionTest, ALineTooLongIsRejectedAndTheConnectionGoesOn) {
  NetLimits limits;
  limits.line_bytes_max = 1'000;
  start(limits);
  Client client = ndjson();
  const std::string longest(1'000, 'x');
  ASSERT_TRUE(client.send("one\n" + longest + "\n" + longest + "y\nfour\n"));
  const auto lines = read_until_ack(client, 4);
  std::size_t rejects = 0;
  for (const std::string& line : lines)
    if (line.starts_with(reject(3, "record_too_large"))) ++rejects;
  EXPECT_EQ(rejects, 1U);
  EXPECT_TRUE(intake_.all_bodies() == "one\n" + longest + "\nfour\n");
  EXPECT_EQ(stats().line_overflows.value(), 1U);
}

TEST_F(NdjsonSessionTest, ALineOfAHundredMegabytesIsThrownAwayUpToItsNewline) {
  start();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\n"));
  const std::string piece(1U << 20, 'x');
  for (int megabyte = 0; megabyte < 100; ++megabyte) ASSERT_TRUE(client.send(piece));
  ASSERT_TRUE(client.send("\nthree\n"));
  const auto lines = read_until_ack(client, 3);
  EXPECT_TRUE(intake_.all_bodies() == "one\nthree\n");
  EXPECT_EQ(stats().line_overflows.value(), 1U);
  EXPECT_EQ(stats().body_memory_overflows.value(), 0U);
  EXPECT_EQ(std::ranges::count_if(
                lines, [](const auto& line) { return line.starts_with(reject(2, "record_too_large")); }),
            1);
}

TEST_F(NdjsonSessionTest, TheBeginningOfALineTooLongIsKeptAndItsRejectionWaitsForThat) {
  NetLimits limits;
  limits.line_bytes_max = 1'000;
  intake_.keep_too_large();
  start(limits);
  Client client = ndjson();
  intake_.hold_outcomes();
  const std::string within(1'500, 'w');
  ASSERT_TRUE(client.send("one\n" + within + "\nthree\n"));
  // In pieces, longer than what is kept of it.
  for (int piece = 0; piece < 30; ++piece) ASSERT_TRUE(client.send(std::string(999, 'p')));
  ASSERT_TRUE(client.send("\nfive\n" + std::string(2'000, 'e')));
  client.shutdown_write();
  ASSERT_TRUE(eventually([&] { return intake_.too_large().size() == 3; }));
  EXPECT_FALSE(client.readable(std::chrono::milliseconds(20)));
  intake_.release_outcomes();
  const auto all = client.read_to_end();
  ASSERT_TRUE(all.has_value());
  for (const std::uint64_t line : {2U, 4U, 6U})
    EXPECT_NE(all->find(reject(line, "record_too_large")), std::string::npos) << *all;
  EXPECT_TRUE(all->ends_with(ack(6) + "\n")) << *all;
  const auto kept = intake_.too_large();
  EXPECT_EQ(kept[0].beginning, within);
  EXPECT_EQ(kept[0].bytes, 1'500U);
  EXPECT_EQ(kept[1].beginning, std::string(16U << 10, 'p'));
  EXPECT_EQ(kept[1].bytes, 30U * 999U);
  EXPECT_EQ(kept[2].beginning, std::string(2'000, 'e'));
  EXPECT_EQ(kept[2].bytes, 2'000U);
}

TEST_F(NdjsonSessionTest, ALineTooLongAtTheEndIsRejectedToo) {
  NetLimits limits;
  limits.line_bytes_max = 100;
  start(limits);
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\n" + std::string(500, 'x')));
  client.shutdown_write();
  const auto all = client.read_to_end();
  ASSERT_TRUE(all.has_value());
  EXPECT_NE(all->find(reject(2, "record_too_large")), std::string::npos) << *all;
  EXPECT_TRUE(all->ends_with(ack(2) + "\n"));
}

TEST_F(NdjsonSessionTest, WithoutAcknowledgementsNothingIsEverSent) {
  start();
  Client client = silent_ndjson();
  ASSERT_TRUE(client.send("one\nbad\n" + std::string(3U << 20, 'x') + "\nlast"));
  client.shutdown_write();
  EXPECT_EQ(client.read_to_end(), "");
  ASSERT_TRUE(eventually([&] { return intake_.all_bodies() == "one\nbad\nlast\n"; }));
}

TEST_F(NdjsonSessionTest, ABusyIntakeStopsTheReadingAndNothingIsLost) {
  start();
  Client client = ndjson();
  const std::string first = "first\n";
  ASSERT_TRUE(client.send(first));
  (void)read_until_ack(client, 1);
  intake_.answer(Submission::busy);
  constexpr std::uint64_t line_count = 200'000;
  std::string text;
  for (std::uint64_t line = 2; line <= line_count; ++line)
    text += "record " + std::to_string(line) + std::string(100, '.') + "\n";
  std::jthread sender([&] { EXPECT_TRUE(client.send(text)); });
  // The reading stops: 22 MB neither arrive nor pile up.
  ASSERT_TRUE(eventually([&] { return stats().bytes_received.value() > first.size(); }));
  ASSERT_TRUE(reading_stops());
  EXPECT_LT(stats().bytes_received.value(), text.size());
  intake_.answer(Submission::taken);
  (void)read_until_ack(client, line_count);
  EXPECT_TRUE(intake_.all_bodies() == first + text);
}

TEST_F(NdjsonSessionTest, AnIntakeThatComesAndGoesLosesNothing) {
  NetLimits limits;
  limits.receive_buffer_bytes = 4'096;
  start(limits);
  Client client = ndjson();
  std::string text;
  constexpr std::uint64_t line_count = 30'000;
  for (std::uint64_t line = 1; line <= line_count; ++line) text += "record " + std::to_string(line) + "\n";
  std::jthread sender([&] { EXPECT_TRUE(client.send(text)); });
  std::jthread switcher([&](const std::stop_token& stop) {
    for (int round = 0; !stop.stop_requested(); ++round) {
      intake_.answer(round % 2 == 0 ? Submission::busy : Submission::unavailable);
      std::this_thread::sleep_for(1ms);
      intake_.answer(Submission::taken);
      std::this_thread::sleep_for(1ms);
    }
    intake_.answer(Submission::taken);
  });
  (void)read_until_ack(client, line_count);
  switcher.request_stop();
  EXPECT_TRUE(intake_.all_bodies() == text);
}

TEST_F(NdjsonSessionTest, AsMuchAsMayBeOnItsWayIsTakenAndThenTheReadingStops) {
  start();
  intake_.hold_outcomes();
  Client client = ndjson();
  std::string text;
  while (text.size() < 40U << 20)
    text += "record " + std::to_string(text.size()) + std::string(150, '.') + "\n";
  const auto line_count = static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
  std::jthread sender([&] { EXPECT_TRUE(client.send(text)); });
  EXPECT_TRUE(eventually([&] { return intake_.all_bodies().size() > 7U << 20; }));
  EXPECT_TRUE(reading_stops());
  EXPECT_LT(intake_.all_bodies().size(), 10U << 20);
  intake_.release_outcomes();
  (void)read_until_ack(client, line_count);
  EXPECT_TRUE(intake_.all_bodies() == text);
}

TEST_F(NdjsonSessionTest, AClientThatNeverReadsItsAcksIsNotReadEither) {
  NetLimits limits;
  limits.send_timeout = 300ms;
  start(limits);
  Client client = ndjson();
  std::jthread sender([&] {
    std::string lines;
    while (lines.size() < 1U << 20) lines += "bad\n";
    for (int megabyte = 0; megabyte < 60 && client.send(lines); ++megabyte) {
    }
  });
  EXPECT_TRUE(
      eventually([&] { return stats().send_timeouts.value() + stats().reply_overflows.value() == 1; }));
  EXPECT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
}

TEST_F(NdjsonSessionTest, ATrickleWithoutANewlineIsIdle) {
  NetLimits limits;
  limits.idle_timeout = 200ms;
  start(limits);
  Client client = ndjson();
  for (int byte = 0; byte < 90 && !client.readable(20ms); ++byte) (void)client.send("x");
  EXPECT_TRUE(eventually([&] { return stats().idle_timeouts.value() == 1; }));
  EXPECT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
}

TEST_F(NdjsonSessionTest, AConnectionThatWaitsForItsOutcomesIsNotIdle) {
  NetLimits limits;
  limits.idle_timeout = 100ms;
  start(limits);
  intake_.hold_outcomes();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\n"));
  std::this_thread::sleep_for(300ms);
  intake_.release_outcomes();
  (void)read_until_ack(client, 1);
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(stats().idle_timeouts.value(), 1U);
}

TEST_F(NdjsonSessionTest, AnAbandonedChunkIsNotAcknowledgedNorAnythingBehindIt) {
  start();
  intake_.hold_outcomes();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\n"));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 1; }));
  intake_.abandon_outcomes();
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(NdjsonSessionTest, AClientThatVanishesIsCountedAndItsOutcomesAreDelivered) {
  start();
  intake_.hold_outcomes();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\ntwo\nthr"));
  ASSERT_TRUE(eventually([&] { return intake_.submitted() == 1; }));
  client.reset();
  ASSERT_TRUE(eventually([&] { return stats().connections_open.value() == 0; }));
  intake_.release_outcomes();
  EXPECT_TRUE(eventually([&] { return intake_.delivered() == 1; }));
  EXPECT_EQ(stats().disconnects_early.value(), 1U);
}

TEST_F(NdjsonSessionTest, ARunThatIsRefusedAsAWholeRejectsEachOfItsLines) {
  start();
  Client client = ndjson();
  ASSERT_TRUE(client.send("one\n\nmalformed\n"));
  const auto lines = read_until_ack(client, 3);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_TRUE(lines[0].starts_with(reject(1, "malformed_json")));
  EXPECT_TRUE(lines[1].starts_with(reject(3, "malformed_json")));
}

}  // namespace
}  // namespace wellhead
