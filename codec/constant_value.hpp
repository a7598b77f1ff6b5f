// The value of a constant column, read once when its stream is compiled.
#pragma once

#include <expected>
#include <string>

#include "codec/schema_index.hpp"

namespace wellhead {

// Reads ColumnConfig::value by the rules for values of records, so that a constant is what a record could
// have brought. Texts and times are written as they are, other types as in JSON. What the slot points to is
// put into `memory`, which has to outlive it. The error is the end of a sentence whose subject is the column.
[[nodiscard]] std::expected<Slot, std::string> read_constant(const ColumnPlan& plan, std::string& memory);

}  // namespace wellhead
