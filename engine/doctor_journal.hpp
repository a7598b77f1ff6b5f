// The journal's directory: the disk below it, how long it takes to make something durable, and its space.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/config.hpp"
#include "engine/doctor_finding.hpp"

namespace wellhead {

// Durable writes of 64 KiB, one after another, to a file without a name that is gone with the process.
struct SyncLatency {
  std::uint32_t samples = 0;  // 0: it could not be measured
  double p50_ms = 0;
  double p99_ms = 0;
  bool direct = false;  // written around the page cache
  std::string problem;  // why it could not be measured; empty otherwise
};

struct JournalFacts {
  bool enabled = true;
  std::string directory;
  bool there = false;                 // else the directory above it was looked at
  std::vector<std::string> problems;  // sentences: why a node cannot start on it
  std::string file_system;            // "ext4"; a number in hexadecimal where it has no name here
  SyncLatency latency;
  std::uint64_t free_bytes = 0;  // for this user
  std::uint64_t used_bytes = 0;  // by the journal's own files
};

struct JournalWishes {
  std::uint64_t bytes_max = 0;
  std::uint64_t free_bytes_min = 0;
  bool direct_required = false;
};
[[nodiscard]] JournalWishes journal_wishes(const Config& config);

// Writes at most 32 MiB to a file of its own in `directory`, for at most a second.
[[nodiscard]] SyncLatency measure_sync_latency(const std::string& directory);

// Takes no lock and leaves nothing behind, so that it may be asked while a node runs.
[[nodiscard]] JournalFacts gather_journal(const Config& config);
// Pure.
[[nodiscard]] Findings judge_journal(const JournalFacts& facts, const JournalWishes& wishes);

}  // namespace wellhead
