// What a reactor counts of connections and requests; records are counted by its intake (IntakeStats in
// net/intake.hpp). Written by its thread, read by any.
#pragma once

#include <array>
#include <cstdint>

#include "base/counter.hpp"
#include "base/histogram.hpp"

namespace wellhead {

struct ReactorStats {
  Counter connections_accepted;
  Gauge connections_open;
  Counter requests;                  // HTTP requests answered, and NDJSON chunks taken
  std::array<Counter, 600> replies;  // HTTP replies by status code
  Counter bytes_received;
  Counter bytes_sent;

  // Bounds that were hit, and clients that misbehaved.
  Counter connections_refused;  // connections_max
  Counter header_overflows;
  Counter body_overflows;
  Counter inflate_overflows;
  Counter body_memory_overflows;
  Counter line_overflows;
  Counter reply_overflows;  // more replies unread than there is memory for
  Counter header_timeouts;
  Counter body_timeouts;
  Counter idle_timeouts;
  Counter send_timeouts;
  Counter commit_timeouts;
  Counter admission_timeouts;
  Counter receipt_timeouts;  // a receipt's commit was waited for longer than asked
  Counter malformed_http;
  Counter malformed_bodies;
  Counter disconnects_early;           // the client left before its request was whole or answered
  Counter receive_buffer_exhaustions;  // ENOBUFS
  Counter stale_completions;           // for a connection that is gone
  Counter loop_turns;

  Histogram request_us;  // from the last byte of a request to its outcome
};

}  // namespace wellhead
