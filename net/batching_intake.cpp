#include "net/batching_intake.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

// Batches taken out of the mailbox at once.
constexpr std::size_t receive_burst = 64;

std::vector<ShardPort>&& require_shards(std::vector<ShardPort>&& shards) {
  WELLHEAD_ASSERT(!shards.empty());
  return std::move(shards);
}

}  // namespace

BatchingIntake::BatchingIntake(const BatchingOptions& options, std::vector<ShardPort> shards,
                               Mailbox& returns, const Clock& clock)
    : options_(options), returns_(returns), clock_(clock), decoder_(options.decoder) {
  for (ShardPort& port : require_shards(std::move(shards))) {
    Mailbox::Sender sender(*port.inbox);
    lanes_.push_back({.port = std::move(port), .sender = std::move(sender), .sealed = {}, .open_mark = {}});
  }
  WELLHEAD_ASSERT(options_.batches_max >= lanes_.size());
  batches_.reserve(options_.batches_max);
  batches_free_.reserve(options_.batches_max);
  unavailable_shard_ = 0;
  (void)look_at_shards();
}

BatchingIntake::~BatchingIntake() = default;

SubmitResult BatchingIntake::submit(const IntakeRequest& request) {
  if (unavailable_shard_ != lanes_.size()) {
    refused_for_capacity_ = true;
    return {.submission = Submission::unavailable, .message = lanes_[unavailable_shard_].port.problem()};
  }
  if (requests_pending_ >= options_.requests_max) {
    refused_for_capacity_ = true;
    return {.submission = Submission::busy, .message = {}};
  }
  const std::uint32_t slot = acquire_request();
  Request& work = requests_[slot];
  request_in_work_ = slot;
  begin_rows();
  const DecodeResult decoded = decoder_.decode({.schema = *request.schema,
                                                .body = request.body,
                                                .format = request.format,
                                                .receive_time_us = clock_.wall_us()},
                                               *this, work.outcome.errors);

  if (decoded.status != DecodeStatus::complete) {
    take_rows_back();
    release_request(slot);
    if (decoded.status == DecodeStatus::malformed_body)
      return {Submission::malformed, decoded.malformed_code, decoded.malformed_message};
    stats_.batch_exhaustions.add();
    if (batches_free_.size() == batches_.size()) return too_large();
    refused_for_capacity_ = true;
    return {.submission = Submission::busy, .message = {}};
  }
  const bool rows_kept = !request.all_or_nothing || decoded.rejected == 0;
  if (!rows_kept) take_rows_back();
  work.connection = request.connection;
  work.outcome.cookie = request.cookie;
  account_decoded(work, decoded, rows_kept);
  if (work.rows_pending == 0) done_.push_back(slot);
  return {.submission = Submission::taken, .message = {}};
}

// Every batch is free and the request still does not fit: waiting would never help.
SubmitResult BatchingIntake::too_large() const {
  const std::size_t memory_kib = options_.batches_max * options_.batch_bytes / 1024;
  return {
      Submission::malformed, RecordErrorCode::record_too_large,
      "the request's rows need more than the " + std::to_string(memory_kib) +
          " KiB this node has for rows on their way: send it in smaller requests, or raise pipeline.memory"};
}

void BatchingIntake::account_decoded(Request& request, const DecodeResult& decoded, bool rows_kept) {
  WELLHEAD_ASSERT(decoded.received == decoded.accepted + decoded.rejected);
  WELLHEAD_ASSERT(request.outcome.errors.count() == decoded.rejected);
  if (!rows_kept) {
    // All or nothing: the good records were given back, and nothing of the request enters the account but
    // what was wrong with it.
    request.outcome.received = decoded.received;
    request.outcome.rejected = decoded.received;
  } else {
    request.outcome.received = decoded.received;
    request.outcome.rejected = decoded.rejected;
    request.rows_pending = decoded.accepted;
  }
  const std::uint32_t counted = rows_kept ? decoded.received : decoded.rejected;
  stats_.records_received.add(counted);
  stats_.records_pending.add(request.rows_pending);
  for (std::size_t code = 0; code < record_error_code_count; ++code) {
    const std::uint32_t count = request.outcome.errors.count(static_cast<RecordErrorCode>(code));
    if (count != 0) stats_.records_rejected[code].add(count);
  }
}

