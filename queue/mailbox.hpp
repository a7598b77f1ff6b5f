// A thread's inbox for batches: moodycamel's queue for the hand-over, an eventfd for the wake-up.
//
// FIFO per producer only; nothing here relies on an order across producers. The queue itself has no bound:
// credits do (a reactor owns a fixed number of batches, so no mailbox can hold more than all reactors own
// together).
#pragma once

#include <concurrentqueue/concurrentqueue.h>

#include <atomic>
#include <cstddef>
#include <span>

#include "base/unique_fd.hpp"
#include "queue/batch.hpp"

namespace wellhead {

class Mailbox {
 public:
  using Queue = moodycamel::ConcurrentQueue<Batch*>;

  // A producer's handle; one per producing thread, made before the threads start, gone before the mailbox.
  class Sender {
   public:
    explicit Sender(Mailbox& mailbox) : mailbox_(&mailbox), token_(mailbox.queue_) {}
    // Hands the batch over and wakes the owner if it sleeps.
    void send(Batch* batch);

   private:
    Mailbox* mailbox_;
    moodycamel::ProducerToken token_;
  };

  Mailbox();

  // Owner thread: takes up to out.size() batches, returns how many.
  [[nodiscard]] std::size_t take(std::span<Batch*> out);

  // Owner thread, before it blocks on wake_fd(): from here on a send writes the eventfd. False when batches
  // have arrived meanwhile, and then the owner must not block.
  [[nodiscard]] bool prepare_sleep();
  // Owner thread, after it woke: clears the eventfd.
  void finish_sleep();
  // Any thread: wakes the owner without a batch, e.g. to look at a changed state.
  void wake() noexcept;
  // Becomes readable when the owner is to wake. Never close it.
  [[nodiscard]] int wake_fd() const noexcept { return wake_fd_.get(); }

 private:
  Queue queue_;
  moodycamel::ConsumerToken consumer_;
  UniqueFd wake_fd_;
  alignas(64) std::atomic<bool> sleeping_{false};
};

}  // namespace wellhead
