// What became of a committed batch's rows, for the account of records.
#pragma once

#include <cstdint>

#include "queue/batch.hpp"

namespace wellhead {

struct SettledRows {
  std::uint64_t committed = 0;     // rows of records
  std::uint64_t refused = 0;       // likewise
  std::uint64_t dead_letters = 0;  // committed; they are no records
};

// REQUIRES a batch whose refused() is in the order of its rows.
[[nodiscard]] SettledRows count_settled(const Batch& batch);

}  // namespace wellhead
