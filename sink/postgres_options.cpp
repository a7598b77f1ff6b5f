#include "sink/postgres_options.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

namespace wellhead {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t node_id_bytes_max = 64;
constexpr std::array synchronous_commit_modes{"on"sv, "off"sv, "local"sv, "remote_write"sv, "remote_apply"sv};

bool parses(const std::string& connection) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(connection.c_str(), &error), PQconninfoFree);
  PQfreemem(error);  // it may quote the password
  return parsed != nullptr;
}

}  // namespace

std::expected<void, std::string> validate(const PostgresOptions& options) {
  if (options.node_id.empty() || options.node_id.size() > node_id_bytes_max ||
      options.node_id.find('\0') != std::string::npos)
    return std::unexpected("the node's id must have 1 to 64 bytes and no NUL character");
  if (std::ranges::find(synchronous_commit_modes, options.synchronous_commit) ==
      synchronous_commit_modes.end())
    return std::unexpected("synchronous_commit must be on, off, local, remote_write or remote_apply");
  if (options.connect_timeout <= std::chrono::milliseconds::zero() ||
      options.statement_timeout <= std::chrono::milliseconds::zero())
    return std::unexpected("the database timeouts must be longer than zero");
  if (!options.connection.empty() && !parses(options.connection))
    return std::unexpected(
        "the database connection is neither a libpq URI (postgresql://user@host:port/database) nor keywords "
        "(host=… dbname=…); special characters in a URI's password must be percent-encoded");
  return {};
}

}  // namespace wellhead
