// /metrics: the counters of all threads in Prometheus' text format. The account of records, which holds in
// every answer, is told in record_account.hpp; wellhead_records_unaccounted is what is left of it: 0, or the
// node has a fault.
#pragma once

#include <string>

#include "engine/node_view.hpp"

namespace wellhead {

// Any thread. `version` goes into wellhead_build_info.
[[nodiscard]] std::string render_metrics(const NodeView& node, const std::string& version);

inline constexpr const char* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace wellhead
