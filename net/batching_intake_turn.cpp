// What BatchingIntake does between requests: the turn of the loop, blocks for the journal and what becomes of
// them, batches that come back from shards.
#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.hpp"
#include "net/batching_intake.hpp"

namespace wellhead {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Batches taken out of the mailbox at once.
constexpr std::size_t receive_burst = 64;
// How often a journal is asked that was not ready, and one that was full: it wakes nobody when it changes.
constexpr nanoseconds not_ready_interval = milliseconds(1);
constexpr nanoseconds unwritable_interval = milliseconds(20);

// How often it is looked whether rows are committed for which a repeated request waits: their shard does not
// know of it.
constexpr nanoseconds repeated_interval = milliseconds(5);

constexpr RequestBook::Abandonment block_failed{
    .problem =
        "The journal of this node failed while these records were written. They were not "
        "acknowledged, and it is not known whether they are stored when the node runs again. Sending "
        "them again without an Idempotency-Key may store them twice."};
constexpr RequestBook::Abandonment behind_failed{
    .problem =
        "The journal of this node failed before these records were written; nothing of this request was "
        "stored. Send it again later.",
    .nothing_stored = true};
constexpr RequestBook::Abandonment stopped_unwritten{
    .problem =
        "This node stops, and its journal takes nothing more; nothing of this request was stored. "
        "Send it to another node, or again later.",
    .nothing_stored = true};

}  // namespace

std::size_t BatchingIntake::turn(RequestListener& listener) {
  std::size_t work = receive_returned() + std::exchange(settled_, 0) + book_.settle_repeated(board_);
  look_at_shards();
  const bool journal_changed = gate_ && gate_->look();
  work += book_.deliver(listener);
  work += pass_on();
  if (capacity_due(work > 0 || journal_changed)) {
    refused_ = {};
    listener.on_capacity();
    // Also for the next turn's question whether anything moved: those refused meanwhile wait for this, too.
    settled_ += book_.deliver(listener) + pass_on();
    work += settled_;
  }
  return work;
}

std::size_t BatchingIntake::receive_returned() {
  std::array<Batch*, receive_burst> returned;
  std::size_t total = 0;
  while (const std::size_t count = returns_.take(returned)) {
    for (std::size_t index = 0; index < count; ++index) {
      Batch* batch = returned[index];
      WELLHEAD_ASSERT(batch->reactor() == options_.reactor_index);
      --lanes_[batch->shard()].away;
      if (gate_ && !batch->must_return()) --others_away_;
      book_.settle_returned(*batch);
      release_batch(batch);
    }
    total += count;
  }
  return total;
}

void BatchingIntake::look_at_shards() {
  const auto unavailable =
      std::ranges::find_if(lanes_, [](const Lane& lane) { return !lane.port.available(); });
  unavailable_shard_ = static_cast<std::size_t>(unavailable - lanes_.begin());
}

// What stood in the way of those who were refused may be gone. Those for whom it is not are refused again.
bool BatchingIntake::capacity_due(bool moved) const {
  const bool journal_open = !gate_ || gate_->state() == JournalGate::State::open;
  if (!journal_open) return false;
  return ((refused_.for_memory || refused_.for_returns) && moved) || refused_.by_journal ||
         (refused_.by_shard && unavailable_shard_ == lanes_.size());
}

// Gives to the journal, or without one to the shards, what has gathered. Returns how many batches went.
std::size_t BatchingIntake::pass_on() {
  if (!gate_) return send_batches();
  if (gate_->on_its_way() || (batches_unsent_ == 0 && !retries_.in_doubt())) return 0;
  if (gate_->closed()) return stopping_ ? give_up_unsent(stopped_unwritten) : 0;
  return begin_block();
}

std::size_t BatchingIntake::send_batches() {
  std::size_t sent = 0;
  const auto pass = [&](Lane& lane, Batch* batch) {
    --batches_unsent_;
    ++sent;
    number(lane, *batch);
    send(lane, batch);
  };
  for (Lane& lane : lanes_) {
    for (Batch* batch : lane.sealed) pass(lane, batch);
    lane.sealed.clear();
    const bool shard_idles = lane.away < options_.batches_away_eager;
    if (lane.open == nullptr || !shard_idles) continue;
    if (lane.open->empty())
      drop_open(lane);
    else
      pass(lane, std::exchange(lane.open, nullptr));
  }
  return sent;
}

// Without a journal nothing comes between a batch and its shard: it may read it as soon as it is sent.
void BatchingIntake::number(Lane& lane, Batch& batch) {
  batch.set_lane({.epoch = board_.epoch(), .reactor = options_.reactor_index, .shard = batch.shard()},
                 ++lane.sequence);
  batch.set_must_return();
  board_.at(options_.reactor_index, batch.shard()).durable.store(lane.sequence, std::memory_order_release);
  book_.note_places(batch);
}

void BatchingIntake::send(Lane& lane, Batch* batch) {
  ++lane.away;
  lane.sender.send(batch);
}

bool BatchingIntake::may_keep_away(const Lane& lane) const {
  return lane.away < batches_away_max_ && returns_owed_ + others_away_ < batches_kept_max_;
}

