// What a run came to: merged from all workers, judged, ready to be reported.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.hpp"
#include "loadgen/ledger.hpp"
#include "loadgen/options.hpp"
#include "loadgen/schedule.hpp"
#include "loadgen/verifier.hpp"
#include "loadgen/worker.hpp"

namespace wellhead::loadgen {

// A rate counts as held from this share of its target on.
inline constexpr double rate_held_share = 0.99;
// Answers to the last batches may come this much after the schedule's end without counting against the rate.
inline constexpr double answer_grace_s = 1.0;

struct Summary {
  std::uint64_t planned = 0;  // records; 0: not fixed beforehand
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t rejected = 0;
  std::uint64_t failed = 0;
  std::uint64_t unknown = 0;
  std::uint64_t unlisted = 0;
  std::uint64_t ambiguous_acknowledged = 0;
  std::uint64_t bad_acknowledged = 0;
  std::uint64_t good_rejected = 0;
  std::uint64_t batches = 0;
  std::uint64_t bytes = 0;
  std::uint64_t backpressure = 0;
  std::uint64_t retries = 0;
  std::uint64_t reconnects = 0;
  std::uint64_t protocol_errors = 0;
  double duration_s = 0;   // from the start to the last answer
  double rate = 0;         // answered records/s over it
  double target_rate = 0;  // 0: none
  bool rate_held = true;   // true without a target, or without an end to hold it to
  bool interrupted = false;
  bool gave_up = false;
  std::unique_ptr<Histogram> ack_us = std::make_unique<Histogram>();
  std::unique_ptr<Histogram> service_us = std::make_unique<Histogram>();
  Ledger::Reasons reject_codes;
  Ledger::Reasons problems;
  std::vector<std::pair<std::string, double>> cpu_seconds;
  std::optional<Verification> verification;
  std::string verification_problem;  // why there is none although it was asked for

  // What is wrong, a sentence each; empty: the run was fine.
  [[nodiscard]] std::vector<std::string> failures() const;
};

// After the workers have ended.
[[nodiscard]] Summary summarize(const std::vector<std::unique_ptr<Worker>>& workers, const Schedule& schedule,
                                bool interrupted);

}  // namespace wellhead::loadgen
