// The seam to the database: what the sink needs of one connection and nothing more. PgDatabase speaks to a
// server through libpq; tests put their own behind it.
//
// One thread. After an error the connection may be gone: ask connected().
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wellhead {

struct DatabaseError {
  std::string sqlstate;  // empty: no server said anything (connection lost, timeout, interrupted)
  std::string message;   // one line, never with a secret in it
  std::string
      context;  // where it happened, e.g. "COPY telemetry, line 17"; empty where the server does not say
};

template <typename Value>
using DatabaseResult = std::expected<Value, DatabaseError>;

// Where a string of statements stopped: at a COPY that wants data, or at its end.
struct DatabaseStep {
  bool copying = false;
  std::string command_tag;         // of the last statement done, e.g. "COMMIT"
  std::uint64_t rows_updated = 0;  // by the last INSERT, UPDATE or DELETE done
  std::uint64_t rows_copied = 0;   // by the last COPY done
};

using DatabaseRow = std::vector<std::optional<std::string>>;
using DatabaseRows = std::vector<DatabaseRow>;

// What the server says without being asked.
struct DatabaseNotice {
  std::string severity;
  std::string sqlstate;
  std::string message;
  // Of the statements that were sent last: how many COPYs had ended before. What a COPY says is so told from
  // what the one before it in the same message says.
  std::size_t copies_ended = 0;
};

class Database {
 public:
  virtual ~Database() = default;

  // Every call below fails soon after *stopping turns true, and the connection is then gone. Null: never.
  virtual void interrupt_with(const std::atomic<bool>* stopping) noexcept = 0;
  virtual void on_notice(std::function<void(const DatabaseNotice&)> handler) = 0;

  // Drops an old connection first.
  [[nodiscard]] virtual DatabaseResult<void> connect() = 0;
  virtual void disconnect() noexcept = 0;
  [[nodiscard]] virtual bool connected() const noexcept = 0;
  // In a transaction, also a failed one that wants its ROLLBACK.
  [[nodiscard]] virtual bool in_transaction() const noexcept = 0;
  // Looks without waiting whether the server has closed the idle connection.
  [[nodiscard]] virtual bool alive() = 0;

  // Sends statements, separated by semicolons, in one message; the server runs them in order up to the first
  // error. Returns at the first COPY … FROM STDIN, which then wants copy_data and copy_end, or after the last
  // statement.
  [[nodiscard]] virtual DatabaseResult<DatabaseStep> run(std::string_view statements) = 0;
  // REQUIRES the last step was copying. An error of the server's may show only at copy_end.
  [[nodiscard]] virtual DatabaseResult<void> copy_data(std::span<const std::byte> bytes) = 0;
  // Ends the COPY and goes on with the statements behind it.
  [[nodiscard]] virtual DatabaseResult<DatabaseStep> copy_end() = 0;
  // Runs statements and returns what the last of them with a result gave, as text.
  [[nodiscard]] virtual DatabaseResult<DatabaseRows> query(std::string_view statements) = 0;
};

// `text` as a string constant of SQL. REQUIRES no NUL character in it.
[[nodiscard]] std::string sql_literal(std::string_view text);

}  // namespace wellhead
