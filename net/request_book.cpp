#include "net/request_book.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::string_view stored_later =
    "The records are safe in this node's journal, but the node stopped before the database had them: they "
    "are stored when it runs again. Sending them again stores them twice.";

// A lane the board does not know holds nothing the database lacks.
bool committed(const Receipt& receipt, LaneBoard& board) {
  return std::ranges::all_of(receipt.parts, [&](const ReceiptPart& part) {
    const LaneState* lane =
        board.find({.epoch = receipt.epoch, .reactor = receipt.reactor, .shard = part.shard});
    return lane == nullptr || lane->committed.load(std::memory_order_acquire) >= part.sequence;
  });
}

bool is_record(const Claim& claim) noexcept {
  return claim.kind == RowKind::record;
}

}  // namespace

RequestBook::RequestBook(Receipt origin, bool journaled, IntakeStats& stats)
    : origin_(std::move(origin)), journaled_(journaled), stats_(stats) {
  origin_.parts.clear();
}

std::uint32_t RequestBook::open() {
  if (free_.empty()) {
    requests_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(requests_.size() - 1));
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  ++pending_;
  return slot;
}

void RequestBook::forget(std::uint32_t slot) {
  Request& request = requests_[slot];
  ++request.generation;
  request.rows_pending = 0;
  request.places.clear();
  request.receipt_before.clear();
  RecordErrors errors = std::move(request.outcome.errors);  // its capacity is kept
  errors.clear();
  request.outcome = {};
  request.outcome.errors = std::move(errors);
  free_.push_back(slot);
  --pending_;
}

void RequestBook::enter(std::uint32_t slot, const IntakeRequest& request, const DecodeResult& decoded,
                        bool rows_kept, std::uint32_t dead_letters) {
  Request& entry = requests_[slot];
  WELLHEAD_ASSERT(decoded.received == decoded.accepted + decoded.rejected);
  WELLHEAD_ASSERT(entry.outcome.errors.count() == decoded.rejected);
  entry.connection = request.connection;
  entry.stream = request.schema->index();
  entry.ack = journaled_ ? request.ack : AckLevel::commit;
  entry.wants_receipt = request.wants_receipt;
  entry.outcome.cookie = request.cookie;
  entry.outcome.received = decoded.received;
  // All or nothing: the good records were given back, and nothing of the request enters the account but what
  // was wrong with it.
  entry.outcome.rejected = rows_kept ? decoded.rejected : decoded.received;
  const std::uint32_t records_pending = rows_kept ? decoded.accepted : 0;
  entry.rows_pending = records_pending + dead_letters;
  count_received(entry, decoded, rows_kept);
  stats_.records_pending.add(records_pending);
  if (entry.rows_pending == 0) done_.push_back(slot);
}

void RequestBook::count_received(const Request& request, const DecodeResult& decoded, bool rows_kept) {
  stats_.records_received.add(rows_kept ? decoded.received : decoded.rejected);
  for (std::size_t number = 0; number < record_error_code_count; ++number) {
    const auto code = static_cast<RecordErrorCode>(number);
    if (const std::uint32_t count = request.outcome.errors.count(code)) count_rejected(request, code, count);
  }
}

void RequestBook::count_rejected(const Request& request, RecordErrorCode code, std::uint32_t count) {
  const auto number = static_cast<std::size_t>(code);
  stats_.records_rejected[number].add(count);
  if (request.stream < stats_.rejected_by_stream.size())
    stats_.rejected_by_stream[request.stream][number].add(count);
}

// The reply has the numbers of the first one. The account has what was decoded now: what can differ is only
// what the node itself changed in between, as a stream's columns.
void RequestBook::enter_repeated(std::uint32_t slot, const IntakeRequest& request,
                                 const DecodeResult& decoded, const RememberedAnswer& answer,
                                 LaneBoard& board) {
  Request& entry = requests_[slot];
  entry.connection = request.connection;
  entry.stream = request.schema->index();
  count_received(entry, decoded, true);
  stats_.records_duplicate.add(decoded.accepted);
  entry.outcome.cookie = request.cookie;
  entry.outcome.received = answer.accepted + answer.rejected + answer.duplicate;
  entry.outcome.accepted = answer.accepted;
  entry.outcome.rejected = answer.rejected;
  entry.outcome.duplicate = answer.duplicate;
  entry.outcome.replayed = true;
  entry.receipt_before = answer.receipt;
  std::optional<Receipt> receipt = decode_receipt(answer.receipt);
  if (request.ack == AckLevel::commit && receipt && !committed(*receipt, board))
    repeated_waiting_.push_back({.slot = slot, .receipt = std::move(*receipt)});
  else
    done_.push_back(slot);
}

std::size_t RequestBook::settle_repeated(LaneBoard& board) {
  return std::erase_if(repeated_waiting_, [&](const RepeatedWaiting& waiting_for) {
    if (!committed(waiting_for.receipt, board)) return false;
    done_.push_back(waiting_for.slot);
    return true;
  });
}

// The request that waits for these rows; null when it was answered before. A slot's next request has another
// generation.
RequestBook::Request* RequestBook::waiting(const Claim& claim) {
  Request& request = requests_[claim.request_slot];
  return request.generation == claim.request_generation && request.rows_pending > 0 ? &request : nullptr;
}

void RequestBook::decide(Request& request, const Claim& claim) {
  WELLHEAD_ASSERT(request.rows_pending >= claim.row_count);
  request.rows_pending -= claim.row_count;
  if (is_record(claim)) stats_.records_pending.add(-static_cast<std::int64_t>(claim.row_count));
  if (request.rows_pending == 0) done_.push_back(claim.request_slot);
}

