// For tests and the simulation: a server in memory with the statements the committer sends, transactions,
// savepoints, rows it refuses, asynchronous commits that a crash forgets, a replica that is behind when it
// takes over, and calls whose connection breaks before or after they took effect.
//
// It asserts on any statement it does not know. One thread; a connection each, and what they share is the
// store.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "codec/schema.hpp"
#include "queue/lane.hpp"
#include "sink/database.hpp"

namespace wellhead::test {

// A row of wellhead_invalidation; times in seconds since 1970.
struct Invalidation {
  std::string source;
  std::int64_t from_s;
  std::int64_t until_s;

  bool operator==(const Invalidation&) const = default;
};

struct ServerState {
  std::map<std::string, std::vector<std::string>> tables;  // rows as COPY tuples, by quoted table name
  std::map<LaneId, std::uint64_t> progress;
  std::map<std::pair<std::string, std::string>, std::string> baselines;  // by stream and device, hexadecimal
  std::vector<Invalidation> invalidations;

  // Rows of all tables, sorted.
  [[nodiscard]] std::vector<std::string> rows() const;
};

// What one transaction changes.
struct ServerChange {
  std::map<std::string, std::vector<std::string>> rows;                  // added, by quoted table name
  std::map<LaneId, std::optional<std::uint64_t>> progress;               // where it is now; none: removed
  std::map<std::pair<std::string, std::string>, std::string> baselines;  // saved
  std::vector<Invalidation> invalidations;                               // added
};

// What the server keeps, whatever happens to connections.
class ServerStore {
 public:
  ServerState committed;
  bool up = true;  // while it is not, every call finds its connection broken
  // A bug that a test plants: progress moves at once, whatever becomes of the transaction.
  bool progress_outside_transaction = false;

  void commit(ServerChange change, bool durable);
  // The server is gone and back without its last `commits` transactions. Connections find out at their next
  // call. REQUIRES that there were so many.
  void forget(std::size_t commits);
  // Forgets whatever was not flushed.
  void crash() { forget(unflushed()); }

  [[nodiscard]] std::size_t commits() const noexcept { return log_.size(); }
  // How many commits stand behind the last durable one: a crash may forget these.
  [[nodiscard]] std::size_t unflushed() const;
  // What crash() would leave. Made by copying all.
  [[nodiscard]] ServerState flushed() const;
  [[nodiscard]] std::uint64_t restarts() const noexcept { return restarts_; }

 private:
  // How to take a transaction back, when all later ones are.
  struct Undo {
    std::map<std::string, std::size_t> rows_added;
    std::map<LaneId, std::optional<std::uint64_t>> progress_before;
    std::map<std::pair<std::string, std::string>, std::optional<std::string>> baselines_before;
    std::size_t invalidations_added;
    bool durable;
  };
  static void apply(const Undo& undo, ServerState& state);

  std::vector<Undo> log_;
  std::uint64_t restarts_ = 0;
};

enum class LineHint : std::uint8_t { right, none, lying };

// What becomes of a call.
enum class CallFate : std::uint8_t {
  goes_well,
  breaks_before,        // the connection breaks, and nothing was done
  breaks_after,         // likewise, and it was done
  fails_serialization,  // SQLSTATE 40001; goes well outside of a transaction and in one that has failed
};

class SimulatedServer final : public Database {
 public:
  // `synchronous`: whether the session's commits are flushed at once.
  explicit SimulatedServer(std::vector<SchemaPointer> schemas,
                           std::shared_ptr<ServerStore> store = std::make_shared<ServerStore>(),
                           bool synchronous = true)
      : committed(store->committed),
        schemas_(std::move(schemas)),
        store_(std::move(store)),
        synchronous_(synchronous) {}

