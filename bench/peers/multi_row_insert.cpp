// Loads a file of COPY's binary form by INSERTs of many rows: what a careful client does that does not know
// COPY.
//
//   build/release/bin/multi_row_insert FILE CONNECTIONS ROWS_PER_INSERT     the database is in DATABASE_URL
//
// In its best case: the rows are in memory, their values are in the binary form that the server takes them
// in, the statement is prepared once for each connection, each INSERT is a transaction, and the connections
// share the file, each in a thread. Prints rows and seconds as JSON.
#include <arpa/inet.h>
#include <fmt/core.h>
#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t parameters_max = 65'535;  // of one statement, by the protocol
constexpr std::size_t signature_bytes = 11;
constexpr int exit_failed = 1;
constexpr int exit_usage = 64;

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

struct Value {
  const char* bytes;  // null: NULL
  int size;
};

// All values of the file, row after row.
struct Rows {
  std::size_t columns = 0;
  std::vector<Value> values;

  [[nodiscard]] std::size_t count() const { return columns == 0 ? 0 : values.size() / columns; }
};

template <typename Number>
Number take(std::string_view& rest) {
  Number number{};
  if (rest.size() < sizeof number) return -1;
  std::memcpy(&number, rest.data(), sizeof number);
  rest.remove_prefix(sizeof number);
  if constexpr (sizeof number == 2) return static_cast<Number>(ntohs(static_cast<std::uint16_t>(number)));
  return static_cast<Number>(ntohl(static_cast<std::uint32_t>(number)));
}

// PostgreSQL documentation, "COPY", "Binary Format". Empty for what is no such file.
Rows rows_of(std::string_view file) {
  Rows rows;
  if (!file.starts_with(std::string_view("PGCOPY\n\377\r\n\0", signature_bytes))) return {};
  file.remove_prefix(signature_bytes);
  std::ignore = take<std::int32_t>(file);  // flags
  const auto extension_bytes = take<std::int32_t>(file);
  file.remove_prefix(std::min(file.size(), static_cast<std::size_t>(std::max(extension_bytes, 0))));
  for (auto fields = take<std::int16_t>(file); fields > 0; fields = take<std::int16_t>(file)) {
    rows.columns = static_cast<std::size_t>(fields);
    for (std::int16_t field = 0; field < fields; ++field) {
      const auto size = take<std::int32_t>(file);
      if (size > 0 && static_cast<std::size_t>(size) > file.size()) return {};
      rows.values.push_back({.bytes = size < 0 ? nullptr : file.data(), .size = std::max(size, 0)});
      file.remove_prefix(static_cast<std::size_t>(std::max(size, 0)));
    }
  }
  return rows;
}

std::string insert_statement(std::size_t rows, std::size_t columns) {
  std::string text = "INSERT INTO telemetry VALUES ";
  for (std::size_t row = 0; row < rows; ++row) {
    text += row == 0 ? "(" : ",(";
    for (std::size_t column = 0; column < columns; ++column) {
      text += fmt::format("{}${}", column == 0 ? "" : ",", row * columns + column + 1);
    }
    text += ")";
  }
  return text;
}

// One connection's statement and its parameters. One thread.
class Inserter {
 public:
  Inserter(const Rows& rows, std::size_t rows_per_insert)
      : rows_(rows), rows_per_insert_(rows_per_insert), formats_(rows_per_insert * rows.columns, 1) {}

  // The error is the server's sentence.
  std::expected<void, std::string> connect(const char* url) {
    connection_.reset(PQconnectdb(url));
    if (PQstatus(connection_.get()) != CONNECTION_OK) return failure();
    return check(PQprepare(connection_.get(), "all",
                           insert_statement(rows_per_insert_, rows_.columns).c_str(), 0, nullptr));
  }

