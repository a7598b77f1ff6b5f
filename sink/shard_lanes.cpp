#include "sink/shard_lanes.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead {
namespace {

std::size_t replay_batch_bytes(const FlushOptions& options, const Journal* journal) {
  std::size_t bytes = options.batch_bytes;
  if (journal != nullptr)
    for (const auto& [epoch, written] : journal->survey().epochs)
      bytes = std::max(bytes, written.batch_bytes);
  return (bytes + Batch::alignment - 1) / Batch::alignment * Batch::alignment;
}

// A flush's bytes, and one batch to read into while it is looked whether it fits another.
std::size_t replay_batches(const FlushOptions& options, const Journal* journal) {
  return std::max<std::size_t>(1, options.bytes_max / replay_batch_bytes(options, journal)) + 1;
}

}  // namespace

ShardLanes::ShardLanes(std::uint32_t shard, const FlushOptions& options, LaneBoard& board, Journal* journal,
                       StreamMaps maps, ShardStats& stats, RefusedRows* refused)
    : options_(options),
      maps_(std::move(maps)),
      pool_(replay_batch_bytes(options, journal), replay_batches(options, journal), Batch::no_reactor),
      context_{shard, journal, maps_, options.accept_loss, pool_, stats, refused} {
  for (std::uint32_t reactor = 0; reactor < board.reactors(); ++reactor)
    add_lane({board.epoch(), reactor, shard}, board.at(reactor, shard), 0);
  for (const OldLane& old : board.old()) {
    if (board.shard_of(old.lane) != shard) continue;
    WELLHEAD_ASSERT(journal != nullptr && old.first > 0);
    add_lane(old.lane, *board.find(old.lane), old.first - 1);
  }
}

void ShardLanes::add_lane(LaneId lane, LaneState& state, std::uint64_t committed) {
  lanes_.emplace_back(lane, state, context_, committed);
}

void ShardLanes::observe() noexcept {
  for (LaneQueue& lane : lanes_) lane.observe();
}

void ShardLanes::arrive(Batch* batch, ShardTime at) {
  WELLHEAD_ASSERT(batch->lane().reactor < lanes_.size());
  lanes_[batch->lane().reactor].arrive(batch, at);
}

void ShardLanes::release_late(std::vector<Batch*>& done) {
  for (LaneQueue& lane : lanes_) lane.release_late(done);
}

bool ShardLanes::enough() const noexcept {
  return draft_.rows >= options_.rows_max || draft_.bytes >= options_.bytes_max;
}

bool ShardLanes::draft_full() const noexcept {
  return enough() || draft_.pool_used;
}

std::expected<void, std::string> ShardLanes::gather(bool read_back, ShardTime now) {
  for (bool more = true; more && !enough();) {
    more = false;
    for (std::size_t turn = 0; turn < lanes_.size() && !enough(); ++turn) {
      auto taken = lanes_[(first_turn_ + turn) % lanes_.size()].take(draft_, read_back, now);
      if (!taken) return std::unexpected(std::move(taken.error()));
      more |= *taken;
    }
  }
  // What was read back waits at the front of its lane, so a pool that is used up is in the draft.
  WELLHEAD_ASSERT(!draft_.pool_used || !draft_.empty());
  return {};
}

FlushOrder ShardLanes::order(bool durable) {
  WELLHEAD_ASSERT(!draft_.empty());
  moves_.clear();
  for (const LaneQueue& lane : lanes_)
    if (const auto move = lane.move()) moves_.push_back(*move);
  // An earlier try may have refused rows and then failed.
  for (Batch* batch : draft_.batches) batch->refused().clear();
  return {draft_.batches, moves_, durable};
}

FlushOrder ShardLanes::synchronization() {
  const LaneQueue& any = lanes_.front();
  moves_.assign(1, {any.lane(), any.stored(), any.stored()});
  return {{}, moves_, true};
}