// --- rows and batches ---

std::byte* BatchingIntake::allocate_row(std::uint64_t device_hash, std::uint32_t tuple_bytes) {
  const auto shard = static_cast<std::uint32_t>(device_hash % lanes_.size());
  Lane& lane = lanes_[shard];
  const std::size_t bytes = row_bytes(tuple_bytes);
  if (lane.open != nullptr && !lane.open->fits(bytes))
    lane.sealed.push_back(std::exchange(lane.open, nullptr));
  if (lane.open == nullptr) {
    lane.open = acquire_batch(shard);
    if (lane.open == nullptr) return nullptr;
    WELLHEAD_ASSERT(lane.open->fits(bytes));  // configuration keeps batch_bytes above the longest tuple
  }
  return lane.open->append(request_in_work_, requests_[request_in_work_].generation, tuple_bytes);
}

Batch* BatchingIntake::acquire_batch(std::uint32_t shard) {
  if (batches_free_.empty()) {
    if (batches_.size() == options_.batches_max) return nullptr;
    batches_.push_back(std::make_unique<Batch>(options_.batch_bytes, options_.reactor_index));
    batches_free_.push_back(batches_.back().get());
  }
  Batch* batch = batches_free_.back();
  batches_free_.pop_back();
  batch->set_shard(shard);
  return batch;
}

void BatchingIntake::release_batch(Batch* batch) {
  batch->reset();
  batches_free_.push_back(batch);
}

void BatchingIntake::begin_rows() {
  for (Lane& lane : lanes_) {
    lane.sealed_before = lane.sealed.size();
    lane.open_mark = lane.open == nullptr ? std::nullopt : std::optional(lane.open->mark());
  }
}

void BatchingIntake::take_rows_back() {
  for (Lane& lane : lanes_) {
    // Batches of this request, the newest first; the oldest may hold rows of earlier requests below the mark.
    while (lane.sealed.size() > lane.sealed_before) {
      if (lane.open != nullptr) release_batch(lane.open);
      lane.open = lane.sealed.back();
      lane.sealed.pop_back();
    }
    if (lane.open == nullptr) continue;
    if (lane.open_mark) {
      lane.open->rewind(*lane.open_mark);
    } else {
      release_batch(std::exchange(lane.open, nullptr));
    }
  }
}

// --- requests ---

std::uint32_t BatchingIntake::acquire_request() {
  if (requests_free_.empty()) {
    requests_.emplace_back();
    requests_free_.push_back(static_cast<std::uint32_t>(requests_.size() - 1));
  }
  const std::uint32_t slot = requests_free_.back();
  requests_free_.pop_back();
  ++requests_pending_;
  return slot;
}

void BatchingIntake::release_request(std::uint32_t slot) {
  Request& request = requests_[slot];
  ++request.generation;
  request.rows_pending = 0;
  RecordErrors errors = std::move(request.outcome.errors);  // its capacity is kept
  errors.clear();
  request.outcome = {};
  request.outcome.errors = std::move(errors);
  requests_free_.push_back(slot);
  --requests_pending_;
}

// --- the turn ---

std::size_t BatchingIntake::turn(RequestListener& listener) {
  std::size_t work = receive_returned();
  const bool availability_changed = look_at_shards();
  work += deliver(listener);
  work += send_batches();
  const bool capacity = unavailable_shard_ == lanes_.size() && (work != 0 || availability_changed);
  if (refused_for_capacity_ && capacity) {
    refused_for_capacity_ = false;
    listener.on_capacity();
    work += deliver(listener) + send_batches();
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
      settle_batch(*batch);
      release_batch(batch);
    }
    total += count;
  }
  return total;
}

