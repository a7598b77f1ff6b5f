#include "queue/refused_rows.hpp"

#include <iterator>

#include "base/assert.hpp"

namespace wellhead {

RefusedRows::RefusedRows(std::size_t rows_max) : rows_max_(rows_max) {
  WELLHEAD_ASSERT(rows_max > 0);
}

void RefusedRows::add(LaneId lane, std::uint64_t sequence, std::uint32_t row) {
  const std::scoped_lock lock(mutex_);
  const auto [place, added] = places_.insert({lane, sequence, row});
  if (!added) return;
  arrivals_.push_back(place);
  if (arrivals_.size() <= rows_max_) return;
  places_.erase(arrivals_.front());
  arrivals_.pop_front();
}

std::uint32_t RefusedRows::count(LaneId lane, std::uint64_t sequence, std::uint32_t first_row,
                                 std::uint32_t row_count) const {
  const std::scoped_lock lock(mutex_);
  const auto first = places_.lower_bound({lane, sequence, first_row});
  const auto last = places_.lower_bound({lane, sequence, std::uint64_t{first_row} + row_count});
  return static_cast<std::uint32_t>(std::distance(first, last));
}

std::size_t RefusedRows::size() const {
  const std::scoped_lock lock(mutex_);
  return arrivals_.size();
}

}  // namespace wellhead
