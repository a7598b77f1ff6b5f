#include "journal/simulated_file_system.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace wellhead {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t sectors_per_page = page_bytes / 512;
constexpr std::uint64_t seeds = 200;

struct alignas(page_bytes) Page {
  std::array<std::byte, page_bytes> bytes;
};

FileResult<std::size_t> write_page(File& file, int fill, std::uint64_t offset) {
  Page page{};
  page.bytes.fill(std::byte(fill));
  const iovec piece{page.bytes.data(), page.bytes.size()};
  return file.write({&piece, 1}, offset);
}

// Sectors of the page at the start of the file that are filled with `fill`.
std::size_t sectors_of(std::span<const std::byte> contents, int fill) {
  std::size_t count = 0;
  for (std::size_t at = 0; at + 512 <= contents.size(); at += 512)
    if (std::ranges::all_of(contents.subspan(at, 512),
                            [&](std::byte byte) { return byte == std::byte(fill); }))
      ++count;
  return count;
}

std::unique_ptr<File> must_open(SimulatedFileSystem& disk, const std::string& path, OpenMode mode) {
  auto file = disk.open(path, mode);
  EXPECT_TRUE(file.has_value()) << path;
  return file ? std::move(*file) : nullptr;
}

// A page of ones, durable, its name too.
void make_durable_page(SimulatedFileSystem& disk, const std::string& path) {
  const auto file = must_open(disk, path, OpenMode::create);
  ASSERT_TRUE(write_page(*file, 1, 0).has_value());
  ASSERT_TRUE(file->synchronize().has_value());
  ASSERT_TRUE(disk.synchronize_directory("").has_value());
}

TEST(SimulatedFileSystem, KeepsWhatWasSynchronized) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    make_durable_page(disk, "page");
    disk.crash();
    ASSERT_EQ(sectors_of(disk.contents("page"), 1), sectors_per_page) << "seed " << seed;
  }
}

TEST(SimulatedFileSystem, LosesAnySectorsThatWereOnlyWritten) {
  std::set<std::size_t> survivors;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    make_durable_page(disk, "page");
    const auto file = must_open(disk, "page", OpenMode::update);
    ASSERT_TRUE(write_page(*file, 2, 0).has_value());
    EXPECT_EQ(sectors_of(disk.contents("page"), 2), sectors_per_page);
    disk.crash();
    const std::size_t written = sectors_of(disk.contents("page"), 2);
    ASSERT_EQ(written + sectors_of(disk.contents("page"), 1), sectors_per_page) << "seed " << seed;
    survivors.insert(written);
  }
  EXPECT_EQ(survivors.size(), sectors_per_page + 1);  // none, all and each number in between
}

TEST(SimulatedFileSystem, LosesTheNewSizeOrKeepsIt) {
  std::set<std::uint64_t> sizes;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    make_durable_page(disk, "page");
    ASSERT_TRUE(must_open(disk, "page", OpenMode::update)->allocate(3 * page_bytes).has_value());
    disk.crash();
    sizes.insert(disk.contents("page").size());
    ASSERT_EQ(sectors_of(disk.contents("page").first(page_bytes), 1), sectors_per_page);
  }
  EXPECT_EQ(sizes, (std::set<std::uint64_t>{page_bytes, 3 * page_bytes}));
}

TEST(SimulatedFileSystem, KeepsAPrefixOfTheChangesOfNames) {
  std::set<std::vector<std::string>> outcomes;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    make_durable_page(disk, "old");
    std::ignore = must_open(disk, "first", OpenMode::create);
    ASSERT_TRUE(disk.rename("old", "new").has_value());
    ASSERT_TRUE(disk.remove("first").has_value());
    disk.crash();
    outcomes.insert(disk.list("").value());
  }
  EXPECT_EQ(outcomes,
            (std::set<std::vector<std::string>>{{"old"}, {"first", "old"}, {"first", "new"}, {"new"}}));
}

TEST(SimulatedFileSystem, SynchronizesTheNamesOfOneDirectory) {
  SimulatedFileSystem disk({.seed = 1});
  ASSERT_TRUE(disk.make_directory("a").has_value());
  ASSERT_TRUE(disk.make_directory("b").has_value());
  ASSERT_TRUE(disk.synchronize_directory("").has_value());
  std::ignore = must_open(disk, "a/file", OpenMode::create);
  ASSERT_TRUE(disk.rename("a/file", "b/file").has_value());
  std::ignore = must_open(disk, "a/other", OpenMode::create);
  ASSERT_TRUE(disk.synchronize_directory("b").has_value());
  std::set<std::size_t> others;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto future = disk.fork();
    future->reseed(seed);
    future->crash();
    ASSERT_EQ(future->list("b").value(), std::vector<std::string>{"file"});
    others.insert(future->list("a").value().size());
  }
  EXPECT_EQ(others, (std::set<std::size_t>{0, 1}));
}

