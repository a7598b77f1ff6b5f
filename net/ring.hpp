// RAII over one io_uring.
//
// Thread: the one that created it and no other (IORING_SETUP_SINGLE_ISSUER binds it). With DEFER_TASKRUN
// nothing completes unless that thread enters the kernel, which wait() and poll() do: one of them once per
// turn.
#pragma once

#include <liburing.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "net/completion_tag.hpp"

namespace wellhead {

struct Completion {
  CompletionTag tag;
  std::int32_t result;
  std::uint32_t flags;

  // The request stays armed and more completions follow.
  [[nodiscard]] bool more() const noexcept { return (flags & IORING_CQE_F_MORE) != 0; }
  [[nodiscard]] bool has_buffer() const noexcept { return (flags & IORING_CQE_F_BUFFER) != 0; }
  [[nodiscard]] std::uint16_t buffer() const noexcept {
    return static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
  }
};

class Ring {
 public:
  // `completion_entries` must hold the worst case of one turn. The error is a sentence that names what stands
  // in the way: kernel version, sysctl or seccomp.
  [[nodiscard]] static std::expected<std::unique_ptr<Ring>, std::string> create(unsigned submission_entries,
                                                                                unsigned completion_entries);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Each queues one request; the kernel sees it with the next wait() or poll(), or earlier if the queue fills
  // up.
  void accept(int fd, bool multishot, CompletionTag tag);
  // Multishot receive into buffers of `group`.
  void receive(int fd, std::uint16_t group, CompletionTag tag);
  // `data` must stay until the completion.
  void send(int fd, const char* data, std::size_t size, CompletionTag tag);
  void cancel_descriptor(int fd, CompletionTag tag);
  void cancel_request(CompletionTag target, CompletionTag tag);
  void watch(int fd, CompletionTag tag);  // multishot, readable

  // Submits what is queued and collects completions without blocking.
  void poll();
  // Submits what is queued and blocks until a completion or the timeout.
  void wait(std::chrono::nanoseconds timeout);

  // Hands every completion there is to `handle(const Completion&)`, then frees their places at once.
  template <typename Handle>
  std::size_t drain(Handle&& handle) {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* entry = nullptr;
    io_uring_for_each_cqe(&ring_, head, entry) {
      ++count;
      handle(Completion{.tag = unpack_tag(entry->user_data), .result = entry->res, .flags = entry->flags});
    }
    io_uring_cq_advance(&ring_, count);
    return count;
  }

  [[nodiscard]] io_uring& native() noexcept { return ring_; }

 private:
  Ring() = default;
  [[nodiscard]] io_uring_sqe& next_entry();

  io_uring ring_{};
  bool open_ = false;
};

}  // namespace wellhead
