// The node put together: shards with their committers, reactors with their intakes, the admin port, and the
// order in which they start and stop.
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
#include "engine/node_view.hpp"
#include "net/reactor.hpp"
#include "queue/lane.hpp"
#include "queue/mailbox.hpp"
#include "sink/shard.hpp"

namespace wellhead {

class Pipeline final : public NodeView {
 public:
  // Binds every listener; starts no thread. The error is a sentence. `clock` outlives the pipeline.
  [[nodiscard]] static std::expected<std::unique_ptr<Pipeline>, std::string> create(
      const LoadedConfig& loaded, const Clock& clock);
  ~Pipeline() override;

  // The admin port first, so that health answers from the beginning; then the shards; then what takes
  // records.
  [[nodiscard]] std::expected<void, std::string> start();

  // Stops in the order of a record's way: the reactors take nothing new and answer what was taken, the shards
  // commit what is left, the admin port goes last. Returns by `deadline`, or shortly after if a thread is
  // held up. What could not be committed by then was never acknowledged.
  void stop(std::chrono::steady_clock::time_point deadline);

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
  [[nodiscard]] bool started() const override { return started_.load(std::memory_order_acquire); }
  [[nodiscard]] bool stopping() const override { return stopping_.load(std::memory_order_acquire); }

 private:
  // A reactor and what of its intake may be read; the reactor owns the intake.
  struct Front {
    std::unique_ptr<Reactor> reactor;
    const IntakeStats* intake;
  };
  using Outcome = std::expected<void, std::string>;

  Pipeline(const LoadedConfig& loaded, const Clock& clock);
  void create_shards();
  [[nodiscard]] Outcome create_reactors();
  [[nodiscard]] Outcome create_reactor(std::uint32_t index);
  [[nodiscard]] Outcome create_admin();
  [[nodiscard]] std::unique_ptr<Committer> make_committer(std::uint32_t shard);
  // Stops the shards without waiting for the database.
  void give_up();
  [[nodiscard]] int processor_for(std::uint32_t thread) const;

  const LoadedConfig& loaded_;
  const Config& config_;
  const Clock& clock_;
  ThreadCounts threads_;
  std::vector<int> processors_;
  LaneBoard board_;
  // Without a journal a receipt is good until the node stops: each start has its own digest.
  std::uint32_t receipt_digest_;
  Addresses addresses_;
  // Declared in the order of use: reactors send into shards' mailboxes and shards into `returns_`, so both
  // outlive the reactors' intakes.
  std::string journal_id_;  // of this process's lanes, which live in memory only
  std::vector<std::unique_ptr<Mailbox>> returns_;
  std::vector<std::unique_ptr<Shard>> shards_;
  AdminHandler admin_handler_;
  std::vector<Front> fronts_;
  std::unique_ptr<Reactor> admin_;
  std::atomic<bool> started_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace wellhead
