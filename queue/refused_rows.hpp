// Rows that were acknowledged and that the database then refused for their data: what a receipt needs to tell
// a quarantined row from a committed one.
//
// In: refused rows of every shard. Out: counts for receipts, on any reactor. The rows themselves are in the
// dead-letter table; this remembers where they stood in their lanes, of the newest ones only.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <set>

#include "queue/lane.hpp"

namespace wellhead {

// Thread-safe.
class RefusedRows {
 public:
  static constexpr std::size_t rows_max_default = 65'536;

  // Past `rows_max` the oldest is forgotten, and from then on counts as committed.
  explicit RefusedRows(std::size_t rows_max = rows_max_default);

  // `row` counts within the batch. To be called before the lane's `committed` moves past the batch, so that
  // whoever sees the batch committed finds its refused rows here. A row that is known stays known once.
  void add(LaneId lane, std::uint64_t sequence, std::uint32_t row);
  // How many of the rows [first_row, first_row + row_count) of a batch are known to be refused.
  [[nodiscard]] std::uint32_t count(LaneId lane, std::uint64_t sequence, std::uint32_t first_row,
                                    std::uint32_t row_count) const;
  [[nodiscard]] std::size_t size() const;

 private:
  struct Place {
    LaneId lane;
    std::uint64_t sequence;
    std::uint64_t row;  // wider than a row's number, so that the end of a range can be named
    auto operator<=>(const Place&) const = default;
  };
  using Places = std::set<Place>;

  const std::size_t rows_max_;
  mutable std::mutex mutex_;
  Places places_;
  std::deque<Places::iterator> arrivals_;  // the oldest first
};

}  // namespace wellhead
