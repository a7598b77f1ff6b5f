// What was acknowledged against what is there, row by row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "loadgen/copy_binary.hpp"
#include "loadgen/outcome_store.hpp"
#include "loadgen/row_matcher.hpp"

namespace wellhead::loadgen {

struct Verification {
  std::uint64_t committed = 0;          // rows of this run in the table, extra copies included
  std::uint64_t lost = 0;               // acknowledged, not there
  std::uint64_t duplicated = 0;         // extra copies of records that were sent
  std::uint64_t mismatched = 0;         // there with other values than were sent
  std::uint64_t foreign = 0;            // rows of this run's devices that were never sent
  std::uint64_t rejected_present = 0;   // refused by the node, and there
  std::uint64_t unknown_committed = 0;  // of unknown fate: there after all
  std::uint64_t unknown_absent = 0;     // of unknown fate: not there
  std::vector<std::string> examples;    // the first few findings, a sentence each

  [[nodiscard]] bool passed() const noexcept {
    return lost == 0 && duplicated == 0 && mismatched == 0 && foreign == 0 && rejected_present == 0;
  }
};

// Fed with every row that may be the run's, then asked for the verdict. Memory: the outcome store's byte per
// record.
class Verifier final : public CopyRowVisitor {
 public:
  static constexpr std::uint64_t examples_max = 3;  // of each kind of finding

  // `unlisted_acknowledged`: how many of the records of ambiguous fate the node said it took.
  Verifier(RowMatcher& matcher, OutcomeStore& outcomes, std::uint64_t unlisted_acknowledged)
      : matcher_(matcher), outcomes_(outcomes), unlisted_acknowledged_(unlisted_acknowledged) {}

  void on_row(const CopyRow& row) override;
  // After the last row.
  [[nodiscard]] Verification verdict();

 private:
  void classify(std::uint64_t record, const RowMatch& match);
  // Counts one more finding of a kind, and keeps its sentence if it is one of the first.
  void note(std::uint64_t& count, std::string example);

  RowMatcher& matcher_;
  OutcomeStore& outcomes_;
  std::uint64_t unlisted_acknowledged_;
  Verification result_;
};

}  // namespace wellhead::loadgen
