#include "sink/pg_database.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/assert.hpp"

namespace wellhead {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds interrupt_slice{50};  // how late an interruption may be noticed

// A dead peer is noticed after idle + interval * count, or when sent data stays unanswered this long. The
// connection string may say otherwise.
constexpr const char* keepalives_idle_s = "10";
constexpr const char* keepalives_interval_s = "5";
constexpr const char* keepalives_count = "3";
constexpr const char* tcp_user_timeout_ms = "30000";

std::string one_line(std::string_view text) {
  std::string line;
  for (const char character : text) {
    const bool space = character == '\n' || character == '\t' || character == ' ';
    if (!space)
      line += character;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

std::string diagnostic(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? std::string() : std::string(text);
}

DatabaseError error_of(const PGresult* result) {
  DatabaseError error{diagnostic(result, PG_DIAG_SQLSTATE), diagnostic(result, PG_DIAG_MESSAGE_PRIMARY),
                      diagnostic(result, PG_DIAG_CONTEXT)};
  if (error.message.empty()) error.message = one_line(PQresultErrorMessage(result));
  return error;
}

std::uint64_t rows_of(PGresult* result) {
  return std::strtoull(PQcmdTuples(result), nullptr, 10);
}

void read_rows(const PGresult* result, DatabaseRows& rows) {
  rows.clear();
  for (int row = 0; row < PQntuples(result); ++row) {
    DatabaseRow& values = rows.emplace_back();
    for (int field = 0; field < PQnfields(result); ++field) {
      if (PQgetisnull(result, row, field) != 0)
        values.emplace_back(std::nullopt);
      else
        values.emplace_back(PQgetvalue(result, row, field));
    }
  }
}

bool is_sqlstate(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char character) {
    return std::isdigit(character) != 0 || std::isupper(character) != 0;
  });
}

}  // namespace

// libpq has no function for the SQLSTATE of a refused connection; the verbose message carries it as
// "FATAL:  28P01: password authentication failed …", with the severity in the server's language.
DatabaseError connection_error_from(std::string_view verbose_message) {
  constexpr std::string_view before = ":  ";
  constexpr std::size_t sqlstate_length = 5;
  DatabaseError error;
  const std::string_view message = verbose_message;
  for (std::size_t at = message.rfind(before); at != std::string_view::npos && at > 0;
       at = message.rfind(before, at - 1)) {
    const std::string_view behind = message.substr(at + before.size());
    if (behind.size() <= sqlstate_length + 2 || behind.substr(sqlstate_length, 2) != ": ") continue;
    if (!is_sqlstate(behind.substr(0, sqlstate_length))) continue;
    error.sqlstate = behind.substr(0, sqlstate_length);
    const std::string_view text = behind.substr(sqlstate_length + 2);
    error.message = one_line(text.substr(0, text.find("\nLOCATION:")));
    return error;
  }
  error.message = one_line(message);
  return error;
}

PgDatabase::PgDatabase(PostgresOptions options, std::string application_name)
    : options_(std::move(options)), application_name_(std::move(application_name)) {}

