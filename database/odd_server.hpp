// A connection to the test's server that says of itself what a test wants to hear: that it is older than it
// is, or that TimescaleDB is not preloaded, so that the runner leaves the database plain. And one that
// breaks.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sink/database.hpp"

namespace wellhead {

class OddServer : public Database {
 public:
  // `change` gets the row that detect_server() reads: version, its number, extension, license, available,
  // preloaded.
  OddServer(Database& real, std::function<void(DatabaseRow&)> change)
      : real_(real), change_(std::move(change)) {}

  // From now on so many statements are run; at the next one the connection is lost.
  void break_after(int statements) { left_ = statements; }

  void interrupt_with(const std::atomic<bool>* stopping) noexcept override { real_.interrupt_with(stopping); }
  void on_notice(std::function<void(const DatabaseNotice&)> handler) override {
    real_.on_notice(std::move(handler));
  }
  [[nodiscard]] DatabaseResult<void> connect() override { return real_.connect(); }
  void disconnect() noexcept override { real_.disconnect(); }
  [[nodiscard]] bool connected() const noexcept override { return real_.connected(); }
  [[nodiscard]] bool in_transaction() const noexcept override { return real_.in_transaction(); }
  [[nodiscard]] bool alive() override { return real_.alive(); }
  [[nodiscard]] DatabaseResult<void> copy_data(std::span<const std::byte> bytes) override {
    return real_.copy_data(bytes);
  }
  [[nodiscard]] DatabaseResult<DatabaseStep> copy_end() override { return real_.copy_end(); }

  [[nodiscard]] DatabaseResult<DatabaseStep> run(std::string_view statements) override {
    if (breaks()) return std::unexpected(DatabaseError{"", "the connection was lost", ""});
    return real_.run(statements);
  }
  [[nodiscard]] DatabaseResult<DatabaseRows> query(std::string_view statements) override {
    if (breaks()) return std::unexpected(DatabaseError{"", "the connection was lost", ""});
    auto rows = real_.query(statements);
    const bool detection = statements.find("pg_available_extensions") != std::string_view::npos;
    if (rows && detection && change_) change_(rows->front());
    return rows;
  }

 private:
  bool breaks() {
    if (left_ < 0 || left_-- > 0) return false;
    left_ = 0;
    real_.disconnect();
    return true;
  }

  Database& real_;
  std::function<void(DatabaseRow&)> change_;
  int left_ = -1;
};

inline void without_timescaledb(DatabaseRow& row) {
  row[5] = "f";
}

}  // namespace wellhead
