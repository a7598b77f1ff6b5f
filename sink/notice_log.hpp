// Counts what the server says unasked and logs each distinct sentence once: a fast path the server skips
// silently must show, and a warning per flush must not fill the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>

#include "sink/database.hpp"

namespace wellhead {

class NoticeLog {
 public:
  explicit NoticeLog(std::uint32_t shard) : shard_(shard) {}

  void add(const DatabaseNotice& notice);

 private:
  static constexpr std::size_t distinct_max = 64;

  std::uint32_t shard_;
  std::unordered_set<std::string> seen_;
};

}  // namespace wellhead
