// A connection to PostgreSQL through libpq, never blocking longer than its timeouts: libpq is switched to
// non-blocking and every wait is a poll with a deadline, in slices short enough to notice an interruption.
//
// One exception: libpq resolves host names by the C library, which blocks. Use addresses where that matters.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>

#include "sink/database.hpp"
#include "sink/postgres_options.hpp"

namespace wellhead {

class PgDatabase final : public Database {
 public:
  // `application_name` is what pg_stat_activity shows.
  PgDatabase(PostgresOptions options, std::string application_name);

  void interrupt_with(const std::atomic<bool>* stopping) noexcept override { stopping_ = stopping; }
  void on_notice(std::function<void(const DatabaseNotice&)> handler) override {
    notice_handler_ = std::move(handler);
  }

  [[nodiscard]] DatabaseResult<void> connect() override;
  void disconnect() noexcept override { connection_.reset(); }
  [[nodiscard]] bool connected() const noexcept override;
  [[nodiscard]] bool in_transaction() const noexcept override;
  [[nodiscard]] bool alive() override;

  [[nodiscard]] DatabaseResult<DatabaseStep> run(std::string_view statements) override;
  [[nodiscard]] DatabaseResult<void> copy_data(std::span<const std::byte> bytes) override;
  [[nodiscard]] DatabaseResult<DatabaseStep> copy_end() override;
  [[nodiscard]] DatabaseResult<DatabaseRows> query(std::string_view statements) override;

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  using ResultPointer = std::unique_ptr<PGresult, decltype(&PQclear)>;

  static void receive_notice(void* self, const PGresult* notice);

  [[nodiscard]] DatabaseResult<void> start_connect();
  [[nodiscard]] DatabaseResult<void> finish_connect(Deadline deadline);
  [[nodiscard]] DatabaseResult<void> configure_session();
  [[nodiscard]] DatabaseResult<void> wait(short events, Deadline deadline, std::string_view waiting_for);
  [[nodiscard]] DatabaseResult<void> send(std::string_view statements);
  [[nodiscard]] DatabaseResult<void> flush();
  [[nodiscard]] DatabaseResult<ResultPointer> next_result();
  // Goes through results up to a COPY or the end; rows of the last SELECT go to `rows` where given.
  [[nodiscard]] DatabaseResult<DatabaseStep> advance(DatabaseRows* rows);
  [[nodiscard]] DatabaseResult<void> finish_failed();
  // Drops the connection and says so.
  [[nodiscard]] DatabaseError lost(std::string message);
  [[nodiscard]] DatabaseError lost_by_server();

  PostgresOptions options_;
  std::string application_name_;
  const std::atomic<bool>* stopping_ = nullptr;
  std::function<void(const DatabaseNotice&)> notice_handler_;
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_{nullptr, PQfinish};
  Deadline statement_deadline_{};
  std::size_t copies_ended_ = 0;  // of the statements sent last
};

// The text of libpq's connection error in the verbose form, taken apart: the last server's SQLSTATE, where
// there is one, and the message in one line.
[[nodiscard]] DatabaseError connection_error_from(std::string_view verbose_message);

}  // namespace wellhead
