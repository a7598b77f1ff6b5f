// Clients that repeat themselves against a node that dies, from a seed: whatever happens in whatever order,
// each record is stored once. The journal and the database behind it are a model (a block is there as a whole
// or not at all, and its rows are stored once); tables, entries and the ledger's file are the real ones.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>

#include "journal/ledger_store.hpp"
#include "journal/simulated_file_system.hpp"

namespace wellhead {
namespace {

constexpr journal_format::JournalId journal_id{4, 2};
constexpr std::uint64_t batches_count = 30;
constexpr std::uint64_t producers_count = 3;
constexpr std::uint64_t lines_count = 40;

class SteppedClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override { return ++now_us_; }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return now_us_ * 1'000; }

 private:
  mutable std::int64_t now_us_ = 0;
};

// What the model does wrong on purpose, to show that the test would see it.
enum class Mistake : std::uint8_t { none, entries_in_a_later_block, file_not_saved_before_trimming };

struct Block {
  std::vector<std::byte> ledger;
  std::uint32_t entries = 0;
};

// A request that was taken and is not durable. `key` or `lines` is set.
struct Taken {
  std::optional<RequestEntry> key;
  std::optional<ProducerEntry> lines;
  std::vector<std::string> records;
};

// What a power loss leaves.
struct Disk {
  explicit Disk(std::uint64_t seed) : files({.seed = seed}) {}
  SimulatedFileSystem files;
  std::deque<Block> journal;
  std::map<std::string, int> stored;
};

class Node {
 public:
  Node(Disk& disk, const Clock& clock, Mistake mistake)
      : disk_(disk), clock_(clock), mistake_(mistake), store_(disk.files, clock, journal_id, table_) {
    EXPECT_TRUE(store_.load(false));
    for (const Block& block : disk.journal) EXPECT_TRUE(store_.restore_section(block.ledger, block.entries));
    store_.finish_load();
  }

  LedgerTable& table() { return table_; }
  void take(Taken request) { taken_.push_back(std::move(request)); }

  // The block of everything taken is written. The node may die in the middle of it, in front of it or behind.
  void write_block() {
    Block block;
    for (const Taken& request : taken_) {
      if (request.key) append_entry(block.ledger, *request.key);
      if (request.lines) append_entry(block.ledger, *request.lines);
      ++block.entries;
      for (const std::string& record : request.records) ++disk_.stored[record];
    }
    if (mistake_ == Mistake::entries_in_a_later_block) {
      late_.push_back(std::move(block));
      if (late_.size() < 2) return;
      block = std::move(late_.front());
      late_.pop_front();
    }
    disk_.journal.push_back(std::move(block));
  }
  void finish() {
    for (const Taken& request : taken_) {
      if (request.key) table_.keys.finish(*request.key);
      if (request.lines) table_.producers.finish(*request.lines);
    }
    taken_.clear();
  }
  void abandon() {
    for (const Taken& request : taken_) {
      if (request.key) table_.keys.abandon(request.key->key);
      if (request.lines) table_.producers.abandon(request.lines->producer);
    }
    taken_.clear();
  }
  // False when the power went.
  bool trim() {
    if (disk_.journal.empty()) return true;
    const bool saved = mistake_ == Mistake::file_not_saved_before_trimming || store_.save().has_value();
    if (saved) disk_.journal.pop_front();
    return disk_.files.powered();
  }

 private:
  Disk& disk_;
  const Clock& clock_;
  Mistake mistake_;
  LedgerTable table_{LedgerOptions{}};
  LedgerStore store_;
  std::vector<Taken> taken_;
  std::deque<Block> late_;
};

// One run from a seed. The clients' own state lives through the node's deaths.
class Retries {
 public:
  Retries(std::uint64_t seed, Mistake mistake) : random_(seed), mistake_(mistake), disk_(seed) { restart(); }

