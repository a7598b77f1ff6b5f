#include "loadgen/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "base/assert.hpp"
#include "loadgen/time_now.hpp"

namespace wellhead::loadgen {
namespace {

constexpr std::int64_t backoff_ns_min = 10'000'000;
constexpr std::int64_t backoff_ns_max = 250'000'000;
constexpr std::size_t send_pieces_max = 16;
constexpr int connect_poll_ms = 20;

std::string error_text(int error) {
  return std::system_category().message(error);
}

}  // namespace

Connection::Connection(ConnectionContext context, std::uint32_t window, std::uint32_t tag)
    : context_(context), window_(window), tag_(tag), backoff_ns_(backoff_ns_min) {}

std::expected<void, std::string> Connection::open_socket() {
  const Target& target = context_.target;
  socket_.reset(::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return std::unexpected("cannot create a socket: " + error_text(errno));
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // Edge-triggered for both directions: registered once, never changed.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = tag_;
  if (epoll_ctl(context_.epoll_fd, EPOLL_CTL_ADD, socket_.get(), &event) != 0) {
    return std::unexpected("cannot watch a socket: " + error_text(errno));
  }
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  if (::connect(socket_.get(), address, target.address_bytes) != 0 && errno != EINPROGRESS) {
    return std::unexpected(error_text(errno));
  }
  state_ = State::connecting;
  return {};
}

std::expected<void, std::string> Connection::connect_blocking(std::int64_t deadline_ns) {
  std::string problem = "no answer";
  do {
    if (auto opened_socket = open_socket(); !opened_socket) {
      problem = opened_socket.error();
    } else {
      pollfd waiting{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
      const std::int64_t left_ms = std::max<std::int64_t>(0, (deadline_ns - monotonic_now_ns()) / 1'000'000);
      int error = 0;
      socklen_t size = sizeof error;
      if (::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left_ms + 1, 60'000))) == 1) {
        getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == 0) {
          opened();
          return {};
        }
        problem = error_text(error);
      }
    }
    socket_.reset();
    state_ = State::closed;
    ::poll(nullptr, 0, connect_poll_ms);
  } while (monotonic_now_ns() < deadline_ns);
  return std::unexpected(problem);
}

void Connection::begin_connect(std::int64_t now_ns) {
  wake_ns_ = Schedule::never_ns;
  if (!open_socket()) drop("connection refused", now_ns);
}

void Connection::finish_connect(std::int64_t now_ns) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    drop("connection refused", now_ns);
    return;
  }
  opened();
  context_.ledger.counters().reconnects.add();
  write_all(now_ns);
}

void Connection::opened() {
  state_ = State::open;
  on_open();
}

void Connection::submit(std::unique_ptr<Batch> batch, std::int64_t now_ns) {
  WELLHEAD_ASSERT(has_room());
  outstanding_.push_back(std::move(batch));
  write_all(now_ns);
}

void Connection::on_events(std::uint32_t events, std::int64_t now_ns) {
  if (state_ == State::connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    finish_connect(now_ns);
  }
  if (state_ != State::open) return;
  constexpr std::uint32_t ended = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & (EPOLLIN | ended)) != 0) read_all((events & ended) != 0, now_ns);
  if (state_ == State::open && (events & EPOLLOUT) != 0) write_all(now_ns);
}

void Connection::on_wake(std::int64_t now_ns) {
  if (now_ns < wake_ns_) return;
  if (state_ == State::closed) {
    begin_connect(now_ns);
  } else {
    wake_ns_ = Schedule::never_ns;
    write_all(now_ns);
  }
}

// A read that fills less than the buffer has emptied the socket; only its end is not seen then, which is told
// by an event of its own.
void Connection::read_all(bool to_the_end, std::int64_t now_ns) {
  std::vector<char>& buffer = context_.receive_buffer;
  while (state_ == State::open) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got <= 0) {
      drop("connection lost", now_ns);
      return;
    }
    backoff_ns_ = backoff_ns_min;
    const Handled handled = on_bytes({buffer.data(), static_cast<std::size_t>(got)}, now_ns);
    if (!handled) {
      context_.ledger.counters().protocol_errors.add();
      drop(handled.error(), now_ns);
    } else if (reconnect_wanted_) {
      reconnect_wanted_ = false;
      const std::int64_t wake_ns = wake_ns_;
      drop("connection closed by the node", now_ns);
      wake_ns_ = wake_ns == Schedule::never_ns ? now_ns : wake_ns;  // at once, or when the answer said
    }
    if (!to_the_end && static_cast<std::size_t>(got) < buffer.size()) return;
  }
}

