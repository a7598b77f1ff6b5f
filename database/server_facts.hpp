// What a server is set to and what lies in the tables that streams write to: what `wellhead doctor` judges.
// Asked of the catalogs, so that it works before migrations and without rights to the data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "database/server.hpp"
#include "sink/database.hpp"

namespace wellhead {

// One of pg_settings, by the server's own units: bytes, seconds, a plain number.
struct SettingFacts {
  std::string text;  // as SHOW prints it
  double value = 0;  // bytes for memory, seconds for time; 0 for words
};

struct TableFacts {
  std::string table = {};  // as the stream names it
  bool there = false;
  bool divided = false;                              // a hypertable, or partitioned
  std::vector<std::string> unique_constraints = {};  // primary keys among them; names as they are
  std::vector<std::string> unique_indexes =
      {};                                      // of no constraint; quoted, with the schema where it needs one
  std::vector<std::string> row_triggers = {};  // that inserts fire, but the extension's own
  std::vector<std::string> exclusions = {};
  std::vector<std::string> foreign_keys = {};
  std::uint64_t chunks = 0;
  std::uint64_t indexes = 0;                          // of the table
  std::optional<double> chunk_interval_seconds = {};  // none without TimescaleDB
  std::uint64_t recent_index_bytes = 0;               // of the chunk, of the last three, that has the most
  std::optional<double> rows_per_segment = {};        // of compressed chunks; none where there are none
};

struct JobFacts {
  std::uint64_t jobs = 0;
  std::vector<std::string> failing;  // "1001 policy_compression of telemetry", whose last run failed
};

struct ServerFacts {
  Server server;
  bool local = false;  // on this machine
  std::string role;
  bool reads_statistics = false;  // pg_read_all_stats
  bool statements = false;        // pg_stat_statements can be asked in this database
  std::map<std::string, SettingFacts> settings;
  std::uint64_t connections = 0;  // of the whole server
  std::uint64_t databases = 0;    // with the extension's scheduler: those that are no template
  std::uint64_t checkpoints_timed = 0;
  std::uint64_t checkpoints_requested = 0;
  std::vector<TableFacts> tables;
  JobFacts jobs;

  // 0 where the server has no setting of this name.
  [[nodiscard]] double setting(const std::string& name) const;
  // "" likewise.
  [[nodiscard]] std::string text(const std::string& name) const;
};

// `tables` as streams name them: "table" or "schema.table". REQUIRES a connected database. Changes nothing.
[[nodiscard]] DatabaseResult<ServerFacts> gather_server(Database& database,
                                                        std::span<const std::string> tables);

}  // namespace wellhead
