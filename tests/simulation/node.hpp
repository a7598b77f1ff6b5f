// One start of the simulated node: everything that is gone when it is killed.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "journal/journal.hpp"
#include "journal/ledger_store.hpp"
#include "journal/ledger_table.hpp"
#include "net/batching_intake.hpp"
#include "queue/lane.hpp"
#include "queue/mailbox.hpp"
#include "sink/database.hpp"
#include "sink/shard.hpp"

namespace wellhead::simulation {

struct NodeShape {
  std::uint32_t reactors;
  std::uint32_t shards;
  bool direct;
  bool keeps_flushed;  // for a failover; else a segment goes as soon as the database has it for good
  bool late_ledger;    // the bug of LateLedgerWriter
};
// A connection to the database, one for each shard.
using Connect = std::function<std::unique_ptr<Database>()>;

class Node {
 public:
  [[nodiscard]] static std::expected<std::unique_ptr<Node>, JournalError> start(
      FileSystem& disk, const Clock& clock, const Connect& connect, const std::vector<SchemaPointer>& streams,
      const NodeShape& shape);

  [[nodiscard]] std::size_t reactors() const noexcept { return intakes_.size(); }
  [[nodiscard]] std::size_t shards() const noexcept { return shards_.size(); }
  [[nodiscard]] Intake& intake(std::size_t reactor) { return *intakes_[reactor].intake; }
  [[nodiscard]] Shard& shard(std::size_t shard) { return *shards_[shard]; }
  [[nodiscard]] Journal& journal() noexcept { return *journal_; }
  // Writes down what is remembered of requests, as a clean stop does. A failure changes nothing.
  void save_ledger() { (void)ledger_store_->save(); }

  // A turn of the reactor's loop; then its ring may have an operation on its way.
  void turn(std::size_t reactor, RequestListener& listener);
  // Does the operation that is on its way, if there is one, and tells the intake.
  void perform(std::size_t reactor);
  // Tells the intake that the synchronization that is on its way is done, and does not do it.
  void lie_about_synchronization(std::size_t reactor);
  // Returns how many segments went.
  std::size_t trim();
  [[nodiscard]] bool latched() const;
  [[nodiscard]] std::uint64_t rows_replayed() const;
  // Nothing is on its way and everything durable is flushed in the database.
  [[nodiscard]] bool drained();
  // The identity every intake keeps between two turns.
  [[nodiscard]] bool conserves_records() const;

 private:
  struct Front {
    std::unique_ptr<BatchingIntake> intake;
    std::optional<JournalOperation> operation;  // on its way
  };

  Node();
  [[nodiscard]] std::expected<void, JournalError> open_journal(FileSystem& disk, const Clock& clock,
                                                               const NodeShape& shape);
  void add_shard(const Clock& clock, const Connect& connect, const std::vector<SchemaPointer>& streams);
  void add_intake(const Clock& clock, const std::vector<SchemaPointer>& streams, bool late_ledger);
  void take_operation(Front& front);

  LedgerTable ledger_;
  std::optional<LedgerStore> ledger_store_;  // outlives the journal
  std::unique_ptr<Journal> journal_;
  std::vector<std::unique_ptr<JournalWriter>> late_writers_;
  std::unique_ptr<LaneBoard> board_;
  std::vector<std::unique_ptr<Mailbox>> returns_;
  std::vector<Mailbox*> return_pointers_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<Front> intakes_;
};

}  // namespace wellhead::simulation