void Connection::write_all(std::int64_t now_ns) {
  while (state_ == State::open && wake_ns_ == Schedule::never_ns && whole_ < outstanding_.size()) {
    std::array<iovec, send_pieces_max> pieces;
    std::size_t count = 0;
    for (std::size_t index = whole_; index < outstanding_.size() && count < send_pieces_max; ++index) {
      const std::string_view unsent = outstanding_[index]->unsent();
      pieces[count++] = {.iov_base = const_cast<char*>(unsent.data()), .iov_len = unsent.size()};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t put = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (put < 0) {
      drop("connection lost", now_ns);
      return;
    }
    advance(static_cast<std::size_t>(put), now_ns);
  }
}

void Connection::advance(std::size_t bytes, std::int64_t now_ns) {
  context_.ledger.counters().bytes_sent.add(bytes);
  while (bytes > 0) {
    Batch& batch = *outstanding_[whole_];
    if (batch.sent == 0) {
      if (batch.begun_ns == 0) context_.ledger.batch_begun(batch);
      batch.begun_ns = now_ns;
    }
    const std::size_t taken = std::min(bytes, batch.unsent().size());
    batch.sent += taken;
    bytes -= taken;
    if (batch.sent_whole()) ++whole_;
  }
}

void Connection::retire_front() {
  WELLHEAD_ASSERT(outstanding_.front()->answered == outstanding_.front()->range.count);
  if (outstanding_.front()->sent_whole()) --whole_;
  context_.pool.give_back(std::move(outstanding_.front()));
  outstanding_.pop_front();
}

void Connection::resend_front(std::int64_t when_ns) {
  WELLHEAD_ASSERT(outstanding_.size() == 1 && outstanding_.front()->answered == 0);
  outstanding_.front()->sent = 0;
  whole_ = 0;
  wake_ns_ = when_ns;
  context_.ledger.counters().backpressure.add();
}

void Connection::doubt_front() {
  outstanding_.front()->in_doubt = true;
  context_.ledger.counters().retries.add();
}

// Batches of which a byte was sent are lost: the node may have stored them, and sending them again could
// store them twice, unless they have a key. The others go out on the next connection.
void Connection::drop(std::string_view reason, std::int64_t now_ns) {
  socket_.reset();
  state_ = State::closed;
  if (context_.retry && !outstanding_.empty() && outstanding_.front()->sent > 0) {
    WELLHEAD_ASSERT(outstanding_.size() == 1 && outstanding_.front()->answered == 0);
    doubt_front();
    outstanding_.front()->sent = 0;
  }
  while (!outstanding_.empty() && outstanding_.front()->sent > 0) {
    context_.ledger.lose(*outstanding_.front(), reason);
    context_.pool.give_back(std::move(outstanding_.front()));
    outstanding_.pop_front();
  }
  whole_ = 0;
  wake_ns_ = now_ns + backoff_ns_;
  backoff_ns_ = std::min(2 * backoff_ns_, backoff_ns_max);
}

void Connection::abandon(std::int64_t now_ns) {
  drop("no answer in time", now_ns);
  for (auto& batch : outstanding_) {
    if (batch->in_doubt) {
      context_.ledger.lose(*batch, "no answer to a retry in time");
    } else if (batch->begun_ns != 0) {
      // Begun, and to be sent again: the node had said that it took nothing of it.
      context_.ledger.fail(*batch, "refused for now until the end", now_ns);
    }
    context_.pool.give_back(std::move(batch));
  }
  outstanding_.clear();
  wake_ns_ = Schedule::never_ns;
}

}  // namespace wellhead::loadgen
