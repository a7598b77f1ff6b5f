// The connections of a reactor: their slots, what is in flight for each, and how each ends.
//
// Life of a slot: open → (finishing → lingering) → closing → free. close() on a socket does not complete what
// the ring holds for it, so a closing slot first cancels, then waits until nothing is in flight, then closes
// the descriptor and lets the slot go, with a new generation.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "net/buffer_ring.hpp"
#include "net/reactor.hpp"
#include "net/ring.hpp"
#include "net/session.hpp"
#include "net/session_pool.hpp"
#include "net/timer_wheel.hpp"

namespace wellhead {

class Connections {
 public:
  // `listeners` gives each connection its protocol; all outlive this.
  Connections(Ring& ring, BufferRing& buffers, SessionContext& context,
              const std::vector<ListenerOptions>& listeners);
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;
  ~Connections();

  // Takes an accepted socket. Past connections_max the client is told so and let go.
  void open(int fd, std::uint32_t listener);
  // REQUIRES an operation of a connection.
  void on_completion(const Completion& completion);
  void on_outcome(ConnectionId id, const RequestOutcome& outcome);
  // "http 127.0.0.1:8080 from 10.0.0.7:4711": the listener and the peer, as far as the system knows them.
  [[nodiscard]] std::string describe(ConnectionId id) const;
  void on_capacity();
  // Ends timed-out connections; returns how many deadlines passed.
  std::size_t expire_deadlines();
  // Once per turn, after everything else: closes what is to be closed and arms receives that lacked buffers.
  std::size_t tidy();
  // Lets every session end its connection.
  void stop();
  void drop_all();

  [[nodiscard]] std::uint32_t open_count() const noexcept { return open_count_; }
  // How long the reactor may sleep before something here is due.
  [[nodiscard]] std::int64_t sleep_ns() const;

 private:
  friend class Link;

  enum class Stage : std::uint8_t { free, open, finishing, lingering, closing };

  // Small, because an idle connection is this and nothing else.
  struct Connection {
    int fd = -1;
    std::uint32_t generation = 1;
    std::uint32_t buffers_this_turn = 0;
    std::uint32_t turn = 0;
    std::uint32_t listener = 0;
    std::uint8_t in_flight = 0;
    Stage stage = Stage::free;
    bool receiving : 1 = false;          // a receive is armed
    bool receive_cancelled : 1 = false;  // and asked to end
    bool reading_wanted : 1 = false;
    bool input_ended : 1 = false;
    bool starved : 1 = false;            // waits for receive buffers
    bool refused : 1 = false;            // past connections_max
    bool finished : 1 = false;           // in finished_
    bool awaiting_capacity : 1 = false;  // in capacity_waiters_
    std::unique_ptr<Session> session;
  };

  // For sessions, through Link.
  void transmit(std::uint32_t slot);
  void set_deadline(std::uint32_t slot, std::chrono::nanoseconds from_now);
  void clear_deadline(std::uint32_t slot) { timers_.clear(slot); }
  void pause_reading(std::uint32_t slot);
  void resume_reading(std::uint32_t slot);
  void await_capacity(ConnectionId id);
  void finish(std::uint32_t slot);
  void drop(std::uint32_t slot);
  void release_session(std::uint32_t slot);

  [[nodiscard]] std::uint32_t take_slot();
  [[nodiscard]] Session* session_of(ConnectionId id);
  [[nodiscard]] Session& ensure_session(std::uint32_t slot);
  [[nodiscard]] Protocol protocol_of(const Connection& connection) const;
  [[nodiscard]] ConnectionId id_of(std::uint32_t slot) const { return {slot, connections_[slot].generation}; }
  void refuse(std::uint32_t slot);
  void arm_receive(std::uint32_t slot);
  void cancel_receive(std::uint32_t slot);
  void on_received(std::uint32_t slot, const Completion& completion);
  void on_receive_ended(std::uint32_t slot, std::int32_t result);
  void deliver(std::uint32_t slot, const Completion& completion);
  void enforce_quota(std::uint32_t slot);
  void on_sent(std::uint32_t slot, std::int32_t result);
  void send_next(std::uint32_t slot);
  void charge(Outbox& outbox);
  void linger(std::uint32_t slot);
  void arm_starved();
  void note_finished(std::uint32_t slot);
  void on_broken(std::uint32_t slot);
  void on_deadline(std::uint32_t slot);
  void free_slot(std::uint32_t slot);

  Ring& ring_;
  BufferRing& buffers_;
  SessionContext& context_;
  const std::vector<ListenerOptions>& listeners_;
  TimerWheel timers_;
  SessionPool sessions_;
  std::deque<Connection> connections_;  // grows to the most there were; addresses stay
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> finished_;  // closing, nothing in flight
  std::deque<std::uint32_t> starved_;    // first come, first served
  std::vector<ConnectionId> capacity_waiters_;
  std::vector<ConnectionId> capacity_called_;  // on_capacity()'s own, kept for its memory
  std::vector<std::unique_ptr<Session>> released_;
  std::vector<Protocol> released_protocols_;
  std::uint32_t open_count_ = 0;
  std::uint32_t refused_count_ = 0;
  std::uint32_t turn_ = 1;
  std::uint32_t quota_;
};

}  // namespace wellhead
