#include "engine/cores.hpp"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>

namespace wellhead {
namespace {

// "max 100000" or "150000 100000": microseconds of processor time per period (cgroup v2, cpu.max).
std::uint32_t quota_cores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  std::uint64_t quota_us = 0;
  std::uint64_t period_us = 0;
  if (!(file >> quota_us >> period_us) || quota_us == 0 || period_us == 0) return UINT32_MAX;
  return static_cast<std::uint32_t>((quota_us + period_us - 1) / period_us);
}

}  // namespace

std::vector<int> allowed_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> processors;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return processors;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (CPU_ISSET(static_cast<unsigned>(processor), &set)) processors.push_back(processor);
  }
  return processors;
}

std::uint32_t usable_cores() {
  auto processors = static_cast<std::uint32_t>(allowed_processors().size());
  if (processors == 0) processors = std::thread::hardware_concurrency();
  return std::max(1U, std::min(processors, quota_cores()));
}

}  // namespace wellhead
