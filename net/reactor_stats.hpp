// What a reactor counts. Written by its thread, read by any.
#pragma once

#include <array>
#include <cstdint>

#include "base/counter.hpp"
#include "base/histogram.hpp"
#include "codec/record_error.hpp"

namespace wellhead {

struct ReactorStats {
  // Records, by the conservation identity: received = accepted + rejected + pending (+ abandoned).
  // A request that was refused as a whole (4xx, 5xx before it was taken) counts no records.
  Counter records_received;
  Counter records_accepted;                                         // outcome delivered: committed
  std::array<Counter, record_error_code_count> records_rejected;    // by RecordErrorCode
  Counter records_abandoned;
  Gauge records_pending;                                            // taken, outcome not known yet

  Counter connections_accepted;
  Gauge connections_open;
  Counter requests;                       // HTTP requests answered, and NDJSON chunks taken
  std::array<Counter, 600> replies;       // HTTP replies by status code
  Counter bytes_received;
  Counter bytes_sent;

  // Bounds that were hit, and clients that misbehaved.
  Counter connections_refused;            // connections_max
  Counter header_overflows;
  Counter body_overflows;
  Counter inflate_overflows;
  Counter body_memory_overflows;
  Counter line_overflows;
  Counter header_timeouts;
  Counter body_timeouts;
  Counter idle_timeouts;
  Counter send_timeouts;
  Counter commit_timeouts;
  Counter admission_timeouts;
  Counter malformed_http;
  Counter malformed_bodies;
  Counter disconnects_early;              // the client left before its request was whole or answered
  Counter receive_buffer_exhaustions;     // ENOBUFS
  Counter stale_completions;              // for a connection that is gone
  Counter batch_exhaustions;              // no free batch: backpressure
  Counter loop_turns;

  Histogram request_us;                   // from the last byte of a request to its outcome
};

}  // namespace wellhead
