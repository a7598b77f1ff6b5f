#include "sink/lane_queue.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "sink/settled_rows.hpp"

namespace wellhead {
namespace {

std::string text_of(LaneId lane) {
  return "lane " + std::to_string(lane.reactor) + "/" + std::to_string(lane.shard) + " of run " +
         std::to_string(lane.epoch);
}

std::string batches_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " batch" : " batches");
}

}  // namespace

LaneQueue::LaneQueue(LaneId lane, LaneState& state, const LaneContext& context, std::uint64_t committed)
    : lane_(lane),
      state_(state),
      context_(context),
      cursor_(committed + 1),
      stored_(committed),
      counted_(committed) {}

std::uint64_t LaneQueue::lag() const noexcept {
  const std::uint64_t newest = std::max(readable_, queue_.empty() ? 0 : queue_.back().last);
  return newest < cursor_ ? 0 : newest - cursor_ + 1;
}

bool LaneQueue::unflushed() const noexcept {
  return state_.flushed.load(std::memory_order_relaxed) < state_.committed.load(std::memory_order_relaxed);
}

bool LaneQueue::next_in_memory() const noexcept {
  return !queue_.empty() && (!known_ || queue_.front().first == cursor_);
}

void LaneQueue::observe() noexcept {
  readable_ = state_.durable.load(std::memory_order_acquire);
}

void LaneQueue::arrive(Batch* batch, ShardTime at) {
  const std::uint64_t sequence = batch->lane_sequence();
  WELLHEAD_ASSERT(batch->lane() == lane_ && sequence > 0);
  const std::uint64_t newest = queue_.empty() ? cursor_ - 1 : queue_.back().last;
  if (sequence > newest)
    queue_.push_back({batch, sequence, sequence, at, false});
  else
    late_.push_back(batch);
}

std::uint64_t LaneQueue::wanted() const noexcept {
  return taken_ == 0 ? cursor_ : queue_[taken_ - 1].last + 1;
}

void LaneQueue::take_front(FlushDraft& draft) {
  const Stretch& stretch = queue_[taken_++];
  draft.since = draft.empty() ? stretch.since : std::min(draft.since, stretch.since);
  draft.batches.push_back(stretch.batch);
  draft.rows += stretch.batch->row_count();
  draft.bytes += stretch.batch->bytes();
  draft.replayed |= stretch.replayed();
}

std::expected<bool, std::string> LaneQueue::take(FlushDraft& draft, bool read_back, ShardTime now) {
  const std::uint64_t next = wanted();
  if (taken_ < queue_.size() && queue_[taken_].first == next) {
    take_front(draft);
    return true;
  }
  const std::uint64_t until = taken_ < queue_.size() ? queue_[taken_].first - 1 : readable_;
  if (context_.journal == nullptr) {
    WELLHEAD_ASSERT(taken_ == queue_.size());  // memory is all there is, so it holds everything
    return false;
  }
  if (next > until || !read_back) return false;
  Batch* batch = context_.pool.acquire();
  if (batch == nullptr) {
    draft.pool_used = true;
    return false;
  }
  std::uint64_t last = 0;
  if (auto read = read_section(*batch, until, last); !read) {
    context_.pool.release(batch);
    return std::unexpected(std::move(read.error()));
  }
  add_replayed(draft, {batch, next, last, now, last <= counted_});
  return true;
}

LaneQueue::Outcome LaneQueue::read_section(Batch& batch, std::uint64_t until, std::uint64_t& last) {
  const std::uint64_t next = wanted();
  if (!reader_) reader_ = context_.journal->reader(lane_, next);
  if (reader_->position() != next) reader_->seek(next);
  switch (reader_->next(batch, until)) {
    case JournalReader::Status::read:
      WELLHEAD_ASSERT(batch.lane() == lane_ && batch.lane_sequence() >= next &&
                      batch.lane_sequence() <= until);
      last = batch.lane_sequence();
      if (last > next && !loss_accepted(next, last - 1)) return std::unexpected(missing(next, last - 1));
      translate_streams(batch);
      context_.stats.rows_replayed.add(batch.row_count());
      return {};
    case JournalReader::Status::end:
      last = until;
      break;
    case JournalReader::Status::missing: {
      const std::uint64_t first = context_.journal->first_sequence(lane_);
      last = first > next ? std::min(first - 1, until) : until;
      break;
    }
    case JournalReader::Status::failed:
      return std::unexpected("the journal cannot be read, and " + text_of(lane_) +
                             " waits: " + reader_->problem());
  }
  return pass_over(batch, last);
}