void BatchingIntake::settle_batch(Batch& batch) {
  WELLHEAD_ASSERT(batch.outcome() != BatchOutcome::none);
  const bool committed = batch.outcome() == BatchOutcome::committed;
  if (committed) settle_refused(batch);
  for (const Claim& claim : batch.claims()) {
    Request& request = requests_[claim.request_slot];
    WELLHEAD_ASSERT(request.generation == claim.request_generation &&
                    request.rows_pending >= claim.row_count);
    request.rows_pending -= claim.row_count;
    if (committed)
      request.outcome.accepted += claim.row_count;
    else
      request.outcome.abandoned = true;
    if (request.rows_pending == 0) done_.push_back(claim.request_slot);
  }
  stats_.records_pending.add(-static_cast<std::int64_t>(batch.row_count()));
  if (committed)
    stats_.records_accepted.add(batch.row_count() - batch.refused().size());
  else
    stats_.records_abandoned.add(batch.row_count());
}

// Refused rows were counted as accepted with their claim: here they move over to rejected.
void BatchingIntake::settle_refused(Batch& batch) {
  const std::vector<Claim>& claims = batch.claims();
  for (const RefusedRow& refused : batch.refused()) {
    const auto after =
        std::upper_bound(claims.begin(), claims.end(), refused.row,
                         [](std::uint32_t row, const Claim& claim) { return row < claim.first_row; });
    WELLHEAD_ASSERT(after != claims.begin());
    RequestOutcome& outcome = requests_[std::prev(after)->request_slot].outcome;
    --outcome.accepted;  // settle_batch adds the whole claim right after; unsigned arithmetic meets in the
                         // middle
    ++outcome.rejected;
    outcome.errors.add(
        refused.record_index, RecordErrorCode::database_refused, {},
        "the database refused the row: " + refused.message + " (SQLSTATE " + refused.sqlstate + ")");
    stats_.records_rejected[static_cast<std::size_t>(RecordErrorCode::database_refused)].add();
  }
}

std::size_t BatchingIntake::deliver(RequestListener& listener) {
  // A session may submit its next request from inside on_request_done: done_ and requests_ may grow
  // meanwhile.
  std::size_t delivered = 0;
  while (!done_.empty()) {
    delivering_.swap(done_);
    for (const std::uint32_t slot : delivering_) {
      const RequestOutcome outcome = std::move(requests_[slot].outcome);
      const ConnectionId connection = requests_[slot].connection;
      WELLHEAD_ASSERT(outcome.abandoned || outcome.received == outcome.accepted + outcome.rejected);
      release_request(slot);
      listener.on_request_done(connection, outcome);
      ++delivered;
    }
    delivering_.clear();
  }
  return delivered;
}

std::size_t BatchingIntake::send_batches() {
  std::size_t sent = 0;
  const auto send = [&](Lane& lane, Batch* batch) {
    ++lane.away;
    ++sent;
    batch->set_lane({1, options_.reactor_index, batch->shard()}, ++lane.sent);
    lane.sender.send(batch);
  };
  for (Lane& lane : lanes_) {
    for (Batch* batch : lane.sealed) send(lane, batch);
    lane.sealed.clear();
    const bool shard_idles = lane.away < options_.batches_away_eager;
    if (lane.open == nullptr || !shard_idles) continue;
    if (lane.open->empty()) {
      release_batch(std::exchange(lane.open, nullptr));
      continue;
    }
    send(lane, std::exchange(lane.open, nullptr));
  }
  return sent;
}

bool BatchingIntake::look_at_shards() {
  const auto unavailable =
      std::find_if(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return !lane.port.available(); });
  const auto now = static_cast<std::size_t>(unavailable - lanes_.begin());
  const bool changed = now != unavailable_shard_;
  unavailable_shard_ = now;
  return changed;
}

bool BatchingIntake::prepare_sleep() {
  if (!done_.empty()) return false;
  return returns_.prepare_sleep();
}

void BatchingIntake::finish_sleep() {
  returns_.finish_sleep();
}

}  // namespace wellhead
