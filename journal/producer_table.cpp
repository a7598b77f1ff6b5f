#include "journal/producer_table.hpp"

#include <algorithm>
#include <iterator>

#include "base/assert.hpp"

namespace wellhead {

ProducerTable::ProducerTable(const LedgerOptions& options, LedgerStats& stats)
    : window_us_(std::chrono::microseconds(options.window).count()),
      stripe_entries_max_(options.entries_max / ledger_stripe_count(options)),
      stripes_(ledger_stripe_count(options)),
      stats_(stats) {}

ProducerTable::Stripe& ProducerTable::stripe_of(const Fingerprint& producer) {
  return stripes_[ledger_stripe_of(producer, stripes_.size())];
}

std::uint64_t ProducerTable::claim(const Fingerprint& producer, std::int64_t now_us) {
  Stripe& stripe = stripe_of(producer);
  const std::scoped_lock lock(stripe.mutex);
  forget_expired(stripe, now_us);
  const auto [known, added] = stripe.known.try_emplace(producer);
  if (added) stats_.producers.fetch_add(1, std::memory_order_relaxed);
  if (known->second.silent) {
    stripe.silent.erase(known->second.place);
    known->second.silent = false;
  }
  known->second.claim = last_claim_.fetch_add(1, std::memory_order_relaxed) + 1;
  return known->second.claim;
}

ProducerStanding ProducerTable::standing(const Fingerprint& producer, std::uint64_t claim) const {
  const Stripe& stripe = stripes_[ledger_stripe_of(producer, stripes_.size())];
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(producer);
  if (known == stripe.known.end() || known->second.claim != claim) return {};
  if (known->second.in_flight != 0) return {.status = ProducerStatus::settling};
  return {.status = ProducerStatus::ready, .last_sequence = known->second.last_sequence};
}

bool ProducerTable::begin(const Fingerprint& producer, std::uint64_t claim) {
  Stripe& stripe = stripe_of(producer);
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(producer);
  if (known == stripe.known.end() || known->second.claim != claim) return false;
  ++known->second.in_flight;
  return true;
}

void ProducerTable::finish(const ProducerEntry& entry) {
  Stripe& stripe = stripe_of(entry.producer);
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(entry.producer);
  WELLHEAD_ASSERT(known != stripe.known.end() && entry.last_sequence > known->second.last_sequence);
  known->second.last_sequence = entry.last_sequence;
  known->second.time_us = entry.time_us;
  end_lines(stripe, known);
}

void ProducerTable::take_back(const Fingerprint& producer) {
  Stripe& stripe = stripe_of(producer);
  const std::scoped_lock lock(stripe.mutex);
  end_lines(stripe, stripe.known.find(producer));
}

void ProducerTable::doubt(const Fingerprint& producer) {
  Stripe& stripe = stripe_of(producer);
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(producer);
  WELLHEAD_ASSERT(known != stripe.known.end() && known->second.in_flight > 0);
  known->second.claim = 0;
}

void ProducerTable::abandon(const Fingerprint& producer) {
  Stripe& stripe = stripe_of(producer);
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(producer);
  WELLHEAD_ASSERT(known != stripe.known.end());
  known->second.claim = 0;
  end_lines(stripe, known);
}

void ProducerTable::leave(const Fingerprint& producer, std::uint64_t claim) {
  Stripe& stripe = stripe_of(producer);
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(producer);
  if (known == stripe.known.end() || known->second.claim != claim) return;
  known->second.claim = 0;
  look_for_silence(stripe, known);
}

void ProducerTable::end_lines(Stripe& stripe, Map::iterator known) {
  WELLHEAD_ASSERT(known != stripe.known.end() && known->second.in_flight > 0);
  --known->second.in_flight;
  look_for_silence(stripe, known);
}

// A producer that a connection speaks for, or that has lines on their way, is not forgotten; one of which
// nothing is stored need not be known.
void ProducerTable::look_for_silence(Stripe& stripe, Map::iterator known) {
  if (known->second.claim != 0 || known->second.in_flight != 0) return;
  if (known->second.last_sequence == 0) {
    stripe.known.erase(known);
    stats_.producers.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  known->second.place = stripe.silent.insert(stripe.silent.end(), known->first);
  known->second.silent = true;
  forget_surplus(stripe);
}

// --- forgetting ---

void ProducerTable::forget_oldest(Stripe& stripe) {
  const std::size_t erased = stripe.known.erase(stripe.silent.front());
  WELLHEAD_ASSERT(erased == 1);
  stripe.silent.pop_front();
  stats_.producers.fetch_sub(1, std::memory_order_relaxed);
}

void ProducerTable::forget_expired(Stripe& stripe, std::int64_t now_us) {
  while (!stripe.silent.empty() && stripe.known.at(stripe.silent.front()).time_us < now_us - window_us_) {
    forget_oldest(stripe);
    stats_.expired.fetch_add(1, std::memory_order_relaxed);
  }
}

void ProducerTable::forget_surplus(Stripe& stripe) {
  while (!stripe.silent.empty() && stripe.known.size() > stripe_entries_max_) {
    forget_oldest(stripe);
    stats_.evicted.fetch_add(1, std::memory_order_relaxed);
  }
}

// --- disk ---

void ProducerTable::restore(const ProducerEntry& entry) {
  Stripe& stripe = stripe_of(entry.producer);
  const std::scoped_lock lock(stripe.mutex);
  const auto [known, added] = stripe.known.try_emplace(entry.producer);
  if (added) stats_.producers.fetch_add(1, std::memory_order_relaxed);
  if (entry.last_sequence <= known->second.last_sequence) return;
  known->second.last_sequence = entry.last_sequence;
  known->second.time_us = entry.time_us;
}

void ProducerTable::finish_restore(std::int64_t now_us) {
  for (Stripe& stripe : stripes_) {
    const std::scoped_lock lock(stripe.mutex);
    std::vector<Map::iterator> by_time;
    for (auto known = stripe.known.begin(); known != stripe.known.end(); ++known) by_time.push_back(known);
    std::ranges::sort(by_time, {}, [](Map::iterator known) { return known->second.time_us; });
    for (const Map::iterator known : by_time) {
      known->second.place = stripe.silent.insert(stripe.silent.end(), known->first);
      known->second.silent = true;
    }
    forget_expired(stripe, now_us);
    forget_surplus(stripe);
  }
}

void ProducerTable::visit(const std::function<void(const ProducerEntry&)>& on_entry,
                          const std::function<void()>& on_stripe) const {
  for (const Stripe& stripe : stripes_) {
    {
      const std::scoped_lock lock(stripe.mutex);
      for (const auto& [producer, known] : stripe.known) {
        if (known.last_sequence == 0) continue;
        on_entry({.producer = producer, .last_sequence = known.last_sequence, .time_us = known.time_us});
      }
    }
    on_stripe();
  }
}

}  // namespace wellhead
