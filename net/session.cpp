#include "net/session.hpp"

#include "net/connections.hpp"

namespace wellhead {

SessionContext::SessionContext(const ReactorOptions& options, Intake* reactor_intake,
                               const Clock& reactor_clock, ReactorStats& reactor_stats)
    : limits(options.limits),
      streams(options.streams),
      receipts(options.receipts),
      admin_handler(options.admin_handler),
      intake(reactor_intake),
      clock(reactor_clock),
      stats(reactor_stats),
      bodies(options.limits.body_memory_max),
      inflater(options.limits.inflated_bytes_max),
      now_ns(reactor_clock.monotonic_ns()) {}

const Schema* SessionContext::find_stream(std::string_view name) const noexcept {
  // A handful at most, so that looking at each is faster than hashing the name.
  for (const SchemaPointer& stream : streams)
    if (stream->name() == name && !stream->config().internal) return stream.get();
  return nullptr;
}

void Outbox::clear() noexcept {
  queued.clear();
  active.clear();
  sent = 0;
  in_flight = false;
  charged = 0;
}

void Link::transmit() {
  connections_->transmit(id_.slot);
}
void Link::set_deadline(std::chrono::nanoseconds from_now) {
  connections_->set_deadline(id_.slot, from_now);
}
void Link::clear_deadline() {
  connections_->clear_deadline(id_.slot);
}
void Link::pause_reading() {
  connections_->pause_reading(id_.slot);
}
void Link::resume_reading() {
  connections_->resume_reading(id_.slot);
}
void Link::await_capacity() {
  connections_->await_capacity(id_);
}
void Link::finish() {
  connections_->finish(id_.slot);
}
void Link::drop() {
  connections_->drop(id_.slot);
}
void Link::release_session() {
  connections_->release_session(id_.slot);
}

}  // namespace wellhead
