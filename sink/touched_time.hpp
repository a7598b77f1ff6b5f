// Which stretches of time rows lie in: whole minutes, few stretches, never too little.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace wellhead {

// Microseconds since 2000-01-01, whole minutes; `until_us` is left out.
struct TimeRange {
  std::int64_t from_us;
  std::int64_t until_us;

  bool operator==(const TimeRange&) const = default;
};

// Where there are more stretches than it keeps, the two with the smallest gap become one. So late rows far
// from the others stay a stretch of their own, instead of making one that spans all between. No allocation.
class TouchedTime {
 public:
  static constexpr std::size_t ranges_max = 8;

  void clear() noexcept { count_ = last_ = 0; }
  // Times that the database has no minute for are passed over: it refuses such rows.
  void add(std::int64_t time_us) noexcept;
  // In ascending order, with gaps between them.
  [[nodiscard]] std::span<const TimeRange> ranges() const noexcept {
    return std::span(ranges_).first(count_);
  }

 private:
  void insert(TimeRange minute) noexcept;
  void merge_with_next(std::size_t index) noexcept;
  void merge_nearest() noexcept;

  // One more than are kept, for the time between insert() and merge_nearest().
  std::array<TimeRange, ranges_max + 1> ranges_{};
  std::size_t count_ = 0;
  std::size_t last_ = 0;  // the one the last row lay in: most rows lie where the row before them did
};

}  // namespace wellhead
