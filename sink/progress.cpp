#include "sink/progress.hpp"

#include <algorithm>
#include <array>
#include <random>

#include "base/assert.hpp"
#include "sink/row_number.hpp"

namespace wellhead {
namespace {

std::string key_of(LaneId lane) {
  return std::to_string(lane.epoch) + ", " + std::to_string(lane.reactor) + ", " + std::to_string(lane.shard);
}

// (1, 0, 0), (1, 1, 0), …
template <typename Lanes>
std::string keys_of(const Lanes& lanes) {
  std::string keys;
  for (const auto& entry : lanes) {
    if (!keys.empty()) keys += ", ";
    keys += "(" + key_of(entry.lane) + ")";
  }
  return keys;
}

}  // namespace

std::string random_journal_id() {
  constexpr std::size_t digits = 32;
  constexpr std::string_view hexadecimal = "0123456789abcdef";
  std::random_device random;
  std::string id;
  for (std::size_t digit = 0; digit < digits; ++digit) id += hexadecimal[random() % hexadecimal.size()];
  return id;
}

ProgressTable::ProgressTable(ProgressOwner owner)
    : owner_(std::move(owner)), journal_(sql_literal(owner_.journal_id) + "::uuid") {}

std::string ProgressTable::insert_statement(std::span<const LaneProgress> lanes) const {
  return "INSERT INTO " + std::string(progress_table) +
         " (journal_id, node_id, sequence, epoch, reactor, shard) SELECT " + journal_ + ", " +
         sql_literal(owner_.node_id) + ", 0, lane.* FROM (VALUES " + keys_of(lanes) +
         ") AS lane ON CONFLICT DO NOTHING";
}

std::string ProgressTable::select_statement(std::span<const LaneProgress> lanes) const {
  return "SELECT epoch, reactor, shard, GREATEST(sequence, 0) FROM " + std::string(progress_table) +
         " WHERE journal_id = " + journal_ + " AND (epoch, reactor, shard) IN (VALUES " + keys_of(lanes) +
         ") FOR UPDATE";
}

void ProgressTable::read(const DatabaseRows& rows, std::span<LaneProgress> lanes) {
  WELLHEAD_ASSERT(rows.size() == lanes.size());
  for (const DatabaseRow& row : rows) {
    WELLHEAD_ASSERT(row.size() == 4);
    const LaneId lane{number_in<std::uint32_t>(row[0]), number_in<std::uint32_t>(row[1]),
                      number_in<std::uint32_t>(row[2])};
    const auto found = std::ranges::find(lanes, lane, &LaneProgress::lane);
    WELLHEAD_ASSERT(found != lanes.end());
    found->sequence = number_in<std::uint64_t>(row[3]);
  }
}

std::string ProgressTable::move_statement(std::span<const LaneMove> moves) const {
  std::string values;
  for (const LaneMove& move : moves) {
    if (!values.empty()) values += ", ";
    values += "(" + key_of(move.lane) + ", " + std::to_string(move.from) + "::bigint, " +
              std::to_string(move.to) + "::bigint)";
  }
  return "UPDATE " + std::string(progress_table) +
         " AS progress SET sequence = move.sequence_to, updated_at = now() FROM (VALUES " + values +
         ") AS move (epoch, reactor, shard, sequence_from, sequence_to) WHERE progress.journal_id = " +
         journal_ +
         " AND progress.epoch = move.epoch AND progress.reactor = move.reactor AND progress.shard = "
         "move.shard AND progress.sequence = move.sequence_from";
}

std::string ProgressTable::delete_statement() const {
  return "DELETE FROM " + std::string(progress_table) + " WHERE journal_id = " + journal_ + " AND epoch < " +
         std::to_string(owner_.epoch_oldest);
}

}  // namespace wellhead
