#include "loadgen/status_file.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <fstream>

namespace wellhead::loadgen {

StatusFile::StatusFile(std::string path, const std::vector<std::unique_ptr<Worker>>& workers)
    : path_(std::move(path)), workers_(workers) {}

std::string StatusFile::text() const {
  const auto total = [this](Counter LedgerCounters::* counter) {
    std::uint64_t sum = 0;
    for (const auto& worker : workers_) sum += (worker->ledger().counters().*counter).value();
    return sum;
  };
  // What was settled is read before what was sent, which then is never less.
  const std::uint64_t acknowledged = total(&LedgerCounters::acknowledged);
  const std::uint64_t rejected = total(&LedgerCounters::rejected);
  const std::uint64_t failed = total(&LedgerCounters::failed);
  const std::uint64_t unknown = total(&LedgerCounters::unknown);
  return fmt::format(
      R"({{"sent":{},"acknowledged":{},"rejected":{},"failed":{},"unknown":{},"reconnects":{}}})"
      "\n",
      total(&LedgerCounters::sent), acknowledged, rejected, failed, unknown,
      total(&LedgerCounters::reconnects));
}

void StatusFile::write() const {
  if (path_.empty()) return;
  const std::string fresh = path_ + ".new";
  std::ofstream file(fresh);
  file << text();
  file.close();
  if (file.good()) static_cast<void>(std::rename(fresh.c_str(), path_.c_str()));
}

}  // namespace wellhead::loadgen
