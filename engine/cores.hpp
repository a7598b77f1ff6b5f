// How many threads a node gets, and where they run.
#pragma once

#include <cstdint>
#include <vector>

namespace wellhead {

// The processors this process may run on, by number.
[[nodiscard]] std::vector<int> allowed_processors();

// Cores this process can use at once: the processors it may run on, or its control group's quota where that
// is less.
[[nodiscard]] std::uint32_t usable_cores();

// One core decodes about four times what a shard's connection and the database behind it take in, so most of
// a machine belongs to the shards and to the database beside them: 2 cores give 1 reactor, 64 give 16.
[[nodiscard]] constexpr std::uint32_t automatic_reactors(std::uint32_t cores) {
  return cores < 8 ? 1 : cores / 4;
}

// At least two, so that one connection can wait for its commit while the other copies; 64 cores give 32.
[[nodiscard]] constexpr std::uint32_t automatic_shards(std::uint32_t cores) {
  return cores < 4 ? 2 : cores / 2;
}

}  // namespace wellhead
