// Attributes of devices from the database, and what is kept of them for a start without it.
//
// The last table a query gave is saved in the journal's directory, as attributes/STREAM.csv with a checksum
// behind it. It is a cache: where it is missing, damaged or of other columns, the devices are unknown until
// the database answers.
#pragma once

#include <expected>
#include <string>

#include "engine/attributes_csv.hpp"
#include "journal/file_system.hpp"
#include "sink/database.hpp"

namespace wellhead {

struct QueriedAttributes {
  AttributesTable table;
  std::string csv;  // the same, to be saved
};

// The statement that asks for what the stream wants of its query: the device, then the attributes, as texts.
[[nodiscard]] std::string attributes_statement(const StreamConfig& config);
// Runs it in a transaction that can only read. `database` is connected; the error is the end of a sentence.
[[nodiscard]] std::expected<QueriedAttributes, std::string> query_attributes(Database& database,
                                                                             const StreamConfig& config);

// Replaces what is saved of the stream. The error is the end of a sentence.
[[nodiscard]] std::expected<void, std::string> save_attributes(FileSystem& files, const StreamConfig& config,
                                                               std::string csv);
// Null where nothing is saved that fits the stream.
[[nodiscard]] AttributesTable saved_attributes(FileSystem& files, const StreamConfig& config);

}  // namespace wellhead
