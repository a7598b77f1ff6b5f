// One start of the simulated node: everything that is gone when it is killed.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "journal/journal.hpp"
#include "net/batching_intake.hpp"
#include "queue/lane.hpp"
#include "queue/mailbox.hpp"
#include "sink/shard.hpp"
#include "tests/simulation/simulated_database.hpp"

namespace wellhead::simulation {

struct NodeShape {
  std::uint32_t reactors;
  std::uint32_t shards;
  bool direct;
  bool keeps_flushed;  // for a failover; else a segment goes as soon as the database has it for good
};

// The stream of the simulation: a time, a device, and the id of the record.
[[nodiscard]] std::vector<SchemaPointer> simulated_streams();
inline constexpr std::uint32_t id_field = 2;

class Node {
 public:
  [[nodiscard]] static std::expected<std::unique_ptr<Node>, JournalError> start(
      FileSystem& disk, const Clock& clock, Server& server, const std::vector<SchemaPointer>& streams,
      const NodeShape& shape);

  [[nodiscard]] std::size_t reactors() const noexcept { return intakes_.size(); }
  [[nodiscard]] std::size_t shards() const noexcept { return shards_.size(); }
  [[nodiscard]] Intake& intake(std::size_t reactor) { return *intakes_[reactor].intake; }
  [[nodiscard]] Shard& shard(std::size_t shard) { return *shards_[shard]; }
  [[nodiscard]] Journal& journal() noexcept { return *journal_; }

  // A turn of the reactor's loop; then its ring may have an operation on its way.
  void turn(std::size_t reactor, RequestListener& listener);
  // Does the operation that is on its way, if there is one, and tells the intake. `lie`: it was told already.
  void perform(std::size_t reactor);
  // Tells the intake that the operation is done, and does it when perform() is called, if ever.
  void lie_about(std::size_t reactor);
  // Returns how many segments went.
  std::size_t trim();
  [[nodiscard]] bool latched() const;
  [[nodiscard]] std::uint64_t rows_replayed() const;
  // Nothing is on its way and everything durable is flushed in the database.
  [[nodiscard]] bool drained();

 private:
  struct Front {
    std::unique_ptr<BatchingIntake> intake;
    std::optional<JournalOperation> operation;  // on its way
    bool told = false;                          // the intake believes it is done
  };

  Node() = default;
  void take_operation(Front& front);

  std::unique_ptr<Journal> journal_;
  std::unique_ptr<LaneBoard> board_;
  std::vector<std::unique_ptr<Mailbox>> returns_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<Front> intakes_;
};

}  // namespace wellhead::simulation
