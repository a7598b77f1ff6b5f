// Holds the rules of streams against the CHECK constraints of their tables. A row that breaks one is refused
// and becomes a dead letter as a whole, while the rules would have cost it one value: so whoever wrote rules
// that let through more than the table takes shall hear of it before the first such row comes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "sink/database.hpp"

namespace wellhead {

// A sentence for each constraint on one column of numbers that does not take the least or the largest value
// its rules in force let through. The server is asked what it makes of these two; what lies between them is
// not looked at, and neither are constraints on several columns at once or of domains. What cannot be found
// out is no finding: the error is one of the connection only.
// REQUIRES database.connected() and no transaction.
[[nodiscard]] DatabaseResult<std::vector<std::string>> find_narrower_checks(
    Database& database, std::span<const SchemaPointer> streams);

}  // namespace wellhead
