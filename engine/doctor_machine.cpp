#include "engine/doctor_machine.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "engine/cores.hpp"
#include "net/buffer_ring.hpp"
#include "net/reactor_loop.hpp"
#include "net/ring.hpp"

namespace wellhead {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "always [madvise] never" → "madvise".
std::string chosen_word(const std::string& line) {
  const std::size_t open = line.find('[');
  const std::size_t close = line.find(']');
  return open < close && close != std::string::npos ? line.substr(open + 1, close - open - 1) : "";
}

// What cannot be raised does not bind the judgement: no limit is known.
std::uint64_t limit_of_node(__rlimit_resource resource) {
  const auto raised = raise_limit(resource);
  return raised ? raised->now : unlimited;
}

std::uint64_t usable_memory() {
  const auto pages = sysconf(_SC_PHYS_PAGES);
  const auto page = sysconf(_SC_PAGESIZE);
  const std::uint64_t machine =
      pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 0;
  std::ifstream file("/sys/fs/cgroup/memory.max");
  std::uint64_t group = 0;
  return file >> group && group != 0 ? std::min(machine, group) : machine;
}

void probe_ring(const Config& config, MachineFacts& facts) {
  const RingEntries entries = ring_entries(config.net);
  const auto ring = Ring::create(entries.submissions, entries.completions);
  if (!ring) {
    facts.ring_problem = ring.error();
    return;
  }
  const auto buffers =
      BufferRing::create(**ring, config.net.receive_buffers, config.net.receive_buffer_bytes);
  if (!buffers) {
    facts.ring_problem = buffers.error();
    return;
  }
  const auto features = probe_features(**ring, BufferRing::group);
  if (features)
    facts.multishot_accept = features->multishot_accept;
  else
    facts.ring_problem = features.error();
}

}  // namespace

MachineWishes machine_wishes(const Config& config, const ThreadCounts& threads) {
  return {.threads = threads,
          .descriptors = descriptors_wanted(config, threads),
          .ring_bytes = threads.reactors * ring_locked_bytes(config.net),
          .pipeline_bytes = threads.reactors * config.pipeline_memory};
}

MachineFacts gather_machine(const Config& config) {
  MachineFacts facts;
  facts.kernel = describe_kernel();
  facts.locked_bytes_max = limit_of_node(RLIMIT_MEMLOCK);
  facts.descriptors_max = limit_of_node(RLIMIT_NOFILE);
  probe_ring(config, facts);
  facts.cores = usable_cores();
  facts.memory_bytes = usable_memory();
  facts.huge_pages = chosen_word(first_line("/sys/kernel/mm/transparent_hugepage/enabled"));
  facts.clock_source = first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  facts.clock_sources = first_line("/sys/devices/system/clocksource/clocksource0/available_clocksource");
  std::ifstream backlog("/proc/sys/net/core/somaxconn");
  if (!(backlog >> facts.backlog_max)) facts.backlog_max = 0;
  facts.processor_governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  return facts;
}

}  // namespace wellhead