// What was durable is gone only where somebody has accepted that. Then no row is committed for it, but the
// progress moves over it, so that the journal can be trimmed.
LaneQueue::Outcome LaneQueue::pass_over(Batch& batch, std::uint64_t last) const {
  const std::uint64_t next = wanted();
  if (!loss_accepted(next, last)) return std::unexpected(missing(next, last));
  log::error(
      "batches are lost, as was accepted: neither the journal nor the database has them",
      {{"shard", context_.shard}, {"lane", text_of(lane_)}, {"first", next}, {"batches", last - next + 1}});
  batch.adopt(0, 0);
  return {};
}

// Rows a run wrote with other streams are given today's numbers.
void LaneQueue::translate_streams(Batch& batch) const {
  const auto map = context_.maps.find(lane_.epoch);
  if (map == context_.maps.end()) return;
  std::byte* at = batch.memory().data() + Batch::header_room_bytes;
  for (std::uint32_t row = 0; row < batch.row_count(); ++row) {
    auto* header = reinterpret_cast<RowHeader*>(at);
    WELLHEAD_ASSERT(header->stream < map->second.size());
    header->stream = map->second[header->stream];
    at += row_bytes(header->tuple_bytes);
  }
}

void LaneQueue::add_replayed(FlushDraft& draft, Stretch stretch) {
  if (stretch.again) context_.stats.rows_rewound.add(stretch.batch->row_count());
  if (merge(draft, stretch)) {
    context_.pool.release(stretch.batch);
    return;
  }
  stretch.batch->set_lane(lane_, stretch.last);
  queue_.insert(queue_.begin() + static_cast<std::ptrdiff_t>(taken_), stretch);
  take_front(draft);
}

// A quiet lane's sections are small: the journal writes one for every turn of the reactor. Together in one
// batch they do not use up the pool's.
bool LaneQueue::merge(FlushDraft& draft, const Stretch& stretch) {
  if (taken_ == 0) return false;
  Stretch& before = queue_[taken_ - 1];
  const std::span<const std::byte> rows = stretch.batch->rows();
  if (!before.replayed() || before.again != stretch.again || !before.batch->fits(rows.size())) return false;
  Batch& into = *before.batch;
  const std::size_t bytes = into.bytes();
  if (before.sections.empty()) before.sections.push_back({before.last, 0});
  before.sections.push_back({stretch.last, into.row_count()});
  std::memcpy(into.memory().data() + Batch::header_room_bytes + bytes, rows.data(), rows.size());
  into.adopt(bytes + rows.size(), into.row_count() + stretch.batch->row_count());
  into.set_lane(lane_, stretch.last);
  before.last = stretch.last;
  draft.rows += stretch.batch->row_count();
  draft.bytes += rows.size();
  return true;
}

std::optional<LaneMove> LaneQueue::move() const {
  if (taken_ == 0) return std::nullopt;
  return LaneMove{lane_, stored_, queue_[taken_ - 1].last};
}

void LaneQueue::settle(std::uint64_t sequence, std::vector<Batch*>& done) {
  while (!queue_.empty() && queue_.front().last <= sequence) {
    const Stretch& stretch = queue_.front();
    if (!stretch.again) count(stretch);
    if (stretch.replayed()) {
      context_.pool.release(stretch.batch);
    } else {
      stretch.batch->set_outcome(BatchOutcome::committed);
      done.push_back(stretch.batch);
    }
    queue_.pop_front();
  }
  WELLHEAD_ASSERT(queue_.empty() || queue_.front().first > sequence);
  taken_ = 0;
  stored_ = sequence;
  cursor_ = sequence + 1;
  counted_ = std::max(counted_, sequence);
  state_.committed.store(sequence, std::memory_order_release);
  release_late(done);
}

void LaneQueue::count(const Stretch& stretch) const {
  const SettledRows rows = count_settled(*stretch.batch);
  context_.stats.rows_committed.add(rows.committed);
  context_.stats.rows_refused.add(rows.refused);
  context_.stats.dead_letters.add(rows.dead_letters);
  if (!current_epoch()) context_.stats.rows_recovered.add(rows.committed + rows.refused);
  if (rows.refused > 0 && context_.refused != nullptr) remember_refused(stretch);
}

// By the batch that the row was acknowledged in, which is what a receipt names.
void LaneQueue::remember_refused(const Stretch& stretch) const {
  for (const RefusedRow& row : stretch.batch->refused()) {
    const auto after = std::ranges::upper_bound(stretch.sections, row.row, {}, &Section::first_row);
    const Section section =
        after == stretch.sections.begin() ? Section{stretch.batch->lane_sequence(), 0} : *std::prev(after);
    context_.refused->add(lane_, section.sequence, row.row - section.first_row);
  }
}

void LaneQueue::release_late(std::vector<Batch*>& done) {
  std::erase_if(late_, [&](Batch* batch) {
    if (batch->lane_sequence() >= cursor_) return false;
    batch->set_outcome(BatchOutcome::committed);
    done.push_back(batch);
    return true;
  });
}

