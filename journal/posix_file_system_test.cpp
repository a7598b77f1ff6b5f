#include "journal/posix_file_system.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "journal/testing/temporary_directory.hpp"

namespace wellhead {
namespace {

constexpr std::size_t page_bytes = 4096;

struct PosixFileSystemTest : testing::Test {
  TemporaryDirectory directory;
  std::unique_ptr<PosixFileSystem> files = PosixFileSystem::open(directory.path()).value();

  std::unique_ptr<File> make(const std::string& path, std::string_view text) {
    auto file = files->open(path, OpenMode::create).value();
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    EXPECT_EQ(file->write({&piece, 1}, 0), text.size());
    return file;
  }
  static std::string text_of(File& file) {
    std::string text(file.size().value(), '\0');
    EXPECT_EQ(file.read(std::as_writable_bytes(std::span(text)), 0), text.size());
    return text;
  }
};

TEST_F(PosixFileSystemTest, WritesPiecesOneAfterAnotherAndReadsThemBack) {
  auto file = make("a", "first ");
  std::string second = "second ";
  std::string third = "third";
  const std::array pieces{iovec{second.data(), second.size()}, iovec{third.data(), third.size()}};
  ASSERT_EQ(file->write(pieces, 6), second.size() + third.size());
  ASSERT_TRUE(file->synchronize().has_value());
  EXPECT_EQ(text_of(*files->open("a", OpenMode::read).value()), "first second third");
  EXPECT_GE(file->descriptor(), 0);
}

TEST_F(PosixFileSystemTest, ReadsNothingBehindTheEnd) {
  auto file = make("a", "text");
  std::array<std::byte, 8> into{};
  EXPECT_EQ(file->read(into, 2), 2U);
  EXPECT_EQ(file->read(into, 4), 0U);
}

TEST_F(PosixFileSystemTest, RefusesWhatItCannotOpen) {
  make("a", "text");
  EXPECT_EQ(files->open("a", OpenMode::create).error(), EEXIST);
  EXPECT_EQ(files->open("b", OpenMode::read).error(), ENOENT);
  EXPECT_EQ(files->open("b", OpenMode::update).error(), ENOENT);
  char byte = 0;
  const iovec piece{&byte, 1};
  EXPECT_EQ(files->open("a", OpenMode::read).value()->write({&piece, 1}, 0).error(), EBADF);
}

TEST_F(PosixFileSystemTest, LetsNothingLeaveTheDirectory) {
  make("a", "text");
  for (const char* path : {"../a", "/etc/passwd", "x/../../a", "..", ""}) {
    EXPECT_EQ(files->open(path, OpenMode::read).error(), EINVAL) << path;
    EXPECT_EQ(files->rename("a", path).error(), EINVAL) << path;
    EXPECT_EQ(files->remove(path).error(), EINVAL) << path;
  }
  ASSERT_EQ(::symlink("/etc/passwd", (directory.path() + "/link").c_str()), 0);
  EXPECT_EQ(files->open("link", OpenMode::read).error(), ELOOP);
}

TEST_F(PosixFileSystemTest, MakesListsRenamesAndRemoves) {
  ASSERT_TRUE(files->make_directory("d").has_value());
  EXPECT_TRUE(files->make_directory("d").has_value()) << "it exists, and that is fine";
  make("d/2", "two");
  make("d/1", "one");
  make("plain", "");
  EXPECT_EQ(files->make_directory("plain").error(), ENOTDIR);
  EXPECT_EQ(files->list("d").value(), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(files->list("").value(), (std::vector<std::string>{"d", "plain"}));
  ASSERT_TRUE(files->rename("d/1", "d/2").has_value()) << "replaces";
  EXPECT_TRUE(files->synchronize_directory("d").has_value());
  EXPECT_TRUE(files->synchronize_directory("").has_value());
  EXPECT_EQ(text_of(*files->open("d/2", OpenMode::read).value()), "one");
  ASSERT_TRUE(files->remove("d/2").has_value());
  EXPECT_TRUE(files->list("d").value().empty());
  EXPECT_EQ(files->remove("d/2").error(), ENOENT);
  EXPECT_EQ(files->list("e").error(), ENOENT);
  EXPECT_EQ(files->synchronize_directory("e").error(), ENOENT);
}

TEST_F(PosixFileSystemTest, ReservesSpaceAndCutsIt) {
  auto file = make("a", "text");
  if (const auto allocated = file->allocate(10 * page_bytes); !allocated)
    ASSERT_EQ(allocated.error(), EOPNOTSUPP);
  else
    EXPECT_EQ(file->size(), 10 * page_bytes);
  ASSERT_TRUE(file->truncate(2).has_value());
  EXPECT_EQ(text_of(*file), "te");
  EXPECT_GT(files->free_bytes().value(), 0U);
}

TEST_F(PosixFileSystemTest, WritesAroundThePageCacheWhereThatIsPossible) {
  make("a", "")->truncate(page_bytes).value();
  auto opened = files->open("a", OpenMode::synchronous_direct);
  if (!opened) {
    ASSERT_EQ(opened.error(), EINVAL);
    GTEST_SKIP() << "the file system of " << directory.path() << " has no O_DIRECT";
  }
  void* memory = std::aligned_alloc(page_bytes, page_bytes);
  std::memset(memory, 'x', page_bytes);
  const iovec piece{memory, page_bytes};
  EXPECT_EQ((*opened)->write({&piece, 1}, 0), page_bytes);
  std::free(memory);
  EXPECT_EQ(text_of(*files->open("a", OpenMode::read).value()), std::string(page_bytes, 'x'));
}

TEST_F(PosixFileSystemTest, GivesTheDirectoryToOneOwner) {
  ASSERT_TRUE(files->lock().has_value());
  auto other = PosixFileSystem::open(directory.path()).value();
  EXPECT_EQ(other->lock().error(), EWOULDBLOCK);
  files.reset();
  EXPECT_TRUE(other->lock().has_value());
}

TEST_F(PosixFileSystemTest, TellsWhenOthersMayWrite) {
  EXPECT_EQ(files->permission_problem(), "");
  for (const mode_t mode : {0770U, 0707U, 0777U}) {
    ASSERT_EQ(::chmod(directory.path().c_str(), mode), 0);
    EXPECT_NE(files->permission_problem().find("others may write"), std::string::npos) << mode;
  }
  ASSERT_EQ(::chmod(directory.path().c_str(), 0750), 0);
  EXPECT_EQ(files->permission_problem(), "");
}

TEST_F(PosixFileSystemTest, TellsWhenTheDirectoryIsAnothersUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a directory away";
  ASSERT_EQ(::chown(directory.path().c_str(), 12345, static_cast<gid_t>(-1)), 0);
  EXPECT_NE(files->permission_problem().find("belongs to user 12345"), std::string::npos);
}

TEST_F(PosixFileSystemTest, MakesItsDirectoryForNobodyElse) {
  const std::string fresh = directory.path() + "/fresh";
  auto made = PosixFileSystem::open(fresh).value();
  struct stat status{};
  ASSERT_EQ(::stat(fresh.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  EXPECT_EQ(made->permission_problem(), "");
  EXPECT_EQ(PosixFileSystem::open(directory.path() + "/no/such").error(), ENOENT);
}

}  // namespace
}  // namespace wellhead
