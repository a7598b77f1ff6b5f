// The readings of a tuple, read from where they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "codec/scored_columns.hpp"
#include "scoring/field_group.hpp"
#include "scoring/judge.hpp"

namespace wellhead {

inline constexpr std::uint32_t groups_max = groups_of(scored_fields_max);

class ReadingPlan {
 public:
  explicit ReadingPlan(const Schema& schema);

  [[nodiscard]] std::uint32_t fields() const noexcept { return fields_; }
  [[nodiscard]] std::uint32_t groups() const noexcept { return groups_of(fields_); }

  // Fills groups() of `readings`: scored field i is lane i % 4 of group i / 4. Missing: null, a value the
  // decoder found out of its range, and lanes without a field. Gives the mask of the fields that are there.
  // REQUIRES a tuple of the schema behind the header.
  std::uint32_t read(const RowHeader& header, GroupReading (&readings)[groups_max]) const noexcept;

 private:
  struct Step {
    ColumnType type;
    bool scored;
  };

  std::vector<Step> steps_;  // columns up to the last scored one
  std::uint16_t column_count_;
  std::uint32_t fields_;
};

}  // namespace wellhead
