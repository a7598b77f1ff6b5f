#include "net/feature_probe.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>

#include "base/unique_fd.hpp"

namespace wellhead {
namespace {

constexpr const char* needs = "wellhead needs Linux 6.1 or newer with io_uring";

bool older_than(const KernelDescription& kernel, int major, int minor) {
  return kernel.version_major < major || (kernel.version_major == major && kernel.version_minor < minor);
}

std::string kernel_too_old(const KernelDescription& kernel) {
  return "This kernel (Linux " + kernel.release + ") is too old: " + needs + "; upgrade the kernel.";
}

std::string seccomp_refuses(const KernelDescription& kernel) {
  return "io_uring is refused by a seccomp filter (Linux " + kernel.release +
         " itself allows it), as container runtimes do by default: allow io_uring_setup, io_uring_enter and "
         "io_uring_register in the container's seccomp profile or the service's SystemCallFilter.";
}

std::string explain_permission(const KernelDescription& kernel) {
  if (kernel.uring_disabled == 2)
    return "io_uring is switched off on this machine by sysctl kernel.io_uring_disabled = 2: set it to 0.";
  if (kernel.uring_disabled == 1)
    return "io_uring is reserved for members of a group by sysctl kernel.io_uring_disabled = 1: add this "
           "user to the "
           "group in kernel.io_uring_group, or set kernel.io_uring_disabled to 0.";
  return seccomp_refuses(kernel);
}

std::optional<sockaddr_in> local_address(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  return address;
}

// The next completion of `operation`, or nothing within a second. Others are dropped.
std::optional<Completion> next_completion(Ring& ring, Operation operation) {
  using namespace std::chrono_literals;
  const auto give_up = std::chrono::steady_clock::now() + 1s;
  std::optional<Completion> found;
  while (!found && std::chrono::steady_clock::now() < give_up) {
    ring.wait(100ms);
    ring.drain([&](const Completion& completion) {
      if (completion.tag.operation == operation) found = completion;
    });
  }
  return found;
}

// Whether `accepted` is a descriptor of the connection that `client` made.
bool is_other_end(int accepted, int client) {
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  if (getpeername(accepted, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return false;
  const auto expected = local_address(client);
  return expected && expected->sin_port == peer.sin_port;
}

// Kernels 6.6.1 to 6.8-rc3 returned wrong descriptors from a multishot accept under DEFER_TASKRUN. So two
// connections are made, and each must come out as the other end of its client.
bool multishot_accept_works(Ring& ring) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!listener || bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return false;
  if (listen(listener.get(), 4) != 0) return false;
  const auto bound = local_address(listener.get());
  if (!bound) return false;

  ring.accept(listener.get(), true, {.operation = Operation::probe});
  bool works = true;
  bool armed = true;
  for (int attempt = 0; attempt < 2 && works; ++attempt) {
    const UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    works = connect(client.get(), reinterpret_cast<const sockaddr*>(&*bound), sizeof *bound) == 0;
    const auto completion = works ? next_completion(ring, Operation::probe) : std::nullopt;
    works = completion && completion->result >= 0 && is_other_end(completion->result, client.get());
    armed = !completion || completion->more();
    works = works && armed;
    if (works) UniqueFd(completion->result).reset();
  }
  if (armed) {
    // Nothing of the probe may be left in the ring. The cancellation completes after what it has cancelled.
    ring.cancel_descriptor(listener.get(), {.operation = Operation::probe_end});
    (void)next_completion(ring, Operation::probe_end);
    ring.poll();
    ring.drain([](const Completion&) {});
  }
  return works;
}

// A kernel before 6.0 refuses a multishot receive with EINVAL.
std::expected<void, std::string> check_multishot_receive(Ring& ring, std::uint16_t group) {
  std::array<int, 2> ends{-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return std::unexpected("A socket pair could not be made: " + std::generic_category().message(errno) +
                           ".");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  writer.reset();  // so the receive ends at once, with no bytes and no buffer taken
  ring.receive(reader.get(), group, {.operation = Operation::probe});
  const auto completion = next_completion(ring, Operation::probe);
  if (completion && completion->result == 0) return {};
  return std::unexpected(kernel_too_old(describe_kernel()));
}

}  // namespace

KernelDescription describe_kernel() {
  KernelDescription kernel;
  utsname name{};
  if (uname(&name) == 0) kernel.release = name.release;
  (void)std::sscanf(kernel.release.c_str(), "%d.%d", &kernel.version_major, &kernel.version_minor);
  std::ifstream sysctl("/proc/sys/kernel/io_uring_disabled");
  int value = -1;
  if (sysctl >> value) kernel.uring_disabled = value;
  return kernel;
}

std::string explain_ring_failure(int error, const KernelDescription& kernel) {
  switch (error) {
    case ENOSYS:
      if (older_than(kernel, 5, 1)) return kernel_too_old(kernel);
      return "This kernel (Linux " + kernel.release +
             ") does not answer io_uring_setup: either a seccomp filter hides it (allow io_uring_setup, "
             "io_uring_enter and io_uring_register), or the kernel was built without CONFIG_IO_URING.";
    case EPERM:
    case EACCES:
      return explain_permission(kernel);
    case EINVAL:
      return kernel_too_old(kernel);
    case ENOMEM:
      return "The kernel has not enough memory for the ring: " + std::string(more_locked_memory) +
             " or lower connections_max.";
    case EMFILE:
    case ENFILE:
      return "No file descriptor is left for the ring: raise the limit of open files (ulimit -n, "
             "LimitNOFILE=).";
    default:
      return "The io_uring could not be created: " + std::generic_category().message(error) + " (Linux " +
             kernel.release + ").";
  }
}

std::string explain_buffer_ring_failure(int error, const KernelDescription& kernel) {
  if (error == EINVAL && older_than(kernel, 5, 19)) return kernel_too_old(kernel);
  if (error == EPERM || error == EACCES) return seccomp_refuses(kernel);
  if (error == ENOMEM)
    return "The kernel has not enough memory for the ring of receive buffers: " +
           std::string(more_locked_memory) + " or lower receive_buffers.";
  return "The ring of receive buffers could not be registered: " + std::generic_category().message(error) +
         " (Linux " + kernel.release + "; " + needs + ").";
}

std::expected<RingFeatures, std::string> probe_features(Ring& ring, std::uint16_t group) {
  if (auto checked = check_multishot_receive(ring, group); !checked) return std::unexpected(checked.error());
  return RingFeatures{.multishot_accept = multishot_accept_works(ring)};
}

}  // namespace wellhead
