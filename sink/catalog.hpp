// Checks the configured streams against the database's catalog, before the first row finds out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "sink/database.hpp"

namespace wellhead {

struct CatalogReport {
  std::vector<std::string> problems;  // a sentence each; empty: all streams can be written
  // There is a log of what the node's own aggregates have yet to compute. Who writes to their sources tells
  // it.
  bool has_invalidation_log = false;
  bool has_chunks = false;  // of TimescaleDB's, which a row may create
  // The server can compress what COPY writes; of which tables, find_compressible_streams() tells.
  bool has_direct_compress = false;
};

// Problems are: missing table or column, wrong type, generated column, NOT NULL column that the
// stream does not fill, missing right to insert, missing progress table, and, where rows are `scored`,
// missing table of baselines, and, where the node keeps aggregates of a stream's table, missing right to tell
// of what was written. The error is one of the connection. REQUIRES database.connected().
[[nodiscard]] DatabaseResult<CatalogReport> check_catalog(Database& database,
                                                          std::span<const SchemaPointer> streams,
                                                          bool scored = false);

}  // namespace wellhead
