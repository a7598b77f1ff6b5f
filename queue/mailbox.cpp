#include "queue/mailbox.hpp"

#include <sys/eventfd.h>

#include <cstdint>
#include <system_error>

#include "base/assert.hpp"

namespace wellhead {

Mailbox::Mailbox() : consumer_(queue_), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_fd_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

void Mailbox::Sender::send(Batch* batch) {
  const bool queued = mailbox_->queue_.enqueue(token_, batch);
  WELLHEAD_ASSERT(queued);  // false only when memory for the queue's own blocks is gone
  // Pairs with the exchange in prepare_sleep(). Of two exchanges one comes first: if the owner's, this one
  // reads true and wakes it; if this one, the owner's synchronizes with it and sees the batch.
  if (mailbox_->sleeping_.exchange(false, std::memory_order_acq_rel)) mailbox_->wake();
}

std::size_t Mailbox::take(std::span<Batch*> out) {
  return queue_.try_dequeue_bulk(consumer_, out.data(), out.size());
}

bool Mailbox::prepare_sleep() {
  sleeping_.exchange(true, std::memory_order_acq_rel);
  if (queue_.size_approx() == 0) return true;
  sleeping_.store(false, std::memory_order_relaxed);
  return false;
}

void Mailbox::finish_sleep() {
  sleeping_.store(false, std::memory_order_relaxed);
  std::uint64_t count = 0;
  // EAGAIN means nobody wrote: the owner woke for another reason.
  [[maybe_unused]] const ssize_t got = read(wake_fd_.get(), &count, sizeof count);
}

void Mailbox::wake() noexcept {
  const std::uint64_t one = 1;
  // EAGAIN means the counter is full, and then the owner is woken anyway.
  [[maybe_unused]] const ssize_t wrote = write(wake_fd_.get(), &one, sizeof one);
}

}  // namespace wellhead
