// The machine a node runs on: what there is, and what it means for the node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/config_check.hpp"
#include "engine/doctor_finding.hpp"
#include "engine/process_limits.hpp"
#include "net/feature_probe.hpp"

namespace wellhead {

struct MachineFacts {
  KernelDescription kernel;
  std::string ring_problem;  // a sentence; empty: a ring like the node's can be made
  bool multishot_accept = false;
  // The hard limits, to which the node raises its own.
  std::uint64_t locked_bytes_max = unlimited;
  std::uint64_t descriptors_max = unlimited;
  std::uint32_t cores = 1;
  std::uint64_t memory_bytes = 0;  // of the machine, or of the control group where that is less; 0: not known
  std::string huge_pages;          // the word in force of transparent_hugepage/enabled; empty: not known
  std::string clock_source;        // "tsc"; empty: not known
  std::string clock_sources;       // those the kernel trusts, separated by spaces
  std::uint32_t backlog_max = 0;   // net.core.somaxconn; 0: not known
  std::string processor_governor;  // of the first processor; empty: none, as in most virtual machines
};

// What the node would ask of the machine.
struct MachineWishes {
  ThreadCounts threads{1, 1};
  std::uint64_t descriptors = 0;
  // Of all reactors.
  std::uint64_t ring_bytes = 0;
  std::uint64_t pipeline_bytes = 0;
};
[[nodiscard]] MachineWishes machine_wishes(const Config& config, const ThreadCounts& threads);

// Makes a reactor's ring with its buffers for a moment, on the caller's thread. Raises the soft limits of
// this process as the node does; changes nothing else.
[[nodiscard]] MachineFacts gather_machine(const Config& config);
// Pure.
[[nodiscard]] Findings judge_machine(const MachineFacts& facts, const MachineWishes& wishes);

}  // namespace wellhead
