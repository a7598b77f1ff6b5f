// For tests: a server in memory with the statements the committer sends, transactions, savepoints, rows it
// refuses, asynchronous commits that a crash forgets, and connections that break before or after any call has
// taken effect. A connection each; what they share is the store.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "codec/schema.hpp"
#include "queue/lane.hpp"
#include "sink/database.hpp"

namespace wellhead::test {

struct ServerState {
  std::map<std::string, std::vector<std::string>> tables;  // rows as COPY tuples, by quoted table name
  std::map<LaneId, std::uint64_t> progress;
  std::map<std::pair<std::string, std::string>, std::string> baselines;  // by stream and device, hexadecimal

  // Rows of all tables, sorted.
  [[nodiscard]] std::vector<std::string> rows() const;
};

// What the server keeps, whatever happens to connections.
struct ServerStore {
  ServerState committed;
  ServerState flushed;  // what a crash leaves
  bool up = true;

  // The server's connections find out at their next call.
  void crash() {
    committed = flushed;
    ++crashes;
  }
  int crashes = 0;
};

enum class LineHint : std::uint8_t { right, none, lying };

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

  std::function<bool(const std::string&)> refuses = [](const std::string&) { return false; };
  LineHint hint = LineHint::right;
  // Breaks the connection in the call of this number, counted from 0 over the object's life; -1: never.
  int break_at = -1;
  bool break_after_effect = false;
  bool has_baselines = true;       // the table is there
  bool refuses_baselines = false;  // of any device, as data
  int baseline_lookups = 0;
  int baseline_saves = 0;  // statements
  int calls = 0;
  int copies = 0;
  ServerState& committed;

  void interrupt_with(const std::atomic<bool>*) noexcept override {}
  void on_notice(std::function<void(const DatabaseNotice&)>) override {}
  DatabaseResult<void> connect() override;
  void disconnect() noexcept override;
  bool connected() const noexcept override { return connected_ && crashes_seen_ == store_->crashes; }
  bool in_transaction() const noexcept override { return in_transaction_; }
  bool alive() override { return connected(); }
  DatabaseResult<DatabaseStep> run(std::string_view statements) override;
  DatabaseResult<void> copy_data(std::span<const std::byte> bytes) override;
  DatabaseResult<DatabaseStep> copy_end() override;
  DatabaseResult<DatabaseRows> query(std::string_view statements) override;

 private:
  // Does `effect` unless the connection breaks first.
  template <typename Value>
  DatabaseResult<Value> call(const std::function<DatabaseResult<Value>()>& effect);
  DatabaseResult<DatabaseStep> go_on();
  DatabaseResult<void> statement(const std::string& text);
  DatabaseResult<void> finish_copy();
  [[nodiscard]] DatabaseRows columns_of(std::string_view query) const;
  [[nodiscard]] DatabaseError broken();

  [[nodiscard]] std::size_t move_progress(const std::string& text);
  void insert_progress(const std::string& text);
  void delete_progress(const std::string& text);
  [[nodiscard]] DatabaseRows select_progress(const std::string& text) const;
  [[nodiscard]] DatabaseResult<void> save_baselines(const std::string& text);
  [[nodiscard]] DatabaseRows select_baselines(const std::string& text);
  void commit();

  std::vector<SchemaPointer> schemas_;
  std::shared_ptr<ServerStore> store_;
  const bool synchronous_;
  bool synchronous_here_ = false;  // in this transaction
  int crashes_seen_ = 0;
  bool connected_ = false;
  bool in_transaction_ = false;
  bool failed_ = false;  // the transaction wants its ROLLBACK
  ServerState working_;
  ServerState savepoint_;
  std::vector<std::string> statements_left_;
  std::string copy_table_;
  std::string copy_bytes_;
  DatabaseStep step_;
};

}  // namespace wellhead::test
