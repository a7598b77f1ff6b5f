// What the computed columns of a row say, read from its tuple and told in words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "codec/scored_columns.hpp"

namespace wellhead {

struct Verdict {
  double score = 1;  // 0 to 1
  bool anomaly = false;
  std::uint64_t flags = 0;  // codec/quality.hpp
};

// Reads verdicts from tuples of one schema. Immutable.
class VerdictReader {
 public:
  explicit VerdictReader(const Schema& schema) : places_(computed_places(schema)) {}

  // What the stream has no column for keeps its initial value. REQUIRES a tuple of the schema behind the
  // header.
  [[nodiscard]] Verdict read(const RowHeader& header) const noexcept;

 private:
  ComputedPlaces places_;
};

// The reasons in `flags`, lowest bit first, as wellhead_quality_reasons() has them in the database: "late",
// "missing:vibration".
[[nodiscard]] std::vector<std::string> quality_reasons(const Schema& schema, std::uint64_t flags);

// A scored field's value as text; empty for null. REQUIRES a tuple of the column's schema behind the header.
[[nodiscard]] std::string value_text(const RowHeader& header, const ScoredColumn& column);

}  // namespace wellhead
