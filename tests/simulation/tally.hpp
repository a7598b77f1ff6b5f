// What happened in a run, to show that it did.
#pragma once

#include <cstdint>

namespace wellhead::simulation {

struct Tally {
  std::uint64_t requests = 0;
  std::uint64_t records_acknowledged = 0;
  std::uint64_t refusals = 0;   // requests not taken: no memory, journal full or latched, no database
  std::uint64_t repeats = 0;    // requests sent again under their key, and lines again by their producer
  std::uint64_t replays = 0;    // of the requests, answered from memory
  std::uint64_t conflicts = 0;  // keys used with other content, and so refused
  std::uint64_t rows_quarantined = 0;
  std::uint64_t node_crashes = 0;
  std::uint64_t power_losses = 0;
  std::uint64_t database_crashes = 0;
  std::uint64_t failovers = 0;
  std::uint64_t latches = 0;
  std::uint64_t disk_faults = 0;
  std::uint64_t segments_trimmed = 0;
  std::uint64_t rows_replayed = 0;
  void add(const Tally& other) noexcept;
};

}  // namespace wellhead::simulation
