// Checks the configured streams against the database's catalog, before the first row finds out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "sink/database.hpp"

namespace wellhead {

// One sentence per problem: missing table or column, wrong type, generated column, NOT NULL column that the
// stream does not fill, missing right to insert, missing progress table, and, where rows are `scored`,
// missing table of baselines. Empty: all streams can be written. The error is one of the connection. REQUIRES
// database.connected().
[[nodiscard]] DatabaseResult<std::vector<std::string>> check_catalog(Database& database,
                                                                     std::span<const SchemaPointer> streams,
                                                                     bool scored = false);

}  // namespace wellhead
