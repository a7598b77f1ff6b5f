// What a stream's rules of today say of a row that was decoded under earlier ones.
//
// Only values as they are stored can be looked at again: a range, a primary field that is missing, a receive
// time. A value that was made NULL for being out of range stays so, and what was converted stays converted.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "scoring/readings.hpp"

namespace wellhead {

// Immutable.
class StoredRules {
 public:
  explicit StoredRules(const Schema& schema);

  // Sets what the decoder would find of the row's quality today. REQUIRES a tuple of the schema behind the
  // header, and masks by its scored columns.
  void apply(RowHeader& header) const;

 private:
  struct Range {
    double minimum;
    double maximum;
  };

  ReadingPlan plan_;
  std::vector<Range> ranges_;  // by scored field
  std::uint16_t primary_;
  std::optional<std::uint32_t> receive_time_;  // column
  std::int64_t late_after_us_;
  std::int64_t ahead_after_us_;
};

}  // namespace wellhead
