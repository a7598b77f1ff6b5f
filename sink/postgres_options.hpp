#pragma once

#include <chrono>
#include <expected>
#include <string>

namespace wellhead {

struct PostgresOptions {
  std::string connection = {};            // libpq URI or keywords; empty: the PG* environment variables
  std::string node_id = "wellhead";       // names this node's rows in wellhead_progress; one node, one name
  std::string synchronous_commit = "on";  // as PostgreSQL's setting of that name
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds statement_timeout{
      60'000};  // then the connection is dropped and the flush tried again
};

// Checks what can be checked without a server. The error is a sentence and never repeats the connection
// string.
[[nodiscard]] std::expected<void, std::string> validate(const PostgresOptions& options);

}  // namespace wellhead
