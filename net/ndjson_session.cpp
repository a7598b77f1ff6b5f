#include "net/ndjson_session.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "journal/ledger_table.hpp"

namespace wellhead {
namespace {

// Taken and not decided, per connection. Enough to keep a database busy over one connection; small enough
// that one connection does not take all batches of the intake.
constexpr std::size_t chunks_max = 1'024;
constexpr std::size_t chunk_bytes_max = 8U << 20;
// With more than this unread by the client, its lines are not read either.
constexpr std::size_t unsent_bytes_max = 256U << 10;
// A run has no more lines than the intake names rejected records, so that a client learns of each.
constexpr std::uint32_t run_lines_max = RecordErrors::kept_max;
constexpr std::size_t run_bytes_max = 256U << 10;

// What is kept of a line that is too long.
constexpr std::size_t long_line_bytes_kept = 16U << 10;

// How often it is looked whether the lines of a producer's earlier connection are settled.
constexpr std::chrono::milliseconds settling_pause{5};

constexpr std::string_view no_acknowledgements_message =
    "This listener sends no acknowledgements, so a producer could not learn what is stored. Connect to one "
    "that "
    "does (ndjson.acknowledge), or send records without naming a producer.";
constexpr std::string_view no_journal_message =
    "This node runs without a journal and could not tell repeated lines after a restart. Send records "
    "without "
    "naming a producer, or to a node with a journal.";
constexpr std::string_view taken_over_message =
    "Another connection named this producer, or lines before this one could not be stored. Connect again to "
    "learn the last line that is stored, and go on behind it.";

constexpr std::string_view long_line_message = "the line is longer than this node takes";

constexpr bool is_json_space(char character) {
  return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

bool is_blank(std::string_view line) {
  return std::ranges::all_of(line, is_json_space);
}

void advance(ReceivedBytes& bytes, std::size_t count) {
  bytes.data += count;
  bytes.size -= count;
  bytes.headroom += count;
}

// How many blank lines stand before the record of this index. The i-th blank line at offset b has b - i
// records before it, which only grows with i.
std::size_t blank_lines_before(const std::vector<std::uint32_t>& blank_lines, std::uint32_t record_index) {
  std::size_t low = 0;
  std::size_t high = blank_lines.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (blank_lines[middle] - middle <= record_index)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// The offset of the first newline, or the size when there is none.
std::size_t find_newline(const ReceivedBytes& bytes) {
  const void* found = bytes.size == 0 ? nullptr : std::memchr(bytes.data, '\n', bytes.size);
  return found == nullptr ? bytes.size
                          : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data);
}

}  // namespace

NdjsonSession::NdjsonSession(SessionContext& context, Link link, const Schema& stream,
                             const ListenerOptions& listener)
    : context_(context),
      link_(link),
      stream_(stream),
      acknowledge_(listener.acknowledge),
      ack_(listener.ack),
      last_line_ns_(context.now_ns) {}

NdjsonSession::~NdjsonSession() {
  if (producer_.claim != 0) context_.intake->ledger()->producers.leave(producer_.name, producer_.claim);
  context_.reply_bytes_held -= held_bytes_;
}

bool NdjsonSession::in_progress() const {
  return !chunks_.empty() || !carry_.empty() || !waiting_.empty() || discarding_ || !outbox_.empty();
}

// --- bytes to runs of lines ---

void NdjsonSession::on_bytes(ReceivedBytes bytes) {
  if (stopping_) return;
  const Progress progress = waiting_.empty() && !carry_complete_ ? process(bytes) : Progress::blocked;
  if (progress == Progress::blocked) wait_behind(bytes);
  if (progress == Progress::failed || ended_) return;
  update_reading();
  update_deadline();
}

NdjsonSession::Progress NdjsonSession::process(ReceivedBytes& bytes) {
  while (bytes.size > 0) {
    if (discarding_) {
      discard_line(bytes);
      continue;
    }
    Progress progress = carry_.empty() ? Progress::done : join_carry(bytes);
    if (progress == Progress::done && !discarding_) progress = process_lines(bytes);
    if (progress != Progress::done) return progress;
  }
  return Progress::done;
}

NdjsonSession::Progress NdjsonSession::process_lines(ReceivedBytes& bytes) {
  Run run;
  while (find_run({bytes.data, bytes.size}, run)) {
    const Progress progress = submit(run);
    if (progress != Progress::done) return progress;
    advance(bytes, run.bytes.size());
  }
  const std::size_t newline = find_newline(bytes);
  if (newline == bytes.size) return carry_rest(bytes);
  // The run ended before a complete line: that one is too long.
  note_long_line({bytes.data, newline});
  advance(bytes, newline + 1);
  reject_long_line();
  return Progress::done;
}

// Complete lines from the front of `bytes`, up to the first that is too long. False when there is none.
bool NdjsonSession::find_run(std::string_view bytes, Run& run) const {
  run.line_count = 0;
  run.blank = true;
  run.blank_lines.clear();
  std::size_t end = 0;
  const std::uint32_t lines_limit = run_lines_limit();
  while (end < bytes.size() && run.line_count < lines_limit && end < run_bytes_max) {
    const std::size_t newline = bytes.find('\n', end);
    if (newline == std::string_view::npos || newline - end > context_.limits.line_bytes_max) break;
    const std::string_view line = bytes.substr(end, newline - end);
    if (is_blank(line))
      run.blank_lines.push_back(run.line_count);
    else
      run.blank = false;
    ++run.line_count;
    end = newline + 1;
    if (at_first_line_ && run.line_count == 1 && read_greeting(line)) break;
  }
  run.bytes = bytes.substr(0, end);
  return end > 0;
}

// Completes the carried line with the front of `bytes`, if its newline is there.
NdjsonSession::Progress NdjsonSession::join_carry(ReceivedBytes& bytes) {
  const std::size_t newline = find_newline(bytes);
  if (carry_.size() + newline > context_.limits.line_bytes_max) {
    note_long_line(carry_.view());
    carry_.release();
    discarding_ = true;
    return Progress::done;
  }
  if (newline < bytes.size && carry_.size() <= bytes.headroom) {
    bytes.data -= carry_.size();
    bytes.size += carry_.size();
    bytes.headroom -= carry_.size();
    std::memcpy(bytes.data, carry_.data(), carry_.size());
    carry_.release();
    return Progress::done;
  }
  const std::size_t taken = std::min(newline + 1, bytes.size);
  if (!context_.bodies.append(carry_, {bytes.data, taken})) {
    fail_for_memory();
    return Progress::failed;
  }
  advance(bytes, taken);
  if (newline == taken) return Progress::done;  // still no newline
  carry_complete_ = true;
  return submit_carry();
}

NdjsonSession::Progress NdjsonSession::submit_carry() {
  Run run;
  const bool found = find_run(carry_.view(), run);
  WELLHEAD_ASSERT(found);
  const Progress progress = submit(run);
  if (progress == Progress::done) {
    carry_complete_ = false;
    carry_.release();
  }
  return progress;
}

NdjsonSession::Progress NdjsonSession::carry_rest(ReceivedBytes& bytes) {
  if (bytes.size > context_.limits.line_bytes_max) {
    note_long_line({bytes.data, bytes.size});
    discarding_ = true;
  } else if (!context_.bodies.append(carry_, {bytes.data, bytes.size})) {
    fail_for_memory();
    return Progress::failed;
  }
  advance(bytes, bytes.size);
  return Progress::done;
}

void NdjsonSession::discard_line(ReceivedBytes& bytes) {
  const std::size_t newline = find_newline(bytes);
  note_long_line({bytes.data, newline});
  if (newline < bytes.size) {
    discarding_ = false;
    reject_long_line();
  }
  advance(bytes, std::min(newline + 1, bytes.size));
}

// --- runs to chunks ---

bool NdjsonSession::room_for_chunk() const noexcept {
  return chunks_.size() < chunks_max && chunk_bytes_ < chunk_bytes_max &&
         outbox_.bytes() + held_bytes_ < unsent_bytes_max;
}

// No run has both lines that are stored already and lines that are not.
std::uint32_t NdjsonSession::run_lines_limit() const noexcept {
  if (line_count_ >= producer_.last_stored) return run_lines_max;
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(run_lines_max, producer_.last_stored - line_count_));
}

NdjsonSession::Progress NdjsonSession::submit(const Run& run) {
  if (at_first_line_) {
    if (const auto greeting = read_greeting(run.bytes)) return greet(*greeting);
    at_first_line_ = false;
  }
  if (run.blank) return take(run, 0, true);
  if (line_count_ < producer_.last_stored) return pass_over(run);
  if (blocked_ || !room_for_chunk()) return Progress::blocked;
  const std::uint64_t cookie = ++context_.last_cookie;
  const SubmitResult result =
      context_.intake->submit({.schema = &stream_,
                               .body = run.bytes,
                               .format = BodyFormat::ndjson,
                               .connection = link_.id(),
                               .cookie = cookie,
                               .ack = ack_,
                               .lines = {.producer = producer_.name,
                                         .claim = producer_.claim,
                                         .last_sequence = line_count_ + run.line_count}});
  switch (result.submission) {
    case Submission::taken:
      context_.stats.requests.add();
      return take(run, cookie, false);
    case Submission::malformed:
      reject_run(run, result);
      return Progress::done;
    case Submission::busy:
    case Submission::unavailable:
      break;
    case Submission::taken_over:
      return end_with("producer_taken_over", taken_over_message);
    case Submission::in_flight:
    case Submission::conflict:
      WELLHEAD_ASSERT(false);  // lines have no keys
      break;
  }
  blocked_ = true;
  link_.await_capacity();
  return Progress::blocked;
}

// Called again for the same greeting until the lines of an earlier connection are settled.
NdjsonSession::Progress NdjsonSession::greet(const ProducerGreeting& greeting) {
  if (!acknowledge_) return end_with("producer_unavailable", no_acknowledgements_message);
  LedgerTable* ledger = context_.intake->ledger();
  if (ledger == nullptr) return end_with("producer_unavailable", no_journal_message);
  if (!greeting.fault.empty()) return end_with("invalid_producer", greeting.fault);
  if (producer_.claim == 0) {
    producer_.name = producer_fingerprint(stream_.name(), greeting.producer);
    producer_.claim = ledger->producers.claim(producer_.name, context_.clock.wall_us());
  }
  const ProducerStanding standing = ledger->producers.standing(producer_.name, producer_.claim);
  producer_.settling = standing.status == ProducerStatus::settling;
  if (producer_.settling) return Progress::blocked;
  if (standing.status == ProducerStatus::taken_over)
    return end_with("producer_taken_over", taken_over_message);
  at_first_line_ = false;
  producer_.last_stored = standing.last_sequence;
  line_count_ = greeting.sequence.value_or(standing.last_sequence + 1) - 1;
  last_line_ns_ = context_.now_ns;
  append_producer_line(outbox_.queued, greeting.producer, standing.last_sequence);
  link_.transmit();
  return Progress::done;
}

// Lines that are stored already, by this or an earlier connection.
NdjsonSession::Progress NdjsonSession::pass_over(const Run& run) {
  context_.intake->count_duplicates(run.line_count - static_cast<std::uint32_t>(run.blank_lines.size()));
  return take(run, 0, true);
}

// Tells why no more lines are taken, and ends the connection. What is on its way is settled and not told.
NdjsonSession::Progress NdjsonSession::end_with(std::string_view code, std::string_view message) {
  append_refusal_line(outbox_.queued, line_count_ + 1, code, message);
  link_.transmit();
  ended_ = true;
  link_.finish();
  return Progress::failed;
}

NdjsonSession::Progress NdjsonSession::take(const Run& run, std::uint64_t cookie, bool decided) {
  Chunk& chunk = chunks_.emplace_back();
  chunk.cookie = cookie != 0 ? cookie : ++context_.last_cookie;  // ascending, for on_outcome()
  chunk.first_line = line_count_ + 1;
  chunk.bytes = run.bytes.size();
  chunk.decided = decided;
  chunk.taken_ns = context_.clock.monotonic_ns();
  chunk.blank_lines = run.blank_lines;
  line_count_ += run.line_count;
  chunk.last_line = line_count_;
  chunk_bytes_ += chunk.bytes;
  last_line_ns_ = context_.now_ns;
  if (decided) tell_decided();
  return Progress::done;
}

// The intake refuses the run as a whole and for good.
void NdjsonSession::reject_run(const Run& run, const SubmitResult& result) {
  context_.stats.malformed_bodies.add();
  RecordErrors errors;
  const auto record_count = run.line_count - static_cast<std::uint32_t>(run.blank_lines.size());
  for (std::uint32_t index = 0; index < record_count; ++index)
    errors.add(index, result.code, {}, result.message);
  (void)take(run, 0, false);
  append_rejects(chunks_.back(), errors);
  chunks_.back().decided = true;
  tell_decided();
}

void NdjsonSession::note_long_line(std::string_view piece) {
  long_line_bytes_ += piece.size();
  long_line_ += piece.substr(0, long_line_bytes_kept - long_line_.size());
}

void NdjsonSession::reject_long_line() {
  context_.stats.line_overflows.add();
  const std::uint64_t cookie = ++context_.last_cookie;
  const SubmitResult result = context_.intake->reject_too_large({.schema = &stream_,
                                                                 .body = long_line_,
                                                                 .format = BodyFormat::ndjson,
                                                                 .connection = link_.id(),
                                                                 .cookie = cookie,
                                                                 .ack = ack_},
                                                                long_line_bytes_);
  std::string().swap(long_line_);
  long_line_bytes_ = 0;
  if (result.submission != Submission::taken) return tell_long_line();
  Run line;
  line.line_count = 1;
  (void)take(line, cookie, false);
}

// Nobody keeps it: it is rejected and that is all.
void NdjsonSession::tell_long_line() {
  Run line;
  line.line_count = 1;
  (void)take(line, 0, false);
  Chunk& chunk = chunks_.back();
  if (acknowledge_)
    append_reject_line(chunk.rejects, chunk.first_line, RecordErrorCode::record_too_large, {},
                       long_line_message);
  hold(chunk);
  chunk.decided = true;
  tell_decided();
}

// --- fate of chunks ---

void NdjsonSession::on_outcome(const RequestOutcome& outcome) {
  const auto chunk = std::ranges::lower_bound(chunks_, outcome.cookie, {}, &Chunk::cookie);
  if (ended_ || chunk == chunks_.end() || chunk->cookie != outcome.cookie) return;
  if (outcome.abandoned) {
    // Some of its lines are not stored: nothing from here on may be acknowledged.
    ended_ = true;
    link_.finish();
    return;
  }
  context_.stats.request_us.record(
      static_cast<std::uint64_t>(context_.clock.monotonic_ns() - chunk->taken_ns) / 1'000);
  append_rejects(*chunk, outcome.errors);
  chunk->decided = true;
  tell_decided();
  if (blocked_)
    update_deadline();
  else
    process_waiting();
}

// Records are numbered without the blank lines; lines are not.
void NdjsonSession::append_rejects(Chunk& chunk, const RecordErrors& errors) {
  if (!acknowledge_) return;
  for (const RecordError& error : errors.kept()) {
    const std::uint64_t line =
        chunk.first_line + error.index + blank_lines_before(chunk.blank_lines, error.index);
    append_reject_line(chunk.rejects, line, error.code, error.field, error.message);
  }
  hold(chunk);
}

void NdjsonSession::hold(Chunk& chunk) {
  held_bytes_ += chunk.rejects.size();
  context_.reply_bytes_held += chunk.rejects.size();
}

void NdjsonSession::tell_decided() {
  std::uint64_t decided_line = 0;
  while (!chunks_.empty() && chunks_.front().decided) {
    Chunk& chunk = chunks_.front();
    held_bytes_ -= chunk.rejects.size();
    context_.reply_bytes_held -= chunk.rejects.size();
    if (acknowledge_) outbox_.queued += chunk.rejects;
    decided_line = chunk.last_line;
    chunk_bytes_ -= chunk.bytes;
    chunks_.pop_front();
  }
  if (decided_line == 0 || !acknowledge_) return;
  append_ack_line(outbox_.queued, decided_line);
  link_.transmit();
}

// --- waiting ---

void NdjsonSession::wait_behind(const ReceivedBytes& bytes) {
  if (!context_.bodies.append(waiting_, {bytes.data, bytes.size})) fail_for_memory();
}

void NdjsonSession::process_waiting() {
  if (ended_) return;
  Progress progress = carry_complete_ ? submit_carry() : Progress::done;
  if (progress == Progress::done && waiting_.size() > waiting_offset_) {
    ReceivedBytes bytes{.data = waiting_.data() + waiting_offset_,
                        .size = waiting_.size() - waiting_offset_,
                        .headroom = waiting_offset_};
    progress = process(bytes);
    waiting_offset_ = waiting_.size() - bytes.size;
  }
  if (progress == Progress::failed || ended_) return;
  if (waiting_offset_ == waiting_.size()) {
    waiting_.release();
    waiting_offset_ = 0;
  }
  update_reading();
  update_deadline();
  finish_if_done();
}

void NdjsonSession::on_capacity() {
  blocked_ = false;
  process_waiting();
}

void NdjsonSession::on_sent() {
  process_waiting();
}

void NdjsonSession::update_reading() {
  const bool pause = !waiting_.empty() || carry_complete_;
  if (pause == paused_ || stopping_ || input_ended_) return;
  paused_ = pause;
  if (pause)
    link_.pause_reading();
  else
    link_.resume_reading();
}

void NdjsonSession::fail_for_memory() {
  context_.stats.body_memory_overflows.add();
  ended_ = true;
  link_.drop();
}

// --- time and end ---

// A client is idle while nothing of it is on its way; bytes without a newline do not count as a sign of life.
void NdjsonSession::update_deadline() {
  if (ended_) return;
  if (outbox_.in_flight)
    link_.set_deadline(std::chrono::nanoseconds(outbox_.moved_ns - context_.now_ns) +
                       context_.limits.send_timeout);
  else if (producer_.settling)
    link_.set_deadline(settling_pause);
  else if (!chunks_.empty() || !waiting_.empty() || carry_complete_)
    link_.clear_deadline();
  else
    link_.set_deadline(std::chrono::nanoseconds(last_line_ns_ - context_.now_ns) +
                       context_.limits.idle_timeout);
}

void NdjsonSession::on_deadline() {
  if (producer_.settling) {
    process_waiting();
    return;
  }
  const std::chrono::nanoseconds unmoved(context_.now_ns - outbox_.moved_ns);
  if (outbox_.in_flight && unmoved < context_.limits.send_timeout) {
    update_deadline();
    return;
  }
  if (outbox_.in_flight)
    context_.stats.send_timeouts.add();
  else
    context_.stats.idle_timeouts.add();
  ended_ = true;
  link_.drop();
}

void NdjsonSession::on_end_of_input() {
  input_ended_ = true;
  process_waiting();
}

void NdjsonSession::finish_if_done() {
  if (ended_ || !(input_ended_ || stopping_)) return;
  if (!waiting_.empty() || carry_complete_) return;
  if (input_ended_ && discarding_) {
    discarding_ = false;
    reject_long_line();
  }
  if (input_ended_ && !stopping_ && !carry_.empty()) {
    // The last line may lack its newline.
    if (!context_.bodies.append(carry_, "\n")) {
      fail_for_memory();
      return;
    }
    carry_complete_ = true;
    if (submit_carry() != Progress::done) return;
  }
  // Without acknowledgements nobody waits for what becomes of the lines; they are taken.
  if (acknowledge_ && !chunks_.empty()) return;
  ended_ = true;
  link_.finish();
}

void NdjsonSession::on_stop() {
  stopping_ = true;
  blocked_ = false;
  link_.pause_reading();
  carry_.release();
  carry_complete_ = false;
  discarding_ = false;
  std::string().swap(long_line_);
  long_line_bytes_ = 0;
  waiting_.release();
  waiting_offset_ = 0;
  finish_if_done();
}

}  // namespace wellhead
