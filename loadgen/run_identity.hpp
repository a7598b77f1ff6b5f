// Which records a run consists of: record number → well, sequence, device id, timestamp and id, and back.
//
// Record i belongs to well i mod wells and is that well's reading number i / wells. Timestamps are spread
// over the wells, so the run's records are in time order and each (device id, timestamp) names exactly one of
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "loadgen/options.hpp"

namespace wellhead::loadgen {

inline constexpr unsigned well_digits = 6;

struct RecordKey {
  std::uint32_t well;
  std::uint64_t sequence;
};

// Immutable; any thread.
class RunIdentity {
 public:
  // `start_unix_us` is the first record's timestamp.
  RunIdentity(const Options& options, std::int64_t start_unix_us);

  [[nodiscard]] RecordKey key(std::uint64_t record) const noexcept {
    return {.well = static_cast<std::uint32_t>(record % wells_), .sequence = record / wells_};
  }
  [[nodiscard]] std::int64_t timestamp_us(RecordKey key) const noexcept {
    return start_us_ + static_cast<std::int64_t>(key.sequence * step_us_ + key.well * step_us_ / wells_);
  }
  // `id` columns: unique per run and record, so that runs do not collide in a primary key.
  [[nodiscard]] std::int64_t id(std::uint64_t record) const noexcept {
    return id_base_ + static_cast<std::int64_t>(record);
  }
  // "w<run>-": what all device ids of the run begin with.
  [[nodiscard]] const std::string& device_prefix() const noexcept { return device_prefix_; }
  [[nodiscard]] std::uint32_t wells() const noexcept { return wells_; }

  // The record that has this device id and timestamp; empty when none of the run could.
  [[nodiscard]] std::optional<std::uint64_t> find(std::string_view device,
                                                  std::int64_t unix_us) const noexcept;

 private:
  std::string device_prefix_;
  std::uint32_t wells_;
  std::uint64_t step_us_;
  std::int64_t start_us_;
  std::int64_t id_base_;
};

}  // namespace wellhead::loadgen
