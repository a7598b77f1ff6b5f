#include "sink/backoff.hpp"

#include <algorithm>

namespace wellhead {
namespace {

constexpr unsigned doublings_max = 20;  // far past any bound, far below an overflow

}  // namespace

std::chrono::nanoseconds Backoff::next(const BackoffBounds& bounds) {
  const std::chrono::nanoseconds first = bounds.first;
  const std::chrono::nanoseconds last = bounds.last;
  const std::chrono::nanoseconds whole = std::min(last, first * (std::int64_t{1} << tries_));
  tries_ = std::min(tries_ + 1, doublings_max);
  std::uniform_int_distribution<std::int64_t> share(whole.count() / 2, whole.count());
  return std::chrono::nanoseconds{share(random_)};
}

}  // namespace wellhead
