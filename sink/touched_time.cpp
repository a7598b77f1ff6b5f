#include "sink/touched_time.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t minute_us = 60'000'000;
// PostgreSQL's range of timestamptz, 4714 BC up to 294277 AD, a minute less at each end.
constexpr std::int64_t time_us_min = -211'813'488'000'000'000 + minute_us;
constexpr std::int64_t time_us_end = 9'223'371'331'200'000'000 - minute_us;
static_assert(time_us_min % minute_us == 0 && time_us_end % minute_us == 0);

TimeRange minute_of(std::int64_t time_us) noexcept {
  const std::int64_t behind = time_us % minute_us;
  const std::int64_t from_us = time_us - behind - (behind < 0 ? minute_us : 0);
  return {from_us, from_us + minute_us};
}

}  // namespace

void TouchedTime::add(std::int64_t time_us) noexcept {
  if (last_ < count_ && time_us >= ranges_[last_].from_us && time_us < ranges_[last_].until_us) return;
  if (time_us < time_us_min || time_us >= time_us_end) return;
  insert(minute_of(time_us));
  if (count_ > ranges_max) merge_nearest();
}

void TouchedTime::insert(TimeRange minute) noexcept {
  // The first that does not end before the minute begins: it has it, touches it, or lies behind it.
  const auto known = ranges();
  const auto found = std::ranges::lower_bound(known, minute.from_us, {}, &TimeRange::until_us);
  last_ = static_cast<std::size_t>(found - known.begin());
  if (last_ == count_ || ranges_[last_].from_us > minute.until_us) {
    std::move_backward(ranges_.begin() + last_, ranges_.begin() + count_, ranges_.begin() + count_ + 1);
    ranges_[last_] = minute;
    ++count_;
    return;
  }
  ranges_[last_].from_us = std::min(ranges_[last_].from_us, minute.from_us);
  ranges_[last_].until_us = std::max(ranges_[last_].until_us, minute.until_us);
  if (last_ + 1 < count_ && ranges_[last_ + 1].from_us <= ranges_[last_].until_us) merge_with_next(last_);
}

void TouchedTime::merge_with_next(std::size_t index) noexcept {
  WELLHEAD_ASSERT(index + 1 < count_);
  ranges_[index].until_us = ranges_[index + 1].until_us;
  std::move(ranges_.begin() + index + 2, ranges_.begin() + count_, ranges_.begin() + index + 1);
  --count_;
  if (last_ > index) --last_;
}

void TouchedTime::merge_nearest() noexcept {
  std::size_t nearest = 0;
  const auto gap_behind = [this](std::size_t index) {
    // Unsigned: from one end of time to the other is more than the type's positive half has.
    return static_cast<std::uint64_t>(ranges_[index + 1].from_us) -
           static_cast<std::uint64_t>(ranges_[index].until_us);
  };
  for (std::size_t index = 1; index + 1 < count_; ++index)
    if (gap_behind(index) < gap_behind(nearest)) nearest = index;
  merge_with_next(nearest);
}

}  // namespace wellhead
