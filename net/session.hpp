// What a protocol makes of one connection, and the few things it may do to it.
//
// A session is called by the reactor's thread only. It exists while its connection has something to remember:
// an idle HTTP connection has none, which is what lets ten thousand of them wait for next to nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "codec/schema.hpp"
#include "net/body_pool.hpp"
#include "net/http_message.hpp"
#include "net/inflate.hpp"
#include "net/intake.hpp"
#include "net/reactor.hpp"
#include "net/reactor_stats.hpp"
#include "net/reply_text.hpp"

namespace wellhead {

class Connections;

// Replies held for clients that do not read them, all connections of a reactor together. A connection that
// needs more is dropped: its client gets no reply, as if the network had broken.
inline constexpr std::uint64_t reply_bytes_held_max = 64U << 20;

// What all sessions of a reactor share.
struct SessionContext {
  SessionContext(const ReactorOptions& options, Intake* reactor_intake, const Clock& reactor_clock,
                 ReactorStats& reactor_stats);

  NetLimits limits;
  std::vector<SchemaPointer> streams;
  const ReceiptDesk* receipts;
  HttpHandler* admin_handler;
  Intake* intake;
  const Clock& clock;
  ReactorStats& stats;
  BodyPool bodies;
  Inflater inflater;
  HttpDate date;
  std::string scratch;                 // for a body whose length the head needs
  std::uint64_t reply_bytes_held = 0;  // replies that clients have not read yet
  std::uint64_t last_cookie = 0;       // unique per reactor: a late outcome must not meet a later request
  std::int64_t now_ns = 0;             // of this turn
  bool stopping = false;

  // Of those that clients may send to; null where there is none.
  [[nodiscard]] const Schema* find_stream(std::string_view name) const noexcept;
};

// Bytes on their way out: one send is in flight at a time, what comes meanwhile queues up behind it.
struct Outbox {
  std::string queued;
  std::string active;    // REQUIRES unchanged while in_flight
  std::size_t sent = 0;  // of `active`
  bool in_flight = false;
  std::int64_t moved_ns = 0;  // when the client last took some of it, or sending began
  std::size_t charged = 0;    // of SessionContext::reply_bytes_held

  [[nodiscard]] std::size_t bytes() const noexcept { return queued.size() + active.size() - sent; }
  [[nodiscard]] bool empty() const noexcept { return bytes() == 0; }
  void clear() noexcept;
};

// Bytes that arrived. `headroom` bytes before them may be overwritten, input_padding_bytes behind them be
// read.
struct ReceivedBytes {
  char* data;
  std::size_t size;
  std::size_t headroom;
};

// A session's hold on its connection.
class Link {
 public:
  Link() noexcept = default;  // to be assigned before use
  Link(Connections& connections, ConnectionId id) : connections_(&connections), id_(id) {}
  [[nodiscard]] ConnectionId id() const noexcept { return id_; }

  // Starts sending what is queued, unless a send is in flight.
  void transmit();
  void set_deadline(std::chrono::nanoseconds from_now);
  void clear_deadline();
  void pause_reading();
  void resume_reading();
  // on_capacity() is called once when the intake has room again.
  void await_capacity();
  // Ends the connection when everything queued is sent: the client gets its end of file, what it still sends
  // is thrown away for a moment (a socket closed with unread bytes resets the connection, and the reply is
  // lost), then the socket is closed. Nothing is delivered to the session any more.
  void finish();
  // Ends the connection at once.
  void drop();
  // The session has nothing to remember; it is taken back after the call that it is in.
  void release_session();

 private:
  Connections* connections_ = nullptr;
  ConnectionId id_{};
};

class Session {
 public:
  virtual ~Session() = default;

  virtual void on_bytes(ReceivedBytes bytes) = 0;
  // The client sends no more; it may still read.
  virtual void on_end_of_input() = 0;
  // Everything queued has been sent.
  virtual void on_sent() = 0;
  virtual void on_outcome(const RequestOutcome& outcome) = 0;
  virtual void on_capacity() = 0;
  virtual void on_deadline() = 0;
  virtual void on_stop() = 0;
  // Whether the client would miss something if the connection broke now.
  [[nodiscard]] virtual bool in_progress() const = 0;

  [[nodiscard]] Outbox& outbox() noexcept { return outbox_; }

 protected:
  Outbox outbox_;
};

}  // namespace wellhead
