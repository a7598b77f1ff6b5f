// One connection to the node: sends batches in order, survives being cut. What the answers mean is up to the
// protocol's subclass.
//
// Invariant: every batch submitted leaves through the ledger (settled, failed or lost), or was never begun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "loadgen/batch.hpp"
#include "loadgen/ingest_reply.hpp"
#include "loadgen/ledger.hpp"
#include "loadgen/schedule.hpp"
#include "loadgen/target.hpp"

namespace wellhead::loadgen {

// What a worker shares with its connections; outlives them.
struct ConnectionContext {
  const Target& target;
  Ledger& ledger;
  BatchPool& pool;
  ReplyReader& replies;
  std::vector<char>& receive_buffer;
  int epoll_fd;
  bool retry;  // a batch may be sent again although it may have been stored
};

// Its worker's thread only, but for connect_blocking().
class Connection {
 public:
  // `window`: batches that may be outstanding. `tag` names the connection in epoll's events.
  Connection(ConnectionContext context, std::uint32_t window, std::uint32_t tag);
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Before the worker starts. The error is a sentence.
  [[nodiscard]] std::expected<void, std::string> connect_blocking(std::int64_t deadline_ns);

  // Whether submit() may be called.
  [[nodiscard]] bool has_room() const noexcept {
    return state_ == State::open && wake_ns_ == Schedule::never_ns && outstanding_.size() < window_;
  }
  void submit(std::unique_ptr<Batch> batch, std::int64_t now_ns);
  void on_events(std::uint32_t events, std::int64_t now_ns);
  // When on_wake() is to be called; Schedule::never_ns: not.
  [[nodiscard]] std::int64_t wake_ns() const noexcept { return wake_ns_; }
  void on_wake(std::int64_t now_ns);
  [[nodiscard]] std::size_t outstanding() const noexcept { return outstanding_.size(); }
  // Gives up what is outstanding and closes.
  void abandon(std::int64_t now_ns);

 protected:
  using Handled = std::expected<void, std::string>;  // the error: what is wrong with the node's answer

  // Bytes arrived. An error closes the connection.
  [[nodiscard]] virtual Handled on_bytes(std::string_view bytes, std::int64_t now_ns) = 0;
  // A fresh connection stands: forget what belongs to the one before.
  virtual void on_open() = 0;

  [[nodiscard]] Ledger& ledger() noexcept { return context_.ledger; }
  [[nodiscard]] ReplyReader& replies() noexcept { return context_.replies; }
  [[nodiscard]] std::deque<std::unique_ptr<Batch>>& batches() noexcept { return outstanding_; }
  // The oldest batch is done with.
  void retire_front();
  // What was sent of the oldest batch may be stored; sent again, it is stored once all the same.
  [[nodiscard]] bool may_retry() const noexcept { return context_.retry; }
  void doubt_front();
  // The oldest batch is sent again from its start, at `when_ns`.
  void resend_front(std::int64_t when_ns);
  // The answer being handled is the last on this connection: go on with a new one.
  void reconnect_after_answer() noexcept { reconnect_wanted_ = true; }

 private:
  enum class State : std::uint8_t { closed, connecting, open };

  void begin_connect(std::int64_t now_ns);
  [[nodiscard]] std::expected<void, std::string> open_socket();
  void finish_connect(std::int64_t now_ns);
  void opened();
  void read_all(bool to_the_end, std::int64_t now_ns);
  void write_all(std::int64_t now_ns);
  void advance(std::size_t bytes, std::int64_t now_ns);
  void drop(std::string_view reason, std::int64_t now_ns);

  ConnectionContext context_;
  std::uint32_t window_;
  std::uint32_t tag_;
  UniqueFd socket_;
  State state_ = State::closed;
  bool reconnect_wanted_ = false;
  std::int64_t wake_ns_ = Schedule::never_ns;
  std::int64_t backoff_ns_;
  std::deque<std::unique_ptr<Batch>> outstanding_;
  std::size_t whole_ = 0;  // of outstanding_, from the front: sent to their last byte
};

}  // namespace wellhead::loadgen
