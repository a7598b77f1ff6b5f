#include "net/connections.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

// Clients past connections_max that are told so at the same time; the rest are closed without a word.
constexpr std::uint32_t refused_max = 64;
constexpr std::uint32_t refused_retry_after_s = 1;
// How long a client may still send after its last reply.
constexpr std::chrono::milliseconds linger_timeout{1'000};
// One connection gets at most this share of the receive buffers in a turn.
constexpr std::uint32_t quota_divisor = 8;
// While sessions wait for capacity the intake is asked this often: nothing wakes the reactor when a database
// comes back.
constexpr std::int64_t capacity_poll_ns = 20'000'000;
// Entries of connections that are gone, past which the list of waiting ones is cleaned.
constexpr std::size_t stale_waiters_max = 1'024;
// Deadlines handled in one turn.
constexpr std::size_t expired_per_turn_max = 256;

std::string_view name_of(Protocol protocol) noexcept {
  switch (protocol) {
    case Protocol::http:
      return "http";
    case Protocol::ndjson:
      return "ndjson";
    case Protocol::admin:
      break;
  }
  return "admin";
}

// "10.0.0.7:4711", "[::1]:4711"; `ask` is getsockname or getpeername.
std::string address_of(int fd, int (*ask)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (ask(fd, any, &size) != 0 ||
      getnameinfo(any, size, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "unknown";
  const std::string name = address.ss_family == AF_INET6 ? "[" + std::string(host) + "]" : host;
  return name + ":" + port;
}

}  // namespace

Connections::Connections(Ring& ring, BufferRing& buffers, SessionContext& context,
                         const std::vector<ListenerOptions>& listeners)
    : ring_(ring),
      buffers_(buffers),
      context_(context),
      listeners_(listeners),
      timers_(context.now_ns),
      sessions_(context),
      quota_(std::max(context.limits.receive_buffers / quota_divisor, 1U)) {}

Connections::~Connections() {
  for (const Connection& connection : connections_)
    if (connection.fd >= 0) ::close(connection.fd);
}

std::uint32_t Connections::take_slot() {
  if (free_slots_.empty()) {
    connections_.emplace_back();
    return static_cast<std::uint32_t>(connections_.size() - 1);
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void Connections::open(int fd, std::uint32_t listener) {
  const bool too_many = open_count_ - refused_count_ >= context_.limits.connections_max;
  if (too_many) context_.stats.connections_refused.add();
  if ((too_many && refused_count_ >= refused_max) || context_.stopping) {
    ::close(fd);
    return;
  }
  const std::uint32_t slot = take_slot();
  Connection& connection = connections_[slot];
  WELLHEAD_ASSERT(connection.stage == Stage::free && connection.in_flight == 0);
  connection.fd = fd;
  connection.listener = listener;
  connection.stage = Stage::open;
  connection.reading_wanted = true;
  ++open_count_;
  context_.stats.connections_open.set(open_count_);
  if (too_many) {
    refuse(slot);
    return;
  }
  context_.stats.connections_accepted.add();
  set_deadline(slot, context_.limits.idle_timeout);
  arm_receive(slot);
}

void Connections::refuse(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  connection.refused = true;
  ++refused_count_;
  if (protocol_of(connection) == Protocol::ndjson) {
    drop(slot);
    return;
  }
  context_.stats.replies[503].add();
  context_.scratch.clear();
  append_error_body(
      context_.scratch, "too_many_connections",
      "This node has as many connections as it may have; reuse connections, or try again later.");
  append_http_reply(ensure_session(slot).outbox().queued,
                    {.status = 503,
                     .date = context_.date.text(context_.clock.wall_us()),
                     .close = true,
                     .retry_after_s = refused_retry_after_s},
                    context_.scratch);
  transmit(slot);
  finish(slot);
}

Protocol Connections::protocol_of(const Connection& connection) const {
  return listeners_[connection.listener].protocol;
}

Session& Connections::ensure_session(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (connection.session == nullptr)
    connection.session = sessions_.make(listeners_[connection.listener], Link(*this, id_of(slot)));
  return *connection.session;
}

std::string Connections::describe(ConnectionId id) const {
  if (id.slot >= connections_.size() || connections_[id.slot].generation != id.generation) return {};
  const Connection& connection = connections_[id.slot];
  return std::string(name_of(protocol_of(connection))) + " " + address_of(connection.fd, ::getsockname) +
         " from " + address_of(connection.fd, ::getpeername);
}

Session* Connections::session_of(ConnectionId id) {
  if (id.slot >= connections_.size()) return nullptr;
  const Connection& connection = connections_[id.slot];
  const bool same = connection.generation == id.generation && connection.stage == Stage::open;
  return same ? connection.session.get() : nullptr;
}

void Connections::on_completion(const Completion& completion) {
  const std::uint32_t slot = completion.tag.slot;
  const bool known = slot < connections_.size() &&
                     connections_[slot].generation == completion.tag.generation &&
                     connections_[slot].stage != Stage::free;
  if (!known) {
    context_.stats.stale_completions.add();
    if (completion.has_buffer()) buffers_.give_back(completion.buffer());
    return;
  }
  Connection& connection = connections_[slot];
  if (!completion.more()) {
    WELLHEAD_ASSERT(connection.in_flight > 0);
    --connection.in_flight;
  }
  switch (completion.tag.operation) {
    case Operation::receive:
      on_received(slot, completion);
      break;
    case Operation::send:
      on_sent(slot, completion.result);
      break;
    case Operation::cancel_receive:
      connection.receive_cancelled = false;
      break;
    default:
      break;
  }
  if (connection.stage == Stage::closing && connection.in_flight == 0) note_finished(slot);
}

void Connections::note_finished(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (connection.finished) return;
  connection.finished = true;
  finished_.push_back(slot);
}

void Connections::arm_receive(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  const bool wanted = connection.reading_wanted && !connection.receiving && !connection.starved &&
                      !connection.input_ended && connection.stage != Stage::closing;
  if (!wanted) return;
  connection.receiving = true;
  ++connection.in_flight;
  ring_.receive(connection.fd, BufferRing::group,
                {.operation = Operation::receive, .slot = slot, .generation = connection.generation});
}

void Connections::cancel_receive(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (!connection.receiving || connection.receive_cancelled || connection.stage == Stage::closing) return;
  connection.receive_cancelled = true;
  ++connection.in_flight;
  ring_.cancel_request(
      {.operation = Operation::receive, .slot = slot, .generation = connection.generation},
      {.operation = Operation::cancel_receive, .slot = slot, .generation = connection.generation});
}

void Connections::pause_reading(std::uint32_t slot) {
  connections_[slot].reading_wanted = false;
  cancel_receive(slot);
}

void Connections::resume_reading(std::uint32_t slot) {
  connections_[slot].reading_wanted = true;
  arm_receive(slot);
}

void Connections::on_received(std::uint32_t slot, const Completion& completion) {
  if (!completion.more()) connections_[slot].receiving = false;
  if (completion.has_buffer()) {
    if (completion.result > 0) deliver(slot, completion);
    buffers_.give_back(completion.buffer());
  }
  if (!completion.more()) on_receive_ended(slot, completion.result);
}

void Connections::deliver(std::uint32_t slot, const Completion& completion) {
  const auto size = static_cast<std::size_t>(completion.result);
  context_.stats.bytes_received.add(size);
  if (connections_[slot].stage != Stage::open) return;
  ensure_session(slot).on_bytes(
      {.data = buffers_.data(completion.buffer()), .size = size, .headroom = receive_headroom_bytes});
  enforce_quota(slot);
}

// A socket whose sender is faster than this turn would otherwise take every buffer, and the others find none.
// Its receive is ended and armed again when the end is confirmed: behind all that waited meanwhile.
void Connections::enforce_quota(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (connection.turn != turn_) {
    connection.turn = turn_;
    connection.buffers_this_turn = 0;
  }
  if (++connection.buffers_this_turn >= quota_) cancel_receive(slot);
}

void Connections::on_receive_ended(std::uint32_t slot, std::int32_t result) {
  Connection& connection = connections_[slot];
  if (connection.stage == Stage::closing) return;  // before anything else: nothing may be armed again
  if (result == -ENOBUFS) {
    context_.stats.receive_buffer_exhaustions.add();
    connection.starved = true;
    starved_.push_back(slot);
  } else if (result == 0) {
    connection.input_ended = true;
    if (connection.stage == Stage::open && connection.session != nullptr)
      connection.session->on_end_of_input();
    else if (connection.stage != Stage::finishing)  // what is on its way out may still be read
      drop(slot);
  } else if (result < 0 && result != -ECANCELED && result != -EINTR && result != -EAGAIN) {
    on_broken(slot);
  } else {
    arm_receive(slot);
  }
}

void Connections::on_broken(std::uint32_t slot) {
  const Connection& connection = connections_[slot];
  const bool unanswered = connection.stage == Stage::open && connection.session != nullptr;
  const bool missed =
      connection.stage == Stage::finishing || (unanswered && connection.session->in_progress());
  if (missed) context_.stats.disconnects_early.add();
  drop(slot);
}

void Connections::charge(Outbox& outbox) {
  context_.reply_bytes_held -= outbox.charged;
  outbox.charged = outbox.bytes();
  context_.reply_bytes_held += outbox.charged;
}

void Connections::transmit(std::uint32_t slot) {
  const Connection& connection = connections_[slot];
  if (connection.stage == Stage::closing) return;
  Outbox& outbox = connection.session->outbox();
  charge(outbox);
  if (context_.reply_bytes_held > reply_bytes_held_max) {
    context_.stats.reply_overflows.add();
    drop(slot);
    return;
  }
  if (outbox.in_flight || outbox.queued.empty()) return;
  outbox.active.swap(outbox.queued);
  outbox.queued.clear();
  outbox.sent = 0;
  outbox.moved_ns = context_.now_ns;
  send_next(slot);
}

void Connections::send_next(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  Outbox& outbox = connection.session->outbox();
  outbox.in_flight = true;
  ++connection.in_flight;
  ring_.send(connection.fd, outbox.active.data() + outbox.sent, outbox.active.size() - outbox.sent,
             {.operation = Operation::send, .slot = slot, .generation = connection.generation});
}

void Connections::on_sent(std::uint32_t slot, std::int32_t result) {
  Connection& connection = connections_[slot];
  Outbox& outbox = connection.session->outbox();
  outbox.in_flight = false;
  if (connection.stage == Stage::closing) return;
  if (result < 0 && result != -EINTR && result != -EAGAIN) {
    on_broken(slot);
    return;
  }
  const auto sent = static_cast<std::size_t>(std::max(result, 0));
  context_.stats.bytes_sent.add(sent);
  outbox.sent += sent;
  outbox.moved_ns = context_.now_ns;
  charge(outbox);
  if (outbox.sent < outbox.active.size()) {
    send_next(slot);
    return;
  }
  outbox.active.clear();
  outbox.sent = 0;
  if (!outbox.queued.empty())
    transmit(slot);
  else if (connection.stage == Stage::finishing)
    linger(slot);
  else
    connection.session->on_sent();
}

void Connections::finish(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (connection.stage != Stage::open) return;
  connection.stage = Stage::finishing;
  set_deadline(slot, context_.limits.send_timeout);
  resume_reading(slot);  // to throw away what comes
  if (connection.session == nullptr || connection.session->outbox().empty()) linger(slot);
}

void Connections::linger(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (connection.input_ended) {
    drop(slot);
    return;
  }
  connection.stage = Stage::lingering;
  ::shutdown(connection.fd, SHUT_WR);
  set_deadline(slot, linger_timeout);
}

void Connections::drop(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (connection.stage == Stage::closing) return;
  connection.stage = Stage::closing;
  timers_.clear(slot);
  if (connection.in_flight == 0) {
    note_finished(slot);
    return;
  }
  ++connection.in_flight;
  ring_.cancel_descriptor(
      connection.fd, {.operation = Operation::cancel, .slot = slot, .generation = connection.generation});
}

void Connections::release_session(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  WELLHEAD_ASSERT(!connection.session->outbox().in_flight);
  released_protocols_.push_back(protocol_of(connection));
  released_.push_back(std::move(connection.session));
}

void Connections::set_deadline(std::uint32_t slot, std::chrono::nanoseconds from_now) {
  if (connections_[slot].stage == Stage::closing) return;
  timers_.set(slot, context_.now_ns + from_now.count());
}

std::size_t Connections::expire_deadlines() {
  return timers_.advance(context_.now_ns, expired_per_turn_max,
                         [this](std::uint32_t slot) { on_deadline(slot); });
}

void Connections::on_deadline(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  if (connection.stage == Stage::open && connection.session != nullptr) {
    connection.session->on_deadline();
    return;
  }
  if (connection.stage == Stage::open) context_.stats.idle_timeouts.add();
  if (connection.stage == Stage::finishing) context_.stats.send_timeouts.add();
  drop(slot);
}

void Connections::on_outcome(ConnectionId id, const RequestOutcome& outcome) {
  if (Session* session = session_of(id)) session->on_outcome(outcome);
}

void Connections::await_capacity(ConnectionId id) {
  Connection& connection = connections_[id.slot];
  if (connection.awaiting_capacity) return;
  connection.awaiting_capacity = true;
  // Those that have gone meanwhile leave their entry behind.
  if (capacity_waiters_.size() > 2 * std::size_t{open_count_} + stale_waiters_max)
    std::erase_if(capacity_waiters_, [this](ConnectionId waiter) { return session_of(waiter) == nullptr; });
  capacity_waiters_.push_back(id);
}

void Connections::on_capacity() {
  capacity_called_.swap(capacity_waiters_);
  for (const ConnectionId& id : capacity_called_) {
    Session* session = session_of(id);
    if (session == nullptr) continue;
    connections_[id.slot].awaiting_capacity = false;
    session->on_capacity();
  }
  capacity_called_.clear();
}

std::int64_t Connections::sleep_ns() const {
  const std::int64_t until_deadline = timers_.sleep_ns(context_.now_ns);
  return capacity_waiters_.empty() ? until_deadline : std::min(until_deadline, capacity_poll_ns);
}

std::size_t Connections::tidy() {
  const std::size_t work = finished_.size() + released_.size() + starved_.size();
  for (std::size_t index = 0; index < released_.size(); ++index)
    sessions_.give_back(std::move(released_[index]), released_protocols_[index]);
  released_.clear();
  released_protocols_.clear();
  for (const std::uint32_t slot : finished_) free_slot(slot);
  finished_.clear();
  buffers_.publish();
  arm_starved();
  ++turn_;
  return work;
}

// As many as there are buffers: more could only run into the same shortage again.
void Connections::arm_starved() {
  for (std::uint32_t count = 0; count < context_.limits.receive_buffers && !starved_.empty(); ++count) {
    const std::uint32_t slot = starved_.front();
    starved_.pop_front();
    // The slot may have been freed, and taken again, since: then it does not starve.
    if (!connections_[slot].starved) continue;
    connections_[slot].starved = false;
    arm_receive(slot);
  }
}

void Connections::free_slot(std::uint32_t slot) {
  Connection& connection = connections_[slot];
  WELLHEAD_ASSERT(connection.stage == Stage::closing && connection.in_flight == 0);
  ::close(connection.fd);
  if (connection.session != nullptr) {
    context_.reply_bytes_held -= connection.session->outbox().charged;
    sessions_.give_back(std::move(connection.session), protocol_of(connection));
  }
  if (connection.refused) --refused_count_;
  const std::uint32_t generation = connection.generation + 1;
  connection = Connection{};
  connection.generation = generation;
  --open_count_;
  context_.stats.connections_open.set(open_count_);
  free_slots_.push_back(slot);
}

void Connections::stop() {
  for (std::uint32_t slot = 0; slot < connections_.size(); ++slot) {
    Connection& connection = connections_[slot];
    if (connection.stage != Stage::open) continue;
    if (connection.session == nullptr)
      drop(slot);
    else
      connection.session->on_stop();
  }
}

void Connections::drop_all() {
  for (std::uint32_t slot = 0; slot < connections_.size(); ++slot)
    if (connections_[slot].stage != Stage::free) drop(slot);
}

}  // namespace wellhead
