#include "queue/mailbox.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace wellhead {
namespace {

constexpr int wait_ms_max = 5'000;

bool wait_readable(int fd) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&poll_fd, 1, wait_ms_max) == 1;
}

TEST(Mailbox, KeepsTheOrderOfEachSenderAndLosesNothing) {
  constexpr std::uint32_t senders = 3;
  constexpr std::uint32_t per_sender = 1'000;
  Mailbox mailbox;
  std::vector<std::vector<std::unique_ptr<Batch>>> batches(senders);
  std::vector<Mailbox::Sender> tokens;
  for (std::uint32_t sender = 0; sender < senders; ++sender) {
    tokens.emplace_back(mailbox);
    for (std::uint32_t sequence = 0; sequence < per_sender; ++sequence) {
      batches[sender].push_back(std::make_unique<Batch>(4096, sender));
      batches[sender].back()->set_shard(sequence);
    }
  }
  std::vector<std::jthread> threads;
  for (std::uint32_t sender = 0; sender < senders; ++sender) {
    threads.emplace_back([&, sender] {
      for (const auto& batch : batches[sender]) tokens[sender].send(batch.get());
    });
  }
  std::array<std::uint32_t, senders> expected{};
  std::array<Batch*, 64> taken{};
  std::size_t total = 0;
  while (total < senders * per_sender) {
    const std::size_t count = mailbox.take(taken);
    for (std::size_t index = 0; index < count; ++index)
      EXPECT_EQ(taken[index]->shard(), expected[taken[index]->reactor()]++);
    total += count;
    if (count == 0 && mailbox.prepare_sleep()) {
      ASSERT_TRUE(wait_readable(mailbox.wake_fd())) << "a send did not wake the sleeping owner";
      mailbox.finish_sleep();
    }
  }
}

TEST(Mailbox, ASendBeforeSleepIsSeenByPrepareSleep) {
  Mailbox mailbox;
  Mailbox::Sender sender(mailbox);
  Batch batch(4096, 0);
  sender.send(&batch);
  EXPECT_FALSE(mailbox.prepare_sleep());
  std::array<Batch*, 4> taken{};
  EXPECT_EQ(mailbox.take(taken), 1U);
  EXPECT_TRUE(mailbox.prepare_sleep());
  mailbox.finish_sleep();
}

TEST(Mailbox, WakeNeedsNoBatch) {
  Mailbox mailbox;
  ASSERT_TRUE(mailbox.prepare_sleep());
  mailbox.wake();
  EXPECT_TRUE(wait_readable(mailbox.wake_fd()));
  mailbox.finish_sleep();
  pollfd poll_fd{.fd = mailbox.wake_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&poll_fd, 1, 0), 0);
}

}  // namespace
}  // namespace wellhead