void LaneQueue::mark_flushed() noexcept {
  state_.flushed.store(state_.committed.load(std::memory_order_relaxed), std::memory_order_release);
}

bool LaneQueue::current_epoch() const noexcept {
  return context_.journal == nullptr || lane_.epoch == context_.journal->epoch();
}

// Whether every one of these batches was in a block found damaged and set aside with the operator's consent,
// or any loss is accepted.
bool LaneQueue::loss_accepted(std::uint64_t from, std::uint64_t to) const {
  if (context_.accept_loss) return true;
  std::uint64_t named = 0;
  for (const LostRows& lost : context_.journal->lost_rows()) {
    if (lost.lane.epoch != lane_.epoch || lost.lane.reactor != lane_.reactor) continue;
    // A block so damaged that its lanes cannot be read may have held any of its reactor's.
    if (lost.sequence == 0) return true;
    if (lost.lane == lane_ && lost.sequence >= from && lost.sequence <= to) ++named;
  }
  return named >= to - from + 1;
}

std::string LaneQueue::missing(std::uint64_t from, std::uint64_t to) const {
  return batches_text(to - from + 1) + " of " + text_of(lane_) + " (" + std::to_string(from) + " to " +
         std::to_string(to) +
         ") are neither in the database nor in the journal any more: the database was restored or taken over "
         "by a replica from before, and the journal no longer reaches back that far; bring back a database "
         "or a journal that has them, or accept the loss (journal.accept_loss); until then nothing of this "
         "shard is stored, and "
         "the journal keeps what it has";
}

std::optional<std::string> LaneQueue::objection_to_progress(std::uint64_t found,
                                                            std::uint64_t expected) const {
  const std::string told = "the database has " + batches_text(found) + " of " + text_of(lane_);
  const bool first_of_run = !known_ && current_epoch();
  const bool beyond = context_.journal != nullptr &&
                      found > std::max(state_.durable.load(std::memory_order_acquire), expected);
  if (found > 0 && (first_of_run || (known_ && found > expected) || beyond)) {
    if (first_of_run || beyond)
      return told +
             ", more than this journal ever held: the journal is an old copy of the one that wrote "
             "them; nothing is stored, so that no row is stored twice; stop the node and bring back "
             "the newest journal, or start with an empty one";
    return told + ", of which this node wrote " + std::to_string(expected) +
           ": another process writes with a copy of this node's journal; stop it, and restart this node";
  }
  return std::nullopt;
}

std::optional<std::string> LaneQueue::objection(std::uint64_t found, std::uint64_t expected) const {
  if (auto problem = objection_to_progress(found, expected)) return problem;
  if (context_.journal == nullptr || found >= state_.durable.load(std::memory_order_acquire))
    return std::nullopt;
  const std::uint64_t first = context_.journal->first_sequence(lane_);
  if (found + 1 >= first || loss_accepted(found + 1, first - 1)) return std::nullopt;
  return missing(found + 1, first - 1);
}

void LaneQueue::adopt(std::uint64_t found) {
  WELLHEAD_ASSERT(taken_ == 0);
  if (known_ && found < stored_) rewind(found);
  if (!known_) {
    cursor_ = found + 1;
    counted_ = found;
    known_ = true;
  }
  stored_ = found;
  if (context_.journal == nullptr) return;
  state_.committed.store(found, std::memory_order_release);
  state_.flushed.store(found, std::memory_order_release);
}

void LaneQueue::rewind(std::uint64_t found) {
  if (context_.journal == nullptr) {
    log::error(
        "the database's progress went back: rows that were acknowledged are missing from it; it was restored "
        "from a backup, or a replica that lagged took over",
        {{"shard", context_.shard}, {"sequence_known", stored_}, {"sequence_found", found}});
    return;
  }
  log::warning(
      "the database forgot commits: it crashed before they were on its disk, or a replica that lagged took "
      "over; their rows are stored again from the journal, none is lost",
      {{"shard", context_.shard}, {"lane", text_of(lane_)}, {"batches", stored_ - found}});
  // What was read back makes room: a gap before it must never wait for the memory that it holds.
  std::erase_if(queue_, [this](const Stretch& stretch) {
    if (stretch.replayed()) context_.pool.release(stretch.batch);
    return stretch.replayed();
  });
  cursor_ = found + 1;
}

void LaneQueue::surrender(std::vector<Batch*>& rest) {
  taken_ = 0;
  for (const Stretch& stretch : queue_) {
    if (stretch.replayed())
      context_.pool.release(stretch.batch);
    else
      rest.push_back(stretch.batch);
  }
  queue_.clear();
  rest.insert(rest.end(), late_.begin(), late_.end());
  late_.clear();
}

}  // namespace wellhead
