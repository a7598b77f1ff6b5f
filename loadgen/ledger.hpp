// A worker's account of its records: every record sent ends as exactly one of acknowledged, rejected, failed
// or unknown. One writer; counters and histograms may be read by any thread meanwhile, the maps when the
// worker ended.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "loadgen/batch.hpp"
#include "loadgen/outcome_store.hpp"

namespace wellhead::loadgen {

struct LedgerCounters {
  Counter sent;
  Counter acknowledged;
  Counter rejected;
  Counter failed;
  Counter unknown;
  Counter unlisted;                // of rejected: not named by the node, so it is not known which they were
  Counter ambiguous_acknowledged;  // of acknowledged: in a batch with such rejects
  Counter bad_acknowledged;        // bad on purpose, and taken
  Counter good_rejected;           // good, and refused
  Counter batches_sent;
  Counter bytes_sent;
  Counter backpressure;  // batches refused for now and sent again
  Counter retries;       // batches sent again although they may have been stored
  Counter reconnects;
  Counter protocol_errors;  // answers that make no sense
};

class Ledger {
 public:
  // `outcomes` may be null: then only counts are kept. `good_may_be_rejected`: nobody knows which records are
  // bad.
  Ledger(OutcomeStore* outcomes, bool good_may_be_rejected)
      : outcomes_(outcomes), good_may_be_rejected_(good_may_be_rejected) {}

  void batch_begun(const Batch& batch);
  // The fate of records [batch.answered, end) is known: `rejected` of them were rejected, those in
  // batch.rejects by name. Moves batch.answered and drops the rejects. The latency of all of them is
  // recorded.
  void settle(Batch& batch, std::uint32_t end, std::uint32_t rejected, std::int64_t now_ns);
  // The whole rest of the batch was refused, nothing of it is stored; `reason` is counted.
  void fail(Batch& batch, std::string_view reason, std::int64_t now_ns);
  // Nobody knows what became of the rest of the batch; `reason` is counted.
  void lose(Batch& batch, std::string_view reason);

  [[nodiscard]] LedgerCounters& counters() noexcept { return counters_; }
  [[nodiscard]] const LedgerCounters& counters() const noexcept { return counters_; }
  // Microseconds, per record.
  [[nodiscard]] const Histogram& ack_us() const noexcept { return ack_us_; }
  [[nodiscard]] const Histogram& service_us() const noexcept { return service_us_; }
  // Records by reject code, and by reason of failure or loss.
  using Reasons = std::map<std::string, std::uint64_t, std::less<>>;
  [[nodiscard]] const Reasons& reject_codes() const noexcept { return reject_codes_; }
  [[nodiscard]] const Reasons& problems() const noexcept { return problems_; }
  // The node said something, if only "later": the worker need not give up yet.
  void note_answer(std::int64_t now_ns) noexcept { last_answer_ns_ = now_ns; }
  [[nodiscard]] std::int64_t last_answer_ns() const noexcept { return last_answer_ns_; }

 private:
  void record_latency(const Batch& batch, std::uint32_t count, std::int64_t now_ns);
  void settle_named(Batch& batch, std::uint32_t end);
  void settle_unlisted(Batch& batch, std::uint32_t end, std::uint32_t unlisted);
  void set(const Batch& batch, std::uint32_t begin, std::uint32_t end, Outcome outcome);
  void add_reason(Reasons& reasons, std::string_view reason, std::uint64_t count);

  OutcomeStore* outcomes_;
  bool good_may_be_rejected_;
  LedgerCounters counters_;
  Histogram ack_us_;
  Histogram service_us_;
  Reasons reject_codes_;
  Reasons problems_;
  std::int64_t last_answer_ns_ = 0;
};

}  // namespace wellhead::loadgen
