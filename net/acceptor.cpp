#include "net/acceptor.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/assert.hpp"
#include "base/log.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t retry_after_ns = 100'000'000;
constexpr std::int64_t log_interval_ns = 10'000'000'000;

// The client went away before it was accepted, or the wait was interrupted: nothing is wrong here.
bool is_transient(int error) {
  return error == ECONNABORTED || error == EINTR || error == EAGAIN || error == EPROTO || error == ECANCELED;
}

}  // namespace

Acceptor::Acceptor(Ring& ring, Connections& connections, SessionContext& context,
                   std::vector<Listener>& listeners, bool multishot)
    : ring_(ring),
      connections_(connections),
      context_(context),
      listeners_(listeners),
      multishot_(multishot) {}

void Acceptor::start() {
  for (std::uint32_t listener = 0; listener < listeners_.size(); ++listener) arm(listener);
}

void Acceptor::arm(std::uint32_t listener) {
  ++in_flight_;
  ring_.accept(listeners_[listener].fd.get(), multishot_, {.operation = Operation::accept, .slot = listener});
}

void Acceptor::on_completion(const Completion& completion) {
  if (!completion.more()) {
    WELLHEAD_ASSERT(in_flight_ > 0);
    --in_flight_;
  }
  if (completion.tag.operation != Operation::accept) return;
  const std::uint32_t listener = completion.tag.slot;
  if (completion.result >= 0) connections_.open(completion.result, listener);
  if (completion.more() || context_.stopping) return;
  if (completion.result >= 0 || is_transient(-completion.result))
    arm(listener);
  else
    on_failure(listener, -completion.result);
}

// Mostly the limit of open files: accepting again at once would spin until a connection ends.
void Acceptor::on_failure(std::uint32_t listener, int error) {
  failed_.push_back(listener);
  retry_ns_ = context_.now_ns + retry_after_ns;
  if (logged_ns_ != INT64_MIN && context_.now_ns - logged_ns_ < log_interval_ns) return;
  logged_ns_ = context_.now_ns;
  log::warning(
      "A connection could not be accepted; clients wait until it works again. If files are the cause, raise "
      "the limit of open files (ulimit -n, LimitNOFILE=).",
      {{"error", std::generic_category().message(error)}, {"port", listeners_[listener].port}});
}

std::size_t Acceptor::retry() {
  if (failed_.empty() || context_.stopping || context_.now_ns < retry_ns_) return 0;
  const std::size_t count = failed_.size();
  for (const std::uint32_t listener : failed_) arm(listener);
  failed_.clear();
  return count;
}

void Acceptor::stop() {
  failed_.clear();
  for (Listener& listener : listeners_) {
    ++in_flight_;
    ring_.cancel_descriptor(listener.fd.get(), {.operation = Operation::cancel_accept});
  }
}

}  // namespace wellhead
