#include "loadgen/database_rows.hpp"

#include <fmt/core.h>
#include <libpq-fe.h>

#include <array>
#include <memory>
#include <string_view>
#include <thread>

namespace wellhead::loadgen {
namespace {

constexpr std::chrono::milliseconds retry_interval{500};

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::string first_line(const char* text) {
  const std::string_view message(text == nullptr ? "" : text);
  return std::string(message.substr(0, message.find('\n')));
}

std::expected<Connection, std::string> open_connection(const std::string& connection_string) {
  // The last entry of a name wins in libpq: what the connection string says goes over these defaults.
  const std::array<const char*, 4> names{"application_name", "connect_timeout", "dbname", nullptr};
  const std::array<const char*, 4> values{"wellhead-loadgen", "10", connection_string.c_str(), nullptr};
  constexpr int expand_connection_string = 1;
  Connection connection(PQconnectdbParams(names.data(), values.data(), expand_connection_string), PQfinish);
  if (!connection || PQstatus(connection.get()) != CONNECTION_OK) {
    return std::unexpected("the database of --verify cannot be reached: " +
                           first_line(connection ? PQerrorMessage(connection.get()) : "out of memory"));
  }
  return connection;
}

std::expected<Connection, std::string> open_patiently(const std::string& connection_string,
                                                      std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    auto connection = open_connection(connection_string);
    if (connection || std::chrono::steady_clock::now() + retry_interval > deadline) return connection;
    std::this_thread::sleep_for(retry_interval);
  }
}

class RowCounter final : public CopyRowVisitor {
 public:
  explicit RowCounter(CopyRowVisitor& next) : next_(next) {}
  void on_row(const CopyRow& row) override {
    ++rows_;
    next_.on_row(row);
  }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }

 private:
  CopyRowVisitor& next_;
  std::uint64_t rows_ = 0;
};

std::expected<void, std::string> drain(PGconn* connection, CopyBinaryParser& parser,
                                       CopyRowVisitor& visitor) {
  char* bytes = nullptr;
  int size = 0;
  while ((size = PQgetCopyData(connection, &bytes, 0)) > 0) {
    const std::unique_ptr<char, decltype(&PQfreemem)> owner(bytes, PQfreemem);
    auto fed = parser.feed({bytes, static_cast<std::size_t>(size)}, visitor);
    if (!fed) return fed;
  }
  const Result end(PQgetResult(connection), PQclear);
  const bool fine = size == -1 && PQresultStatus(end.get()) == PGRES_COMMAND_OK && parser.complete();
  if (!fine) {
    return std::unexpected("reading the rows back broke off, nothing is verified: " +
                           first_line(PQerrorMessage(connection)));
  }
  return {};
}

}  // namespace

std::expected<void, std::string> check_database(const std::string& connection_string) {
  auto connection = open_connection(connection_string);
  if (!connection) return std::unexpected(std::move(connection.error()));
  return {};
}

std::expected<std::uint64_t, std::string> read_rows(const std::string& connection_string,
                                                    const std::string& select, CopyRowVisitor& visitor,
                                                    std::chrono::milliseconds patience) {
  auto connection = open_patiently(connection_string, patience);
  if (!connection) return std::unexpected(std::move(connection.error()));
  const std::string statement = fmt::format("COPY ({}) TO STDOUT (FORMAT binary)", select);
  const Result started(PQexec(connection->get(), statement.c_str()), PQclear);
  if (PQresultStatus(started.get()) != PGRES_COPY_OUT) {
    return std::unexpected("the rows cannot be read back: " + first_line(PQerrorMessage(connection->get())));
  }
  RowCounter counter(visitor);
  CopyBinaryParser parser;
  auto drained = drain(connection->get(), parser, counter);
  if (!drained) return std::unexpected(std::move(drained.error()));
  return counter.rows();
}

}  // namespace wellhead::loadgen
