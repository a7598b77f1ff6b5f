// For tests: a server in memory with the statements the committer sends, transactions, savepoints, rows it
// refuses, and a connection that breaks before or after any call has taken effect.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "sink/database.hpp"

namespace wellhead::test {

// What the server keeps, whatever happens to connections.
struct ServerState {
  std::map<std::string, std::vector<std::string>> tables;  // rows as COPY tuples, by quoted table name
  std::uint64_t sequence = 0;
};

enum class LineHint : std::uint8_t { right, none, lying };

class SimulatedServer final : public Database {
 public:
  explicit SimulatedServer(std::vector<SchemaPointer> schemas) : schemas_(std::move(schemas)) {}

  std::function<bool(const std::string&)> refuses = [](const std::string&) { return false; };
  LineHint hint = LineHint::right;
  // Breaks the connection in the call of this number, counted from 0 over the object's life; -1: never.
  int break_at = -1;
  bool break_after_effect = false;
  int calls = 0;
  int copies = 0;
  ServerState committed;

  void interrupt_with(const std::atomic<bool>*) noexcept override {}
  void on_notice(std::function<void(const DatabaseNotice&)>) override {}
  DatabaseResult<void> connect() override;
  void disconnect() noexcept override;
  bool connected() const noexcept override { return connected_; }
  bool in_transaction() const noexcept override { return in_transaction_; }
  bool alive() override { return connected_; }
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

  std::vector<SchemaPointer> schemas_;
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
