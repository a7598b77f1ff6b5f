#include "engine/process_limits.hpp"

#include <cerrno>
#include <system_error>

namespace wellhead {
namespace {

std::uint64_t number(rlim_t limit) {
  return limit == RLIM_INFINITY ? unlimited : limit;
}

}  // namespace

std::expected<RaisedLimit, std::string> raise_limit(__rlimit_resource resource) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return std::unexpected(std::generic_category().message(errno));
  const RaisedLimit raised{number(limit.rlim_cur), number(limit.rlim_max)};
  limit.rlim_cur = limit.rlim_max;
  if (raised.before != raised.now && setrlimit(resource, &limit) != 0)
    return std::unexpected(std::generic_category().message(errno));
  return raised;
}

}  // namespace wellhead