TEST(SimulatedFileSystem, TearsADirectWriteInWhichThePowerGoes) {
  std::set<std::size_t> survivors;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    make_durable_page(disk, "page");
    const auto file = must_open(disk, "page", OpenMode::synchronous_direct);
    ASSERT_TRUE(write_page(*file, 2, 0).has_value());
    disk.lose_power_in(1);
    EXPECT_EQ(write_page(*file, 3, 0), std::unexpected(EIO));
    EXPECT_EQ(write_page(*file, 4, 0), std::unexpected(EIO));
    EXPECT_FALSE(disk.powered());
    disk.crash();
    const std::size_t torn = sectors_of(disk.contents("page"), 3);
    ASSERT_EQ(torn + sectors_of(disk.contents("page"), 2), sectors_per_page) << "seed " << seed;
    survivors.insert(torn);
    EXPECT_EQ(write_page(*file, 5, 0), std::unexpected(EBADF));  // a file of before the crash
  }
  EXPECT_EQ(survivors.size(), sectors_per_page + 1);
}

TEST(SimulatedFileSystem, ForgetsWhatAFailedSynchronizationDidNotWrite) {
  std::set<std::size_t> survivors;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SimulatedFileSystem disk({.seed = seed});
    make_durable_page(disk, "page");
    const auto file = must_open(disk, "page", OpenMode::update);
    ASSERT_TRUE(write_page(*file, 2, 0).has_value());
    disk.arm({.call = SimulatedCall::synchronize, .in = 1});
    EXPECT_EQ(file->synchronize(), std::unexpected(EIO));
    EXPECT_TRUE(file->synchronize().has_value());  // and says nothing of what is lost
    const std::size_t written = sectors_of(disk.contents("page"), 2);
    disk.crash();
    ASSERT_EQ(sectors_of(disk.contents("page"), 2), written);
    survivors.insert(written);
  }
  EXPECT_GT(survivors.size(), 2U);
}

TEST(SimulatedFileSystem, FailsTheCallThatWasArmedAndNoOther) {
  SimulatedFileSystem disk({.seed = 1});
  make_durable_page(disk, "page");
  const auto file = must_open(disk, "page", OpenMode::update);
  disk.arm({.call = SimulatedCall::write, .error = ENOSPC, .in = 2});
  EXPECT_TRUE(write_page(*file, 2, 0).has_value());
  EXPECT_EQ(write_page(*file, 3, 0), std::unexpected(ENOSPC));
  EXPECT_TRUE(write_page(*file, 4, 0).has_value());
  disk.arm({.call = SimulatedCall::read, .error = SimulatedFault::shortened, .probability = 1.0});
  Page page{};
  EXPECT_LT(file->read(page.bytes, 0).value(), page_bytes);
  EXPECT_GT(file->read(page.bytes, 0).value(), 0U);
  disk.disarm();
  EXPECT_EQ(file->read(page.bytes, 0).value(), page_bytes);
}

TEST(SimulatedFileSystem, RunsFullAndHasRoomAgain) {
  SimulatedFileSystem disk({.seed = 1, .disk_bytes = 2 * page_bytes});
  make_durable_page(disk, "page");
  EXPECT_EQ(disk.free_bytes().value(), page_bytes);
  const auto file = must_open(disk, "page", OpenMode::update);
  EXPECT_EQ(file->allocate(3 * page_bytes), std::unexpected(ENOSPC));
  EXPECT_TRUE(write_page(*file, 2, page_bytes).has_value());
  EXPECT_EQ(write_page(*file, 2, 2 * page_bytes), std::unexpected(ENOSPC));
  EXPECT_TRUE(write_page(*file, 2, 0).has_value());  // what is there may be written again
  disk.set_disk_bytes(3 * page_bytes);
  EXPECT_TRUE(write_page(*file, 2, 2 * page_bytes).has_value());
}

TEST(SimulatedFileSystem, RefusesWhatAFileSystemRefuses) {
  SimulatedFileSystem disk({.seed = 1});
  make_durable_page(disk, "page");
  EXPECT_EQ(disk.open("page", OpenMode::create).error(), EEXIST);
  EXPECT_EQ(disk.open("none", OpenMode::read).error(), ENOENT);
  EXPECT_EQ(disk.open("none/page", OpenMode::create).error(), ENOENT);
  EXPECT_EQ(disk.list("none").error(), ENOENT);
  EXPECT_EQ(write_page(*must_open(disk, "page", OpenMode::read), 2, 0), std::unexpected(EBADF));
  disk.set_direct(false);
  EXPECT_EQ(disk.open("page", OpenMode::synchronous_direct).error(), EINVAL);
  disk.set_read_only(true);
  EXPECT_EQ(disk.remove("page"), std::unexpected(EROFS));
  EXPECT_TRUE(disk.lock().has_value());
  disk.set_locked_elsewhere(true);
  EXPECT_EQ(disk.lock(), std::unexpected(EWOULDBLOCK));
}

TEST(SimulatedFileSystem, HasTheSameFutureForTheSameSeed) {
  SimulatedFileSystem disk({.seed = 7});
  make_durable_page(disk, "page");
  ASSERT_TRUE(write_page(*must_open(disk, "page", OpenMode::update), 2, 0).has_value());
  const auto one = disk.fork();
  const auto other = disk.fork();
  one->crash();
  other->crash();
  EXPECT_TRUE(std::ranges::equal(one->contents("page"), other->contents("page")));
  EXPECT_EQ(sectors_of(disk.contents("page"), 2), sectors_per_page);  // untouched by what its forks met
}

}  // namespace
}  // namespace wellhead
