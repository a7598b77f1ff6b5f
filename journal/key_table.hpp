// Which requests with a key are on their way or done, in memory.
//
// Shared by all reactors; every call is safe from any thread and takes one lock of many, held for a look-up.
//
// A request: begin() → fresh, then exactly one of finish() when the journal has it, or abandon() when nothing
// of it is stored. A key that is not finished is never remembered: "not stored" is the default.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "journal/ledger.hpp"
#include "journal/ledger_stripes.hpp"

namespace wellhead {

enum class KeyStatus : std::uint8_t {
  fresh,      // not known; it is on its way now, and the caller's to finish or abandon
  in_flight,  // an earlier request with it is on its way
  repeated,   // stored already; `answer` is what was said
  conflict,   // used for another content
};
struct KeyVerdict {
  KeyStatus status = KeyStatus::fresh;
  std::int64_t time_us = 0;  // with repeated: of the entry
  RememberedAnswer answer{};
};

class KeyTable {
 public:
  // `stats` outlives the table.
  KeyTable(const LedgerOptions& options, LedgerStats& stats);

  // Times are wall time, microseconds since 2000-01-01 UTC.
  [[nodiscard]] KeyVerdict begin(const Fingerprint& key, const Fingerprint& content, std::int64_t now_us);
  // The block with the entry is durable. REQUIRES begin() answered fresh.
  void finish(const RequestEntry& entry);
  // Nothing of the request is stored. REQUIRES begin() answered fresh.
  void abandon(const Fingerprint& key);

  // At the start, before any begin(): takes an entry from disk; of two with the same key the later one.
  void restore(const RequestEntry& entry);
  // After the last restore().
  void finish_restore(std::int64_t now_us);
  // Every entry that is done, stripe by stripe and oldest first within each; on_stripe() after each, without
  // a lock, and on_entry() with one: it must be quick and not call the table.
  void visit(const std::function<void(const RequestEntry&)>& on_entry,
             const std::function<void()>& on_stripe) const;

 private:
  struct Known {
    Fingerprint content;
    std::int64_t time_us = 0;
    RememberedAnswer answer{};
    bool done = false;
  };
  struct Finished {
    Fingerprint key;
    std::int64_t time_us;
  };
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::unordered_map<Fingerprint, Known, FingerprintHash> known;
    std::deque<Finished> finished;  // oldest first; one for each that is done
  };

  [[nodiscard]] Stripe& stripe_of(const Fingerprint& key);
  [[nodiscard]] KeyVerdict judge(const Known& known, const Fingerprint& content) const;
  void forget_oldest(Stripe& stripe);
  void forget_expired(Stripe& stripe, std::int64_t now_us);
  void forget_surplus(Stripe& stripe);

  std::int64_t window_us_;
  std::size_t stripe_entries_max_;
  std::vector<Stripe> stripes_;
  LedgerStats& stats_;
};

}  // namespace wellhead
