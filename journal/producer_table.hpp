// How far each producer of NDJSON lines has come, in memory.
//
// One connection at a time speaks for a producer: the latest that said its name. It holds a claim, a number
// that begin() wants to see, so that an earlier connection adds nothing once a later one has asked where the
// producer stands; and the later one is told only when the last line of the earlier one is settled.
//
// Shared by all reactors; every call is safe from any thread and takes one lock of many, held for a look-up.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "journal/ledger.hpp"
#include "journal/ledger_stripes.hpp"

namespace wellhead {

enum class ProducerStatus : std::uint8_t {
  ready,       // nothing of it is on its way; `last_sequence` is durable
  settling,    // lines of an earlier connection are on their way, or in doubt: ask again
  taken_over,  // the claim is not the producer's latest
};
struct ProducerStanding {
  ProducerStatus status = ProducerStatus::taken_over;
  std::uint64_t last_sequence = 0;  // with ready
};

class ProducerTable {
 public:
  // `stats` outlives the table.
  ProducerTable(const LedgerOptions& options, LedgerStats& stats);

  // A connection says the producer's name; any earlier claim is void. Never 0.
  // Times are wall time, microseconds since 2000-01-01 UTC.
  [[nodiscard]] std::uint64_t claim(const Fingerprint& producer, std::int64_t now_us);
  // Before the first begin() of the claim.
  [[nodiscard]] ProducerStanding standing(const Fingerprint& producer, std::uint64_t claim) const;

  // Lines are about to be taken. False when the claim is void: then they must not be.
  [[nodiscard]] bool begin(const Fingerprint& producer, std::uint64_t claim);
  // The block with the entry is durable. REQUIRES begin() for these lines; in the order of the lines.
  void finish(const ProducerEntry& entry);
  // The lines were not taken after all, and nothing of them is stored. REQUIRES begin() for them, and nothing
  // begun behind them.
  void take_back(const Fingerprint& producer);
  // Nobody knows whether lines that were taken are stored: the claim becomes void, and the next one is not
  // ready before take_back(). REQUIRES begin() for them.
  void doubt(const Fingerprint& producer);
  // Lines that were taken are not stored. The claim becomes void, since lines behind a gap must not be taken.
  // Those taken already must be abandoned too. REQUIRES begin() for these lines.
  void abandon(const Fingerprint& producer);
  // The connection is gone; its lines on their way are still to be finished or abandoned.
  void leave(const Fingerprint& producer, std::uint64_t claim);

  // As in KeyTable; of two entries the further one.
  void restore(const ProducerEntry& entry);
  void finish_restore(std::int64_t now_us);
  void visit(const std::function<void(const ProducerEntry&)>& on_entry,
             const std::function<void()>& on_stripe) const;

 private:
  struct Known {
    std::uint64_t last_sequence = 0;  // 0: nothing durable yet
    std::int64_t time_us = 0;         // of that
    std::uint64_t claim = 0;          // 0: no connection
    std::uint32_t in_flight = 0;      // requests begun and not ended
    bool silent = false;              // stands in Stripe::silent, at `place`
    std::list<Fingerprint>::iterator place{};
  };
  using Map = std::unordered_map<Fingerprint, Known, FingerprintHash>;
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    Map known;
    std::list<Fingerprint> silent;  // no connection and nothing on its way, longest first
  };

  [[nodiscard]] Stripe& stripe_of(const Fingerprint& producer);
  void end_lines(Stripe& stripe, Map::iterator known);
  void look_for_silence(Stripe& stripe, Map::iterator known);
  void forget_oldest(Stripe& stripe);
  void forget_expired(Stripe& stripe, std::int64_t now_us);
  void forget_surplus(Stripe& stripe);

  std::int64_t window_us_;
  std::size_t stripe_entries_max_;
  std::vector<Stripe> stripes_;
  std::atomic<std::uint64_t> last_claim_{0};
  LedgerStats& stats_;
};

}  // namespace wellhead
