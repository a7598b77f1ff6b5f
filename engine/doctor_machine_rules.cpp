#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/database_report_print.hpp"
#include "engine/doctor_machine.hpp"

namespace wellhead {
namespace {

using enum FindingLevel;

constexpr std::uint32_t backlog_min = 1'024;
// Clocks that are read without leaving the process, the best first.
constexpr std::array<std::string_view, 4> quick_clocks{"tsc", "kvm-clock", "hyperv_clocksource_tsc_page",
                                                       "arch_sys_counter"};

Finding finding(FindingLevel level, std::string subject, std::string seen, std::string reason = {},
                std::string fix = {}) {
  return {level, "machine", std::move(subject), std::move(seen), std::move(reason), std::move(fix)};
}

std::pair<int, int> version(const KernelDescription& kernel) {
  return {kernel.version_major, kernel.version_minor};
}

// A file for each, so that no setting takes another's place.
std::string sysctl_line(const char* name, std::string_view value) {
  return fmt::format(
      "echo '{0} = {1}' | sudo tee /etc/sysctl.d/60-wellhead-{0}.conf && sudo sysctl -w {0}={1}", name,
      value);
}

std::string unit_line(std::string_view file, std::string_view line, std::string_view remark) {
  constexpr std::string_view directory = "/etc/systemd/system/wellhead.service.d";
  return fmt::format(
      "sudo mkdir -p {0} && (echo '[Service]'; echo '{1}') | sudo tee {0}/60-{2}.conf && sudo systemctl "
      "daemon-reload   # then restart it; {3}",
      directory, line, file, remark);
}

Finding judge_kernel(const KernelDescription& kernel) {
  const std::string seen = "Linux " + kernel.release;
  if (version(kernel) >= std::pair{6, 1}) return finding(ok, "kernel", seen);
  return finding(problem, "kernel", seen, "the node needs what io_uring can since Linux 6.1",
                 "sudo apt-get install linux-image-amd64   # then reboot; Debian 12 or newer has 6.1");
}

std::string fix_of_locked_memory(const MachineWishes& wishes) {
  // The user's other processes count as well.
  const std::uint64_t kibibytes = std::max<std::uint64_t>(64 << 10, 4 * wishes.ring_bytes >> 10);
  return unit_line("memlock", fmt::format("LimitMEMLOCK={}K", kibibytes),
                   fmt::format("without a unit: ulimit -l {}", kibibytes));
}

std::string fix_of_ring(const MachineFacts& facts, const MachineWishes& wishes) {
  if (facts.ring_problem.contains(more_locked_memory)) return fix_of_locked_memory(wishes);
  if (facts.kernel.uring_disabled > 0) return sysctl_line("kernel.io_uring_disabled", "0");
  return unit_line("io-uring",
                   "SystemCallFilter=@system-service io_uring_setup io_uring_enter io_uring_register",
                   "a container's seccomp profile must allow the three as well: docker run --security-opt "
                   "seccomp=PROFILE.json");
}

Finding judge_ring(const MachineFacts& facts, const MachineWishes& wishes) {
  if (!facts.ring_problem.empty())
    return finding(problem, "io_uring", facts.ring_problem, "without io_uring the node cannot start",
                   fix_of_ring(facts, wishes));
  if (facts.multishot_accept)
    return finding(ok, "io_uring", "allowed, with buffer rings, multishot receive and accept");
  return finding(advice, "io_uring", "allowed; this kernel's multishot accept does not work",
                 "connections are accepted one at a time, which costs only nodes with very many new ones",
                 "sudo apt-get upgrade   # of the kernel: 6.6.1 to 6.8-rc3 are known to answer wrongly");
}

// Some kernels charge rings to the limit (before 5.12, and again from about 6.14 on, as distributions take
// it over) and some to the control group; the next upgrade may bring one of the others.
Finding judge_locked_memory(const MachineFacts& facts, const MachineWishes& wishes) {
  const std::string needed = readable_bytes(static_cast<double>(wishes.ring_bytes));
  if (facts.locked_bytes_max == unlimited)
    return finding(ok, "locked memory", fmt::format("no limit; the rings of all reactors take {}", needed));
  const std::string seen = fmt::format("at most {}; the rings of all reactors take {}",
                                       readable_bytes(static_cast<double>(facts.locked_bytes_max)), needed);
  if (facts.locked_bytes_max < wishes.ring_bytes)
    return finding(
        warning, "locked memory", seen,
        "kernels before 5.12 and from about 6.14 on refuse rings past the limit, and the node does "
        "not start there",
        fix_of_locked_memory(wishes));
  if (facts.locked_bytes_max < 2 * wishes.ring_bytes)
    return finding(advice, "locked memory", seen,
                   "the kernel gives back rings a moment after their process: a node that is started again "
                   "at once may not get its own",
                   fix_of_locked_memory(wishes));
  return finding(ok, "locked memory", seen);
}

Finding judge_descriptors(const MachineFacts& facts, const MachineWishes& wishes) {
  if (facts.descriptors_max == unlimited) return finding(ok, "open files", "no limit");
  const std::string seen = fmt::format("at most {}; the configured connections may need {}",
                                       facts.descriptors_max, wishes.descriptors);
  if (facts.descriptors_max >= wishes.descriptors) return finding(ok, "open files", seen);
  return finding(warning, "open files", seen, "connections past the limit are refused",
                 unit_line("nofile", fmt::format("LimitNOFILE={}", wishes.descriptors),
                           "or lower limits.connections_max"));
}

Finding judge_cores(const MachineFacts& facts, const MachineWishes& wishes) {
  const auto [reactors, shards] = wishes.threads;
  const std::string seen =
      fmt::format("{} cores for {} reactors and {} shards", facts.cores, reactors, shards);
  if (reactors > facts.cores)
    return finding(
        warning, "cores", seen, "reactors that share a core make each other's clients wait",
        fmt::format("server.reactors = {}   # 0: by the number of cores", std::max(1U, facts.cores / 4)));
  if (shards > 4 * facts.cores)
    return finding(advice, "cores", seen,
                   "each shard is a connection with small flushes of its own; fewer make larger ones",
                   "server.shards = 0   # by the number of cores");
  return finding(ok, "cores", seen);
}

Finding judge_memory(const MachineFacts& facts, const MachineWishes& wishes) {
  if (facts.memory_bytes == 0) return finding(ok, "memory", "not known");
  const std::string seen = fmt::format("{}, of which the batches of all reactors may take {}",
                                       readable_bytes(static_cast<double>(facts.memory_bytes)),
                                       readable_bytes(static_cast<double>(wishes.pipeline_bytes)));
  if (wishes.pipeline_bytes <= facts.memory_bytes / 2) return finding(ok, "memory", seen);
  return finding(
      warning, "memory", seen, "under load the kernel may end the node or the database for memory",
      fmt::format("pipeline.memory = \"{}MiB\"",
                  std::max<std::uint64_t>(1, (facts.memory_bytes / 2 / wishes.threads.reactors) >> 20)));
}

Finding judge_huge_pages(const MachineFacts& facts) {
  if (facts.huge_pages.empty()) return finding(ok, "transparent huge pages", "this kernel has none");
  if (facts.huge_pages != "always") return finding(ok, "transparent huge pages", facts.huge_pages);
  return finding(
      advice, "transparent huge pages", facts.huge_pages,
      "the kernel stops processes of the database now and then to make huge pages they did not ask for",
      "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled   # for good: "
      "transparent_hugepage=madvise on the kernel's command line");
}

// Only of those the kernel trusts: it takes no other.
std::string fix_of_clock(const std::string& trusted) {
  const std::string padded = ' ' + trusted + ' ';
  for (const std::string_view clock : quick_clocks)
    if (padded.contains(fmt::format(" {} ", clock)))
      return fmt::format(
          "echo {} | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource", clock);
  return "sudo dmesg | grep -iE 'tsc|clocksource'   # says why no quick clock is trusted; look at the "
         "firmware "
         "or the virtual machine's processor";
}

void judge_clock(const MachineFacts& facts, Findings& findings) {
  if (facts.clock_source.empty()) return;
  const bool slow = facts.clock_source == "hpet" || facts.clock_source == "acpi_pm";
  findings.push_back(
      slow ? finding(advice, "clock", facts.clock_source,
                     "each look at this clock is a slow access to a device, and the node looks often",
                     fix_of_clock(facts.clock_sources))
           : finding(ok, "clock", facts.clock_source));
}

void judge_backlog(const MachineFacts& facts, Findings& findings) {
  if (facts.backlog_max == 0) return;
  const std::string seen = fmt::format("net.core.somaxconn = {}", facts.backlog_max);
  findings.push_back(
      facts.backlog_max >= backlog_min
          ? finding(ok, "listen backlog", seen)
          : finding(advice, "listen backlog", seen,
                    "many devices that connect at once, as after a network outage, have to try again",
                    sysctl_line("net.core.somaxconn", "4096")));
}

void judge_governor(const MachineFacts& facts, Findings& findings) {
  if (facts.processor_governor.empty()) return;
  findings.push_back(
      facts.processor_governor != "powersave"
          ? finding(ok, "processor frequency", facts.processor_governor)
          : finding(advice, "processor frequency", facts.processor_governor,
                    "with some drivers cores stay slow under short loads, and acknowledgements take longer",
                    "sudo cpupower frequency-set -g performance"));
}

}  // namespace

Findings judge_machine(const MachineFacts& facts, const MachineWishes& wishes) {
  Findings findings{
      judge_kernel(facts.kernel),       judge_ring(facts, wishes),  judge_locked_memory(facts, wishes),
      judge_descriptors(facts, wishes), judge_cores(facts, wishes), judge_memory(facts, wishes),
      judge_huge_pages(facts)};
  judge_clock(facts, findings);
  judge_backlog(facts, findings);
  judge_governor(facts, findings);
  return findings;
}

}  // namespace wellhead