// Batches with rows, by shard and in order, out of their lanes.
void BatchingIntake::gather_unsent() {
  unsent_.clear();
  for (Lane& lane : lanes_) {
    if (lane.open != nullptr && lane.open->empty()) drop_open(lane);
    unsent_.insert(unsent_.end(), lane.sealed.begin(), lane.sealed.end());
    if (lane.open != nullptr) unsent_.push_back(lane.open);
  }
}

void BatchingIntake::forget_unsent() {
  for (Lane& lane : lanes_) {
    lane.sealed.clear();
    lane.open = nullptr;
  }
  batches_unsent_ = 0;
}

// --- the journal ---

std::size_t BatchingIntake::begin_block() {
  gather_unsent();
  if (unsent_.empty() && !retries_.in_doubt()) return 0;
  number_unsent();
  retries_.encode([this](std::uint32_t slot) { return book_.receipt_text(slot); });
  if (!gate_->begin_block(unsent_, retries_.payload(), retries_.entries())) {
    for (const Batch* batch : unsent_) book_.forget_places(*batch);
    return 0;
  }
  retries_.begin_block();
  forget_unsent();
  return std::max<std::size_t>(unsent_.size(), 1);
}

// A receipt names sequences, and the block holds receipts: so the batches get their numbers before the
// journal gives it to them. It is the same, since sequences have no gaps.
void BatchingIntake::number_unsent() {
  std::uint32_t shard = 0;
  std::uint64_t sequence = 0;
  for (Batch* batch : unsent_) {  // by shard
    if (sequence == 0 || batch->shard() != shard) sequence = lanes_[batch->shard()].sequence;
    shard = batch->shard();
    batch->set_lane({.epoch = board_.epoch(), .reactor = options_.reactor_index, .shard = shard}, ++sequence);
    book_.note_places(*batch);
  }
}

// The node stops, and only an operator or the database could make the journal take these: nobody waits for
// that.
std::size_t BatchingIntake::give_up_unsent(const RequestBook::Abandonment& why) {
  gather_unsent();
  forget_unsent();
  retries_.abandon_unsent();
  for (Batch* batch : unsent_) {
    book_.settle_abandoned(*batch, why);
    release_batch(batch);
  }
  return unsent_.size();
}

std::optional<JournalOperation> BatchingIntake::journal_operation() {
  return gate_ ? gate_->operation() : std::nullopt;
}

void BatchingIntake::on_journal_completion(std::int64_t result) {
  WELLHEAD_ASSERT(gate_);
  switch (gate_->complete(result)) {
    case CompleteResult::more:
      return;
    case CompleteResult::durable:
      on_block_durable();
      break;
    case CompleteResult::failed:
      on_block_failed();
      break;
  }
  settled_ += std::max<std::size_t>(gate_->block().size(), 1);
  gate_->end_block();
}

void BatchingIntake::on_block_durable() {
  stats_.blocks.add();
  for (Batch* batch : gate_->block()) {
    const std::uint32_t shard = batch->shard();
    const std::uint64_t sequence = batch->lane_sequence();
    Lane& lane = lanes_[shard];
    WELLHEAD_ASSERT(sequence == lane.sequence + 1);
    lane.sequence = sequence;
    book_.settle_durable(*batch);
    if (batch->must_return()) {
      send(lane, batch);
    } else if (may_keep_away(lane)) {
      ++others_away_;
      send(lane, batch);
    } else {
      lane.spilled = true;
      stats_.batches_spilled.add();
      release_batch(batch);
    }
    // After it was sent: what is durable and not in the shard's mailbox, the shard reads back, and would then
    // not tell this batch which of its rows were refused.
    board_.at(options_.reactor_index, shard).durable.store(sequence, std::memory_order_release);
  }
  // Whoever repeats a request from here on, also at another reactor, finds its rows on the board.
  retries_.finish_block();
  // Not before the whole block is on the board: a shard that is awake reads all of it at once.
  for (Lane& lane : lanes_)
    if (std::exchange(lane.spilled, false)) lane.port.inbox->wake();
}

// What waits behind the block is given up with it: nobody knows when the journal is mended, and lines of a
// producer must not be stored when those before them are not.
void BatchingIntake::on_block_failed() {
  retries_.doubt_block();
  for (Batch* batch : gate_->block()) {
    book_.settle_abandoned(*batch, block_failed);
    release_batch(batch);
  }
  settled_ += give_up_unsent(behind_failed);
}

void BatchingIntake::reopen_journal() {
  if (gate_) gate_->reopen();
}

// --- sleep ---

bool BatchingIntake::prepare_sleep() {
  if (book_.has_outcomes()) return false;
  return returns_.prepare_sleep();
}

void BatchingIntake::finish_sleep() {
  returns_.finish_sleep();
}

nanoseconds BatchingIntake::sleep_max() const {
  const nanoseconds idle = book_.repeated_waiting() ? repeated_interval : nanoseconds::max();
  const bool block_wanted = batches_unsent_ > 0 || retries_.in_doubt();
  if (!gate_ || gate_->state() == JournalGate::State::open || !block_wanted) return idle;
  const bool not_ready = gate_->state() == JournalGate::State::not_ready;
  return std::min(idle, not_ready ? not_ready_interval : unwritable_interval);
}

}  // namespace wellhead