void PgDatabase::receive_notice(void* self, const PGresult* notice) {
  const auto& database = *static_cast<PgDatabase*>(self);
  const auto& handler = database.notice_handler_;
  if (!handler) return;
  std::string message = diagnostic(notice, PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = one_line(PQresultErrorMessage(notice));
  handler({diagnostic(notice, PG_DIAG_SEVERITY_NONLOCALIZED), diagnostic(notice, PG_DIAG_SQLSTATE), message,
           database.copies_ended_});
}

bool PgDatabase::connected() const noexcept {
  return connection_ && PQstatus(connection_.get()) == CONNECTION_OK;
}

bool PgDatabase::in_transaction() const noexcept {
  return connected() && PQtransactionStatus(connection_.get()) != PQTRANS_IDLE;
}

DatabaseError PgDatabase::lost(std::string message) {
  disconnect();
  return {"", std::move(message), ""};
}

DatabaseError PgDatabase::lost_by_server() {
  std::string message = one_line(PQerrorMessage(connection_.get()));
  return lost(message.empty() ? "the connection to the database was lost" : message);
}

DatabaseResult<void> PgDatabase::wait(short events, Deadline deadline, std::string_view waiting_for) {
  for (;;) {
    if (stopping_ != nullptr && stopping_->load(std::memory_order_acquire))
      return std::unexpected(lost("interrupted because the node is stopping"));
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    if (left <= milliseconds::zero())
      return std::unexpected(lost("no answer in time while waiting for " + std::string(waiting_for)));
    pollfd watched{PQsocket(connection_.get()), events, 0};
    const int ready = poll(&watched, 1, static_cast<int>(std::min(left, interrupt_slice).count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR)
      return std::unexpected(lost(std::string("poll failed: ") + std::strerror(errno)));
  }
}

DatabaseResult<void> PgDatabase::start_connect() {
  // What comes before dbname is a default the connection string may override; what comes behind it is not.
  const std::array keywords{
      "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
      "dbname",          "application_name",    "client_encoding",  static_cast<const char*>(nullptr)};
  const std::array values{keepalives_idle_s,
                          keepalives_interval_s,
                          keepalives_count,
                          tcp_user_timeout_ms,
                          options_.connection.c_str(),
                          application_name_.c_str(),
                          "UTF8",
                          static_cast<const char*>(nullptr)};
  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 1));
  if (!connection_) return std::unexpected(lost("no memory for a database connection"));
  if (PQstatus(connection_.get()) == CONNECTION_BAD) {
    DatabaseError error = connection_error_from(PQerrorMessage(connection_.get()));
    disconnect();
    return std::unexpected(std::move(error));
  }
  PQsetErrorVerbosity(connection_.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(connection_.get(), receive_notice, this);
  return {};
}

DatabaseResult<void> PgDatabase::finish_connect(Deadline deadline) {
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    const short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (auto ready = wait(events, deadline, "the database to accept the connection"); !ready) return ready;
    status = PQconnectPoll(connection_.get());
    if (status == PGRES_POLLING_FAILED) {
      DatabaseError error = connection_error_from(PQerrorMessage(connection_.get()));
      disconnect();
      return std::unexpected(std::move(error));
    }
  }
  PQsetErrorVerbosity(connection_.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(connection_.get(), 1) != 0) return std::unexpected(lost_by_server());
  return {};
}

// The server must notice a dead node as fast as the node notices a dead server: until then the old
// transaction holds the progress row, and the node's next connection waits for it. Settings a server does not
// know are left out.
DatabaseResult<void> PgDatabase::configure_session() {
  const std::string timeout_ms = std::to_string(options_.statement_timeout.count());
  const std::array<std::pair<const char*, std::string>, 9> settings{
      {{"synchronous_commit", options_.synchronous_commit},
       {"statement_timeout", timeout_ms},
       {"idle_in_transaction_session_timeout", timeout_ms},
       {"tcp_keepalives_idle", keepalives_idle_s},
       {"tcp_keepalives_interval", keepalives_interval_s},
       {"tcp_keepalives_count", keepalives_count},
       {"tcp_user_timeout", tcp_user_timeout_ms},
       {"client_connection_check_interval", "5000"},
       {"client_min_messages", "notice"}}};
  std::string statement = "SELECT set_config(s.name, w.value, false) FROM pg_settings s JOIN (VALUES ";
  for (const auto& [name, value] : settings) {
    if (statement.back() == ')') statement += ", ";
    statement += "(" + sql_literal(name) + ", " + sql_literal(value) + ")";
  }
  statement += ") AS w(name, value) ON s.name = w.name";
  if (auto done = query(statement); !done) return std::unexpected(done.error());
  return {};
}

DatabaseResult<void> PgDatabase::connect() {
  disconnect();
  const Deadline deadline = steady_clock::now() + options_.connect_timeout;
  if (auto started = start_connect(); !started) return started;
  if (auto finished = finish_connect(deadline); !finished) return finished;
  return configure_session();
}

bool PgDatabase::alive() {
  while (connected()) {
    pollfd watched{PQsocket(connection_.get()), POLLIN, 0};
    if (poll(&watched, 1, 0) <= 0) return true;
    if (PQconsumeInput(connection_.get()) == 0) break;
    // Reads notices and, where the server ends the connection, its reason, which arrives as a notice.
    [[maybe_unused]] const int busy = PQisBusy(connection_.get());
  }
  disconnect();
  return false;
}

DatabaseResult<void> PgDatabase::flush() {
  for (;;) {
    const int unsent = PQflush(connection_.get());
    if (unsent == 0) return {};
    if (unsent < 0) return std::unexpected(lost_by_server());
    if (auto ready = wait(POLLIN | POLLOUT, statement_deadline_, "the database to take data"); !ready)
      return ready;
    // A server that cannot get rid of its notices stops reading; this does nothing when there is nothing to
    // read.
    if (PQconsumeInput(connection_.get()) == 0) return std::unexpected(lost_by_server());
  }
}

