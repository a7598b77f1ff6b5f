#include "sink/flush_scorer.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "sink/baselines.hpp"
#include "sink/sqlstate.hpp"

namespace wellhead {

FlushScorer::FlushScorer(std::unique_ptr<Scorer> scorer, std::span<const SchemaPointer> streams,
                         std::size_t streams_in_use)
    : scorer_(std::move(scorer)) {
  if (!scorer_) return;
  for (const SchemaPointer& stream : streams) {
    if (stream->index() < streams_in_use) saved_names_.push_back(stream->name());
    if (scorer_->scores(stream->index())) scored_.push_back(stream);
  }
  if (scored_.empty()) scorer_.reset();
}

FlushScorer::~FlushScorer() = default;

DatabaseResult<void> FlushScorer::score(Database& database, const Flush& flush) {
  if (!enabled()) return {};
  WELLHEAD_ASSERT(!in_doubt() && flush.row_count() > 0);
  states_ = {};
  scorer_->start();
  pending_ = true;
  devices_expected_ = scorer_->devices();
  saves_.clear();
  for (const SchemaPointer& stream : scored_) {
    const auto rows = flush.rows(stream->index());
    if (rows.empty()) continue;
    if (auto restored = restore_unknown(database, *stream, rows); !restored) return restored;
    scorer_->score(stream->index(), rows);
  }
  states_ = scorer_->states_to_save();
  saves_ = BaselineTable::save_statements(saved_names_, states_);
  return {};
}

std::string FlushScorer::save_of(std::size_t index) const {
  auto statements = BaselineTable::save_statements(saved_names_, states_.subspan(index, 1));
  return statements.empty() ? std::string() : std::move(statements.front());
}

DatabaseResult<void> FlushScorer::restore_unknown(Database& database, const Schema& stream,
                                                  std::span<const SortedRow> rows) {
  unknown_.clear();
  scorer_->find_unknown(stream.index(), rows, unknown_);
  devices_expected_ += unknown_.size();
  const auto too_long = [](const DeviceName& device) {
    return device.text.size() > baseline_device_bytes_max;
  };
  std::erase_if(unknown_, too_long);
  for (std::size_t first = 0; first < unknown_.size(); first += baselines_per_lookup) {
    const std::size_t count = std::min(baselines_per_lookup, unknown_.size() - first);
    if (auto restored = restore(database, stream, std::span(unknown_).subspan(first, count)); !restored)
      return restored;
  }
  return {};
}

// A name the database cannot even be asked for costs those asked for with it their baselines, and no row its
// way: the COPY of the row will tell what is wrong with it.
DatabaseResult<void> FlushScorer::restore(Database& database, const Schema& stream,
                                          std::span<const DeviceName> devices) {
  const auto rows = database.query(BaselineTable::select_statement(stream.name(), devices));
  if (!rows) {
    const bool about_data = classify_sqlstate(rows.error().sqlstate) == ErrorKind::rows_refused;
    if (about_data && database.connected()) return {};
    return std::unexpected(rows.error());
  }
  for (const DatabaseRow& row : *rows) {
    const auto found = BaselineTable::read(row);
    if (!found) continue;
    WELLHEAD_ASSERT(found->device < devices.size());
    const bool restored = scorer_->restore({devices[found->device], found->state});
    if (stats_ != nullptr) (restored ? stats_->baselines_restored : stats_->baselines_unreadable).add();
  }
  return {};
}

void FlushScorer::committed() {
  if (!pending_) return;
  pending_ = false;
  scorer_->commit();
  saves_.clear();
  states_ = {};
  doubtful_.clear();
  if (stats_ == nullptr) return;
  const std::size_t devices = scorer_->devices();
  if (devices_expected_ > devices) stats_->baselines_evicted.add(devices_expected_ - devices);
  devices_expected_ = devices;
  stats_->baselines.set(static_cast<std::int64_t>(devices));
  stats_->baseline_bytes.set(static_cast<std::int64_t>(scorer_->memory_bytes()));
}

void FlushScorer::discarded() {
  if (!pending_) return;
  pending_ = false;
  scorer_->discard();
  saves_.clear();
  states_ = {};
  doubtful_.clear();
}

void FlushScorer::doubted(std::span<const LaneMove> moves) {
  if (pending_) doubtful_.assign(moves.begin(), moves.end());
}

// What the transaction did is there as a whole or not at all: one lane that stands where the flush moved it
// says that the baselines in it are saved too. (A lane that stands elsewhere, which no transaction of this
// node can leave behind, has the shard refuse to go on.) Meanwhile the flush's rows have stayed where they
// were: a shard gives nothing back before it knows.
void FlushScorer::resolve(std::span<const LaneProgress> lanes) {
  if (!in_doubt()) return;
  const auto moved = [lanes](const LaneMove& move) {
    const auto found = std::ranges::find(lanes, move.lane, &LaneProgress::lane);
    return found != lanes.end() && found->sequence == move.to;
  };
  if (std::ranges::all_of(doubtful_, moved))
    committed();
  else
    discarded();
}

const std::vector<std::string>& FlushScorer::final_saves() {
  WELLHEAD_ASSERT(!pending_);
  saves_.clear();
  while (enabled() && saves_.empty() && scorer_->unsaved() > 0) {
    states_ = scorer_->unsaved_states(baselines_per_save);
    if (states_.empty()) break;
    saves_ = BaselineTable::save_statements(saved_names_, states_);
    // Of streams that save nothing.
    if (saves_.empty()) scorer_->commit();
  }
  pending_ = !saves_.empty();
  devices_expected_ = enabled() ? scorer_->devices() : 0;
  return saves_;
}

std::size_t FlushScorer::unsaved() const noexcept {
  return enabled() ? scorer_->unsaved() : 0;
}

}  // namespace wellhead
