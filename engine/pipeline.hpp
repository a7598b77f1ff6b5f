// The node put together: lanes, shards with their committers, reactors with their intakes, the admin port,
// and the order in which they start and stop.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "engine/admin.hpp"
#include "engine/config.hpp"
#include "engine/config_check.hpp"
#include "engine/maintenance_thread.hpp"
#include "engine/node_journal.hpp"
#include "engine/node_view.hpp"
#include "net/batching_intake.hpp"
#include "net/reactor.hpp"
#include "net/receipt_desk.hpp"
#include "queue/lane.hpp"
#include "queue/mailbox.hpp"
#include "queue/refused_rows.hpp"
#include "scoring/scorer.hpp"
#include "sink/shard.hpp"

namespace wellhead {

class Pipeline final : public NodeView {
 public:
  // Binds every listener; starts no thread. The error is a sentence. `journal` is null for a node without
  // one. All of them outlive the pipeline.
  [[nodiscard]] static std::expected<std::unique_ptr<Pipeline>, std::string> create(
      const LoadedConfig& loaded, const ThreadCounts& threads, NodeJournal* journal, const Clock& clock);
  ~Pipeline() override;

  // What HUP changes, to be shown on /metrics. Before start(); both outlive the pipeline.
  void show(const ReloadStats& reloads, const AttributeKeeper& attributes) noexcept {
    reloads_ = &reloads;
    attributes_ = &attributes;
  }

  // The admin port first, so that health answers from the beginning; then the journal and the shards; then
  // what takes records.
  [[nodiscard]] std::expected<void, std::string> start();

  // Stops in the order of a record's way: the reactors take nothing new and answer what was taken, the shards
  // commit what is left, the journal is trimmed, the admin port goes last. Returns by `deadline`, or shortly
  // after if a thread is held up. What could not be committed by then is in the journal, or was never
  // acknowledged.
  void stop(std::chrono::steady_clock::time_point deadline);
  // Any thread. After an operator's action: writers that latched take records again.
  void reopen_journal();

  // Where it listens, with the ports the system chose; "off" where it does not. After create().
  struct Addresses {
    std::string http;
    std::string ndjson;
    std::string admin;
  };
  [[nodiscard]] const Addresses& addresses() const noexcept { return addresses_; }
  [[nodiscard]] const ThreadCounts& threads() const noexcept { return threads_; }

  [[nodiscard]] std::vector<ReactorReading> reactors() const override;
  [[nodiscard]] std::vector<ShardReading> shards() const override;
  [[nodiscard]] std::optional<JournalReading> journal() const override;
  [[nodiscard]] const ReloadStats* reloads() const override { return reloads_; }
  [[nodiscard]] std::vector<AttributesReading> attributes() const override {
    return attributes_ != nullptr ? attributes_->read() : std::vector<AttributesReading>{};
  }
  [[nodiscard]] std::vector<std::string> stream_names() const override;
  [[nodiscard]] std::vector<QualityReading> quality() const override;
  [[nodiscard]] const MaintenanceStats* maintenance() const override {
    return maintenance_ ? &maintenance_->stats() : nullptr;
  }
  [[nodiscard]] bool started() const override { return started_.load(std::memory_order_acquire); }
  [[nodiscard]] bool stopping() const override { return stopping_.load(std::memory_order_acquire); }

 private:
  // What lanes are known by outside.
  struct LaneOwner {
    std::string journal_id;
    std::uint32_t receipt_digest;
  };
  // A reactor and what of its intake may be read; the reactor owns the intake.
  struct Front {
    std::unique_ptr<Reactor> reactor;
    const IntakeStats* intake;
  };
  using Outcome = std::expected<void, std::string>;

  Pipeline(const LoadedConfig& loaded, const ThreadCounts& threads, NodeJournal* journal, const Clock& clock);
  void create_shards();
  [[nodiscard]] Outcome create_reactors();
  [[nodiscard]] Outcome create_reactor(std::uint32_t index);
  [[nodiscard]] Outcome create_admin();
  [[nodiscard]] std::unique_ptr<Committer> make_committer(std::uint32_t shard);
  [[nodiscard]] std::unique_ptr<Scorer> make_scorer(std::uint32_t shard);
  // Of this run, and behind them those that only the journal has rows of.
  [[nodiscard]] const std::vector<SchemaPointer>& streams() const;
  // Stops the shards without waiting for the database.
  void give_up();
  [[nodiscard]] BatchingOptions batching_options(std::uint32_t reactor) const;
  [[nodiscard]] std::vector<ShardPort> shard_ports() const;
  [[nodiscard]] std::vector<ListenerOptions> listeners() const;
  [[nodiscard]] int processor_for(std::uint32_t thread) const;
  // Adds up the lanes of a shard.
  void measure_lag(ShardReading& reading) const;

  const LoadedConfig& loaded_;
  const Config& config_;
  NodeJournal* const journal_;
  const Clock& clock_;
  const ReloadStats* reloads_ = nullptr;
  const AttributeKeeper* attributes_ = nullptr;
  const ThreadCounts threads_;
  // Whose lanes they are: the journal's, or this process's, whose receipts and progress end with it.
  const LaneOwner owner_;
  const std::unique_ptr<LaneBoard> lanes_;
  RefusedRows refused_;
  const ReceiptDesk receipts_;
  std::vector<int> processors_;
  Addresses addresses_;
  // Declared in the order of use: reactors send into shards' mailboxes and shards into `returns_`, so both
  // outlive the reactors' intakes.
  std::vector<std::unique_ptr<Mailbox>> returns_;
  std::vector<std::vector<StreamScores>> scores_;  // by shard, by stream; empty where nothing is scored
  std::vector<std::unique_ptr<Shard>> shards_;
  AdminHandler admin_handler_;
  std::vector<Front> fronts_;
  std::unique_ptr<MaintenanceThread> maintenance_;  // null: somebody else cares for the database
  std::unique_ptr<Reactor> admin_;
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace wellhead