  // Whether a row violates a constraint of its table (SQLSTATE 23514).
  std::function<bool(const std::string& table, const std::string& tuple)> refuses = nullptr;
  LineHint hint = LineHint::right;  // what it says of the place of a row it refuses
  // Asked once for each call that reaches the server.
  std::function<CallFate()> fate = nullptr;
  bool has_baselines = true;                        // the table is there
  std::string refuses_baseline_of;                  // a device, as data
  bool refuses_baselines = false;                   // of any device, as data
  std::vector<std::string> aggregated = {};         // tables with aggregates that the node keeps
  std::vector<std::string> compressible = {};       // quoted tables whose rows COPY may compress
  std::vector<std::string> compressed_copies = {};  // tables of COPYs that were to compress
  std::vector<std::string> skips_compression = {};  // quoted tables of which it does not, and warns of it
  std::vector<std::string> chunk_locks = {};        // statements
  int baseline_lookups = 0;
  int baseline_saves = 0;  // statements
  int calls = 0;
  int copies = 0;
  ServerState& committed;

  // Breaks the connection in the call of this number, counted from 0 over the object's life.
  void break_call(int number, bool after_effect);

  void interrupt_with(const std::atomic<bool>*) noexcept override {}
  void on_notice(std::function<void(const DatabaseNotice&)> handler) override {
    notice_handler_ = std::move(handler);
  }
  DatabaseResult<void> connect() override;
  void disconnect() noexcept override;
  bool connected() const noexcept override { return connected_ && restarts_seen_ == store_->restarts(); }
  bool in_transaction() const noexcept override { return in_transaction_; }
  bool alive() override { return connected() && store_->up; }
  DatabaseResult<DatabaseStep> run(std::string_view statements) override;
  DatabaseResult<void> copy_data(std::span<const std::byte> bytes) override;
  DatabaseResult<DatabaseStep> copy_end() override;
  DatabaseResult<DatabaseRows> query(std::string_view statements) override;

 private:
  // Does `effect` as far as the call's fate lets it.
  template <typename Value, typename Effect>
  DatabaseResult<Value> call(Effect&& effect);
  DatabaseResult<DatabaseStep> go_on();
  DatabaseResult<void> statement(const std::string& text);
  DatabaseResult<void> finish_copy();
  [[nodiscard]] bool skips_compression_of(const std::string& copy) const;
  [[nodiscard]] DatabaseRows compressible_streams(std::string_view query) const;
  [[nodiscard]] DatabaseRows columns_of(std::string_view query) const;
  [[nodiscard]] DatabaseError broken();
  [[nodiscard]] DatabaseError fail(DatabaseError error);
  void end_transaction() noexcept;

  // As this transaction sees it; none: there is no such row.
  [[nodiscard]] std::optional<std::uint64_t> progress_of(LaneId lane) const;
  void set_progress(LaneId lane, std::optional<std::uint64_t> sequence);
  [[nodiscard]] std::size_t move_progress(const std::string& text);
  void insert_progress(const std::string& text);
  void delete_progress(const std::string& text);
  void select_progress(const std::string& text);
  [[nodiscard]] DatabaseResult<void> save_baselines(const std::string& text);
  void select_baselines(const std::string& text);
  void tell_invalidations(const std::string& text);
  [[nodiscard]] DatabaseRows aggregated_streams(std::string_view query) const;

  std::vector<SchemaPointer> schemas_;
  std::shared_ptr<ServerStore> store_;
  const bool synchronous_;
  std::uint64_t restarts_seen_ = 0;
  bool connected_ = false;
  bool in_transaction_ = false;
  bool failed_ = false;            // the transaction wants its ROLLBACK
  bool synchronous_here_ = false;  // in this transaction
  bool compressing_ = false;       // likewise
  std::function<void(const DatabaseNotice&)> notice_handler_ = nullptr;
  ServerChange change_;
  ServerChange savepoint_;
  std::vector<std::string> statements_left_;
  std::string copy_table_;
  std::string copy_bytes_;
  std::size_t copies_ended_ = 0;  // of the statements run last
  DatabaseStep step_;
  DatabaseRows selected_;
};

}  // namespace wellhead::test
