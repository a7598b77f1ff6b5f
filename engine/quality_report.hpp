// The database's reports of data quality (migration 0017), read and printed.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "sink/database.hpp"

namespace wellhead {

// Percentages; nothing where there are no rows.
struct QualityOverview {
  std::uint64_t rows = 0;
  std::optional<double> completeness, validity, consistency, timeliness, overall;
};

struct DeviceQuality {
  std::string device;
  std::optional<double> mean_score;  // 0 to 1
  std::uint64_t anomalies = 0;
  std::uint64_t rows = 0;
  std::string last_reading;  // RFC 3339, UTC
};

struct QualityReport {
  std::string stream;
  double hours = 0;
  QualityOverview overview;
  std::vector<DeviceQuality> devices;  // the worst first; only where they were asked for
};

// The error is a sentence. `device_limit`: 0 for no devices.
[[nodiscard]] std::expected<QualityReport, std::string> read_quality_report(Database& database,
                                                                            const std::string& stream,
                                                                            double hours,
                                                                            std::uint64_t device_limit);

[[nodiscard]] std::string print_quality(const QualityReport& report);
[[nodiscard]] std::string print_quality_json(const QualityReport& report);

}  // namespace wellhead
