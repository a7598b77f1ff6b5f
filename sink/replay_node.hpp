// For tests: a node with its shards stepped by hand, a journal in memory and a simulated server or a real
// one, in one thread and with a clock of its own. Rows are told apart by their time, so that each can be
// looked for.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "sink/fake_journal.hpp"
#include "sink/postgres_committer.hpp"
#include "sink/shard.hpp"
#include "sink/simulated_server.hpp"
#include "sink/test_rows.hpp"

namespace wellhead::test {

class HandClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override { return now_ns / 1'000; }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return now_ns; }

  std::int64_t now_ns = 1'000'000'000;
};

class ReplayNode {
 public:
  static constexpr std::size_t batch_bytes = 16U << 10;

  // `connect` gives a shard its connection; none: to a simulated server.
  using Connect = std::function<std::unique_ptr<Database>()>;
  explicit ReplayNode(std::uint32_t reactors = 1, std::uint32_t shard_count = 1, FlushOptions options = {},
                      Connect connect = nullptr)
      : reactors_(reactors), shard_count_(shard_count), options_(options), connect_(std::move(connect)) {
    options_.batch_bytes = batch_bytes;
    start();
  }
  ~ReplayNode() { kill(); }
  ReplayNode(const ReplayNode&) = delete;
  ReplayNode& operator=(const ReplayNode&) = delete;

  // Starts as a process does: knows the journal and nothing else.
  void start() {
    board_ = std::make_unique<LaneBoard>(journal.epoch(), reactors_, shard_count_, journal.survey().lanes);
    std::vector<Mailbox*> returns;
    returns.reserve(reactors_);
    for (std::uint32_t reactor = 0; reactor < reactors_; ++reactor)
      returns.push_back(returned_.emplace_back(std::make_unique<Mailbox>()).get());
    for (std::uint32_t index = 0; index < shard_count_; ++index) {
      CommitterSetup setup{
          .shard = index,
          .streams = schemas,
          .owner = {.journal_id = journal.id_text(), .node_id = "node"},
          .synchronous_commit = "off",
          .scorer = std::make_unique<Scorer>(schemas, scorer_limits, scores.emplace_back(schemas.size()))};
      shards.push_back(std::make_unique<Shard>(
          index, options_, std::make_unique<PostgresCommitter>(make_connection(), std::move(setup)), returns,
          clock, -1, *board_, &journal, maps, &refused));
      senders_.emplace_back(shards.back()->mailbox());
    }
  }

  // As on TERM, with time enough: commits what is in memory and ends.
  void stop() {
    for (auto& shard : shards) {
      shard->request_stop(std::chrono::steady_clock::now() + std::chrono::minutes(1));
      while (shard->step().work != ShardWork::stopped) clock.now_ns += 20'000'000'000;
    }
  }

  // The process is gone with all its memory; what is durable stays.
  void kill() {
    senders_.clear();
    shards.clear();
    scores.clear();
    servers.clear();
    returned_.clear();
    batches_.clear();
    journal.restart(reactors_, shard_count_, batch_bytes);
  }
  void restart(std::uint32_t reactors, std::uint32_t shard_count) {
    kill();
    reactors_ = reactors;
    shard_count_ = shard_count;
    start();
  }

  // A durable batch of `rows` rows; `sent`: not left out of the shard's mailbox.
  Batch* add(std::uint32_t reactor, std::uint32_t shard, int rows, bool sent = true) {
    auto& batch = batches_.emplace_back(make_batch(batch_bytes, reactor));
    for (int row = 0; row < rows; ++row, ++rows_added)
      add_telemetry(*batch, "well-" + std::to_string(rows_added % 3), base_time_us + rows_added, 1);
    batch->set_shard(shard);
    const LaneId lane{board_->epoch(), reactor, shard};
    journal.append(*batch, lane);
    if (sent) senders_[shard].send(batch.get());
    board_->at(reactor, shard).durable.store(batch->lane_sequence());
    return batch.get();
  }

  // Steps every shard, each time past any linger, backoff and flush interval there may be, until nothing was
  // committed for some rounds: enough to connect, to fail and to connect again.
  void run() {
    constexpr int quiet_rounds = 8;
    for (int quiet = 0; quiet < quiet_rounds; ++quiet) {
      for (auto& shard : shards) {
        const ShardWork work = shard->step().work;
        if (work == ShardWork::committed || work == ShardWork::synchronized) quiet = 0;
      }
      clock.now_ns += 20'000'000'000;
    }
  }

  // Whether every row ever added is in the database once.
  [[nodiscard]] bool each_row_once() const {
    const std::vector<std::string> rows = store->committed.rows();
    return rows.size() == static_cast<std::size_t>(rows_added) &&
           std::adjacent_find(rows.begin(), rows.end()) == rows.end();
  }
  [[nodiscard]] std::vector<Batch*> take_returned(std::uint32_t reactor = 0) {
    std::vector<Batch*> taken(1'024);
    taken.resize(returned_[reactor]->take(taken));
    return taken;
  }
  [[nodiscard]] LaneState& lane(std::uint32_t reactor = 0, std::uint32_t shard = 0) {
    return board_->at(reactor, shard);
  }
  [[nodiscard]] LaneState& lane(LaneId id) { return *board_->find(id); }
  // Null for a lane that this run does not know.
  [[nodiscard]] LaneState* find(LaneId id) { return board_->find(id); }
  [[nodiscard]] const ShardStats& stats(std::size_t shard = 0) const { return shards[shard]->stats(); }

  HandClock clock;
  FakeJournal journal;
  std::vector<SchemaPointer> schemas = shipped_schemas();
  std::shared_ptr<ServerStore> store = std::make_shared<ServerStore>();
  StreamMaps maps;
  RefusedRows refused;
  ScorerLimits scorer_limits{.devices_max = 1'000, .saves_min = 1, .rows_per_save = 1'000};
  std::vector<SimulatedServer*> servers;          // a connection of each shard
  std::vector<std::vector<StreamScores>> scores;  // of each shard; before it, for they outlive its scorer
  std::vector<std::unique_ptr<Shard>> shards;
  int rows_added = 0;

 private:
  [[nodiscard]] std::unique_ptr<Database> make_connection() {
    if (connect_) return connect_();
    auto server = std::make_unique<SimulatedServer>(schemas, store, false);
    servers.push_back(server.get());
    return server;
  }

  std::uint32_t reactors_;
  std::uint32_t shard_count_;
  FlushOptions options_;
  Connect connect_;
  std::unique_ptr<LaneBoard> board_;
  std::vector<std::unique_ptr<Mailbox>> returned_;
  std::vector<Mailbox::Sender> senders_;
  std::vector<std::unique_ptr<Batch>> batches_;
};

}  // namespace wellhead::test
