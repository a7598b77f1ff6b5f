#include "sink/chunk_guard.hpp"

#include <cstddef>

namespace wellhead {
namespace {

constexpr std::int64_t stretch_us = 3'600'000'000;  // an hour
// A year of hours; past it the guard starts over, which costs a lock per stretch.
constexpr std::size_t stretches_max = 8'784;
constexpr unsigned stream_shift = 48;  // a stretch's number needs 28 bits within PostgreSQL's range of times

std::uint64_t stretch_of(std::size_t stream, std::int64_t time_us) noexcept {
  const std::int64_t number = time_us >= 0 ? time_us / stretch_us : (time_us + 1) / stretch_us - 1;
  const std::uint64_t mask = (std::uint64_t{1} << stream_shift) - 1;
  return (static_cast<std::uint64_t>(stream) << stream_shift) | (static_cast<std::uint64_t>(number) & mask);
}

}  // namespace

bool ChunkGuard::knows(const Flush& flush) {
  fresh_.clear();
  for (std::size_t stream = 0; stream < flush.stream_count(); ++stream) {
    std::uint64_t last =
        ~std::uint64_t{0};  // no stretch: streams have 16 bits, and this one is never reached
    for (const SortedRow& row : flush.rows(stream)) {
      const std::uint64_t stretch = stretch_of(stream, row.time_us);
      if (stretch == last) continue;
      last = stretch;
      if (!known_.contains(stretch)) fresh_.push_back(stretch);
    }
  }
  return fresh_.empty();
}

void ChunkGuard::remember() {
  if (known_.size() + fresh_.size() > stretches_max) known_.clear();
  known_.insert(fresh_.begin(), fresh_.end());
  fresh_.clear();
}

}  // namespace wellhead