void RequestBook::note_places(const Batch& batch) {
  for (const Claim& claim : batch.claims()) {
    Request* request = waiting(claim);
    WELLHEAD_ASSERT(request != nullptr);
    if (request->wants_receipt && is_record(claim))
      request->places.push_back({batch.shard(), batch.lane_sequence(), claim.first_row, claim.row_count});
  }
}

void RequestBook::forget_places(const Batch& batch) {
  for (const Claim& claim : batch.claims())
    if (Request* request = waiting(claim)) request->places.clear();
}

void RequestBook::settle_durable(const Batch& batch) {
  for (const Claim& claim : batch.claims()) {
    if (is_record(claim)) stats_.records_durable.add(claim.row_count);
    Request* request = waiting(claim);
    WELLHEAD_ASSERT(request != nullptr);
    // Nobody waits for the commit of a dead letter.
    if (request->ack == AckLevel::commit && is_record(claim)) continue;
    decide(*request, claim);
    if (!is_record(claim)) continue;
    request->outcome.accepted += claim.row_count;
    stats_.records_accepted.add(claim.row_count);
  }
}

void RequestBook::settle_abandoned(const Batch& batch, const Abandonment& why) {
  for (const Claim& claim : batch.claims()) {
    Request* request = waiting(claim);
    WELLHEAD_ASSERT(request != nullptr);
    decide(*request, claim);
    request->outcome.abandoned = true;
    request->outcome.problem = why.problem;
    request->outcome.nothing_stored = why.nothing_stored;
    if (is_record(claim)) stats_.records_abandoned.add(claim.row_count);
  }
}

void RequestBook::settle_returned(Batch& batch) {
  WELLHEAD_ASSERT(batch.outcome() != BatchOutcome::none);
  const bool committed = batch.outcome() == BatchOutcome::committed;
  // Refused rows first, while it can be told from their requests who still waits for them.
  std::uint64_t refused_pending = 0;
  for (const RefusedRow& refused : batch.refused()) {
    WELLHEAD_ASSERT(committed);
    const Claim& claim = claim_of(batch, refused.row);
    if (!is_record(claim)) continue;
    Request* request = waiting(claim);
    if (request != nullptr && request->ack == AckLevel::commit) {
      refuse(*request, refused);
      ++refused_pending;
    } else {
      stats_.records_quarantined.add();
      stats_.records_accepted.add(std::uint64_t{0} - 1);
    }
  }
  // Only these have requests that wait; the others' claims are history, and their slots may be in use again.
  if (!batch.must_return()) return;
  std::uint64_t records = 0;
  for (const Claim& claim : batch.claims()) {
    Request* request = waiting(claim);
    if (request == nullptr || request->ack != AckLevel::commit) continue;
    if (journaled_ && !is_record(claim)) continue;  // decided when it was durable
    decide(*request, claim);
    if (!committed) {
      request->outcome.abandoned = true;
      if (journaled_) request->outcome.problem = stored_later;
    }
    if (!is_record(claim)) continue;
    records += claim.row_count;
    if (committed) request->outcome.accepted += claim.row_count;
  }
  (committed || journaled_ ? stats_.records_accepted : stats_.records_abandoned)
      .add(records - refused_pending);
}

const Claim& RequestBook::claim_of(const Batch& batch, std::uint32_t row) const {
  const std::vector<Claim>& claims = batch.claims();
  const auto after =
      std::upper_bound(claims.begin(), claims.end(), row,
                       [](std::uint32_t number, const Claim& claim) { return number < claim.first_row; });
  WELLHEAD_ASSERT(after != claims.begin());
  return *std::prev(after);
}

void RequestBook::refuse(Request& request, const RefusedRow& refused) {
  RequestOutcome& outcome = request.outcome;
  --outcome.accepted;  // settle_returned() adds the whole claim right after; unsigned arithmetic meets in the
                       // middle
  ++outcome.rejected;
  outcome.errors.add(
      refused.record_index, RecordErrorCode::database_refused, {},
      "the database refused the row: " + refused.message + " (SQLSTATE " + refused.sqlstate + ")");
  count_rejected(request, RecordErrorCode::database_refused, 1);
}

std::string_view RequestBook::receipt_text(std::uint32_t slot) {
  Request& request = requests_[slot];
  receipt_text_ = request.receipt_before;
  // The sequences of a block that failed are given to another.
  if (request.places.empty() || request.outcome.abandoned) return receipt_text_;
  origin_.parts.swap(request.places);
  append_receipt(receipt_text_, origin_);
  origin_.parts.swap(request.places);
  return receipt_text_;
}

std::size_t RequestBook::deliver(RequestListener& listener) {
  // A session may submit its next request from inside on_request_done: done_ and requests_ may grow
  // meanwhile.
  std::size_t delivered = 0;
  while (!done_.empty()) {
    delivering_.swap(done_);
    for (const std::uint32_t slot : delivering_) {
      Request& request = requests_[slot];
      const std::string_view receipt = receipt_text(slot);
      RequestOutcome outcome = std::move(request.outcome);
      outcome.receipt = receipt;
      const ConnectionId connection = request.connection;
      WELLHEAD_ASSERT(outcome.abandoned ||
                      outcome.received == outcome.accepted + outcome.rejected + outcome.duplicate);
      forget(slot);
      listener.on_request_done(connection, outcome);
      ++delivered;
    }
    delivering_.clear();
  }
  return delivered;
}

}  // namespace wellhead
