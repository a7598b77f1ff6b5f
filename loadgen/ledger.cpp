#include "loadgen/ledger.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::int64_t ns_per_us = 1'000;

std::uint64_t microseconds_between(std::int64_t from_ns, std::int64_t to_ns) noexcept {
  return to_ns <= from_ns ? 0 : static_cast<std::uint64_t>((to_ns - from_ns) / ns_per_us);
}

std::uint32_t count_in(const std::vector<std::uint32_t>& ascending, std::uint32_t begin, std::uint32_t end) {
  const auto first = std::lower_bound(ascending.begin(), ascending.end(), begin);
  return static_cast<std::uint32_t>(std::lower_bound(first, ascending.end(), end) - first);
}

}  // namespace

void Ledger::batch_begun(const Batch& batch) {
  counters_.sent.add(batch.range.count);
  counters_.batches_sent.add();
}

void Ledger::set(const Batch& batch, std::uint32_t begin, std::uint32_t end, Outcome outcome) {
  if (outcomes_ == nullptr || begin == end) return;
  outcomes_->set({.first = batch.range.first + begin, .count = end - begin}, outcome);
}

void Ledger::add_reason(Reasons& reasons, std::string_view reason, std::uint64_t count) {
  const auto found = reasons.find(reason);
  if (found != reasons.end()) {
    found->second += count;
  } else {
    reasons.emplace(reason, count);
  }
}

void Ledger::record_latency(const Batch& batch, std::uint32_t count, std::int64_t now_ns) {
  ack_us_.record(microseconds_between(batch.due_ns, now_ns), count);
  service_us_.record(microseconds_between(batch.begun_ns, now_ns), count);
  last_answer_ns_ = now_ns;
}

void Ledger::settle(Batch& batch, std::uint32_t end, std::uint32_t rejected, std::int64_t now_ns) {
  WELLHEAD_ASSERT(batch.answered <= end && end <= batch.range.count);
  const std::uint32_t count = end - batch.answered;
  WELLHEAD_ASSERT(rejected <= count && batch.rejects.size() <= rejected);
  if (count == 0) return;
  record_latency(batch, count, now_ns);
  counters_.acknowledged.add(count - rejected);
  counters_.rejected.add(rejected);
  set(batch, batch.answered, end, Outcome::acknowledged);
  const auto unlisted = rejected - static_cast<std::uint32_t>(batch.rejects.size());
  if (unlisted == 0) [[likely]] {
    settle_named(batch, end);
  } else {
    settle_unlisted(batch, end, unlisted);
  }
  batch.answered = end;
  batch.rejects.clear();
}

void Ledger::settle_named(Batch& batch, std::uint32_t end) {
  const std::uint32_t bad = count_in(batch.bad_offsets, batch.answered, end);
  std::uint32_t bad_rejected = 0;
  for (const Reject& reject : batch.rejects) {
    WELLHEAD_ASSERT(reject.offset >= batch.answered && reject.offset < end);
    set(batch, reject.offset, reject.offset + 1, Outcome::rejected);
    add_reason(reject_codes_, reject.code, 1);
    bad_rejected += count_in(batch.bad_offsets, reject.offset, reject.offset + 1);
  }
  counters_.bad_acknowledged.add(bad - bad_rejected);
  if (!good_may_be_rejected_) counters_.good_rejected.add(batch.rejects.size() - bad_rejected);
}

// The node names at most 100 rejects of a request. Which the others were is certain when all of the batch
// were rejected, and follows from how the batch was made when the bad ones account for every reject: should
// the node have refused a good one and taken a bad one instead, the verifier finds the one missing and the
// other there. Otherwise each record but the named ones may be either.
void Ledger::settle_unlisted(Batch& batch, std::uint32_t end, std::uint32_t unlisted) {
  const std::uint32_t count = end - batch.answered;
  const auto rejected = static_cast<std::uint32_t>(batch.rejects.size()) + unlisted;
  const std::uint32_t bad = count_in(batch.bad_offsets, batch.answered, end);
  std::vector<std::uint32_t> named;
  named.reserve(batch.rejects.size());
  for (const Reject& reject : batch.rejects) named.push_back(reject.offset);
  const bool named_are_bad = std::all_of(named.begin(), named.end(), [&](std::uint32_t offset) {
    return std::binary_search(batch.bad_offsets.begin(), batch.bad_offsets.end(), offset);
  });
  if (rejected == count) {
    set(batch, batch.answered, end, Outcome::rejected);
  } else if (bad == rejected && named_are_bad) {
    for (const std::uint32_t offset : batch.bad_offsets) {
      if (offset >= batch.answered && offset < end) set(batch, offset, offset + 1, Outcome::rejected);
    }
  } else {
    set(batch, batch.answered, end, Outcome::ambiguous);
    for (const std::uint32_t offset : named) set(batch, offset, offset + 1, Outcome::rejected);
    counters_.unlisted.add(unlisted);
    counters_.ambiguous_acknowledged.add(count - rejected);
  }
  for (const Reject& reject : batch.rejects) add_reason(reject_codes_, reject.code, 1);
  add_reason(reject_codes_, "unlisted", unlisted);
  if (!good_may_be_rejected_) {
    if (rejected > bad) counters_.good_rejected.add(rejected - bad);
    if (bad > rejected) counters_.bad_acknowledged.add(bad - rejected);
  }
}

void Ledger::fail(Batch& batch, std::string_view reason, std::int64_t now_ns) {
  const std::uint32_t count = batch.range.count - batch.answered;
  set(batch, batch.answered, batch.range.count, Outcome::failed);
  counters_.failed.add(count);
  add_reason(problems_, reason, count);
  batch.answered = batch.range.count;
  last_answer_ns_ = now_ns;
}

void Ledger::lose(Batch& batch, std::string_view reason) {
  const std::uint32_t count = batch.range.count - batch.answered;
  if (count == 0) return;
  set(batch, batch.answered, batch.range.count, Outcome::unknown);
  // Rejects whose acknowledgement did not come are settled all the same: the node said these are not stored.
  for (const Reject& reject : batch.rejects) {
    set(batch, reject.offset, reject.offset + 1, Outcome::rejected);
    add_reason(reject_codes_, reject.code, 1);
  }
  counters_.rejected.add(batch.rejects.size());
  counters_.unknown.add(count - batch.rejects.size());
  add_reason(problems_, reason, count - batch.rejects.size());
  batch.answered = batch.range.count;
  batch.rejects.clear();
}

}  // namespace wellhead::loadgen
