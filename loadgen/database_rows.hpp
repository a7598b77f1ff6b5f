// Rows out of PostgreSQL, streamed: memory does not grow with the table.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>

#include "loadgen/copy_binary.hpp"

namespace wellhead::loadgen {

// Whether the database can be reached at all; asked before the run, so that a wrong URL does not cost one.
// The error is a sentence without the connection string, which may hold a password.
[[nodiscard]] std::expected<void, std::string> check_database(const std::string& connection_string);

// Runs `select` as COPY … TO STDOUT (FORMAT binary) and hands every row to `visitor`; returns their number. A
// database that does not take connections is tried again for `patience`: after a crash it may still be
// recovering.
[[nodiscard]] std::expected<std::uint64_t, std::string> read_rows(const std::string& connection_string,
                                                                  const std::string& select,
                                                                  CopyRowVisitor& visitor,
                                                                  std::chrono::milliseconds patience);

}  // namespace wellhead::loadgen
