// CPU time of processes, from /proc.
#pragma once

#include <sys/types.h>

#include <optional>

namespace wellhead::loadgen {

// User and system seconds of this process so far.
[[nodiscard]] double own_cpu_seconds();
// The same of process `root` and all its descendants, those that ended and were waited for included. Empty
// when there is no such process.
[[nodiscard]] std::optional<double> tree_cpu_seconds(pid_t root);

}  // namespace wellhead::loadgen
