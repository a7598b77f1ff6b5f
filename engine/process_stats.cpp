#include "engine/process_stats.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace wellhead {
namespace {

double to_seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Seconds since 1970 at which the machine started.
double boot_time_seconds() {
  std::ifstream file("/proc/stat");
  std::string word;
  double seconds = 0;
  while (file >> word) {
    if (word == "btime" && file >> seconds) return seconds;
  }
  return 0;
}

// Fields of /proc/self/stat behind the command's name, which may itself hold spaces and brackets (proc(5)).
void read_stat(ProcessStats& stats) {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  constexpr int threads_field = 20;
  constexpr int start_time_field = 22;
  constexpr int resident_pages_field = 24;
  std::string field;
  for (int number = 3; number <= resident_pages_field && fields >> field; ++number) {
    const double value = number == 3 ? 0 : std::stod(field);
    if (number == threads_field) stats.threads = static_cast<std::uint64_t>(value);
    if (number == start_time_field)
      stats.start_time_seconds = boot_time_seconds() + value / static_cast<double>(sysconf(_SC_CLK_TCK));
    if (number == start_time_field + 1) stats.virtual_bytes = static_cast<std::uint64_t>(value);
    if (number == resident_pages_field)
      stats.resident_bytes =
          static_cast<std::uint64_t>(value) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
}

std::uint64_t count_descriptors() {
  std::error_code error;
  std::uint64_t count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error))
    ++count;
  return count == 0 ? 0 : count - 1;  // the one that reads the directory
}

}  // namespace

ProcessStats read_process_stats() {
  ProcessStats stats;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    stats.cpu_seconds = to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.descriptors_max = limit.rlim_cur;
  stats.descriptors_open = count_descriptors();
  read_stat(stats);
  return stats;
}

}  // namespace wellhead
