// When each batch is due. One schedule for all workers: whoever has room takes the next batch that is due, so
// one slow connection does not hold back the others' share.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "loadgen/workload.hpp"

namespace wellhead::loadgen {

struct Claim {
  RecordRange range;
  std::int64_t due_ns = 0;  // monotonic; latency is counted from here
};

class Schedule {
 public:
  static constexpr std::int64_t never_ns = std::numeric_limits<std::int64_t>::max();
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  virtual ~Schedule() = default;

  // Before the workers start: the run begins at `now_ns`.
  void start(std::int64_t now_ns) noexcept { start_ns_ = now_ns; }
  [[nodiscard]] std::int64_t start_ns() const noexcept { return start_ns_; }

  // The next batch if it is due at `now_ns`. Any thread.
  [[nodiscard]] std::optional<Claim> claim(std::int64_t now_ns) noexcept;
  // When the next batch is due; never_ns when there is none. Any thread.
  [[nodiscard]] std::int64_t next_due_ns() const noexcept;
  // Whether no batch will ever be due again. Any thread.
  [[nodiscard]] bool exhausted(std::int64_t now_ns) const noexcept;
  // No further batches. Any thread.
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }

  // Records the schedule holds from its start to its end; unlimited when time alone ends it.
  [[nodiscard]] virtual std::uint64_t records_planned() const noexcept = 0;
  // The open loop's rate over the whole run, records/s; 0 for a closed loop.
  [[nodiscard]] virtual double target_rate() const noexcept = 0;
  // From the start to when the last batch is due; 0 for a closed loop and for one without an end.
  [[nodiscard]] virtual double planned_s() const noexcept = 0;

 protected:
  explicit Schedule(bool open_loop, std::int64_t duration_ns)
      : open_loop_(open_loop), duration_ns_(duration_ns) {}

  [[nodiscard]] virtual std::uint64_t batches() const noexcept = 0;
  [[nodiscard]] virtual RecordRange range(std::uint64_t batch) const noexcept = 0;
  // From the start, in an open loop.
  [[nodiscard]] virtual std::int64_t due_offset_ns(std::uint64_t batch) const noexcept = 0;

 private:
  [[nodiscard]] bool past_end(std::int64_t now_ns) const noexcept;

  bool open_loop_;
  std::int64_t duration_ns_;  // ends a closed loop; never_ns: by count
  std::int64_t start_ns_ = 0;
  std::atomic<std::uint64_t> next_batch_{0};
  std::atomic<bool> stopped_{false};
};

// Batches of one size at a steady rate, or one after another.
class SteadySchedule final : public Schedule {
 public:
  struct Plan {
    bool open_loop = true;
    double rate = 0;            // records/s, open loop
    std::uint32_t batch = 1;    // records
    std::uint64_t records = 0;  // unlimited: by duration, or until stop()
    std::int64_t duration_ns = never_ns;
  };
  explicit SteadySchedule(const Plan& plan) : Schedule(plan.open_loop, plan.duration_ns), plan_(plan) {}

  [[nodiscard]] std::uint64_t records_planned() const noexcept override { return plan_.records; }
  [[nodiscard]] double target_rate() const noexcept override { return plan_.open_loop ? plan_.rate : 0; }
  [[nodiscard]] double planned_s() const noexcept override;

 protected:
  [[nodiscard]] std::uint64_t batches() const noexcept override;
  [[nodiscard]] RecordRange range(std::uint64_t batch) const noexcept override;
  [[nodiscard]] std::int64_t due_offset_ns(std::uint64_t batch) const noexcept override;

 private:
  Plan plan_;
};

// Batches at times of their own.
class RecordedSchedule final : public Schedule {
 public:
  struct Entry {
    RecordRange range;
    std::int64_t due_offset_ns;
  };
  RecordedSchedule(std::vector<Entry> entries, bool open_loop);

  [[nodiscard]] std::uint64_t records_planned() const noexcept override { return records_; }
  [[nodiscard]] double target_rate() const noexcept override;
  [[nodiscard]] double planned_s() const noexcept override;

 protected:
  [[nodiscard]] std::uint64_t batches() const noexcept override { return entries_.size(); }
  [[nodiscard]] RecordRange range(std::uint64_t batch) const noexcept override {
    return entries_[batch].range;
  }
  [[nodiscard]] std::int64_t due_offset_ns(std::uint64_t batch) const noexcept override {
    return entries_[batch].due_offset_ns;
  }

 private:
  std::vector<Entry> entries_;
  std::uint64_t records_ = 0;
  bool paced_;
};

}  // namespace wellhead::loadgen
