// A database server in memory, and connections to it, for the simulation: transactions, the progress table,
// commits that a crash forgets unless they were synchronous, a replica that is behind when it takes over, and
// connections that break before or after a call has taken effect.
//
// It knows the statements the committer sends and asserts on any other. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "codec/schema.hpp"
#include "queue/lane.hpp"
#include "sink/database.hpp"

namespace wellhead::simulation {

// What one transaction changes.
struct Transaction {
  struct Move {
    LaneId lane;
    std::uint64_t from;
    std::uint64_t to;
  };
  std::vector<std::int64_t> ids;  // of the rows inserted
  std::vector<LaneId> lanes_added;
  std::vector<Move> moves;
  bool durable = false;
};

struct ServerFaults {
  double breaks = 0;         // of a call: the connection breaks, before or after the call took effect
  double serialization = 0;  // of a call in a transaction: SQLSTATE 40001
};

class Server {
 public:
  explicit Server(std::uint64_t seed) : random_(seed) {}

  // The bug that the test of the test plants: progress is written at once, whatever becomes of the
  // transaction.
  bool progress_outside_transaction = false;
  bool up = true;
  ServerFaults faults;

  void commit(Transaction transaction);
  // Ends all connections. Forgets any number of the commits behind the last durable one.
  void crash();
  // As crash(), and forgets up to `transactions_max` more, durable or not: a replica that was behind takes
  // over.
  void fail_over(std::size_t transactions_max);

  [[nodiscard]] std::uint64_t count_of(std::int64_t id) const;
  [[nodiscard]] const std::unordered_map<std::int64_t, std::uint64_t>& rows() const noexcept { return rows_; }
  [[nodiscard]] std::map<LaneId, std::uint64_t>& progress() noexcept { return progress_; }
  [[nodiscard]] std::uint64_t incarnation() const noexcept { return incarnation_; }
  [[nodiscard]] bool chance(double probability);
  // A number below `bound`.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

 private:
  void undo_last();

  std::mt19937_64 random_;
  std::unordered_map<std::int64_t, std::uint64_t> rows_;
  std::map<LaneId, std::uint64_t> progress_;
  std::vector<Transaction> log_;
  std::uint64_t incarnation_ = 0;  // connections of an earlier one are dead
};

// `id_field`: the bigint column of the stream that names a row.
[[nodiscard]] std::unique_ptr<Database> connect_to(Server& server, std::vector<SchemaPointer> streams,
                                                   std::uint32_t id_field);

}  // namespace wellhead::simulation
