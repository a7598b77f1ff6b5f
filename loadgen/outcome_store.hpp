// What became of each record of the run, one byte a record, for the verifier.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "loadgen/workload.hpp"

namespace wellhead::loadgen {

enum class Outcome : std::uint8_t {
  unsent,   // never given to the network
  unknown,  // sent, and nobody can say: the connection broke, no answer came, or the node said so
  acknowledged,
  rejected,   // this record was refused
  failed,     // its whole request was refused: nothing of it may be stored
  ambiguous,  // one of a batch of which some were rejected without being named
};

// Workers set disjoint ranges at the same time; the verifier reads after they have ended. Memory comes in
// segments as record numbers grow, and what was not sent costs nothing.
class OutcomeStore {
 public:
  static constexpr std::uint64_t segment_records = std::uint64_t{1} << 22;
  static constexpr std::size_t segments_max = 1 << 14;
  static constexpr std::uint64_t records_max = segment_records * segments_max;  // 68 thousand million

  OutcomeStore() = default;
  ~OutcomeStore();
  OutcomeStore(const OutcomeStore&) = delete;
  OutcomeStore& operator=(const OutcomeStore&) = delete;

  void set(RecordRange range, Outcome outcome);
  void set(std::uint64_t record, Outcome outcome) { set({.first = record, .count = 1}, outcome); }
  [[nodiscard]] Outcome get(std::uint64_t record) const noexcept;

  // The verifier's mark: true the first time.
  [[nodiscard]] bool mark_found(std::uint64_t record);
  [[nodiscard]] bool found(std::uint64_t record) const noexcept;
  // Takes all marks away: the rows are read again.
  void forget_found() noexcept;
  // Records up to here may have been set.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_.load(std::memory_order_acquire); }

 private:
  [[nodiscard]] std::uint8_t* segment_for_write(std::uint64_t record);
  [[nodiscard]] std::uint8_t read(std::uint64_t record) const noexcept;

  std::array<std::atomic<std::uint8_t*>, segments_max> segments_{};
  std::atomic<std::uint64_t> size_{0};
};

}  // namespace wellhead::loadgen