DatabaseResult<PgDatabase::ResultPointer> PgDatabase::next_result() {
  if (auto flushed = flush(); !flushed) return std::unexpected(flushed.error());
  while (PQisBusy(connection_.get()) != 0) {
    if (auto ready = wait(POLLIN, statement_deadline_, "the database's answer"); !ready)
      return std::unexpected(ready.error());
    // What arrived before a connection broke is still read: it may hold the server's reason.
    if (PQconsumeInput(connection_.get()) == 0 && PQisBusy(connection_.get()) != 0)
      return std::unexpected(lost_by_server());
  }
  return ResultPointer(PQgetResult(connection_.get()), PQclear);
}

DatabaseResult<void> PgDatabase::finish_failed() {
  for (;;) {
    auto result = next_result();
    if (!result) return std::unexpected(result.error());
    if (!*result) return {};
  }
}

DatabaseResult<DatabaseStep> PgDatabase::advance(DatabaseRows* rows) {
  DatabaseStep step;
  for (;;) {
    auto result = next_result();
    if (!result) return std::unexpected(result.error());
    PGresult* const got = result->get();
    if (got == nullptr) return step;
    switch (PQresultStatus(got)) {
      case PGRES_COPY_IN:
        step.copying = true;
        return step;
      case PGRES_TUPLES_OK:
        step.command_tag = PQcmdStatus(got);
        if (rows != nullptr) read_rows(got, *rows);
        break;
      case PGRES_EMPTY_QUERY:
        break;  // nothing but comments
      case PGRES_COMMAND_OK: {
        step.command_tag = PQcmdStatus(got);
        const bool copied = step.command_tag.starts_with("COPY");
        if (copied) step.rows_copied = rows_of(got);
        // libpq gives a result away before it reads a notice of the next statement's COPY.
        if (copied) ++copies_ended_;
        if (!copied && PQcmdTuples(got)[0] != '\0') step.rows_updated = rows_of(got);
        break;
      }
      default: {
        DatabaseError error = error_of(got);
        // The server answers an error with the end of the whole string; a connection that breaks meanwhile
        // shows in connected(), and the error found first is the one to tell.
        [[maybe_unused]] const auto finished = finish_failed();
        if (connection_ && PQstatus(connection_.get()) != CONNECTION_OK) disconnect();
        return std::unexpected(std::move(error));
      }
    }
  }
}

DatabaseResult<void> PgDatabase::send(std::string_view statements) {
  if (!connected()) return std::unexpected(lost("there is no connection to the database"));
  statement_deadline_ = steady_clock::now() + options_.statement_timeout;
  copies_ended_ = 0;
  if (PQsendQuery(connection_.get(), std::string(statements).c_str()) == 0)
    return std::unexpected(lost_by_server());
  return {};
}

DatabaseResult<DatabaseStep> PgDatabase::run(std::string_view statements) {
  if (auto sent = send(statements); !sent) return std::unexpected(sent.error());
  return advance(nullptr);
}

DatabaseResult<DatabaseRows> PgDatabase::query(std::string_view statements) {
  if (auto sent = send(statements); !sent) return std::unexpected(sent.error());
  DatabaseRows rows;
  auto step = advance(&rows);
  if (!step) return std::unexpected(step.error());
  WELLHEAD_ASSERT(!step->copying);
  return rows;
}

DatabaseResult<void> PgDatabase::copy_data(std::span<const std::byte> bytes) {
  if (!connected()) return std::unexpected(lost("there is no connection to the database"));
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  for (;;) {
    const int queued = PQputCopyData(connection_.get(), data, static_cast<int>(bytes.size()));
    if (queued < 0) return std::unexpected(lost_by_server());
    if (auto flushed = flush(); !flushed) return flushed;
    if (queued > 0) return {};
  }
}

DatabaseResult<DatabaseStep> PgDatabase::copy_end() {
  if (!connected()) return std::unexpected(lost("there is no connection to the database"));
  statement_deadline_ = steady_clock::now() + options_.statement_timeout;
  for (;;) {
    const int queued = PQputCopyEnd(connection_.get(), nullptr);
    if (queued < 0) return std::unexpected(lost_by_server());
    if (queued > 0) break;
    if (auto flushed = flush(); !flushed) return std::unexpected(flushed.error());
  }
  return advance(nullptr);
}

}  // namespace wellhead
