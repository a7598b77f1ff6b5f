#include "net/batching_intake.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "codec/schema_index.hpp"

namespace wellhead {
namespace {

// With a journal, shares of all batches: so many may be away at shards without anybody waiting for them, and
// so many may hold rows whose commit somebody waits for. A quarter remains, whatever the two have, for rows
// on their way into the journal, however long the database is gone.
constexpr std::uint32_t away_divisor = 2;
constexpr std::uint32_t returns_divisor = 2;
constexpr std::uint32_t kept_free_divisor = 4;
// Dead letters take no batch when fewer than this share of all is free, or more than that share of what goes
// into the journal at once is in use: the rest is for records.
constexpr std::uint32_t spare_divisor = 8;
constexpr std::uint32_t unsent_divisor = 2;

std::vector<ShardPort>&& require_shards(std::vector<ShardPort>&& shards, const LaneBoard& board) {
  WELLHEAD_ASSERT(!shards.empty() && shards.size() == board.shards());
  return std::move(shards);
}

// Takes the rows of a request that is stored already.
class DiscardedRows final : public RowSink {
 public:
  [[nodiscard]] std::byte* allocate_row(std::uint64_t, std::uint32_t tuple_bytes) override {
    row_.resize(row_bytes(tuple_bytes));  // from operator new, so aligned for any row
    return row_.data();
  }

