// Handing batches from one thread to another: the mailbox beside a deque under a mutex with a condition
// variable, which is what one writes first.
//
//   build/release/bin/queue_bench        one after the other; ./dev bench micro in turn
//
// `one_thread` is what a hand-over costs when nobody is in the way. `two_threads` has a sender and a receiver
// that sleeps when there is nothing, and at most `in_flight_max` batches between them, as credits bound them;
// its processor time is that of both.
#include <poll.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/assert.hpp"
#include "bench/stage.hpp"
#include "queue/batch.hpp"
#include "queue/mailbox.hpp"

namespace wellhead::bench {
namespace {

constexpr std::size_t take_max = 16;
constexpr std::uint64_t burst = 16;
constexpr std::uint64_t handed_over = 20'000;
constexpr std::uint64_t in_flight_max = 64;

// What is common to both ways: send(), take() and wait().
class ByMailbox {
 public:
  void send(Batch* batch) { sender_.send(batch); }
  std::size_t take(std::span<Batch*> out) { return mailbox_.take(out); }
  void wait() {
    if (!mailbox_.prepare_sleep()) return;
    pollfd watched{mailbox_.wake_fd(), POLLIN, 0};
    WELLHEAD_ASSERT(poll(&watched, 1, -1) == 1);
    mailbox_.finish_sleep();
  }

 private:
  Mailbox mailbox_;
  Mailbox::Sender sender_{mailbox_};
};

class ByMutex {
 public:
  void send(Batch* batch) {
    {
      const std::scoped_lock lock(mutex_);
      queue_.push_back(batch);
    }
    filled_.notify_one();
  }
  std::size_t take(std::span<Batch*> out) {
    const std::scoped_lock lock(mutex_);
    std::size_t count = 0;
    for (; count < out.size() && !queue_.empty(); ++count) {
      out[count] = queue_.front();
      queue_.pop_front();
    }
    return count;
  }
  void wait() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return !queue_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<Batch*> queue_;
};

template <typename Way>
class OneThread {
 public:
  explicit OneThread(std::uint64_t count) : count_(count) {}

  void operator()() {
    for (std::uint64_t sent = 0; sent < count_; ++sent) way_->send(&batch_);
    std::uint64_t taken = 0;
    while (taken < count_) taken += way_->take(out_);
  }

 private:
  std::uint64_t count_;
  std::unique_ptr<Way> way_ = std::make_unique<Way>();
  Batch batch_{Batch::alignment, 0};
  std::array<Batch*, take_max> out_{};
};

template <typename Way>
class TwoThreads {
 public:
  void operator()() {
    returned_.store(0);
    std::thread receiver([this] { receive(); });
    for (std::uint64_t sent = 0; sent < handed_over; ++sent) {
      // What is not returned is waited for by turning round: a credit comes back soon or the receiver is to
      // be let run.
      while (sent - returned_.load(std::memory_order_acquire) >= in_flight_max) std::this_thread::yield();
      way_->send(&batch_);
    }
    receiver.join();
  }

 private:
  void receive() {
    std::array<Batch*, take_max> out{};
    for (std::uint64_t taken = 0; taken < handed_over;) {
      const std::size_t count = way_->take(out);
      taken += count;
      if (count > 0)
        returned_.store(taken, std::memory_order_release);
      else
        way_->wait();
    }
  }

  std::unique_ptr<Way> way_ = std::make_unique<Way>();
  Batch batch_{Batch::alignment, 0};
  alignas(64) std::atomic<std::uint64_t> returned_{0};
};

void add_one_thread(const char* name, std::uint64_t count) {
  const Case about{"queue", name, "batch", count};
  const auto make = [count]<typename Way>(std::type_identity<Way>) {
    return [count](benchmark::State&) {
      return [hand_over = std::make_shared<OneThread<Way>>(count)] { (*hand_over)(); };
    };
  };
  measure(about, make(std::type_identity<ByMailbox>()));
  measure_reference(about, "mutex_deque", make(std::type_identity<ByMutex>()));
}

void add_two_threads() {
  const Case about{"queue", "two_threads", "batch", handed_over, true};
  const auto make = []<typename Way>(std::type_identity<Way>) {
    return [](benchmark::State&) {
      return [hand_over = std::make_shared<TwoThreads<Way>>()] { (*hand_over)(); };
    };
  };
  measure(about, make(std::type_identity<ByMailbox>()));
  measure_reference(about, "mutex_deque", make(std::type_identity<ByMutex>()));
}

}  // namespace

void enlist() {
  add_one_thread("one_thread_single", 1);
  add_one_thread("one_thread_burst", burst);
  add_two_threads();
}

}  // namespace wellhead::bench
