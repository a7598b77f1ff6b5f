// The seam between the sessions and the rest of the pipeline: a session hands over the bytes of a request and
// is told later what became of each record.
//
// One intake per reactor, used by the reactor's thread only.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "base/counter.hpp"
#include "codec/decoder.hpp"
#include "codec/record_error.hpp"
#include "codec/schema.hpp"
#include "journal/journal.hpp"
#include "journal/ledger.hpp"

namespace wellhead {

struct LedgerTable;

// Names a connection of a reactor for as long as it lives; the generation makes a reused slot another
// connection.
struct ConnectionId {
  std::uint32_t slot;
  std::uint32_t generation;
  bool operator==(const ConnectionId&) const = default;
};

// When a request is answered with success.
enum class AckLevel : std::uint8_t {
  journal,  // its rows are durable in this node's journal; where there is none, the same as `commit`
  commit,   // its rows are committed in the database
};

// The lines of a request within all its producer sent; see journal/producer_table.hpp.
struct ProducerLines {
  Fingerprint producer{};
  std::uint64_t claim = 0;  // 0: no producer
  std::uint64_t last_sequence = 0;
};

struct IntakeRequest {
  const Schema* schema;
  std::string_view body;  // input_padding_bytes readable behind it; free again when submit() returns
  BodyFormat format;
  ConnectionId connection;
  std::uint64_t cookie;         // the session's own name for the request; comes back in the outcome
  bool all_or_nothing = false;  // any bad record rejects the whole request
  bool dead_letters = true;     // bad and repaired records are kept in the stream dead_letter
  AckLevel ack = AckLevel::journal;
  bool wants_receipt = false;
  // At most one of these; only where Intake::ledger() is.
  std::string_view idempotency_key = {};  // empty: none
  ProducerLines lines{};
};

struct RequestOutcome {
  std::uint64_t cookie = 0;
  std::uint32_t received = 0;
  std::uint32_t accepted = 0;  // durable or committed, as the request's AckLevel says
  std::uint32_t rejected = 0;
  std::uint32_t duplicate = 0;
  // The request was answered before with these numbers and this receipt, and nothing of it was stored again.
  bool replayed = false;
  // Some rows did not become what the AckLevel asks for: no success may be told. `problem` says in a sentence
  // what that means for the records; with `nothing_stored` it is certain that none of them is or will be.
  bool abandoned = false;
  bool nothing_stored = false;
  std::string_view problem = {};  // static storage; empty: not known more precisely
  std::string_view receipt = {};  // net/receipt.hpp; valid during on_request_done() only, empty without rows
  RecordErrors errors;
};

enum class Submission : std::uint8_t {
  taken,        // the outcome follows through RequestListener, also when no record was accepted; never inside
                // submit()
  malformed,    // the body as a whole is not JSON; nothing was taken. `code` and `message` are set
  busy,         // no memory for it now; nothing was taken. RequestListener::on_capacity follows when there is
  unavailable,  // the journal, or for AckLevel::commit the database, cannot be written now; nothing was
                // taken. `message` says why; on_capacity follows when it can
  in_flight,    // an earlier request with the same idempotency key is on its way; nothing was taken
  conflict,     // the idempotency key was used with other content; nothing was taken
  taken_over,   // another connection speaks for the producer; nothing was taken
};

struct SubmitResult {
  Submission submission;
  RecordErrorCode code = RecordErrorCode::malformed_json;
  std::string message;
};

// Implemented by the reactor, which finds the session (or drops the call when it is gone).
class RequestListener {
 public:
  virtual ~RequestListener() = default;
  virtual void on_request_done(ConnectionId connection, const RequestOutcome& outcome) = 0;
  // Batches are free again, or the journal or the database is back: waiting sessions may submit.
  virtual void on_capacity() = 0;
};

using RejectedByCode = std::array<Counter, record_error_code_count>;  // by RecordErrorCode

// Records by the conservation identity, at every moment between two turns:
//   received = accepted + rejected + duplicate + quarantined + abandoned + pending
// A request that was not taken (malformed, busy, unavailable) counts no records. Written by the reactor's
// thread, read by any. Counted here and not in the session, so that a client that left early changes nothing.
struct IntakeStats {
  Counter records_received;
  // Durable or committed. The one counter that may go back: a row that the database refuses after it was
  // acknowledged moves over to quarantined.
  Counter records_accepted;
  RejectedByCode records_rejected;
  // The same by Schema::index(), as far as there are that many. Sized before the first record; no part of the
  // identity, since a reader sees it at other moments.
  std::vector<RejectedByCode> rejected_by_stream;
  Counter records_duplicate;
  // Acknowledged as durable and then refused by the database, as far as their batches came back: of batches
  // that shards read from the journal only the shards know (ShardStats::rows_refused counts all).
  Counter records_quarantined;
  Counter records_abandoned;  // neither durable nor committed when the journal failed or the node stopped
  Gauge records_pending;      // taken, fate not known yet
  Counter records_durable;    // in blocks that are durable, whatever they are acknowledged by
  Counter blocks;             // of the journal, durable
  Counter batches_spilled;    // durable and not kept in memory: the shard reads them back
  Counter batch_exhaustions;  // no free batch: backpressure
  Counter dead_letter_rows;   // of requests that were taken; no records
  // Rejected and repaired records that have no row there: too many in their request, or no memory to spare.
  Counter dead_letter_rows_dropped;
};

class Intake {
 public:
  virtual ~Intake() = default;

