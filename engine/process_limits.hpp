// The limits of this process: a soft one binds, and may be raised to the hard one.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <expected>
#include <string>

namespace wellhead {

inline constexpr std::uint64_t unlimited = UINT64_MAX;

struct RaisedLimit {
  std::uint64_t before = unlimited;
  std::uint64_t now = unlimited;  // the hard one
};
// Of the whole process. The error is that of the system call, and the limit is as it was.
[[nodiscard]] std::expected<RaisedLimit, std::string> raise_limit(__rlimit_resource resource);

}  // namespace wellhead
