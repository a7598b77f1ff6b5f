#include "sink/settled_rows.hpp"

#include <algorithm>

namespace wellhead {
namespace {

// Where the claims are known they spare a walk over the rows; a batch from the journal has none.
bool holds_records_only(const Batch& batch) {
  const auto is_record = [](const Claim& claim) { return claim.kind == RowKind::record; };
  return !batch.claims().empty() && std::ranges::all_of(batch.claims(), is_record);
}

}  // namespace

SettledRows count_settled(const Batch& batch) {
  SettledRows rows;
  if (holds_records_only(batch)) {
    rows.refused = batch.refused().size();
    rows.committed = batch.row_count() - rows.refused;
    return rows;
  }
  auto refused = batch.refused().begin();
  for_each_row(batch, [&](const RowHeader& header, std::span<const std::byte>, std::uint32_t row) {
    const bool is_refused = refused != batch.refused().end() && refused->row == row;
    if (is_refused) ++refused;
    if (header.kind == RowKind::record)
      ++(is_refused ? rows.refused : rows.committed);
    else if (!is_refused)
      ++rows.dead_letters;
  });
  return rows;
}

}  // namespace wellhead
