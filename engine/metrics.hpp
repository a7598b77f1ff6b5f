// /metrics: the counters of all threads in Prometheus' text format.
//
// The account of records, summed over all reactors, holds in every answer:
//   wellhead_records_received_total = wellhead_records_committed_total + wellhead_records_queued
//     + wellhead_records_rejected_total + wellhead_records_quarantined_total +
//     wellhead_records_duplicate_total
//     + wellhead_records_abandoned_total
// and wellhead_records_unaccounted is what is left of it: 0, or the node has a fault.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "codec/record_error.hpp"
#include "engine/node_view.hpp"

namespace wellhead {

// The account of one reactor, or of all.
struct RecordAccount {
  std::uint64_t received = 0;
  std::uint64_t committed = 0;
  std::uint64_t abandoned = 0;
  std::int64_t queued = 0;
  std::array<std::uint64_t, record_error_code_count> rejected{};

  bool operator==(const RecordAccount&) const = default;
  [[nodiscard]] std::uint64_t rejected_count() const noexcept;
  [[nodiscard]] std::int64_t unaccounted() const noexcept;
  void add(const RecordAccount& other) noexcept;
};

// A reading of counters another thread is writing: repeated until two in a row agree, so that it is a state
// the reactor was in between two requests.
[[nodiscard]] RecordAccount read_account(const IntakeStats& stats);

// Any thread. `version` goes into wellhead_build_info.
[[nodiscard]] std::string render_metrics(const NodeView& node, const std::string& version);

inline constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace wellhead
