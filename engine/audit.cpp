#include "engine/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sink/progress.hpp"
#include "sink/row_number.hpp"

namespace wellhead {
namespace {

std::unexpected<std::string> refused(std::string_view doing, const DatabaseError& error) {
  return std::unexpected(
      fmt::format("The audit could not {}: the database says{}{}: {}. Nothing was found out and nothing was "
                  "changed; the role needs "
                  "SELECT on {}, the streams' tables and dead_letter, and TEMPORARY on the database.",
                  doing, error.sqlstate.empty() ? "" : " ", error.sqlstate, error.message, progress_table));
}

}  // namespace

Audit::Step Audit::look(AuditReader& reader) {
  report_.journal_id = journal_id_text(reader.identity().id);
  report_.node_id = reader.identity().node_id;
  report_.exclusive = options_.exclusive;
  auto streams = read_stream_history(today_, reader.epochs());
  if (!streams) return std::unexpected(std::move(streams.error()));
  streams_ = std::move(*streams);
  for (const OldLane& lane : reader.lanes())
    lanes_.emplace(lane.lane,
                   LaneAudit{.lane = lane.lane, .first = lane.first, .last = lane.last, .progress = {}});
  make_tables();
  return {};
}

// Streams that write the same columns of one table cannot be told apart there.
void Audit::make_tables() {
  for (const SchemaPointer& schema : streams_.schemas) {
    const auto known = std::ranges::find_if(tables_, [&](const std::unique_ptr<AuditTable>& table) {
      return table->schema().copy_statement() == schema->copy_statement();
    });
    if (known == tables_.end()) {
      tables_.push_back(std::make_unique<AuditTable>(database_, schema, tables_.size()));
      table_of_stream_.push_back(tables_.back().get());
    } else {
      (*known)->add_name(schema->name());
      table_of_stream_.push_back(known->get());
    }
  }
}

Audit::Step Audit::read_progress() {
  const auto rows = database_.query(fmt::format(
      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT epoch, reactor, shard, GREATEST(sequence, 0) FROM {} "
      "WHERE journal_id = {}::uuid",
      progress_table, sql_literal(report_.journal_id)));
  if (!rows) return refused("read the progress", rows.error());
  for (const DatabaseRow& row : *rows) {
    const LaneId lane{number_in<std::uint32_t>(row[0]), number_in<std::uint32_t>(row[1]),
                      number_in<std::uint32_t>(row[2])};
    if (const auto known = lanes_.find(lane); known != lanes_.end())
      known->second.progress = number_in<std::uint64_t>(row[3]);
  }
  if (rows->empty())
    report_.notes.emplace_back(
        "The database has no progress of this journal: nothing of it was committed there, or it is another "
        "database.");
  return {};
}

Audit::Step Audit::take_row(const RowHeader& header, std::span<const std::byte> tuple, LaneId lane,
                            bool committed) {
  const std::vector<std::uint16_t>& map = streams_.maps.at(lane.epoch);
  if (header.stream >= map.size())
    return std::unexpected(
        fmt::format("A row of epoch {} names stream {}, and that run had {}. Nothing was changed; the "
                    "journal's file of that epoch is not the one it was written with.",
                    lane.epoch, header.stream, map.size()));
  AuditTable& table = *table_of_stream_[map[header.stream]];
  if (!committed) {
    table.add_queued();
    return {};
  }
  if (const auto added = table.add_committed(tuple); !added)
    return refused(fmt::format("copy rows of {} into a temporary table", table.schema().name()),
                   added.error());
  return {};
}

Audit::Step Audit::take(const AuditSection& section) {
  LaneAudit& lane = lanes_.at(section.lane);
  const bool committed = section.sequence <= lane.progress.value_or(0);
  lane.rows += section.row_count;
  if (!committed) lane.rows_queued += section.row_count;
  if (sections_++ == 0) report_.first_written_us = report_.last_written_us = section.written_us;
  report_.first_written_us = std::min(report_.first_written_us, section.written_us);
  report_.last_written_us = std::max(report_.last_written_us, section.written_us);
  std::span<const std::byte> left = section.rows;
  for (std::uint32_t row = 0; row < section.row_count; ++row) {
    RowHeader header;
    std::memcpy(&header, left.data(), sizeof header);
    if (Step taken =
            take_row(header, left.subspan(sizeof header, header.tuple_bytes), section.lane, committed);
        !taken)
      return taken;
    left = left.subspan(row_bytes(header.tuple_bytes));
  }
  return {};
}

Audit::Step Audit::read_rows(AuditReader& reader) {
  Step taken;
  const auto read = reader.read(options_.range, [&](const AuditSection& section) {
    taken = take(section);
    return taken.has_value();
  });
  if (!taken) return taken;
  if (!read) return std::unexpected(read.error().sentence);
  count_lost(reader);
  return {};
}

// A gap in a lane and the damaged bytes where it should be are told apart only where the lane goes on behind
// them.
void Audit::count_lost(const AuditReader& reader) {
  for (const LostRows& lost : reader.lost()) {
    report_.lost_rows += lost.rows;
    ++(lost.sequence > 0 ? report_.lost_batches : report_.damaged_places);
  }
  report_.segments_trimmed = reader.segments_trimmed();
}

Audit::Step Audit::compare() {
  for (const auto& table : tables_) {
    auto compared = table->finish(report_.node_id, report_.first_written_us);
    if (!compared)
      return refused(fmt::format("compare {}", table->schema().config().table), compared.error());
    const bool of_today = table->schema().index() < streams_.today_count;
    if (of_today || compared->journaled > 0) report_.streams.push_back(std::move(*compared));
  }
  return {};
}

void Audit::note() {
  if (report_.lanes.empty())
    report_.notes.emplace_back("The journal holds no rows: there is nothing to compare.");
  if (report_.segments_trimmed > 0)
    report_.notes.push_back(fmt::format(
        "The node trimmed {} segments while they were to be read: what was in them was not compared.",
        report_.segments_trimmed));
}

std::expected<AuditReport, std::string> Audit::run() {
  auto reader = AuditReader::open(files_);
  if (!reader) return std::unexpected(std::move(reader.error().sentence));
  if (Step step = look(*reader); !step) return std::unexpected(std::move(step.error()));
  if (Step step = read_progress(); !step) return std::unexpected(std::move(step.error()));
  if (Step step = read_rows(*reader); !step) return std::unexpected(std::move(step.error()));
  if (sections_ == 0 && !lanes_.empty() &&
      report_.lost_batches + report_.damaged_places + report_.segments_trimmed == 0)
    return std::unexpected(
        "The journal holds nothing that was written within this time: it keeps what is not committed yet "
        "and, of the "
        "rest, journal.keep. Nothing was compared; leave out --since and --until to compare all it holds.");
  if (Step step = compare(); !step) return std::unexpected(std::move(step.error()));
  for (const auto& [id, lane] : lanes_) report_.lanes.push_back(lane);
  note();
  // The temporary tables go with it.
  if (const auto ended = database_.run("ROLLBACK"); !ended)
    return refused("end its transaction", ended.error());
  return std::move(report_);
}

}  // namespace wellhead
