// Whether a stream's configuration makes sense by itself, before any database is asked.
#pragma once

#include <expected>
#include <string>

#include "codec/schema.hpp"

namespace wellhead {

// What sentences about a column begin with: `Stream "a", column "b": `.
[[nodiscard]] std::string column_subject(const StreamConfig& stream, const ColumnConfig& column);

// The error is a sentence that names the stream and the column. REQUIRES that the device and time columns,
// where they exist, are already marked as required.
[[nodiscard]] std::expected<void, std::string> check_stream(const StreamConfig& stream);

}  // namespace wellhead