 private:
  std::vector<std::byte> row_;
};

// A request that does not fit however long it waits.
SubmitResult too_large(std::size_t bytes, std::string_view holder, std::string_view remedy) {
  std::string message = "the request's rows need more than the " + std::to_string(bytes / 1024) + " KiB ";
  message.append(holder).append(": send it in smaller requests").append(remedy);
  return {Submission::malformed, RecordErrorCode::record_too_large, std::move(message)};
}

}  // namespace

BatchingIntake::BatchingIntake(const BatchingOptions& options, std::vector<ShardPort> shards,
                               Mailbox& returns, const Clock& clock, LaneBoard& board, JournalWriter* writer,
                               LedgerTable* ledger)
    : options_(options),
      returns_(returns),
      clock_(clock),
      board_(board),
      decoder_(options.decoder),
      dead_letters_(options.dead_letter),
      book_({.journal_digest = options.receipt_digest,
             .epoch = board.epoch(),
             .reactor = options.reactor_index,
             .parts = {}},
            writer != nullptr, stats_),
      ledger_(ledger),
      retries_(ledger),
      batches_(options.batch_bytes, options.batches_max, options.reactor_index),
      batches_unsent_max_(options.batches_max),
      returns_owed_max_(options.batches_max),
      batches_kept_max_(options.batches_max) {
  WELLHEAD_ASSERT(ledger == nullptr || writer != nullptr);
  if (writer != nullptr) gate_.emplace(*writer);
  for (ShardPort& port : require_shards(std::move(shards), board)) {
    Mailbox::Sender sender(*port.inbox);
    lanes_.push_back({.port = std::move(port), .sender = std::move(sender), .sealed = {}, .open_mark = {}});
  }
  const auto lane_count = static_cast<std::uint32_t>(lanes_.size());
  WELLHEAD_ASSERT(options_.batches_max >= lane_count);
  batches_away_max_ = options_.batches_max / away_divisor / lane_count;
  if (gate_) {
    // A section is never larger than its batch's memory, so counting batches bounds the block's bytes.
    if (ledger != nullptr) ledger_bytes_max_ = ledger_share(options_.block_bytes_max);
    const std::size_t sections = (options_.block_bytes_max - ledger_bytes_max_) / options_.batch_bytes;
    WELLHEAD_ASSERT(sections >= lane_count);
    batches_unsent_max_ = static_cast<std::uint32_t>(std::min<std::size_t>(sections, options_.batches_max));
    returns_owed_max_ = std::max(options_.batches_max / returns_divisor, lane_count);
    // What remains has a batch for each shard at least, or a request for all of them would never fit.
    const std::uint32_t left = std::max(options_.batches_max / kept_free_divisor, lane_count);
    batches_kept_max_ = std::max(options_.batches_max - left, lane_count);
  }
  stats_.rejected_by_stream = std::vector<RejectedByCode>(options_.streams);
  look_at_shards();
}

BatchingIntake::~BatchingIntake() = default;

SubmitResult BatchingIntake::submit(const IntakeRequest& request) {
  const AckLevel ack = gate_ ? request.ack : AckLevel::commit;
  const std::int64_t now_us = clock_.wall_us();
  const RetryBook::Verdict verdict = retries_.begin(request, now_us);
  // What is durable already needs no journal that takes anything.
  const bool repeated = verdict.standing == RetryBook::Standing::repeated;
  auto refusal = repeated && ack == AckLevel::journal ? std::nullopt : refuse_before_decoding(ack);
  if (refusal) {
    if (retries_.in_work()) retries_.take_back();
    return std::move(*refusal);
  }
  switch (verdict.standing) {
    case RetryBook::Standing::fresh:
      break;
    case RetryBook::Standing::repeated:
      return submit_repeated(request, verdict);
    case RetryBook::Standing::in_flight:
      return {.submission = Submission::in_flight, .message = {}};
    case RetryBook::Standing::conflict:
      return {.submission = Submission::conflict, .message = {}};
    case RetryBook::Standing::taken_over:
      return {.submission = Submission::taken_over, .message = {}};
  }
  SubmitResult result = submit_fresh(request, now_us);
  // What is stored is held for the block; of everything else nothing needs to be remembered.
  if (retries_.in_work()) retries_.take_back();
  return result;
}

SubmitResult BatchingIntake::submit_fresh(const IntakeRequest& request, std::int64_t now_us) {
  const std::uint32_t slot = book_.open();
  request_in_work_ = slot;
  begin_rows();
  dead_letters_.start(request.dead_letters);
  const DecodeResult decoded = decode(request, now_us, *this);
  if (decoded.status == DecodeStatus::malformed_body) {
    undo(slot);
    return {Submission::malformed, decoded.malformed_code, decoded.malformed_message};
  }
  const bool rows_kept = !request.all_or_nothing || decoded.rejected == 0;
  const bool must_return = gate_ && request.ack == AckLevel::commit && rows_kept;
  if (decoded.status == DecodeStatus::no_memory || !reserve_ledger() || (must_return && !reserve_returns())) {
    undo(slot);
    return refuse_for_memory();
  }
  enter(request, decoded, rows_kept, now_us);
  return {.submission = Submission::taken, .message = {}};
}

SubmitResult BatchingIntake::reject_too_large(const IntakeRequest& request, std::uint64_t record_bytes) {
  const bool closed = (gate_ && gate_->state() != JournalGate::State::open) ||
                      (!gate_ && unavailable_shard_ != lanes_.size());
  if (closed || book_.pending() >= options_.requests_max)
    return {.submission = Submission::busy, .message = {}};
  constexpr auto code = RecordErrorCode::record_too_large;
  constexpr std::string_view message = "The line is longer than this node takes.";
  const std::uint32_t slot = book_.open();
  request_in_work_ = slot;
  begin_rows();
  dead_letters_.start(request.dead_letters);
  book_.at(slot).outcome.errors.add(0, code, {}, std::string(message));
  if (dead_letters_.wants())
    dead_letters_.add({.index = 0,
                       .code = code,
                       .field = {},
                       .message = message,
                       .device_id = {},
                       .text = request.body,
                       .whole_bytes = record_bytes});
  DecodeResult one_rejected;
  one_rejected.received = one_rejected.rejected = 1;
  enter(request, one_rejected, true, clock_.wall_us());
  return {.submission = Submission::taken, .message = {}};
}

// A request of which no record is stored is not remembered: sent again it is looked at again, and a client
// may mend its records and keep the key.
void BatchingIntake::enter(const IntakeRequest& request, const DecodeResult& decoded, bool rows_kept,
                           std::int64_t receive_time_us) {
  const bool stored = rows_kept && decoded.accepted > 0;
  if (stored) retries_.hold(request_in_work_, decoded.accepted, decoded.rejected, parts_in_work());
  if (!rows_kept) {
    take_rows_back();
    dead_letters_.forget_repaired();
  }
  const std::uint32_t repaired = rows_kept ? decoded.repaired : 0;
  const auto letters = post_dead_letters(request, receive_time_us, decoded.rejected + repaired);
  book_.enter(request_in_work_, request, decoded, rows_kept, letters.rows);
  stats_.dead_letter_rows.add(letters.rows);
  stats_.dead_letter_rows_dropped.add(letters.dropped);
}

DecodeResult BatchingIntake::decode(const IntakeRequest& request, std::int64_t time_us, RowSink& rows) {
  // Only asked where a column holds it: it is a text made anew each time.
  const bool names_sender = !request.schema->lookup().senders().empty();
  const std::string source = names_sender ? source_of(request) : std::string();
  return decoder_.decode({.schema = *request.schema,
                          .body = request.body,
                          .format = request.format,
                          .receive_time_us = time_us,
                          .source = source},
                         rows, book_.at(request_in_work_).outcome.errors);
}

std::string BatchingIntake::source_of(const IntakeRequest& request) const {
  return describe_source_ ? describe_source_(request.connection) : std::string();
}

// Decoded again as of the time it was first received, for the same errors; its rows go nowhere.
SubmitResult BatchingIntake::submit_repeated(const IntakeRequest& request,
                                             const RetryBook::Verdict& verdict) {
  DiscardedRows discarded;
  const std::uint32_t slot = book_.open();
  request_in_work_ = slot;
  const DecodeResult decoded = decode(request, verdict.time_us, discarded);
  if (decoded.status != DecodeStatus::complete) {
    book_.forget(slot);
    return {Submission::malformed, decoded.malformed_code, decoded.malformed_message};
  }
  book_.enter_repeated(slot, request, decoded, verdict.answer, board_);
  return {.submission = Submission::taken, .message = {}};
}

void BatchingIntake::count_duplicates(std::uint32_t records) {
  stats_.records_received.add(records);
  stats_.records_duplicate.add(records);
}

std::optional<SubmitResult> BatchingIntake::refuse_before_decoding(AckLevel ack) {
  if (gate_ && gate_->closed()) {
    refused_.by_journal = true;
    return SubmitResult{.submission = Submission::unavailable, .message = gate_->problem()};
  }
  if (ack == AckLevel::commit && unavailable_shard_ != lanes_.size()) {
    refused_.by_shard = true;
    std::string problem = lanes_[unavailable_shard_].port.problem();
    if (problem.empty()) problem = "the connection to the database is being made; repeat in a moment";
    return SubmitResult{.submission = Submission::unavailable, .message = std::move(problem)};
  }
  if ((refused_.for_memory && room_is_coming()) || (refused_.for_returns && ack == AckLevel::commit))
    return SubmitResult{.submission = Submission::busy, .message = {}};
  const bool not_ready = gate_ && gate_->state() == JournalGate::State::not_ready;
  if (!not_ready && book_.pending() < options_.requests_max) return std::nullopt;
  refused_.for_memory = true;
  return SubmitResult{.submission = Submission::busy, .message = {}};
}

// Batches will be free soon, whatever the database does. Else whoever needs little is not to wait behind one
// who needs much: that one may wait for the database.
bool BatchingIntake::room_is_coming() const {
  return gate_ ? batches_unsent_ > 0 || gate_->on_its_way() : batches_.free_count() < batches_.count();
}

// The rows are taken back. Where nothing else is in their way, waiting would never help.
SubmitResult BatchingIntake::refuse_for_memory() {
  stats_.batch_exhaustions.add();
  switch (shortage_) {
    case Shortage::batches:
      if (batches_.free_count() < batches_.count()) break;
      return too_large(options_.batches_max * options_.batch_bytes, "this node has for rows on their way",
                       ", or raise pipeline.memory");
    case Shortage::block:
      if (batches_unsent_ > 0) break;
      return too_large(batches_unsent_max_ * options_.batch_bytes, "that go into the journal at once", "");
    case Shortage::ledger:
      if (retries_.has_unsent()) break;
      return too_large(ledger_bytes_max_, "that the journal has for what is remembered of requests at once",
                       "");
    case Shortage::returns:
      if (batches_unsent_ > 0 || returns_owed_ > 0) break;
      if (returns_wanted_ <= std::min(returns_owed_max_, batches_kept_max_)) break;
      return too_large(returns_owed_max_ * options_.batch_bytes,
                       "this node keeps for rows whose commit is waited for",
                       " or with Ack: journal, or raise pipeline.memory");
  }
  (shortage_ == Shortage::returns ? refused_.for_returns : refused_.for_memory) = true;
  return {.submission = Submission::busy, .message = {}};
}

// Their rows come behind those of the request's records, and share their fate.
DeadLetterBox::Posted BatchingIntake::post_dead_letters(const IntakeRequest& request,
                                                        std::int64_t receive_time_us, std::uint32_t records) {
  if (dead_letters_.empty()) return {};
  const std::string source = source_of(request);
  kind_in_work_ = RowKind::dead_letter;
  const DeadLetterBox::Posted posted = dead_letters_.post({.stream = request.schema->name(),
                                                           .source = source,
                                                           .received_us = receive_time_us,
                                                           .records = records},
                                                          *this);
  kind_in_work_ = RowKind::record;
  return posted;
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
  return lane.open->append(request_in_work_, book_.at(request_in_work_).generation, tuple_bytes,
                           kind_in_work_);
}

// Whether there is so much room that dead letters may have some of it.
bool BatchingIntake::spare_room() const {
  return batches_.free_count() > options_.batches_max / spare_divisor &&
         batches_unsent_ <= batches_unsent_max_ / unsent_divisor;
}

Batch* BatchingIntake::acquire_batch(std::uint32_t shard) {
  if (kind_in_work_ == RowKind::dead_letter && !spare_room()) return nullptr;
  if (batches_unsent_ >= batches_unsent_max_ && gate_) {
    shortage_ = Shortage::block;
    return nullptr;
  }
  Batch* batch = batches_.acquire();
  if (batch == nullptr) {
    shortage_ = Shortage::batches;
    return nullptr;
  }
  batch->set_shard(shard);
  ++batches_unsent_;
  return batch;
}

void BatchingIntake::release_batch(Batch* batch) {
  if (gate_ && batch->must_return()) --returns_owed_;
  batches_.release(batch);
}

void BatchingIntake::drop_open(Lane& lane) {
  --batches_unsent_;
  release_batch(std::exchange(lane.open, nullptr));
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
      if (lane.open != nullptr) drop_open(lane);
      lane.open = lane.sealed.back();
      lane.sealed.pop_back();
    }
    if (lane.open == nullptr) continue;
    if (lane.open_mark)
      lane.open->rewind(*lane.open_mark);
    else
      drop_open(lane);
  }
}

