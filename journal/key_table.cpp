#include "journal/key_table.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {

KeyTable::KeyTable(const LedgerOptions& options, LedgerStats& stats)
    : window_us_(std::chrono::microseconds(options.window).count()),
      stripe_entries_max_(options.entries_max / ledger_stripe_count(options)),
      stripes_(ledger_stripe_count(options)),
      stats_(stats) {}

KeyTable::Stripe& KeyTable::stripe_of(const Fingerprint& key) {
  return stripes_[ledger_stripe_of(key, stripes_.size())];
}

KeyVerdict KeyTable::begin(const Fingerprint& key, const Fingerprint& content, std::int64_t now_us) {
  Stripe& stripe = stripe_of(key);
  const std::scoped_lock lock(stripe.mutex);
  forget_expired(stripe, now_us);
  const auto [known, fresh] = stripe.known.try_emplace(key);
  if (!fresh) return judge(known->second, content);
  known->second.content = content;
  return {};
}

// Other content is a conflict even while the first request is on its way: whatever becomes of that one, the
// client has used one key for two things.
KeyVerdict KeyTable::judge(const Known& known, const Fingerprint& content) const {
  if (known.content != content) {
    stats_.keys_conflicting.fetch_add(1, std::memory_order_relaxed);
    return {.status = KeyStatus::conflict};
  }
  if (!known.done) {
    stats_.keys_refused_in_flight.fetch_add(1, std::memory_order_relaxed);
    return {.status = KeyStatus::in_flight};
  }
  stats_.keys_repeated.fetch_add(1, std::memory_order_relaxed);
  return {.status = KeyStatus::repeated, .time_us = known.time_us, .answer = known.answer};
}

void KeyTable::finish(const RequestEntry& entry) {
  Stripe& stripe = stripe_of(entry.key);
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(entry.key);
  WELLHEAD_ASSERT(known != stripe.known.end() && !known->second.done &&
                  known->second.content == entry.content);
  known->second.time_us = entry.time_us;
  known->second.answer = entry.answer;
  known->second.done = true;
  stripe.finished.push_back({entry.key, entry.time_us});
  stats_.keys.fetch_add(1, std::memory_order_relaxed);
  forget_surplus(stripe);
}

void KeyTable::abandon(const Fingerprint& key) {
  Stripe& stripe = stripe_of(key);
  const std::scoped_lock lock(stripe.mutex);
  const auto known = stripe.known.find(key);
  WELLHEAD_ASSERT(known != stripe.known.end() && !known->second.done);
  stripe.known.erase(known);
}

// --- forgetting ---

void KeyTable::forget_oldest(Stripe& stripe) {
  const auto known = stripe.known.find(stripe.finished.front().key);
  WELLHEAD_ASSERT(known != stripe.known.end() && known->second.done);
  stripe.known.erase(known);
  stripe.finished.pop_front();
  stats_.keys.fetch_sub(1, std::memory_order_relaxed);
}

void KeyTable::forget_expired(Stripe& stripe, std::int64_t now_us) {
  while (!stripe.finished.empty() && stripe.finished.front().time_us < now_us - window_us_) {
    forget_oldest(stripe);
    stats_.expired.fetch_add(1, std::memory_order_relaxed);
  }
}

void KeyTable::forget_surplus(Stripe& stripe) {
  while (stripe.finished.size() > stripe_entries_max_) {
    forget_oldest(stripe);
    stats_.evicted.fetch_add(1, std::memory_order_relaxed);
  }
}

// --- disk ---

// A key can be there twice: in the snapshot and in a segment the journal still holds (the same entry), or
// expired and used again. Order and bounds are put right at the end.
void KeyTable::restore(const RequestEntry& entry) {
  Stripe& stripe = stripe_of(entry.key);
  const std::scoped_lock lock(stripe.mutex);
  const auto [known, added] = stripe.known.try_emplace(entry.key);
  if (!added && entry.time_us < known->second.time_us) return;
  known->second = {.content = entry.content, .time_us = entry.time_us, .answer = entry.answer, .done = true};
  if (added) stats_.keys.fetch_add(1, std::memory_order_relaxed);
}

void KeyTable::finish_restore(std::int64_t now_us) {
  for (Stripe& stripe : stripes_) {
    const std::scoped_lock lock(stripe.mutex);
    stripe.finished.clear();
    for (const auto& [key, known] : stripe.known) stripe.finished.push_back({key, known.time_us});
    std::ranges::sort(stripe.finished, {}, &Finished::time_us);
    forget_expired(stripe, now_us);
    forget_surplus(stripe);
  }
}

void KeyTable::visit(const std::function<void(const RequestEntry&)>& on_entry,
                     const std::function<void()>& on_stripe) const {
  for (const Stripe& stripe : stripes_) {
    {
      const std::scoped_lock lock(stripe.mutex);
      for (const Finished& finished : stripe.finished) {
        const Known& known = stripe.known.at(finished.key);
        on_entry({.key = finished.key,
                  .content = known.content,
                  .time_us = known.time_us,
                  .answer = known.answer});
      }
    }
    on_stripe();
  }
}

}  // namespace wellhead
