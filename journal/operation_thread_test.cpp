#include "journal/operation_thread.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <thread>

#include "journal/posix_file_system.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/temporary_directory.hpp"

namespace wellhead {
namespace {

std::int64_t await(OperationThread& thread) {
  pollfd waiting{.fd = thread.done_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1) << "the operation is not done";
  return thread.take_result().value_or(INT64_MIN);
}

TEST(OperationThread, WritesAndSynchronizesOneAfterAnother) {
  TemporaryDirectory directory;
  const auto files = PosixFileSystem::open(directory.path()).value();
  const auto file = files->open("a", OpenMode::create).value();
  OperationThread thread;
  std::string text = "0123456789";
  const std::array pieces{iovec{text.data(), 4}, iovec{text.data() + 4, 6}};
  for (std::uint64_t time = 0; time < 200; ++time) {
    EXPECT_FALSE(thread.busy());
    EXPECT_EQ(thread.take_result(), std::nullopt);
    thread.begin({.kind = JournalOperation::Kind::write,
                  .file = file.get(),
                  .pieces = pieces,
                  .offset = time * text.size()});
    EXPECT_TRUE(thread.busy());
    EXPECT_EQ(await(thread), 10);
  }
  thread.begin({.kind = JournalOperation::Kind::synchronize, .file = file.get(), .pieces = {}});
  EXPECT_EQ(await(thread), 0);
  EXPECT_EQ(file->size(), 2000U);
}

TEST(OperationThread, ReportsAnErrorAsTheRingWould) {
  SimulatedFileSystem disk{{}};
  const auto file = disk.open("a", OpenMode::create).value();
  disk.arm({.call = SimulatedCall::write, .error = ENOSPC, .in = 1});
  disk.arm({.call = SimulatedCall::synchronize, .error = EIO, .in = 1});
  OperationThread thread;
  char byte = 'x';
  const iovec piece{&byte, 1};
  thread.begin({.kind = JournalOperation::Kind::write, .file = file.get(), .pieces = {&piece, 1}});
  EXPECT_EQ(await(thread), -ENOSPC);
  thread.begin({.kind = JournalOperation::Kind::synchronize, .file = file.get(), .pieces = {}});
  EXPECT_EQ(await(thread), -EIO);
}

// Tells on which thread it is written.
class WitnessFile final : public File {
 public:
  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] FileResult<std::uint64_t> size() const override { return 0; }
  [[nodiscard]] FileResult<std::size_t> read(std::span<std::byte>, std::uint64_t) override { return 0; }
  [[nodiscard]] FileResult<std::size_t> write(std::span<const iovec>, std::uint64_t) override { return 0; }
  [[nodiscard]] FileResult<void> synchronize() override {
    std::array<char, 16> text{};
    EXPECT_EQ(pthread_getname_np(pthread_self(), text.data(), text.size()), 0);
    name = text.data();
    EXPECT_EQ(pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus), 0);
    return {};
  }
  [[nodiscard]] FileResult<void> allocate(std::uint64_t) override { return {}; }
  [[nodiscard]] FileResult<void> truncate(std::uint64_t) override { return {}; }

  std::string name;
  cpu_set_t cpus{};
};

TEST(OperationThread, HasANameOfItsOwnAndAllCpusOfTheProcessHoweverItsOwnerIsPinned) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(getpid(), sizeof all, &all), 0);
  WitnessFile file;
  std::thread owner([&] {
    std::size_t first = 0;
    while (!CPU_ISSET(first, &all)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    EXPECT_EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
    pthread_setname_np(pthread_self(), "reactor-12");
    OperationThread thread("journal-12-and-too-long");
    thread.begin({.kind = JournalOperation::Kind::synchronize, .file = &file, .pieces = {}});
    EXPECT_EQ(await(thread), 0);
  });
  owner.join();
  EXPECT_EQ(file.name, "journal-12-and-");
  EXPECT_TRUE(CPU_EQUAL(&file.cpus, &all));
}

TEST(OperationThread, FinishesWhatItBeganBeforeItGoes) {
  SimulatedFileSystem disk{{}};
  const auto file = disk.open("a", OpenMode::create).value();
  char byte = 'x';
  const iovec piece{&byte, 1};
  for (std::uint64_t time = 0; time < 50; ++time) {
    OperationThread thread;
    thread.begin(
        {.kind = JournalOperation::Kind::write, .file = file.get(), .pieces = {&piece, 1}, .offset = time});
  }
  EXPECT_EQ(file->size(), 50U);
}

}  // namespace
}  // namespace wellhead
