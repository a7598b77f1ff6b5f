// A reactor: one thread, one io_uring, its listeners and connections. The way into net/.
//
// In:  bytes from clients; outcomes from its intake. Out: requests to the intake, replies to clients.
// Invariants: all but create(), the requests and the counters happens on the reactor's thread. A receive
// buffer goes back to the kernel in the turn it came; what is needed longer is copied within a budget. A slot
// is given to another connection only when nothing of the last one is in flight. A reply or acknowledgement
// is only ever sent for an outcome that the intake has delivered.
//
// The files, outside in: reactor, reactor_loop (a turn), acceptor and connections (slots, what is in flight),
// session (what a protocol sees of its connection), http_session and ndjson_session; below them ring,
// buffer_ring, timer_wheel, body_pool, http_parser, inflate, reply_text.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "codec/schema.hpp"
#include "net/http_message.hpp"
#include "net/intake.hpp"
#include "net/reactor_stats.hpp"
#include "net/receipt_desk.hpp"

namespace wellhead {

enum class Protocol : std::uint8_t {
  http,    // POST /v1/ingest/{stream}, GET /v1/receipts/{receipt}
  ndjson,  // one record a line over plain TCP
  admin,   // HTTP answered by ReactorOptions::admin_handler
};

struct ListenerOptions {
  Protocol protocol = Protocol::http;
  std::string address;               // numeric IPv4 or IPv6
  std::uint16_t port = 0;            // 0: the system chooses; see Reactor::ports()
  std::string stream;                // ndjson: the stream of its records
  bool acknowledge = false;          // ndjson: send {"ack":N} and {"reject":…}
  AckLevel ack = AckLevel::journal;  // http: of requests that say nothing else
};

// Each bound has a counter in ReactorStats for being hit. Times are per connection.
struct NetLimits {
  std::uint32_t connections_max = 16'384;              // per reactor
  std::uint32_t header_bytes_max = 16U << 10;          // request line and headers together
  std::uint64_t body_bytes_max = 16U << 20;            // as received
  std::uint64_t inflated_bytes_max = 64U << 20;        // after gzip or zstd
  std::uint64_t body_memory_max = 256U << 20;          // all bodies being collected on this reactor
  std::uint32_t line_bytes_max = 1U << 20;             // NDJSON over TCP: one line
  std::chrono::milliseconds header_timeout{10'000};    // from the first byte of a request to its last header
  std::chrono::milliseconds body_timeout{60'000};      // from the last header to the last byte of the body
  std::chrono::milliseconds idle_timeout{300'000};     // between requests, or between lines
  std::chrono::milliseconds send_timeout{30'000};      // a reply the client does not read
  std::chrono::milliseconds commit_timeout{30'000};    // from the whole request to its outcome; then 503
  std::chrono::milliseconds admission_timeout{1'000};  // waiting for Submission::busy to end; then 429
  std::chrono::milliseconds receipt_wait_max{30'000};  // longer waits for a receipt's commit are cut to this
  std::uint32_t receive_buffer_bytes = 64U << 10;      // of each provided buffer
  std::uint32_t receive_buffers = 256;                 // a power of two
};

struct ReactorOptions {
  std::uint32_t index = 0;
  std::vector<ListenerOptions> listeners;
  NetLimits limits;
  std::vector<SchemaPointer> streams;
  const ReceiptDesk* receipts = nullptr;  // outlives the reactor; null: no receipt is known
  HttpHandler* admin_handler = nullptr;   // outlives the reactor; needed for Protocol::admin
  int cpu = -1;                           // pin the thread there; < 0: not
};

class Reactor {
 public:
  // Binds and listens at once (SO_REUSEPORT, so that several reactors share a port), so that a taken port is
  // known before anything starts. The error is a sentence. `intake` may be null where no listener ingests.
  [[nodiscard]] static std::expected<std::unique_ptr<Reactor>, std::string> create(
      ReactorOptions options, std::unique_ptr<Intake> intake, const Clock& clock);
  ~Reactor();

  // Starts the thread, which creates its ring. The error says what the kernel lacks and whether its version,
  // a sysctl or seccomp is the cause.
  [[nodiscard]] std::expected<void, std::string> start();

  // Any thread. Stops accepting connections and taking new requests, answers those that were taken as their
  // outcomes come, closes each connection when it is answered, and ends when none is left or at `deadline`.
  void request_stop(std::chrono::steady_clock::time_point deadline);
  void join();
  // Any thread. After an operator's action: a journal that failed is tried again.
  void request_journal_reopen();

  // The port of each listener, in the order of the options.
  [[nodiscard]] const std::vector<std::uint16_t>& ports() const noexcept;
  [[nodiscard]] const ReactorStats& stats() const noexcept;

 private:
  class Implementation;
  explicit Reactor(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace wellhead
