#include "loadgen/verifier.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace wellhead::loadgen {

void Verifier::note(std::uint64_t& count, std::string example) {
  if (++count <= examples_max) result_.examples.push_back(std::move(example));
}

void Verifier::on_row(const CopyRow& row) {
  const RowMatch match = matcher_.match(row);
  if (match.already_there) return;
  ++result_.committed;
  if (!match.record || *match.record >= outcomes_.size()) {
    note(result_.foreign, "a row of this run's devices that was never sent");
    return;
  }
  classify(*match.record, match);
}

void Verifier::classify(std::uint64_t record, const RowMatch& match) {
  switch (outcomes_.get(record)) {
    case Outcome::unsent:
      note(result_.foreign, fmt::format("record {} is there and was never sent", record));
      return;
    case Outcome::rejected:
    case Outcome::failed:
      note(result_.rejected_present, fmt::format("record {} is there although the node refused it", record));
      break;
    case Outcome::acknowledged:
    case Outcome::unknown:
    case Outcome::ambiguous:
      break;
  }
  if (!outcomes_.mark_found(record)) {
    note(result_.duplicated, fmt::format("record {} is there more than once", record));
  }
  if (!match.values_equal) {
    note(result_.mismatched, fmt::format("record {}: {}", record, match.difference));
  }
}

Verification Verifier::verdict() {
  std::uint64_t ambiguous_found = 0;
  for (std::uint64_t record = 0; record < outcomes_.size(); ++record) {
    const bool found = outcomes_.found(record);
    switch (outcomes_.get(record)) {
      case Outcome::acknowledged:
        if (found) continue;
        note(result_.lost, fmt::format("record {} was acknowledged and is not there", record));
        break;
      case Outcome::unknown:
        ++(found ? result_.unknown_committed : result_.unknown_absent);
        break;
      case Outcome::ambiguous:
        ambiguous_found += found ? 1 : 0;
        break;
      case Outcome::unsent:
      case Outcome::rejected:
      case Outcome::failed:
        break;
    }
  }
  // Which of these were taken the node did not say, but how many.
  if (ambiguous_found < unlisted_acknowledged_) result_.lost += unlisted_acknowledged_ - ambiguous_found;
  if (ambiguous_found > unlisted_acknowledged_)
    result_.rejected_present += ambiguous_found - unlisted_acknowledged_;
  return result_;
}

}  // namespace wellhead::loadgen
