// What the tables of a schema are, as far as migrations make them, in a form that two schemas share: so that
// one can be compared with another.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sink/database.hpp"

namespace wellhead {

struct SnapshotKey {
  std::string table;  // whose part it is; of a function its own name
  std::string kind;   // "table", "column", "index", "constraint", "chunk interval", "policy", "trigger", …
  std::string name;   // of the part; empty where a table has only one
  auto operator<=>(const SnapshotKey&) const = default;
};
// Each with its definition, as the server prints it, without the schema's name.
using Snapshot = std::map<SnapshotKey, std::string>;

// Of the schema that comes first in the search path. REQUIRES a connected database. Changes nothing.
[[nodiscard]] DatabaseResult<Snapshot> take_snapshot(Database& database);

// A sentence for each difference. Tables and functions only `live` has are nobody's concern; parts only
// `live` has, of tables both have, are differences.
[[nodiscard]] std::vector<std::string> differences_between(const Snapshot& expected, const Snapshot& live);

}  // namespace wellhead