void ShardLanes::settle_lanes(std::span<const LaneMove> moves, std::vector<Batch*>& done) {
  for (LaneQueue& lane : lanes_) {
    const auto move = std::ranges::find(moves, lane.lane(), &LaneMove::lane);
    if (move != moves.end()) lane.settle(move->to, done);
  }
}

FlushSize ShardLanes::settle(std::vector<Batch*>& done) {
  const FlushSize size{draft_.rows, draft_.since};
  settle_lanes(moves_, done);
  put_back();
  return size;
}

void ShardLanes::put_back() {
  if (draft_.empty()) return;
  for (LaneQueue& lane : lanes_) lane.put_back();
  draft_.batches.clear();
  draft_.rows = 0;
  draft_.bytes = 0;
  draft_.replayed = false;
  draft_.pool_used = false;
  first_turn_ = (first_turn_ + 1) % lanes_.size();
}

void ShardLanes::doubt() {
  WELLHEAD_ASSERT(doubtful_.empty());
  doubtful_ = moves_;
  doubtful_size_ = {draft_.rows, draft_.since};
  put_back();
}

void ShardLanes::mark_flushed() noexcept {
  for (LaneQueue& lane : lanes_) lane.mark_flushed();
}

bool ShardLanes::unflushed() const noexcept {
  return std::ranges::any_of(lanes_, &LaneQueue::unflushed);
}

std::span<LaneProgress> ShardLanes::progress() {
  progress_.clear();
  for (const LaneQueue& lane : lanes_) progress_.push_back({lane.lane(), lane.stored()});
  return progress_;
}

ShardLanes::Verdict ShardLanes::judge_doubt() const {
  std::size_t moved = 0;
  for (const LaneMove& move : doubtful_) {
    const auto found = std::ranges::find(progress_, move.lane, &LaneProgress::lane);
    WELLHEAD_ASSERT(found != progress_.end());
    if (found->sequence == move.to) ++moved;
  }
  if (moved == 0) return Verdict::not_committed;
  return moved == doubtful_.size() ? Verdict::committed : Verdict::torn;
}

// What the lane's progress is once a doubtful flush has its verdict.
std::uint64_t ShardLanes::expected(std::size_t lane, Verdict verdict) const {
  const auto move = std::ranges::find(doubtful_, lanes_[lane].lane(), &LaneMove::lane);
  return verdict == Verdict::committed && move != doubtful_.end() ? move->to : lanes_[lane].stored();
}

std::expected<void, std::string> ShardLanes::adopt(std::vector<Batch*>& done,
                                                   std::optional<FlushSize>& resolved) {
  WELLHEAD_ASSERT(draft_.empty());
  const Verdict verdict = judge_doubt();
  if (verdict == Verdict::torn)
    return std::unexpected(
        "the database has moved some lanes of a flush and not others, which no transaction of this node can "
        "do: somebody else writes wellhead_progress; nothing is stored, so that no row is stored twice or "
        "lost; stop the other process, and restart this node");
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane)
    if (auto problem = lanes_[lane].objection(progress_[lane].sequence, expected(lane, verdict)))
      return std::unexpected(std::move(*problem));
  if (verdict == Verdict::committed && !doubtful_.empty()) {
    settle_lanes(doubtful_, done);
    resolved = doubtful_size_;
  }
  doubtful_.clear();
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) lanes_[lane].adopt(progress_[lane].sequence);
  return {};
}

bool ShardLanes::memory_waits() const noexcept {
  return std::ranges::any_of(lanes_, &LaneQueue::next_in_memory);
}

std::uint64_t ShardLanes::lag() const noexcept {
  std::uint64_t lag = 0;
  for (const LaneQueue& lane : lanes_) lag += lane.lag();
  return lag;
}

void ShardLanes::surrender(std::vector<Batch*>& rest) {
  draft_ = {};
  for (LaneQueue& lane : lanes_) lane.surrender(rest);
}

}  // namespace wellhead
