// What the database tells of itself (migration 0019), as it was read at one time.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "database/report_layout.hpp"
#include "sink/database.hpp"

namespace wellhead {

struct ReportSection {
  const ReportLayout* layout = nullptr;
  DatabaseRows rows;    // as the layout's columns; null where the server or the role cannot know
  bool cut = false;     // there were more rows than the layout's bound
  std::string problem;  // a sentence: why this section could not be read
};

struct DatabaseReport {
  std::vector<ReportSection> sections;
  std::chrono::steady_clock::time_point read_at;
};

enum class ReportScope : std::uint8_t {
  everything,
  watched,  // what may be asked for again and again
};

// Each section by itself: one that cannot be read has its problem, and the others are there. The error is a
// sentence: the views are missing, or the connection is gone. REQUIRES a connected database that is in no
// transaction. Changes nothing, and gives up a section soon whose locks others hold.
[[nodiscard]] std::expected<DatabaseReport, std::string> read_database_report(
    Database& database, ReportScope scope, std::chrono::milliseconds section_timeout);

// A number of a row. Nothing for null, and for what is none.
[[nodiscard]] std::optional<double> figure_of(const std::optional<std::string>& field);

// The newest report, handed from the thread that reads to those that show. Any thread.
class PublishedReport {
 public:
  void set(DatabaseReport report) {
    auto fresh = std::make_shared<const DatabaseReport>(std::move(report));
    const std::lock_guard lock(mutex_);
    report_ = std::move(fresh);
  }
  // Null before the first.
  [[nodiscard]] std::shared_ptr<const DatabaseReport> get() const {
    const std::lock_guard lock(mutex_);
    return report_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const DatabaseReport> report_;
};

}  // namespace wellhead