void BatchingIntake::undo(std::uint32_t slot) {
  take_rows_back();
  book_.forget(slot);
}

// Calls visit(Batch&) for every batch with rows of the request in work: they are the last in each.
template <typename Visit>
void BatchingIntake::for_each_batch_in_work(Visit&& visit) {
  const auto look_at = [&](Batch* batch) {
    if (batch == nullptr || batch->empty()) return;
    const Claim& last = batch->claims().back();
    if (last.request_slot == request_in_work_ &&
        last.request_generation == book_.at(request_in_work_).generation)
      visit(*batch);
  };
  for (Lane& lane : lanes_) {
    for (std::size_t index = lane.sealed_before; index < lane.sealed.size(); ++index)
      look_at(lane.sealed[index]);
    look_at(lane.open);
  }
}

// The commit of the request in work will be waited for, so its batches have to stay in memory until they come
// back. False when too many would.
bool BatchingIntake::reserve_returns() {
  std::uint32_t added = 0;
  for_each_batch_in_work([&](const Batch& batch) { added += batch.must_return() ? 0U : 1U; });
  shortage_ = Shortage::returns;
  returns_wanted_ = added;
  if (returns_owed_ + added > returns_owed_max_ || returns_owed_ + added + others_away_ > batches_kept_max_)
    return false;
  returns_owed_ += added;
  for_each_batch_in_work([](Batch& batch) { batch.set_must_return(); });
  return true;
}

std::size_t BatchingIntake::parts_in_work() {
  std::size_t parts = 0;
  for_each_batch_in_work([&parts](const Batch&) { ++parts; });
  return parts;
}

// What is to be remembered of the request in work has to go into the next block. False when it has no room.
bool BatchingIntake::reserve_ledger() {
  if (!retries_.in_work()) return true;
  shortage_ = Shortage::ledger;
  return retries_.payload_bytes_with(parts_in_work()) <= ledger_bytes_max_;
}

}  // namespace wellhead
