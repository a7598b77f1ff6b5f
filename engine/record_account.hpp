// The account of records: what became of everything this node took, and of what earlier runs left it.
//
//   received + recovered = committed + queued + rejected + quarantined + duplicate + abandoned
//
// `received` are the records of clients' requests, `recovered` the rows of earlier runs that the journal held
// and the database did not have (counted as they are written). Where each number comes from:
//   committed, quarantined  the shards: only they see what becomes of rows that are read from the journal
//   received, rejected, duplicate, abandoned, pending  the reactors' intakes, each exact by itself
//   queued                  pending rows, and rows in the journal that no shard has settled yet
// The latter is what the intakes settled as durable less what the shards settled, so an account whose lanes
// have all come to their end must show none of them: what is left then is `unaccounted`, and a fault.
#pragma once

#include <array>
#include <cstdint>

#include "codec/record_error.hpp"
#include "engine/node_view.hpp"

namespace wellhead {

// Of one reactor, at a moment between two turns of its loop.
struct IntakeAccount {
  std::uint64_t received = 0;
  std::uint64_t accepted = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t duplicate = 0;
  std::uint64_t abandoned = 0;
  std::int64_t pending = 0;
  std::array<std::uint64_t, record_error_code_count> rejected{};

  bool operator==(const IntakeAccount&) const = default;
  [[nodiscard]] std::uint64_t rejected_count() const noexcept;
  [[nodiscard]] std::int64_t unaccounted() const noexcept;
  void add(const IntakeAccount& other) noexcept;
};

// A reading of counters another thread is writing: repeated until two in a row agree, so that it is a state
// the reactor was in between two requests.
[[nodiscard]] IntakeAccount read_account(const IntakeStats& stats);

// Of the node.
struct RecordAccount {
  std::uint64_t received = 0;
  std::uint64_t recovered = 0;
  std::uint64_t committed = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t duplicate = 0;
  std::uint64_t abandoned = 0;
  std::int64_t queued = 0;
  std::int64_t unaccounted = 0;  // received + recovered less all the others; anything but 0 is a fault
  std::array<std::uint64_t, record_error_code_count> rejected{};

  bool operator==(const RecordAccount&) const = default;
  [[nodiscard]] std::uint64_t rejected_count() const noexcept;
};

// Any thread.
[[nodiscard]] RecordAccount read_account(const NodeView& node);

}  // namespace wellhead
