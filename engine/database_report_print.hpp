// The database's report of itself as text for a terminal and as JSON.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "database/database_report.hpp"
#include "engine/config_values.hpp"

namespace wellhead {

// How far a shard of the running node is behind its journal.
struct ShardLag {
  std::string shard;
  std::uint64_t lag_batches = 0;        // durable and not committed
  std::uint64_t unflushed_batches = 0;  // committed and not known to be flushed
};

// Or a sentence: no node answers.
using NodeLag = std::expected<std::vector<ShardLag>, std::string>;

// Asks the node's admin listener, for two seconds at most.
[[nodiscard]] NodeLag read_node_lag(const Endpoint& admin);
// From the text of /metrics.
[[nodiscard]] std::vector<ShardLag> parse_node_lag(std::string_view metrics);

[[nodiscard]] std::string print_database(const DatabaseReport& report, const NodeLag& node);
[[nodiscard]] std::string print_database_json(const DatabaseReport& report, const NodeLag& node);

// "1.2 GiB".
[[nodiscard]] std::string readable_bytes(double bytes);
// "12.3 s", "5 min", "3.2 h", "4.0 d".
[[nodiscard]] std::string readable_seconds(double seconds);

}  // namespace wellhead
