// What the server is and can: the one place that tells PostgreSQL, TimescaleDB and its editions apart.
//
// Everything that differs by edition asks here: which migrations apply, what the node has to do itself, what
// reports say. Nobody else looks at pg_extension or at timescaledb.license, but the sink, which lies below:
// it asks whether COPY may compress (sink/direct_compress).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "sink/database.hpp"

namespace wellhead {

enum class Edition : std::uint8_t {
  plain,      // PostgreSQL, and no TimescaleDB in this database, or none that its tables use
  apache,     // hypertables and drop_chunks
  community,  // also compression, policies and continuous aggregates
};
// As migrations name it: "plain", "apache", "community".
[[nodiscard]] std::string_view to_string(Edition edition) noexcept;

// A version of TimescaleDB. {0, 0} where there is none.
struct ExtensionVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const ExtensionVersion&) const = default;
};
// "2.19.3" and "2.30.0-dev" → {2, 19} and {2, 30}; {0, 0} where it is no version.
[[nodiscard]] ExtensionVersion parse_extension_version(std::string_view text) noexcept;

struct Server {
  std::string postgresql;      // "17.5"
  int postgresql_version = 0;  // as server_version_num: 170005
  std::string timescaledb;     // "2.19.3"; empty where this database does not have the extension
  ExtensionVersion timescaledb_version;
  Edition edition = Edition::plain;
  bool available = false;  // CREATE EXTENSION timescaledb would find its files
  bool preloaded = false;  // shared_preload_libraries names it
  // The tables of this schema are partitioned by PostgreSQL's own means. What they are counts, and not what
  // the database got since: so they are cared for as on plain PostgreSQL where the extension comes later.
  bool partitioned = false;

  // The procedures and settings named columnstore (add_columnstore_policy, timescaledb.enable_columnstore);
  // before them the same things were named compression.
  [[nodiscard]] bool has_columnstore_names() const noexcept;
  [[nodiscard]] bool has_compression() const noexcept { return edition == Edition::community; }
  [[nodiscard]] bool has_continuous_aggregates() const noexcept { return edition == Edition::community; }
  // COPY may write compressed batches (timescaledb.enable_direct_compress_copy).
  [[nodiscard]] bool has_direct_compress() const noexcept;
};

// REQUIRES a connected database. Changes nothing.
[[nodiscard]] DatabaseResult<Server> detect_server(Database& database);

// "TimescaleDB 2.19.3 (Apache edition)", "PostgreSQL 17.5 without TimescaleDB", "PostgreSQL 17.5 with
// partitions beside TimescaleDB 2.19.3".
[[nodiscard]] std::string describe(const Server& server);

// One line for an operator, with SQLSTATE and place where the server told them.
[[nodiscard]] std::string describe(const DatabaseError& error);

}  // namespace wellhead
