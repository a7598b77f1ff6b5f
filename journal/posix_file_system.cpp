#include "journal/posix_file_system.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/assert.hpp"
#include "journal/posix_file.hpp"

namespace wellhead {
namespace {

constexpr mode_t directory_mode = 0700;
constexpr mode_t file_mode = 0600;
constexpr mode_t others_write = S_IWGRP | S_IWOTH;
constexpr const char* lock_name = "lock";

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::read_direct:
      return O_RDONLY | O_DIRECT;
    case OpenMode::create:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::update:
      return O_RDWR;
    case OpenMode::synchronous_direct:
      return O_RDWR | O_DIRECT | O_DSYNC;
  }
  WELLHEAD_ASSERT(false);
}

// Whether a path stays below the directory; symbolic links are the open's to refuse.
bool stays_below(std::string_view path) {
  if (path.empty() || path.starts_with('/')) return false;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (part == "..") return false;
    path.remove_prefix(std::min(path.size(), part.size() + 1));
  }
  return true;
}

FileResult<UniqueFd> open_at(int directory, const std::string& path, int flags) {
  if (!stays_below(path)) return std::unexpected(EINVAL);
  const auto opened = repeat_interrupted(
      [&] { return ::openat(directory, path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, file_mode); });
  if (!opened) return std::unexpected(opened.error());
  return UniqueFd(*opened);
}

struct DirectoryClose {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

FileResult<void> done(int result) {
  if (result != 0) return std::unexpected(errno);
  return {};
}

std::string sentence_of(const std::string& path, const std::string& fault) {
  return fmt::format(
      "The journal's directory {} {}: whoever can write there can change or remove records "
      "that were acknowledged. Give it to the user wellhead runs as, with mode 0700 (chown, chmod).",
      path, fault);
}

}  // namespace

FileResult<std::unique_ptr<PosixFileSystem>> PosixFileSystem::open(const std::string& directory) {
  if (::mkdir(directory.c_str(), directory_mode) != 0 && errno != EEXIST) return std::unexpected(errno);
  const auto opened =
      repeat_interrupted([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (!opened) return std::unexpected(opened.error());
  return std::unique_ptr<PosixFileSystem>(new PosixFileSystem(UniqueFd(*opened), directory));
}

FileResult<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode) {
  auto opened = open_at(directory_.get(), path, flags_of(mode));
  if (!opened) return std::unexpected(opened.error());
  return std::make_unique<PosixFile>(std::move(*opened));
}

FileResult<std::vector<std::string>> PosixFileSystem::list(const std::string& directory) {
  auto opened = open_at(directory_.get(), directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
  if (!opened) return std::unexpected(opened.error());
  const std::unique_ptr<DIR, DirectoryClose> stream(::fdopendir(opened->get()));
  if (stream == nullptr) return std::unexpected(errno);
  static_cast<void>(opened->release());  // the stream's now
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return std::unexpected(errno);
  std::ranges::sort(names);
  return names;
}

FileResult<void> PosixFileSystem::make_directory(const std::string& path) {
  if (!stays_below(path)) return std::unexpected(EINVAL);
  if (::mkdirat(directory_.get(), path.c_str(), directory_mode) == 0) return {};
  if (errno != EEXIST) return std::unexpected(errno);
  struct stat status{};
  if (::fstatat(directory_.get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return std::unexpected(errno);
  if (!S_ISDIR(status.st_mode)) return std::unexpected(ENOTDIR);
  return {};
}

FileResult<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (!stays_below(from) || !stays_below(to)) return std::unexpected(EINVAL);
  return done(::renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()));
}

FileResult<void> PosixFileSystem::remove(const std::string& path) {
  if (!stays_below(path)) return std::unexpected(EINVAL);
  return done(::unlinkat(directory_.get(), path.c_str(), 0));
}

FileResult<void> PosixFileSystem::synchronize_directory(const std::string& path) {
  const auto opened = open_at(directory_.get(), path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
  if (!opened) return std::unexpected(opened.error());
  const auto synchronized = repeat_interrupted([&] { return ::fsync(opened->get()); });
  if (!synchronized) return std::unexpected(synchronized.error());
  return {};
}

FileResult<std::uint64_t> PosixFileSystem::free_bytes() {
  struct statvfs status{};
  const auto asked = repeat_interrupted([&] { return ::fstatvfs(directory_.get(), &status); });
  if (!asked) return std::unexpected(asked.error());
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

FileResult<void> PosixFileSystem::lock() {
  auto opened = open_at(directory_.get(), lock_name, O_RDWR | O_CREAT);
  if (!opened) return std::unexpected(opened.error());
  const auto locked = repeat_interrupted([&] { return ::flock(opened->get(), LOCK_EX | LOCK_NB); });
  if (!locked) return std::unexpected(locked.error());
  lock_ = std::move(*opened);
  return {};
}

std::string PosixFileSystem::permission_problem() {
  struct stat status{};
  if (::fstat(directory_.get(), &status) != 0)
    return sentence_of(path_, fmt::format("cannot be looked at (errno {})", errno));
  if (status.st_uid != ::geteuid())
    return sentence_of(path_,
                       fmt::format("belongs to user {}, not to this one ({})", status.st_uid, ::geteuid()));
  if ((status.st_mode & others_write) != 0)
    return sentence_of(
        path_, fmt::format("has mode {:04o}, so that others may write to it", status.st_mode & 07777U));
  return {};
}

}  // namespace wellhead
