// The database of a node: its server's settings, its tables, and what stands in the way of its fast paths.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "database/server_facts.hpp"
#include "engine/doctor_finding.hpp"

namespace wellhead {

struct DatabaseFacts {
  // Why there is nothing else here: a sentence. Empty where the database was asked.
  std::string unreachable;
  bool left_alone = false;  // nobody wanted it asked
  ServerFacts server;
  std::vector<std::string> stream_problems;  // sentences: streams that cannot be written
  std::vector<std::string> narrower_checks;  // sentences: values that rules let through and a table refuses
  std::vector<std::string> pending;          // migrations that are not applied
  std::string migrations_problem;            // a sentence: why that is not known
};

// What the node needs and has.
struct DatabaseWishes {
  std::uint32_t shards = 1;
  std::uint64_t memory_bytes = 0;  // of this machine; 0: not known
  bool journal = true;
  std::string synchronous_commit;  // of the node's own sessions
};

// REQUIRES a connected database. Changes nothing.
[[nodiscard]] DatabaseFacts gather_database(Database& database, std::span<const SchemaPointer> streams,
                                            bool scored);
// Pure.
[[nodiscard]] Findings judge_database(const DatabaseFacts& facts, const DatabaseWishes& wishes);

// Parts of it.
[[nodiscard]] Findings judge_settings(const ServerFacts& facts, const DatabaseWishes& wishes);
[[nodiscard]] Findings judge_tables(const ServerFacts& facts, const DatabaseWishes& wishes);

}  // namespace wellhead