  [[nodiscard]] virtual SubmitResult submit(const IntakeRequest& request) = 0;

  // Rejects a record that is too long for `request.body` to hold more than its beginning, and keeps that as a
  // dead letter. As a request with one bad record: taken, and then its outcome follows; or busy or
  // unavailable, and nothing happened, and nothing will.
  [[nodiscard]] virtual SubmitResult reject_too_large(const IntakeRequest& request,
                                                      std::uint64_t record_bytes) {
    (void)request, (void)record_bytes;
    return {.submission = Submission::busy, .message = {}};
  }

  // `describe` says in words where a connection's records come from. Set before the first submit().
  // NOLINTNEXTLINE(performance-unnecessary-value-param): those that override it keep it.
  virtual void describe_sources(std::function<std::string(ConnectionId)> /*describe*/) {}

  // Once per turn of the reactor's loop, after its completions: hands open batches to the journal or to their
  // shards and delivers outcomes to `listener`. Returns how much was done, 0 for nothing.
  virtual std::size_t turn(RequestListener& listener) = 0;

  // What the journal wants written or synchronized now, each operation once. To be asked after turn() and
  // after every completion; what it points to stays valid until the completion.
  [[nodiscard]] virtual std::optional<JournalOperation> journal_operation() { return std::nullopt; }
  // `result` of the operation given last: bytes written, 0 for a synchronization, or -errno.
  virtual void on_journal_completion(std::int64_t result) {
    (void)result;
    WELLHEAD_ASSERT(false);  // an intake without a journal gives no operation
  }
  // After an operator's action: a journal that failed is tried again.
  virtual void reopen_journal() {}
  // The reactor stops and submits nothing more: requests that could only wait for the journal to be mended
  // are given up instead.
  virtual void begin_stop() {}

  // What is remembered of requests, to be asked where producers stand; null where nothing is, and then no
  // request may be one that can be repeated.
  [[nodiscard]] virtual LedgerTable* ledger() { return nullptr; }
  // Records a session passed over because they are stored already.
  virtual void count_duplicates(std::uint32_t records) { (void)records; }

  // Before the reactor blocks: false when there is work, and then it must not block.
  [[nodiscard]] virtual bool prepare_sleep() = 0;
  virtual void finish_sleep() = 0;
  // Readable when turn() has work.
  [[nodiscard]] virtual int wake_fd() const = 0;
  // The reactor may sleep this long without a wake-up: some of what is waited for wakes nobody.
  [[nodiscard]] virtual std::chrono::nanoseconds sleep_max() const { return std::chrono::nanoseconds::max(); }

  // Requests taken whose outcome has not been delivered.
  [[nodiscard]] virtual std::size_t pending() const = 0;

  [[nodiscard]] virtual const IntakeStats& stats() const = 0;
};

}  // namespace wellhead
