// Finds out what this kernel's io_uring can do, and says in a plain sentence what stands in the way.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "net/ring.hpp"

namespace wellhead {

// What the explanations are made from.
struct KernelDescription {
  std::string release;  // uname -r
  int version_major = 0;
  int version_minor = 0;
  int uring_disabled = -1;  // sysctl kernel.io_uring_disabled; -1: this kernel has no such sysctl
};
[[nodiscard]] KernelDescription describe_kernel();

// Part of both explanations where it is the limit of locked memory that was met.
inline constexpr std::string_view more_locked_memory =
    "raise the limit of locked memory (ulimit -l, LimitMEMLOCK=)";
// Why io_uring_setup failed with `error` (an errno).
[[nodiscard]] std::string explain_ring_failure(int error, const KernelDescription& kernel);
// Why the provided-buffer ring could not be registered.
[[nodiscard]] std::string explain_buffer_ring_failure(int error, const KernelDescription& kernel);

struct RingFeatures {
  bool multishot_accept = false;  // Linux 5.19, and not one of the kernels whose answers are wrong
};

// Tries the operations themselves on loopback sockets. Leaves nothing in flight. The error is a sentence.
// REQUIRES a ring with nothing in flight and buffers registered as `group`.
[[nodiscard]] std::expected<RingFeatures, std::string> probe_features(Ring& ring, std::uint16_t group);

}  // namespace wellhead
