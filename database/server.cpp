#include "database/server.hpp"

#include <fmt/format.h>

#include <charconv>

namespace wellhead {
namespace {

constexpr ExtensionVersion columnstore_since{2, 18};
constexpr ExtensionVersion direct_compress_since{2, 21};

// One row, whatever the server lacks. The loader of the extension defines its settings when it is preloaded,
// also in databases without the extension; without a license setting the build knows only the Apache edition.
// The function that partitions tables is made together with their partitions (0011), and stays with them.
constexpr const char* question =
    "SELECT current_setting('server_version'), current_setting('server_version_num'), "
    "(SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), "
    "current_setting('timescaledb.license', true), "
    "EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb'), "
    "EXISTS (SELECT FROM pg_settings WHERE name = 'timescaledb.disable_load'), "
    "EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
    "WHERE p.proname = 'wellhead_partition_table' AND n.nspname = current_schema())";

// The digits at the front of `text`, which are taken off it; 0 where there are none.
int take_number(std::string_view& text) noexcept {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return 0;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

// The first word: Debian's server_version is "17.5 (Debian 17.5-1)".
std::string first_word(const std::string& text) {
  return text.substr(0, text.find(' '));
}

Edition edition_of(const DatabaseRow& row) {
  if (!row[2] || row[6] == "t") return Edition::plain;
  return row[3] == "timescale" ? Edition::community : Edition::apache;
}

}  // namespace

std::string_view to_string(Edition edition) noexcept {
  switch (edition) {
    case Edition::plain:
      return "plain";
    case Edition::apache:
      return "apache";
    case Edition::community:
      return "community";
  }
  return "";
}

ExtensionVersion parse_extension_version(std::string_view text) noexcept {
  ExtensionVersion version;
  version.major = take_number(text);
  if (!text.starts_with('.')) return {};
  text.remove_prefix(1);
  version.minor = take_number(text);
  return version;
}

bool Server::has_columnstore_names() const noexcept {
  return has_compression() && timescaledb_version >= columnstore_since;
}

bool Server::has_direct_compress() const noexcept {
  return has_compression() && timescaledb_version >= direct_compress_since;
}

DatabaseResult<Server> detect_server(Database& database) {
  const auto rows = database.query(question);
  if (!rows) return std::unexpected(rows.error());
  const DatabaseRow& row = rows->front();
  Server server;
  server.postgresql = first_word(row[0].value_or(""));
  std::string_view number = row[1] ? std::string_view(*row[1]) : std::string_view();
  server.postgresql_version = take_number(number);
  server.timescaledb = row[2].value_or("");
  server.timescaledb_version = parse_extension_version(server.timescaledb);
  server.edition = edition_of(row);
  server.available = row[4] == "t";
  server.preloaded = row[5] == "t";
  server.partitioned = row[6] == "t";
  return server;
}

std::string describe(const Server& server) {
  if (server.edition == Edition::plain && !server.timescaledb.empty())
    return fmt::format("PostgreSQL {} with partitions beside TimescaleDB {}", server.postgresql,
                       server.timescaledb);
  if (server.edition == Edition::plain)
    return fmt::format("PostgreSQL {} without TimescaleDB", server.postgresql);
  return fmt::format("TimescaleDB {} ({} edition)", server.timescaledb,
                     server.edition == Edition::apache ? "Apache" : "Community");
}

std::string describe(const DatabaseError& error) {
  std::string text = error.message;
  if (!error.sqlstate.empty()) text += fmt::format(" (SQLSTATE {})", error.sqlstate);
  if (!error.context.empty()) text += fmt::format(", at {}", error.context);
  return text;
}

}  // namespace wellhead