  // How many records were not stored exactly once.
  std::size_t run() {
    for (int step = 0; step < 3'000; ++step) random_step();
    for (int step = 0; step < 10'000 && !everything_acknowledged(); ++step) {
      client_step();
      end_block();
    }
    EXPECT_TRUE(everything_acknowledged());
    return wrong_records();
  }

 private:
  struct Connection {
    std::uint64_t claim = 0;
    bool ready = false;
    std::uint64_t next = 1;
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void restart() {
    node_ = std::make_unique<Node>(disk_, clock_, mistake_);
    for (auto& connection : connections_) connection = {};
  }
  void crash() {
    disk_.files.crash();
    restart();
  }

  void random_step() {
    switch (below(12)) {
      case 0:
        if (below(4) == 0) crash();
        break;
      case 1:
        node_->write_block();
        if (below(3) == 0)
          crash();  // durable, and nobody was told
        else
          node_->finish();
        break;
      case 2:
        node_->abandon();
        for (auto& connection : connections_) connection = {};
        break;
      case 3:
        if (below(5) == 0) disk_.files.lose_power_in(1 + below(8));
        if (!node_->trim()) crash();
        break;
      default:
        client_step();
    }
  }
  void end_block() {
    node_->write_block();
    node_->finish();
  }

  void client_step() {
    if (below(2) == 0)
      send_batch(below(batches_count));
    else
      send_lines(below(producers_count));
  }

  // A client hears only half of the replies, and repeats what it did not hear of.
  void send_batch(std::uint64_t batch) {
    if (batch_acknowledged_[batch]) return;
    const std::string name = "batch " + std::to_string(batch);
    const Fingerprint key = key_fingerprint("telemetry", name);
    const Fingerprint content = content_fingerprint(name, {});
    const KeyVerdict verdict = node_->table().keys.begin(key, content, clock_.wall_us());
    ASSERT_NE(verdict.status, KeyStatus::conflict);
    if (verdict.status == KeyStatus::repeated) {
      EXPECT_EQ(verdict.answer.accepted, 2U);
      batch_acknowledged_[batch] = below(2) == 0;
    }
    if (verdict.status != KeyStatus::fresh) return;
    node_->take({.key = RequestEntry{.key = key,
                                     .content = content,
                                     .time_us = clock_.wall_us(),
                                     .answer = {.accepted = 2, .receipt = name}},
                 .lines = {},
                 .records = {name + " first", name + " second"}});
  }

  void send_lines(std::uint64_t producer) {
    Connection& connection = connections_[producer];
    const Fingerprint name = producer_fingerprint("telemetry", std::to_string(producer));
    ProducerTable& producers = node_->table().producers;
    if (connection.claim == 0 || below(8) == 0)  // anew, also while the old one has lines on their way
      connection = {.claim = producers.claim(name, clock_.wall_us())};
    if (!connection.ready) {
      const ProducerStanding standing = producers.standing(name, connection.claim);
      ASSERT_NE(standing.status, ProducerStatus::taken_over);
      if (standing.status == ProducerStatus::settling) return;
      connection.ready = true;
      connection.next = standing.last_sequence + 1;
      line_acknowledged_[producer] = standing.last_sequence;
    }
    if (connection.next > lines_count) {
      connection = {};  // comes back to ask whether the last lines arrived
      return;
    }
    if (!producers.begin(name, connection.claim)) {
      connection = {};
      return;
    }
    Taken request;
    const std::uint64_t last = std::min(lines_count, connection.next + below(4));
    request.lines = ProducerEntry{.producer = name, .last_sequence = last, .time_us = clock_.wall_us()};
    for (; connection.next <= last; ++connection.next)
      request.records.push_back(line_name(producer, connection.next));
    node_->take(std::move(request));
  }

  static std::string line_name(std::uint64_t producer, std::uint64_t line) {
    return "producer " + std::to_string(producer) + " line " + std::to_string(line);
  }

  bool everything_acknowledged() const {
    return std::ranges::all_of(batch_acknowledged_, std::identity{}) &&
           std::ranges::all_of(line_acknowledged_, [](std::uint64_t line) { return line == lines_count; });
  }

  std::size_t wrong_records() const {
    std::size_t wrong = 0;
    const auto check = [&](const std::string& record) {
      const auto stored = disk_.stored.find(record);
      if (stored == disk_.stored.end() || stored->second != 1) ++wrong;
    };
    for (std::uint64_t batch = 0; batch < batches_count; ++batch) {
      check("batch " + std::to_string(batch) + " first");
      check("batch " + std::to_string(batch) + " second");
    }
    for (std::uint64_t producer = 0; producer < producers_count; ++producer)
      for (std::uint64_t line = 1; line <= lines_count; ++line) check(line_name(producer, line));
    return wrong;
  }

  std::mt19937_64 random_;
  Mistake mistake_;
  SteppedClock clock_;
  Disk disk_;
  std::unique_ptr<Node> node_;
  std::array<bool, batches_count> batch_acknowledged_{};
  std::array<std::uint64_t, producers_count> line_acknowledged_{};
  std::array<Connection, producers_count> connections_{};
};

TEST(LedgerProperty, WhateverDiesAndHoweverOftenClientsRepeatEachRecordIsStoredOnce) {
  const std::uint64_t first_seed = std::random_device{}();
  for (std::uint64_t seed = first_seed; seed < first_seed + 200; ++seed) {
    ASSERT_EQ(Retries(seed, Mistake::none).run(), 0U) << "seed " << seed;
    if (HasFatalFailure() || HasNonfatalFailure()) FAIL() << "seed " << seed;
  }
}

std::size_t wrong_with(Mistake mistake) {
  std::size_t wrong = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) wrong += Retries(seed, mistake).run();
  return wrong;
}

TEST(LedgerProperty, TheTestSeesEntriesThatAreNotInTheBlockOfTheirRows) {
  EXPECT_GT(wrong_with(Mistake::entries_in_a_later_block), 0U);
}

TEST(LedgerProperty, TheTestSeesALedgerThatIsNotSavedBeforeTrimming) {
  EXPECT_GT(wrong_with(Mistake::file_not_saved_before_trimming), 0U);
}

}  // namespace
}  // namespace wellhead
