#include "loadgen/cpu_meter.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace wellhead::loadgen {
namespace {

struct ProcessTimes {
  pid_t parent = 0;
  std::uint64_t ticks = 0;  // its own, and its ended children's
};

// /proc/PID/stat (proc(5)): the name in parentheses may hold anything, so the fields are counted behind the
// last one.
std::optional<ProcessTimes> read_times(const std::filesystem::path& directory) {
  std::ifstream file(directory / "stat");
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  ProcessTimes times;
  fields >> skipped >> times.parent;  // state, ppid
  for (int field = 5; field < 14; ++field) fields >> skipped;
  for (int field = 14; field <= 17; ++field) {  // utime, stime, cutime, cstime
    std::uint64_t ticks = 0;
    fields >> ticks;
    times.ticks += ticks;
  }
  if (!fields) return std::nullopt;
  return times;
}

std::map<pid_t, ProcessTimes> all_processes() {
  std::map<pid_t, ProcessTimes> processes;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc{} || end != name.data() + name.size()) continue;
    if (const auto times = read_times(entry.path())) processes.emplace(pid, *times);
  }
  return processes;
}

}  // namespace

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::optional<double> tree_cpu_seconds(pid_t root) {
  const std::map<pid_t, ProcessTimes> processes = all_processes();
  if (!processes.contains(root)) return std::nullopt;
  std::uint64_t ticks = 0;
  std::vector<pid_t> open{root};
  while (!open.empty()) {
    const pid_t current = open.back();
    open.pop_back();
    ticks += processes.at(current).ticks;
    for (const auto& [pid, times] : processes) {
      if (times.parent == current && pid != current) open.push_back(pid);
    }
  }
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace wellhead::loadgen