  std::expected<void, std::string> insert(std::size_t first_row) {
    const std::size_t count = std::min(rows_per_insert_, rows_.count() - first_row);
    const auto values = std::span(rows_.values).subspan(first_row * rows_.columns, count * rows_.columns);
    bytes_.clear();
    sizes_.clear();
    for (const Value& value : values) {
      bytes_.push_back(value.bytes);
      sizes_.push_back(value.size);
    }
    const int parameters = static_cast<int>(values.size());
    if (count == rows_per_insert_) {
      return check(PQexecPrepared(connection_.get(), "all", parameters, bytes_.data(), sizes_.data(),
                                  formats_.data(), 0));
    }
    return check(PQexecParams(connection_.get(), insert_statement(count, rows_.columns).c_str(), parameters,
                              nullptr, bytes_.data(), sizes_.data(), formats_.data(), 0));
  }

 private:
  std::expected<void, std::string> failure() {
    return std::unexpected(std::string(PQerrorMessage(connection_.get())));
  }

  std::expected<void, std::string> check(PGresult* raw) {
    const Result result(raw, PQclear);
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) return failure();
    return {};
  }

  const Rows& rows_;
  std::size_t rows_per_insert_;
  Connection connection_{nullptr, PQfinish};
  std::vector<const char*> bytes_;
  std::vector<int> sizes_;
  std::vector<int> formats_;
};

// Inserts all rows; the first error of any connection ends its part.
std::expected<void, std::string> insert_all(std::vector<Inserter>& inserters, const Rows& rows,
                                            std::size_t rows_per_insert) {
  std::atomic<std::size_t> next{0};
  std::vector<std::expected<void, std::string>> outcomes(inserters.size());
  {
    std::vector<std::jthread> threads;
    threads.reserve(inserters.size());
    for (std::size_t index = 0; index < inserters.size(); ++index) {
      threads.emplace_back([&, index] {
        std::size_t first = 0;
        while (outcomes[index] && (first = next.fetch_add(rows_per_insert)) < rows.count()) {
          outcomes[index] = inserters[index].insert(first);
        }
      });
    }
  }
  for (auto& outcome : outcomes) {
    if (!outcome) return std::move(outcome);
  }
  return {};
}

int fail(std::string_view sentence) {
  fmt::print(stderr, "multi_row_insert: {}\n", sentence);
  return exit_failed;
}

int run(const char* path, std::size_t connections, std::size_t rows_per_insert) {
  std::ifstream stream(path, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const Rows rows = rows_of(file);
  const char* url = std::getenv("DATABASE_URL");
  if (rows.count() == 0) return fail(fmt::format("{} holds no rows in COPY's binary form", path));
  if (url == nullptr) return fail("DATABASE_URL is not set");
  if (rows_per_insert * rows.columns > parameters_max) return fail("so many rows have too many parameters");
  std::vector<Inserter> inserters;
  inserters.reserve(connections);
  for (std::size_t index = 0; index < connections; ++index) inserters.emplace_back(rows, rows_per_insert);
  for (Inserter& inserter : inserters) {
    if (const auto connected = inserter.connect(url); !connected) return fail(connected.error());
  }
  const auto begin = std::chrono::steady_clock::now();
  if (const auto done = insert_all(inserters, rows, rows_per_insert); !done) return fail(done.error());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  fmt::print("{{\"rows\": {}, \"seconds\": {:.6f}}}\n", rows.count(), seconds.count());
  return 0;
}

std::size_t number_from(std::string_view text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::span all(arguments, static_cast<std::size_t>(argument_count));
  const std::size_t connections = all.size() == 4 ? number_from(all[2]) : 0;
  const std::size_t rows_per_insert = all.size() == 4 ? number_from(all[3]) : 0;
  if (connections == 0 || rows_per_insert == 0) {
    fmt::print(stderr, "usage: multi_row_insert FILE CONNECTIONS ROWS_PER_INSERT\n");
    return exit_usage;
  }
  return run(all[1], connections, rows_per_insert);
}
