// Numbers one thread writes and any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace wellhead {

// A monotonic count with a single writer. add() is a plain load and store, no locked instruction, because
// only the owner thread writes; value() is safe from any thread and may lag.
class Counter {
 public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A level with a single writer, readable from any thread.
class Gauge {
 public:
  void set(std::int64_t level) noexcept { value_.store(level, std::memory_order_relaxed); }
  void add(std::int64_t amount) noexcept { set(value() + amount); }
  [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

}  // namespace wellhead
