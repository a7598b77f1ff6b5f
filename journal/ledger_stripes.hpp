// What the two tables of the ledger share: their bounds, their counts, and how they are cut into stripes so
// that reactors seldom wait for one another.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/assert.hpp"
#include "journal/ledger.hpp"

namespace wellhead {

struct LedgerOptions {
  std::chrono::milliseconds window{std::chrono::hours(24)};  // how long an answer is remembered
  // Keys, and as many producers, remembered at most: about 250 bytes each. When there are more, the oldest go
  // before their time.
  std::size_t entries_max = 1'000'000;
};

// Any thread.
struct LedgerStats {
  std::atomic<std::int64_t> keys{0};       // remembered now
  std::atomic<std::int64_t> producers{0};  // known now
  std::atomic<std::uint64_t> keys_repeated{0};
  std::atomic<std::uint64_t> keys_refused_in_flight{0};
  std::atomic<std::uint64_t> keys_conflicting{0};
  std::atomic<std::uint64_t> expired{0};  // forgotten at the end of the window
  std::atomic<std::uint64_t> evicted{0};  // forgotten before it, for entries_max
};

struct FingerprintHash {
  std::size_t operator()(const Fingerprint& fingerprint) const noexcept { return fingerprint.low; }
};

// A power of two. Small tables have one stripe, and then the oldest of all is the oldest of the stripe; with
// more, fingerprints spread evenly enough that each stripe is bounded for itself.
[[nodiscard]] inline std::size_t ledger_stripe_count(const LedgerOptions& options) noexcept {
  constexpr std::size_t stripes_max = 256;
  constexpr std::size_t entries_worth_a_stripe = 4'096;
  WELLHEAD_ASSERT(options.entries_max > 0);
  return std::min(stripes_max, std::bit_floor(options.entries_max / entries_worth_a_stripe + 1));
}

// The map in a stripe uses the low half.
[[nodiscard]] inline std::size_t ledger_stripe_of(const Fingerprint& fingerprint,
                                                  std::size_t stripes) noexcept {
  return fingerprint.high & (stripes - 1);
}

}  // namespace wellhead
