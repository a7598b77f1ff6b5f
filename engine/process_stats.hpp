// What the operating system says about this process.
#pragma once

#include <cstdint>

namespace wellhead {

struct ProcessStats {
  double cpu_seconds = 0;  // user and system
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t descriptors_open = 0;
  std::uint64_t descriptors_max = 0;
  std::uint64_t threads = 0;
  double start_time_seconds = 0;  // since 1970
};

// Reads /proc/self; what cannot be read stays 0.
[[nodiscard]] ProcessStats read_process_stats();

}  // namespace wellhead
