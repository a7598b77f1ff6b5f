// What the tables that ship decide about the streams that write to them, and no configuration can: the values
// their CHECK constraints take, and which scored column each bit of quality_flags stands for.
//
// For a configuration that is to come into force. Streams of earlier runs, which a journal remembers, are not
// held against it: their rows are there already.
#pragma once

#include <string>
#include <vector>

#include "codec/schema.hpp"

namespace wellhead {

// Sentences in the form of check_stream()'s, each about one column; none: the stream fits, or its table is
// not one that ships. A table that is named with its schema may be another one: of that only the database can
// tell (sink/catalog_checks.hpp).
[[nodiscard]] std::vector<std::string> find_shipped_table_mistakes(const StreamConfig& stream);

}  // namespace wellhead
