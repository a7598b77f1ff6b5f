// Whether a node has committed all that it took, asked at its admin port.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "loadgen/target.hpp"

namespace wellhead::loadgen {

// Returns when the node says that none of its records is queued any more, or with a sentence when it does not
// say so before `deadline_ns` (monotonic). A node that does not answer may be starting and is asked again.
[[nodiscard]] std::expected<void, std::string> wait_until_drained(const Target& admin,
                                                                  std::int64_t deadline_ns);

// The sum of all samples of a metric in Prometheus' text format; empty when there is none.
[[nodiscard]] std::optional<double> metric_sum(std::string_view exposition, std::string_view name);

}  // namespace wellhead::loadgen
