#include "net/ring.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/assert.hpp"
#include "net/feature_probe.hpp"

namespace wellhead {
namespace {

// From best to least; a kernel refuses flags it does not know with EINVAL.
constexpr std::array<unsigned, 3> setup_flags{
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,  // Linux 6.1
    IORING_SETUP_COOP_TASKRUN,                                // Linux 5.19
    0,
};

void tag_entry(io_uring_sqe& entry, CompletionTag tag) noexcept {
  io_uring_sqe_set_data64(&entry, pack(tag));
}

// What io_uring_enter may answer without anything being wrong. EBADR means that the kernel lost a completion:
// from then on nobody knows which buffers and sockets are in use.
void check_enter(int result) {
  const bool expected =
      result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY;
  WELLHEAD_ASSERT(expected);
}

}  // namespace

std::expected<std::unique_ptr<Ring>, std::string> Ring::create(unsigned submission_entries,
                                                               unsigned completion_entries) {
  std::unique_ptr<Ring> ring(new Ring);
  int result = -EINVAL;
  for (const unsigned flags : setup_flags) {
    io_uring_params parameters{};
    parameters.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    parameters.cq_entries = completion_entries;
    result = io_uring_queue_init_params(submission_entries, &ring->ring_, &parameters);
    if (result != -EINVAL) break;
  }
  if (result < 0) return std::unexpected(explain_ring_failure(-result, describe_kernel()));
  ring->open_ = true;
  return ring;
}

Ring::~Ring() {
  if (open_) io_uring_queue_exit(&ring_);
}

io_uring_sqe& Ring::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    check_enter(io_uring_submit(&ring_));
    entry = io_uring_get_sqe(&ring_);
  }
  WELLHEAD_ASSERT(entry != nullptr);
  return *entry;
}

void Ring::accept(int fd, bool multishot, CompletionTag tag) {
  io_uring_sqe& entry = next_entry();
  // Not SOCK_NONBLOCK: on such a socket the ring would answer EAGAIN instead of waiting.
  if (multishot)
    io_uring_prep_multishot_accept(&entry, fd, nullptr, nullptr, SOCK_CLOEXEC);
  else
    io_uring_prep_accept(&entry, fd, nullptr, nullptr, SOCK_CLOEXEC);
  tag_entry(entry, tag);
}

void Ring::receive(int fd, std::uint16_t group, CompletionTag tag) {
  io_uring_sqe& entry = next_entry();
  io_uring_prep_recv_multishot(&entry, fd, nullptr, 0, 0);
  entry.flags |= IOSQE_BUFFER_SELECT;
  entry.buf_group = group;
  tag_entry(entry, tag);
}

void Ring::send(int fd, const char* data, std::size_t size, CompletionTag tag) {
  io_uring_sqe& entry = next_entry();
  io_uring_prep_send(&entry, fd, data, size, MSG_NOSIGNAL | MSG_WAITALL);
  tag_entry(entry, tag);
}

void Ring::cancel_descriptor(int fd, CompletionTag tag) {
  io_uring_sqe& entry = next_entry();
  io_uring_prep_cancel_fd(&entry, fd, IORING_ASYNC_CANCEL_ALL);
  tag_entry(entry, tag);
}

void Ring::cancel_request(CompletionTag target, CompletionTag tag) {
  io_uring_sqe& entry = next_entry();
  io_uring_prep_cancel64(&entry, pack(target), 0);
  tag_entry(entry, tag);
}

void Ring::watch(int fd, CompletionTag tag) {
  io_uring_sqe& entry = next_entry();
  io_uring_prep_poll_multishot(&entry, fd, POLLIN);
  tag_entry(entry, tag);
}

void Ring::poll() {
  check_enter(io_uring_submit_and_get_events(&ring_));
}

void Ring::wait(std::chrono::nanoseconds timeout) {
  constexpr std::int64_t second_ns = 1'000'000'000;
  __kernel_timespec time{.tv_sec = timeout.count() / second_ns, .tv_nsec = timeout.count() % second_ns};
  io_uring_cqe* first = nullptr;
  check_enter(io_uring_submit_and_wait_timeout(&ring_, &first, 1, &time, nullptr));
}

}  // namespace wellhead
