// The seam between the sessions and the rest of the pipeline: a session hands over the bytes of a request and
// is told later what became of each record.
//
// One intake per reactor, used by the reactor's thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/counter.hpp"
#include "codec/decoder.hpp"
#include "codec/record_error.hpp"
#include "codec/schema.hpp"

namespace wellhead {

// Names a connection of a reactor for as long as it lives; the generation makes a reused slot another
// connection.
struct ConnectionId {
  std::uint32_t slot;
  std::uint32_t generation;
  bool operator==(const ConnectionId&) const = default;
};

struct IntakeRequest {
  const Schema* schema;
  std::string_view body;  // input_padding_bytes readable behind it; free again when submit() returns
  BodyFormat format;
  ConnectionId connection;
  std::uint64_t cookie;         // the session's own name for the request; comes back in the outcome
  bool all_or_nothing = false;  // any bad record rejects the whole request
};

struct RequestOutcome {
  std::uint64_t cookie = 0;
  std::uint32_t received = 0;
  std::uint32_t accepted = 0;  // committed
  std::uint32_t rejected = 0;
  std::uint32_t duplicate = 0;
  bool abandoned = false;  // the node stopped first: some accepted rows are not in the database
  RecordErrors errors;
};

enum class Submission : std::uint8_t {
  taken,        // the outcome follows through RequestListener, also when no record was accepted; never inside
                // submit()
  malformed,    // the body as a whole is not JSON; nothing was taken. `code` and `message` are set
  busy,         // no memory for it now; nothing was taken. RequestListener::on_capacity follows when there is
  unavailable,  // the database cannot be written now; nothing was taken. `message` says why
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
  // Batches are free again, or the database is back: waiting sessions may submit.
  virtual void on_capacity() = 0;
};

// Records by the conservation identity, at every moment between two turns:
//   received = accepted + rejected + abandoned + pending
// A request that was not taken (malformed, busy, unavailable) counts no records. Written by the reactor's
// thread, read by any. Counted here and not in the session, so that a client that left early changes nothing.
struct IntakeStats {
  Counter records_received;
  Counter records_accepted;                                       // committed
  std::array<Counter, record_error_code_count> records_rejected;  // by RecordErrorCode
  Counter records_abandoned;  // the node stopped before they were committed
  Gauge records_pending;      // taken, fate not known yet
  Counter batch_exhaustions;  // no free batch: backpressure
};

class Intake {
 public:
  virtual ~Intake() = default;

  [[nodiscard]] virtual SubmitResult submit(const IntakeRequest& request) = 0;

  // Once per turn of the reactor's loop, after its completions: hands open batches to their shards and
  // delivers outcomes to `listener`. Returns how much was done, 0 for nothing.
  virtual std::size_t turn(RequestListener& listener) = 0;

  // Before the reactor blocks: false when there is work, and then it must not block.
  [[nodiscard]] virtual bool prepare_sleep() = 0;
  virtual void finish_sleep() = 0;
  // Readable when turn() has work.
  [[nodiscard]] virtual int wake_fd() const = 0;

  // Requests taken whose outcome has not been delivered.
  [[nodiscard]] virtual std::size_t pending() const = 0;

  [[nodiscard]] virtual const IntakeStats& stats() const = 0;
};

}  // namespace wellhead
