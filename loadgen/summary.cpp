#include "loadgen/summary.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {
namespace {

void add_reasons(Ledger::Reasons& to, const Ledger::Reasons& from) {
  for (const auto& [reason, count] : from) {
    if (count != 0) to[reason] += count;
  }
}

void add_counters(Summary& summary, const LedgerCounters& counters) {
  summary.sent += counters.sent.value();
  summary.acknowledged += counters.acknowledged.value();
  summary.rejected += counters.rejected.value();
  summary.failed += counters.failed.value();
  summary.unknown += counters.unknown.value();
  summary.unlisted += counters.unlisted.value();
  summary.ambiguous_acknowledged += counters.ambiguous_acknowledged.value();
  summary.bad_acknowledged += counters.bad_acknowledged.value();
  summary.good_rejected += counters.good_rejected.value();
  summary.batches += counters.batches_sent.value();
  summary.bytes += counters.bytes_sent.value();
  summary.backpressure += counters.backpressure.value();
  summary.retries += counters.retries.value();
  summary.reconnects += counters.reconnects.value();
  summary.protocol_errors += counters.protocol_errors.value();
}

// In a closed loop the rate is what was answered over the time it took. An open loop has its time given:
// there the answers that come a moment after its end count as in time, and those that come later stretch it.
// Without a planned end it is there to live through faults, which no rate survives.
void judge_rate(Summary& summary, const Schedule& schedule, std::int64_t last_answer_ns) {
  const double answered = static_cast<double>(summary.acknowledged + summary.rejected);
  summary.duration_s = std::max(0.0, ns_to_seconds(last_answer_ns - schedule.start_ns()));
  summary.target_rate = schedule.target_rate();
  double counted_s = summary.duration_s;
  if (summary.target_rate > 0 && !summary.interrupted) {
    counted_s = std::max(schedule.planned_s(), summary.duration_s - answer_grace_s);
  }
  summary.rate = counted_s > 0 ? answered / counted_s : 0;
  const bool judged = summary.target_rate > 0 && schedule.records_planned() != Schedule::unlimited;
  if (judged) summary.rate_held = summary.rate >= rate_held_share * summary.target_rate;
}

}  // namespace

Summary summarize(const std::vector<std::unique_ptr<Worker>>& workers, const Schedule& schedule,
                  bool interrupted) {
  Summary summary;
  summary.interrupted = interrupted;
  if (schedule.records_planned() != Schedule::unlimited) summary.planned = schedule.records_planned();
  std::int64_t last_answer_ns = schedule.start_ns();
  for (const auto& worker : workers) {
    const Ledger& ledger = worker->ledger();
    add_counters(summary, ledger.counters());
    add_reasons(summary.reject_codes, ledger.reject_codes());
    add_reasons(summary.problems, ledger.problems());
    summary.ack_us->merge(ledger.ack_us());
    summary.service_us->merge(ledger.service_us());
    summary.gave_up |= worker->gave_up();
    last_answer_ns = std::max(last_answer_ns, ledger.last_answer_ns());
  }
  judge_rate(summary, schedule, last_answer_ns);
  return summary;
}

std::vector<std::string> Summary::failures() const {
  std::vector<std::string> found;
  const auto add = [&found](std::uint64_t count, std::string_view sentence) {
    if (count != 0) found.push_back(fmt::format("{} {}", count, sentence));
  };
  if (acknowledged + rejected == 0) found.emplace_back("no record was answered");
  add(failed, "records were refused with their whole request");
  add(bad_acknowledged, "bad records were acknowledged");
  add(good_rejected, "good records were rejected");
  add(protocol_errors, "answers of the node make no sense");
  if (!rate_held)
    found.push_back(fmt::format("the rate was not held: {:.0f} of {:.0f} records/s", rate, target_rate));
  if (planned > sent && !interrupted) add(planned - sent, "planned records were not sent");
  if (!verification_problem.empty()) found.push_back(verification_problem);
  if (!verification) {
    add(unknown, verification_problem.empty()
                     ? "records are of unknown fate; --verify tells what became of them"
                     : "records are of unknown fate");
    return found;
  }
  add(verification->lost, "acknowledged records are not in the table");
  add(verification->duplicated, "extra copies of records are in the table");
  add(verification->mismatched, "rows differ from what was sent");
  add(verification->foreign, "rows of this run's devices were never sent");
  add(verification->rejected_present, "refused records are in the table");
  return found;
}

}  // namespace wellhead::loadgen
