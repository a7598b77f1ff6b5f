#include "net/session_pool.hpp"

#include <utility>

#include "base/assert.hpp"
#include "net/http_session.hpp"
#include "net/ndjson_session.hpp"

namespace wellhead {

SessionPool::SessionPool(SessionContext& context) : context_(context) {
  spare_.reserve(spare_max);
}
SessionPool::~SessionPool() = default;

std::unique_ptr<Session> SessionPool::make(const ListenerOptions& options, Link link) {
  if (options.protocol == Protocol::ndjson) {
    const Schema* stream = context_.find_stream(options.stream);
    WELLHEAD_ASSERT(stream != nullptr);  // Reactor::create() has checked it
    return std::make_unique<NdjsonSession>(context_, link, *stream, options);
  }
  std::unique_ptr<HttpSession> session;
  if (spare_.empty()) {
    session = std::make_unique<HttpSession>(context_);
  } else {
    session = std::move(spare_.back());
    spare_.pop_back();
  }
  session->begin(link, options);
  return session;
}

void SessionPool::give_back(std::unique_ptr<Session> session, Protocol protocol) {
  if (protocol == Protocol::ndjson || spare_.size() == spare_max) return;
  std::unique_ptr<HttpSession> http(static_cast<HttpSession*>(session.release()));
  http->end();
  if (http->reusable()) spare_.push_back(std::move(http));
}

}  // namespace wellhead
